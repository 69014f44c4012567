"""Who wins when several show one code, turn one family, or close what others use."""
# ruff: noqa: S101

from dataclasses import replace

import pytest

from abeyance.pending.change import (
    Applied,
    Change,
    CloseHome,
    HoldFamily,
    NewFamily,
    OpenGrant,
    RecordInteraction,
    SpendCode,
    Superseded,
    TurnFamily,
)
from abeyance.pending.handles import HandleHash
from abeyance.pending.states import Approved, Event, Redeemed, Stage
from abeyance.store.suite.granted import (
    IDLE,
    STALE,
    a_code,
    a_family,
    a_grant,
    a_refresh,
    an_interaction,
    found_code,
    found_refresh,
    open_family,
    open_grant,
)
from abeyance.store.suite.ground import (
    NOW,
    TO,
    Suite,
    a_home,
    a_request,
    a_token,
    advance,
    change,
    covers,
    loaded,
    open_in,
    open_request,
    race,
    wins,
)


class GrantRaceSuite(Suite):
    """Who wins when several show one code, turn one family, or close what others use."""

    @covers("OAUTH-AUTHZ-09")
    async def test_of_simultaneous_answers_to_one_question_one_counts(self) -> None:
        home = a_home()
        codes = [a_code(home) for _ in range(20)]
        async with self.open_store() as store:
            answers = await race(
                store, *(Change(home, (OpenGrant(a_grant()),), (code,)) for code in codes)
            )
            assert wins(answers) == 1
            found = [await store.find_code(code.handle) is not None for code in codes]
            assert found == [isinstance(answer, Applied) for answer in answers]

    @covers("OAUTH-CODE-04", "SEC-RACE-13")
    async def test_of_twenty_who_show_a_code_one_gets_the_family(self) -> None:
        async with self.open_store() as store:
            home, code = await open_grant(store)
            spend = SpendCode(code.handle.digest, NOW)
            tokens = [a_refresh(home) for _ in range(20)]
            answers = await race(
                store,
                *(Change(home, (spend,), (NewFamily(a_family(each), each),)) for each in tokens),
            )
            assert wins(answers) == 1
            assert answers.count(Superseded(spend, None)) == 19
            found = [await store.find_refresh(HandleHash(home, each.digest)) for each in tokens]
            assert [each is not None for each in found] == [
                isinstance(answer, Applied) for answer in answers
            ]
            [kept] = (each for each in found if each is not None)
            assert kept.family.head == kept.token.digest

    @covers("SEC-RACE-13", "OAUTH-DEFER-01")
    async def test_of_two_who_show_a_code_one_defers_and_the_other_leaves_nothing(self) -> None:
        async with self.open_store() as store:
            for first in range(2):
                home, code = await open_grant(store)
                spend, request = SpendCode(code.handle.digest, NOW), a_request(home=home)
                token = a_token(home, n=0)
                changes = [Change(home, (spend, request)), Change(home, (spend,), (token,))]
                answers = await race(store, *changes[first:], *changes[:first])
                assert wins(answers) == 1
                assert Superseded(spend, None) in answers
                deferred = await store.find_held(request.held.handle)
                issued = await store.find_token(home, token.jti)
                assert (deferred is None) != (issued is None)

    @covers("OAUTH-RT-04", "OAUTH-RT-08", "OAUTH-RT-09")
    async def test_of_twenty_turns_of_a_family_one_is_its_head(self) -> None:
        async with self.open_store() as store:
            home, first = await open_family(store)
            heads = [a_refresh(home, 2) for _ in range(20)]
            answers = await race(
                store,
                *(Change(home, (TurnFamily(1, NOW, NOW + IDLE, each),)) for each in heads),
            )
            assert wins(answers) == 1
            found = [await store.find_refresh(HandleHash(home, each.digest)) for each in heads]
            assert [each is not None for each in found] == [
                isinstance(answer, Applied) for answer in answers
            ]
            [kept] = (each for each in found if each is not None)
            assert (kept.family.generation, kept.family.head) == (2, kept.token.digest)
            assert (await found_refresh(store, home, first)).token.spent_at == NOW

    @covers("SEC-RACE-14", "OAUTH-RT-11")
    async def test_of_twenty_deferred_refreshes_one_holds_the_family(self) -> None:
        async with self.open_store() as store:
            home, token = await open_family(store)
            before = await found_refresh(store, home, token)
            requests = [replace(a_request(home=home, n=n), holds_family=True) for n in range(1, 21)]
            answers = await race(
                store, *(Change(home, (HoldFamily(NOW), each)) for each in requests)
            )
            assert wins(answers) == 1
            holding = await store.find_holding(home, now=NOW)
            assert holding is not None
            losers = [each for each in answers if isinstance(each, Superseded)]
            assert {each.current for each in losers} == {holding.held}
            after = await found_refresh(store, home, token)
            assert after == replace(before, next_n=holding.held.key.n + 1)

    @covers("SEC-RACE-14")
    async def test_a_deferred_and_a_plain_refresh_together_turn_the_family_once(self) -> None:
        async with self.open_store() as store:
            for first in range(2):
                home, token = await open_family(store)
                request = replace(a_request(home=home), holds_family=True)
                held = await open_request(store, request)
                await store.apply(change(held.key, advance(Event.APPROVE)))
                approved = (await loaded(store, held.key)).held
                heads = (a_refresh(home, 2), a_refresh(home, 2))
                issued = (a_token(home), a_token(home, n=0))
                turns = [TurnFamily(1, NOW, NOW + IDLE, head) for head in heads]
                changes = [
                    Change(home, (advance(Event.REDEEM), turns[0]), (issued[0],)),
                    Change(home, (turns[1],), (issued[1],)),
                ]
                answers = await race(store, *changes[first:], *changes[:first])
                assert wins(answers) == 1
                tokens = [await store.find_token(home, each.jti) for each in issued]
                after = await found_refresh(store, home, token)
                state = (await loaded(store, held.key)).held.state
                if tokens[0] is None:
                    # The collection can be tried again, with the head as it stands now.
                    assert (state, after.family.head) == (approved.state, heads[1].digest)
                    assert isinstance(state, Approved)
                else:
                    assert (state, after.family.head) == (Redeemed(), heads[0].digest)
                assert tokens.count(None) == 1
                assert after.family.generation == 2

    @covers("SEC-RACE-09", "OAUTH-RT-09")
    @pytest.mark.parametrize("closed_first", [True, False])
    async def test_whatever_is_collected_while_a_home_closes_has_ended_with_it(
        self, closed_first: bool
    ) -> None:
        async with self.open_store() as store:
            home, _ = await open_family(store)
            held = await open_request(store, a_request(home=home))
            await store.apply(change(held.key, advance(Event.APPROVE)))
            issued, head = a_token(home), a_refresh(home, 2)
            turn = TurnFamily(1, NOW, NOW + IDLE, head)
            changes = [
                Change(home, (CloseHome(Event.STALE, STALE, NOW),)),
                Change(home, (advance(Event.REDEEM), turn), (issued,)),
            ]
            order = changes if closed_first else changes[::-1]
            answers = dict(zip(map(id, order), await race(store, *order), strict=True))
            assert isinstance(answers[id(changes[0])], Applied)
            token = await store.find_token(home, issued.jti)
            refresh = await store.find_refresh(HandleHash(home, head.digest))
            if isinstance(answers[id(changes[1])], Applied):
                assert token == replace(issued, revoked_at=NOW)
                assert refresh is not None
                assert refresh.family.ended_at == NOW
            else:
                assert (token, refresh) == (None, None)
                assert (await loaded(store, held.key)).held.state == STALE
            late = replace(turn, generation=2, head=a_refresh(home, 3))
            for step in (turn, late):
                answer = await store.apply(Change(home, (step,)))
                assert answer == Superseded(step, None)

    @covers("SEC-RACE-09", "OAUTH-CODE-04")
    @pytest.mark.parametrize("closed_first", [True, False])
    async def test_a_code_that_is_shown_while_its_home_closes_leaves_nothing_alive(
        self, closed_first: bool
    ) -> None:
        async with self.open_store() as store:
            home, code = await open_grant(store)
            request = a_request(home=home)
            changes = [
                Change(home, (CloseHome(Event.STALE, STALE, NOW),)),
                Change(home, (SpendCode(code.handle.digest, NOW), request)),
            ]
            await race(store, *(changes if closed_first else changes[::-1]))
            assert (await found_code(store, code)).grant.ended_at == NOW
            held = await store.find_held(request.held.handle)
            assert held is None or held.state == STALE
            late = SpendCode(code.handle.digest, NOW)
            assert await store.apply(Change(home, (late,))) == Superseded(late, None)

    @covers("EXT-INTERACT-05", "EXT-INTERACT-14")
    async def test_of_simultaneous_answers_to_one_step_one_is_recorded(self) -> None:
        async with self.open_store() as store:
            held = await open_in(store, Stage.AWAITING_INTERACTION)
            steps = [
                RecordInteraction(1, replace(an_interaction(), note=f"{number}"))
                for number in range(20)
            ]
            done = advance(Event.INTERACTION_DONE)
            answers = await race(store, *(change(held.key, done, step) for step in steps))
            assert wins(answers) == 1
            found = await loaded(store, held.key)
            assert found.held.state == TO[Event.INTERACTION_DONE]
            [won] = (each for each, answer in zip(steps, answers, strict=True) if wins([answer]))
            assert found.interactions == (won.interaction,)

    @covers("EXT-INTERACT-05", "DTR-CANC-02")
    async def test_a_step_and_a_cancellation_end_cancelled(self) -> None:
        async with self.open_store() as store:
            held = await open_in(store, Stage.AWAITING_INTERACTION)
            step = RecordInteraction(1, an_interaction())
            done = change(held.key, advance(Event.INTERACTION_DONE), step)
            answers = await race(store, done, change(held.key, advance(Event.CANCEL)))
            assert isinstance(answers[1], Applied)
            found = await loaded(store, held.key)
            assert found.held.state == TO[Event.CANCEL]
            assert len(found.interactions) == wins(answers[:1])

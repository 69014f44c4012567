"""What a person's grant leaves: codes, families, steps that were taken, the end of a home."""
# ruff: noqa: S101

import os
from dataclasses import replace
from datetime import timedelta

import pytest

from abeyance.parties.client import ClientId
from abeyance.pending.change import (
    Applied,
    Change,
    CloseHome,
    HoldFamily,
    OpenGrant,
    RecordInteraction,
    SealedCopy,
    SpendCode,
    Step,
    Superseded,
    TurnFamily,
)
from abeyance.pending.credentials import (
    FoundCode,
    FoundRefresh,
)
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.states import Event, Stage
from abeyance.store.ports import Ground, OfClient, OfConsent, OfPerson, OfSession
from abeyance.store.suite.granted import (
    IDLE,
    MOST,
    SESSION,
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
    ANN,
    BEN,
    HOUR,
    NOW,
    SHOP,
    TICK,
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
)


class GrantSuite(Suite):
    """Codes, families, steps that were taken, and the end of a home."""

    # --- grants and codes

    @covers("OAUTH-CODE-01")
    async def test_a_grant_and_its_code_are_found_as_they_were_made(self) -> None:
        place = self.new_place()
        async with place() as store:
            home, code = await open_grant(store)
        async with place() as store:
            assert await store.find_code(code.handle) == FoundCode(home, code, a_grant())

    @covers("OAUTH-AUTHZ-09")
    async def test_a_home_has_one_grant_and_the_second_answer_leaves_nothing(self) -> None:
        async with self.open_store() as store:
            home, code = await open_grant(store)
            again, second = OpenGrant(a_grant(BEN)), a_code(home)
            assert await store.apply(Change(home, (again,), (second,))) == Superseded(again, None)
            assert await store.find_code(second.handle) is None
            assert await store.find_code(code.handle) == FoundCode(home, code, a_grant())

    @covers("OAUTH-CODE-09")
    async def test_a_code_is_found_by_its_whole_handle_and_as_a_code_only(self) -> None:
        async with self.open_store() as store:
            home, code = await open_grant(store)
            assert await store.find_code(HandleHash(home, os.urandom(32))) is None
            assert await store.find_code(HandleHash(a_home(), code.handle.digest)) is None
            assert await store.find_refresh(code.handle) is None
            assert await store.find_held(code.handle) is None
            _, token = await open_family(store)
            assert await store.find_code(HandleHash(home, token.digest)) is None

    @covers("OAUTH-CODE-04", "OAUTH-CODE-07")
    async def test_a_code_is_spent_once_and_remembered(self) -> None:
        async with self.open_store() as store:
            home, code = await open_grant(store)
            spend = SpendCode(code.handle.digest, NOW + TICK)
            assert await store.apply(Change(home, (spend,))) == Applied(None)
            spent = FoundCode(home, replace(code, spent_at=NOW + TICK), a_grant())
            assert await store.find_code(code.handle) == spent
            again = SpendCode(code.handle.digest, NOW + HOUR)
            assert await store.apply(Change(home, (again,))) == Superseded(again, None)
            assert await store.find_code(code.handle) == spent

    @covers("OAUTH-CODE-02", "OAUTH-CODE-08")
    async def test_a_code_that_is_late_or_unknown_is_not_spent(self) -> None:
        async with self.open_store() as store:
            home, code = await open_grant(store)
            digest = code.handle.digest
            for wrong in (SpendCode(digest, code.expires_at), SpendCode(os.urandom(32), NOW)):
                assert await store.apply(Change(home, (wrong,))) == Superseded(wrong, None)
            elsewhere, right = a_home(), SpendCode(digest, code.expires_at - TICK)
            assert await store.apply(Change(elsewhere, (right,))) == Superseded(right, None)
            assert await store.find_code(code.handle) == FoundCode(home, code, a_grant())
            assert await store.apply(Change(home, (right,))) == Applied(None)

    @covers("OAUTH-DEFER-01", "OAUTH-CODE-08")
    async def test_a_code_is_not_spent_by_a_change_that_loses(self) -> None:
        async with self.open_store() as store:
            home, code = await open_grant(store)
            full = a_request(home=home, at_most=0)
            spend = SpendCode(code.handle.digest, NOW)
            assert await store.apply(Change(home, (spend, full))) == Superseded(full, None)
            assert await store.find_code(code.handle) == FoundCode(home, code, a_grant())

    # --- families

    @covers("OAUTH-RT-01")
    async def test_a_family_is_found_by_its_token_as_it_was_made(self) -> None:
        place = self.new_place()
        async with place() as store:
            home, token = await open_family(store)
        grant = replace(a_grant(), live_until=NOW + MOST)
        async with place() as store:
            found = await found_refresh(store, home, token)
            assert found == FoundRefresh(home, token, a_family(token), grant, 1)
            held = await open_request(store, a_request(home=home))
            assert (await found_refresh(store, home, token)).next_n == held.key.n + 1
            assert (await loaded(store, held.key)).family == a_family(token)

    @covers("OAUTH-RT-04", "OAUTH-RT-08")
    async def test_a_turned_family_has_a_new_head_and_remembers_the_old_one(self) -> None:
        async with self.open_store() as store:
            home, first = await open_family(store)
            second, at = a_refresh(home, 2), NOW + HOUR
            turn = TurnFamily(1, at, at + IDLE, second, b"sealed")
            assert await store.apply(Change(home, (turn,))) == Applied(None)
            family = replace(
                a_family(first), generation=2, head=second.digest, idle_until=at + IDLE
            )
            found = await found_refresh(store, home, first)
            assert found.token == replace(first, spent_at=at, successor=b"sealed")
            assert found.family == family
            assert await found_refresh(store, home, second) == replace(found, token=second)

    @covers("OAUTH-RT-07")
    async def test_a_used_successor_is_forgotten(self) -> None:
        async with self.open_store() as store:
            home, first = await open_family(store)
            second = a_refresh(home, 2)
            turns = (
                TurnFamily(1, NOW, NOW + IDLE, second, b"sealed"),
                TurnFamily(2, NOW, NOW + IDLE, a_refresh(home, 3), b"sealed too"),
            )
            for turn in turns:
                assert await store.apply(Change(home, (turn,))) == Applied(None)
            assert (await found_refresh(store, home, first)).token.successor is None
            assert (await found_refresh(store, home, second)).token.successor == b"sealed too"

    @covers("OAUTH-RT-10")
    async def test_a_use_without_a_turn_only_begins_the_idle_time_again(self) -> None:
        async with self.open_store() as store:
            home, token = await open_family(store)
            before = await found_refresh(store, home, token)
            at = NOW + MOST - HOUR
            for late in (TurnFamily(1, at, at + IDLE), HoldFamily(NOW + IDLE)):
                assert await store.apply(Change(home, (late,))) == Superseded(late, None)
            use = TurnFamily(1, NOW + IDLE - TICK, NOW + 2 * MOST)
            assert await store.apply(Change(home, (use,))) == Applied(None)
            # The end of all never moves, and the idle time ends no later.
            after = replace(before, family=replace(before.family, idle_until=NOW + MOST))
            assert await found_refresh(store, home, token) == after
            end = TurnFamily(1, NOW + MOST, NOW + 2 * MOST)
            assert await store.apply(Change(home, (end,))) == Superseded(end, None)

    @covers("OAUTH-RT-08", "OAUTH-RT-11")
    async def test_holding_changes_nothing_and_an_older_generation_turns_nothing(self) -> None:
        async with self.open_store() as store:
            home, token = await open_family(store)
            before = await found_refresh(store, home, token)
            assert await store.apply(Change(home, (HoldFamily(NOW),))) == Applied(None)
            wrong: tuple[Step, ...] = (
                TurnFamily(0, NOW, NOW + IDLE, a_refresh(home, 1)),
                TurnFamily(2, NOW, NOW + IDLE),
            )
            for step in wrong:
                assert await store.apply(Change(home, (step,))) == Superseded(step, None)
            nobodys = HoldFamily(NOW)
            assert await store.apply(Change(a_home(), (nobodys,))) == Superseded(nobodys, None)
            assert await found_refresh(store, home, token) == before

    @covers("OAUTH-RT-11")
    async def test_one_open_request_holds_a_family_and_is_found(self) -> None:
        async with self.open_store() as store:
            home, _ = await open_family(store)
            assert await store.find_holding(home, now=NOW) is None
            first, second, beside = (
                replace(a_request(home=home, n=n), holds_family=n < 3) for n in (1, 2, 3)
            )
            await open_request(store, first)
            assert await store.apply(Change(home, (second,))) == Superseded(second, first.held)
            await open_request(store, beside)
            found = await store.find_holding(home, now=NOW)
            assert found == await store.find_loaded(first.held.key)
            assert await store.find_holding(home, now=first.held.expires_at) is None
            await store.apply(change(first.held.key, advance(Event.DENY)))
            assert await store.find_holding(home, now=NOW) is None
            assert await store.apply(Change(home, (second,))) == Applied(second.held)

    async def test_a_sealed_copy_is_shown_until_its_request_has_ended(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            assert await store.find_sealed(held.key) is None
            await store.apply(change(held.key, rows=(SealedCopy(1, b"sealed"),)))
            assert await store.find_sealed(held.key) == b"sealed"
            await store.apply(change(held.key, advance(Event.CANCEL)))
            assert await store.find_sealed(held.key) is None

    # --- steps that were taken

    @covers("EXT-INTERACT-05", "EXT-INTERACT-14")
    async def test_a_step_is_recorded_once_and_a_repetition_takes_everything_back(self) -> None:
        place = self.new_place()
        async with place() as store:
            held = await open_in(store, Stage.AWAITING_INTERACTION)
            done = (advance(Event.INTERACTION_DONE), RecordInteraction(1, an_interaction()))
            answer = await store.apply(change(held.key, *done))
            assert isinstance(answer, Applied)
            await store.apply(change(held.key, advance(Event.INTERACTION_ASKED)))
            waits = (await loaded(store, held.key)).held
            assert await store.apply(change(held.key, *done)) == Superseded(done[1], waits)
            second = RecordInteraction(1, replace(an_interaction(2), vouched=True, note=None))
            await store.apply(change(held.key, advance(Event.INTERACTION_DONE), second))
        async with place() as store:
            found = await loaded(store, held.key)
            assert found.interactions == (an_interaction(), second.interaction)
            assert found.held.state == TO[Event.INTERACTION_DONE]

    # --- the end of a home

    @covers("OAUTH-CODE-05", "OAUTH-RT-05", "SEC-RACE-09")
    async def test_a_closed_home_ends_with_all_that_lives_there(self) -> None:
        async with self.open_store() as store:
            home, token = await open_family(store)
            others = await open_family(store)
            held = await open_request(store, a_request(home=home))
            issued, code = a_token(home), a_code(home)
            await store.apply(Change(home, (), (issued, code)))
            at = NOW + HOUR - TICK
            close = Change(home, (CloseHome(Event.STALE, STALE, at),))
            for _ in range(2):
                assert isinstance(await store.apply(close), Applied)
            found = await found_refresh(store, home, token)
            assert (found.grant.ended_at, found.family.ended_at) == (at, at)
            assert (await found_code(store, code)).code.spent_at == at
            assert await store.find_token(home, issued.jti) == replace(issued, revoked_at=at)
            assert (await loaded(store, held.key)).held.state == STALE
            for step in (HoldFamily(NOW), TurnFamily(1, NOW, NOW + IDLE, a_refresh(home, 2))):
                assert await store.apply(Change(home, (step,))) == Superseded(step, None)
            assert (await found_refresh(store, *others)).family.ended_at is None

    @covers("T-254", "OAUTH-DEFER-09")
    async def test_what_has_expired_stays_so_when_its_home_is_closed(self) -> None:
        async with self.open_store() as store:
            home, token = await open_family(store)
            held = await open_request(store, a_request(home=home))
            late = held.expires_at
            await store.apply(Change(home, (CloseHome(Event.STALE, STALE, late),)))
            assert (await loaded(store, held.key)).held == held
            assert (await found_refresh(store, home, token)).family.ended_at == late
            client = await store.find_open_homes(OfClient(SHOP), now=late, limit=9)
            assert list(client) == []

    async def test_closing_only_the_requests_leaves_the_grant(self) -> None:
        async with self.open_store() as store:
            home, token = await open_family(store)
            before = await found_refresh(store, home, token)
            await store.apply(Change(home, (CloseHome(Event.STALE, STALE),)))
            assert await found_refresh(store, home, token) == before

    @covers("OAUTH-AUTHZ-12", "SEC-RACE-09")
    @pytest.mark.parametrize(
        "of", [OfClient(SHOP), OfPerson(ANN), OfSession(SESSION), OfConsent(ANN, SHOP)], ids=str
    )
    async def test_homes_are_found_by_what_they_rest_on_while_something_lives(
        self, of: Ground
    ) -> None:
        another = a_grant(BEN, ClientId("other"), b"t" * 32)
        async with self.open_store() as store:
            await open_family(store, another)
            fresh, _ = await open_grant(store)
            used, _ = await open_family(store)
            await open_request(store, a_request(home=used))

            async def found(limit: int = 9, now: timedelta = timedelta(0)) -> list[Home]:
                return sorted(await store.find_open_homes(of, now=NOW + now, limit=limit))

            assert await found() == sorted([fresh, used])
            assert len(await found(limit=1)) == 1
            assert await found(now=HOUR) == [used]
            for home in (fresh, used):
                await store.apply(Change(home, (CloseHome(Event.STALE, STALE, NOW),)))
            assert await found() == []

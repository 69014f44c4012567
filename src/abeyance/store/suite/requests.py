"""Finding requests, and moving them as the table, the clock and the versions allow."""
# ruff: noqa: S101

import hashlib
import os
from dataclasses import replace
from datetime import timedelta

import pytest

from abeyance.parties.client import ClientId
from abeyance.pending.change import (
    Advance,
    Applied,
    CastVote,
    Change,
    CloseHome,
    RevokeToken,
    Superseded,
)
from abeyance.pending.handles import HandleHash, HandleKind, mint_handle, parse_handle
from abeyance.pending.request import Key, Loaded
from abeyance.pending.states import (
    Cancelled,
    Denied,
    Event,
    Outcome,
    Stage,
    stage_after,
)
from abeyance.pending.votes import NOBODY_ELSE, Verdict
from abeyance.store.ports import OfClient
from abeyance.store.suite.ground import (
    ANN,
    BEN,
    HOUR,
    NOW,
    SHOP,
    TICK,
    TO,
    Suite,
    a_ballot,
    a_home,
    a_request,
    a_snapshot,
    a_token,
    advance,
    an_event,
    change,
    covers,
    fault_of,
    loaded,
    open_in,
    open_request,
    race,
    state_of,
    wins,
)


class RequestSuite(Suite):
    """Finding requests, and moving them as the table, the clock and the versions allow."""

    # --- opening and finding

    @covers("DTR-RESP-02", "OAUTH-DEFER-03")
    async def test_a_request_is_found_as_it_was_opened(self) -> None:
        request = a_request(snapshot=a_snapshot(jkt="a-thumbprint"))
        key = request.held.key
        async with self.open_store() as store:
            answer = await store.apply(change(key, request, rows=(an_event("opened"),)))
            assert answer == Applied(request.held)
            assert await store.find_held(request.held.handle) == request.held
            assert await store.find_loaded(key) == Loaded(request.held, request.snapshot, ())
            assert await store.find_events(key) == [an_event("opened")]

    @covers("DTR-RESP-02")
    async def test_a_request_that_no_reviewer_decides_opens_in_nobodys_inbox(self) -> None:
        request = a_request(snapshot=a_snapshot(plan=NOBODY_ELSE))
        async with self.open_store() as store:
            assert await open_request(store, request) == request.held
            assert (await store.list_waiting(ANN, now=NOW, limit=9)).items == ()

    @covers("DTR-ERR-05")
    async def test_an_unknown_handle_finds_nothing(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            other_secret = HandleHash(held.key.home, os.urandom(32))
            other_home = HandleHash(a_home(), held.handle.digest)
            for unknown in (other_secret, other_home):
                assert await store.find_held(unknown) is None
                assert await store.find_held(unknown) is None
            assert await store.find_loaded(Key(a_home(), 1)) is None
            assert await store.find_loaded(Key(held.key.home, 2)) is None

    @covers("OAUTH-DEFER-07")
    async def test_a_handle_of_one_kind_never_finds_where_another_is_expected(self) -> None:
        home, secret = a_home(), os.urandom(32)
        code, handle = mint_handle(HandleKind.DEFERRAL_CODE, home, secret)
        request = a_request(home=home)
        request = replace(request, held=replace(request.held, handle=handle))
        as_another_kind = hashlib.sha256(b"device_code\0" + home + secret).digest()
        async with self.open_store() as store:
            await open_request(store, request)
            parsed = parse_handle(HandleKind.DEFERRAL_CODE, code.reveal())
            assert parsed == handle
            assert await store.find_held(parsed) == request.held
            assert await store.find_held(HandleHash(home, as_another_kind)) is None

    async def test_several_requests_of_one_home_are_told_apart(self) -> None:
        home = a_home()
        first, second = a_request(home=home), a_request(home=home, n=2)
        async with self.open_store() as store:
            await open_request(store, first)
            await open_request(store, second)
            await store.apply(change(first.held.key, advance(Event.CANCEL)))
            assert await store.find_held(second.held.handle) == second.held
            assert await state_of(store, first.held) == Cancelled()

    async def test_a_second_request_at_the_same_place_loses_and_changes_nothing(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            again = a_request(home=held.key.home)
            assert await store.apply(change(held.key, again)) == Superseded(again, held)
            assert (await loaded(store, held.key)).held == held

    # --- the table of states

    @covers("DTR-POLL-03", "DTR-CANC-05")
    @pytest.mark.parametrize("event", Event)
    @pytest.mark.parametrize("stage", Stage)
    async def test_an_event_moves_a_request_as_the_table_says_and_else_not_at_all(
        self, stage: Stage, event: Event
    ) -> None:
        async with self.open_store() as store:
            held = await open_in(store, stage)
            step = advance(event)
            answer = await store.apply(change(held.key, step, rows=(an_event("moved"),)))
            if stage_after(stage, event) is None:
                assert answer == Superseded(step, held)
                assert await store.find_events(held.key) == []
                after = held
            else:
                after = replace(held, version=held.version + 1, state=TO[event])
                assert answer == Applied(after)
                assert await store.find_events(held.key) == [an_event("moved")]
            assert await store.find_held(held.handle) == after
            assert (await loaded(store, held.key)).held == after

    @covers("DTR-INV-01")
    async def test_a_snapshot_outlives_every_event_unchanged(self) -> None:
        request = a_request()
        async with self.open_store() as store:
            held = await open_request(store, request)
            for event in (
                Event.INTERACTION_ASKED,
                Event.INTERACTION_DONE,
                Event.APPROVE,
                Event.REDEEM,
            ):
                await store.apply(change(held.key, advance(event)))
                assert (await loaded(store, held.key)).snapshot == request.snapshot

    async def test_a_step_that_only_raises_the_version_leaves_the_state(self) -> None:
        async with self.open_store() as store:
            held = await open_in(store, Stage.AWAITING_INTERACTION)
            step = Advance(1, Event.APPROVE, None, NOW, held.version)
            answer = await store.apply(change(held.key, step))
            assert answer == Applied(replace(held, version=held.version + 1))

    async def test_a_state_to_which_the_event_never_leads_is_a_fault(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            wrong = Advance(1, Event.DENY, TO[Event.APPROVE], NOW)
            assert isinstance(await fault_of(store.apply(change(held.key, wrong))), Exception)
            assert (await loaded(store, held.key)).held == held

    async def test_an_unknown_request_is_lost_against_nothing(self) -> None:
        async with self.open_store() as store:
            step = advance(Event.CANCEL)
            assert await store.apply(Change(a_home(), (step,))) == Superseded(step, None)

    # --- the clock

    @covers("EXT-DECIDE-11")
    @pytest.mark.parametrize("event", [Event.APPROVE, Event.DENY])
    async def test_a_decision_counts_until_its_deadline_and_not_at_it(self, event: Event) -> None:
        async with self.open_store() as store:
            late, timely = await open_request(store), await open_request(store)
            step = advance(event, at=late.decide_by)
            assert await store.apply(change(late.key, step)) == Superseded(step, late)
            vote = Advance(1, event, None, late.decide_by)
            assert await store.apply(change(late.key, vote)) == Superseded(vote, late)
            step = advance(event, at=timely.decide_by - TICK)
            assert isinstance(await store.apply(change(timely.key, step)), Applied)

    @covers("DTR-POLL-03")
    @pytest.mark.parametrize("event", [Event.CANCEL, Event.REDEEM])
    async def test_what_has_expired_is_neither_redeemed_nor_cancelled(self, event: Event) -> None:
        async with self.open_store() as store:
            held = await open_in(store, Stage.APPROVED)
            step = advance(event, at=held.expires_at)
            assert await store.apply(change(held.key, step)) == Superseded(step, held)
            assert (await loaded(store, held.key)).held == held
            step = advance(event, at=held.expires_at - TICK)
            assert isinstance(await store.apply(change(held.key, step)), Applied)

    async def test_what_has_expired_can_still_go_stale(self) -> None:
        async with self.open_store() as store:
            held = await open_in(store, Stage.APPROVED)
            step = advance(Event.STALE, at=held.expires_at + HOUR)
            assert isinstance(await store.apply(change(held.key, step)), Applied)

    # --- versions and votes

    async def test_a_change_that_saw_an_older_version_loses(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            await store.apply(change(held.key, Advance(1, Event.APPROVE, None, NOW, 1)))
            step = advance(Event.APPROVE, version=1)
            raised = replace(held, version=2)
            assert await store.apply(change(held.key, step)) == Superseded(step, raised)
            step = advance(Event.APPROVE, version=2)
            assert isinstance(await store.apply(change(held.key, step)), Applied)

    @covers("DTR-CANC-02")
    async def test_a_vote_in_between_does_not_stop_a_cancellation(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            await store.apply(change(held.key, Advance(1, Event.APPROVE, None, NOW, 1)))
            answer = await store.apply(change(held.key, advance(Event.CANCEL)))
            assert answer == Applied(replace(held, version=3, state=Cancelled()))

    @covers("SEC-STORE-12")
    async def test_votes_are_kept_word_for_word_in_their_order(self) -> None:
        ballots = (a_ballot(BEN), a_ballot(ANN, Verdict.DENY, version=2))
        async with self.open_store() as store:
            held = await open_request(store)
            for ballot in ballots:
                step = Advance(1, Event.APPROVE, None, NOW, ballot.version)
                answer = await store.apply(change(held.key, step, CastVote(1, ballot)))
                assert answer == Applied(replace(held, version=ballot.version + 1))
            assert (await loaded(store, held.key)).ballots == ballots

    async def test_a_second_vote_of_one_reviewer_loses_and_takes_everything_back(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            await store.apply(change(held.key, CastVote(1, a_ballot())))
            again = CastVote(1, a_ballot(verdict=Verdict.DENY))
            answer = await store.apply(
                change(held.key, advance(Event.DENY), again, rows=(an_event("denied"),))
            )
            assert answer == Superseded(again, held)
            assert await store.find_events(held.key) == []
            assert await loaded(store, held.key) == Loaded(held, a_snapshot(), (a_ballot(),))
            assert await store.find_held(held.handle) == held
            assert await store.count_waiting(ANN, now=NOW, at_most=9) == 1

    # --- homes, tokens, audit

    async def test_closing_a_home_ends_what_is_open_or_approved_and_nothing_else(self) -> None:
        home = a_home()
        async with self.open_store() as store:
            for n, event in enumerate((None, Event.APPROVE, Event.DENY), start=1):
                held = await open_request(store, a_request(home=home, n=n))
                if event:
                    await store.apply(change(held.key, advance(event, n=n)))
            elsewhere = await open_request(store)
            closed = Denied(Outcome.PRECONDITION_FAILED)
            close = Change(home, (CloseHome(Event.STALE, closed),))
            assert isinstance(await store.apply(close), Applied)
            assert isinstance(await store.apply(close), Applied)
            states = [(await loaded(store, Key(home, n))).held.state for n in (1, 2, 3)]
            assert states == [closed, closed, TO[Event.DENY]]
            assert (await loaded(store, elsewhere.key)).held == elsewhere
            assert await store.count_waiting(ANN, now=NOW, at_most=9) == 1

    async def test_open_and_approved_requests_of_a_client_are_found_for_closing(self) -> None:
        other = a_snapshot(client=ClientId("other"))
        async with self.open_store() as store:
            held = {stage: await open_in(store, stage) for stage in Stage}
            await open_request(store, a_request(snapshot=other))
            live = {
                held[stage].key.home
                for stage in (Stage.PENDING, Stage.AWAITING_INTERACTION, Stage.APPROVED)
            }
            await open_request(store, a_request(home=held[Stage.PENDING].key.home, n=2))
            found = await store.find_open_homes(OfClient(SHOP), now=NOW, limit=9)
            assert set(found) == live
            assert len(found) == len(live)
            assert 0 < len(await store.find_open_homes(OfClient(SHOP), now=NOW, limit=2)) <= 2
            for home in live:
                await store.apply(Change(home, (CloseHome(Event.CANCEL, Cancelled()),)))
            assert await store.find_open_homes(OfClient(SHOP), now=NOW, limit=9) == []

    async def test_a_token_is_revoked_once_and_by_its_client_only(self) -> None:
        home = a_home()
        token = a_token(home, n=0)
        async with self.open_store() as store:
            await store.apply(Change(home, (), (token,)))
            assert await store.find_token(home, token.jti) == token
            assert await store.find_token(a_home(), token.jti) is None
            at = NOW + timedelta(minutes=1)
            for wrong in (
                RevokeToken(token.jti, ClientId("another"), at),
                RevokeToken(os.urandom(32), SHOP, at),
            ):
                assert await store.apply(Change(home, (wrong,))) == Superseded(wrong, None)
            assert await store.find_token(home, token.jti) == token
            revoke = RevokeToken(token.jti, SHOP, at)
            answers = await race(store, *[Change(home, (revoke,))] * 5)
            assert wins(answers) == 1
            assert await store.find_token(home, token.jti) == replace(token, revoked_at=at)

    async def test_the_audit_keeps_the_order_of_what_happened(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            events = [an_event(f"event-{number}") for number in range(12)]
            for event in events:
                await store.apply(Change(held.key.home, (), (event, an_event("other", n=2))))
            assert await store.find_events(held.key) == events
            assert len(await store.find_events(Key(held.key.home, 2))) == 12

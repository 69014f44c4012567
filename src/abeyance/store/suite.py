"""What every store must do: a suite that runs on any of them.

    class TestMyStore(StoreSuite):
        def new_place(self) -> Place:
            name = make_an_empty_database()
            return lambda: my_store_opened_at(name)     # an async context manager

Needs pytest and anyio's plugin; nothing else of the package imports this module.
Instants are arguments everywhere, so nothing here sleeps.
"""
# ruff: noqa: S101  # assertions are what a suite is made of

import asyncio
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

import pytest

from abeyance.access.access import Access
from abeyance.parties.client import Client, ClientId
from abeyance.parties.person import ConsoleSession, Invitation, Person, PersonId, Role
from abeyance.pending.change import (
    Advance,
    Applied,
    AuditEvent,
    CastVote,
    Change,
    CloseHome,
    Open,
    Pulse,
    RevokeToken,
    Row,
    Step,
    Superseded,
    TokenRecord,
)
from abeyance.pending.handles import HandleHash, HandleKind, Home, mint_handle, parse_handle
from abeyance.pending.request import Binding, Held, Key, Loaded, Snapshot
from abeyance.pending.states import (
    Approved,
    AwaitingInteraction,
    Cancelled,
    Denied,
    Event,
    Outcome,
    Pending,
    Redeemed,
    Stage,
    State,
    stage_after,
)
from abeyance.pending.votes import Ballot, ReviewPlan, Verdict
from abeyance.store.ports import SecurityEvent, Store, StoreAway

Place: TypeAlias = Callable[[], AbstractAsyncContextManager[Store]]

covers = pytest.mark.covers

NOW: Final = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
TICK: Final = timedelta(microseconds=1)
ANN: Final = PersonId("ann")
BEN: Final = PersonId("ben")
SHOP: Final = ClientId("shop")

ASKED: Final = Access(
    scope=frozenset({"accounts", "payments"}),
    resources=frozenset({"https://api.example/"}),
    details=({"type": "payment", "amount": "120.50", "to": "Zoë 東"},),
    lifetime=HOUR,
)
NARROWED: Final = replace(ASKED, scope=frozenset({"payments"}))

# --- factories: arguments show what matters, the rest has defaults


def a_home() -> Home:
    return Home(os.urandom(16))


def a_snapshot(
    client: ClientId = SHOP, plan: ReviewPlan | None = None, jkt: str | None = None
) -> Snapshot:
    return Snapshot(
        client=client,
        client_name="The shop",
        client_owner=None,
        grant_type="client_credentials",
        subject=client,
        asked=ASKED,
        binding=Binding(jkt),
        plan=plan or ReviewPlan(frozenset({ANN, BEN})),
        rule="big payments",
        policy_version="sha-256:1",
    )


def a_request(
    *,
    home: Home | None = None,
    n: int = 1,
    snapshot: Snapshot | None = None,
    opened_at: datetime = NOW,
    lifetime: timedelta = HOUR,
    decide_within: timedelta | None = None,
    at_most: int = 1000,
) -> Open:
    home = home or a_home()
    snapshot = snapshot or a_snapshot()
    _, handle = mint_handle(HandleKind.DEFERRAL_CODE, home, os.urandom(32))
    held = Held(
        key=Key(home, n),
        version=1,
        state=Pending(),
        client=snapshot.client,
        binding=snapshot.binding,
        handle=handle,
        opened_at=opened_at,
        decide_by=opened_at + (decide_within or lifetime - timedelta(minutes=1)),
        expires_at=opened_at + lifetime,
        interval=timedelta(seconds=5),
    )
    return Open(held, snapshot, at_most)


def a_ballot(voter: str = ANN, verdict: Verdict = Verdict.APPROVE, version: int = 1) -> Ballot:
    approves = verdict is Verdict.APPROVE
    return Ballot(
        voter=voter,
        verdict=verdict,
        granted=NARROWED if approves else None,
        reason=None if approves else "Not this month",
        shareable=not approves,
        seen="sha-256:seen",
        shown={"items": [{"id": "detail:0", "facts": [["amount", "120.50"]]}]},
        version=version,
        at=NOW,
        authenticated="password",
    )


def a_token(home: Home, n: int = 1, client: ClientId = SHOP) -> TokenRecord:
    return TokenRecord(
        jti=home + os.urandom(16),
        n=n,
        client=client,
        subject=client,
        issued_at=NOW,
        expires_at=NOW + HOUR,
    )


def an_event(event: str, n: int = 1) -> AuditEvent:
    return AuditEvent(n=n, at=NOW, event=event, actor="system", detail={"why": ["a", 1, None]})


TO: Final[dict[Event, State]] = {
    Event.INTERACTION_ASKED: AwaitingInteraction(1),
    Event.INTERACTION_DONE: Pending(),
    Event.APPROVE: Approved(NARROWED, NOW + HOUR),
    Event.DENY: Denied(Outcome.DENIED, "Not this month"),
    Event.CANCEL: Cancelled(),
    Event.STALE: Denied(Outcome.PRECONDITION_FAILED),
    Event.REDEEM: Redeemed(),
}

WAY_TO: Final[dict[Stage, tuple[Event, ...]]] = {
    Stage.PENDING: (),
    Stage.AWAITING_INTERACTION: (Event.INTERACTION_ASKED,),
    Stage.APPROVED: (Event.APPROVE,),
    Stage.DENIED: (Event.DENY,),
    Stage.CANCELLED: (Event.CANCEL,),
    Stage.REDEEMED: (Event.APPROVE, Event.REDEEM),
}


def advance(event: Event, *, n: int = 1, at: datetime = NOW, version: int | None = None) -> Advance:
    return Advance(n, event, TO[event], at, version)


def change(key: Key, *steps: Step, rows: tuple[Row, ...] = ()) -> Change:
    return Change(key.home, steps, rows)


async def open_request(store: Store, request: Open | None = None) -> Held:
    """A request in the store, as it stands there."""
    request = request or a_request()
    match await store.apply(Change(request.held.key.home, (request,))):
        case Applied(current=Held() as held):
            return held
        case other:
            raise AssertionError(f"the request was not opened: {other}")


async def open_in(store: Store, stage: Stage) -> Held:
    """A request that has come to `stage`."""
    held = await open_request(store)
    for event in WAY_TO[stage]:
        answer = await store.apply(change(held.key, advance(event)))
        assert isinstance(answer, Applied) and answer.current is not None
        held = answer.current
    return held


async def loaded(store: Store, key: Key) -> Loaded:
    found = await store.find_loaded(key)
    assert found is not None
    return found


async def race(store: Store, *changes: Change) -> list[Applied | Superseded]:
    return list(await asyncio.gather(*map(store.apply, changes)))


def wins(answers: Sequence[Applied | Superseded]) -> int:
    return sum(isinstance(each, Applied) for each in answers)


class StoreSuite(ABC):
    """Derive, say where a store can stand, and let pytest collect the derived class."""

    @abstractmethod
    def new_place(self) -> Place:
        """A place where no store is yet. What it returns opens the store there, again and
        again but never twice at once: what was acknowledged before is there after."""

    def open_store(self) -> AbstractAsyncContextManager[Store]:
        return self.new_place()()

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
            assert parsed is not None and await store.find_held(parsed) is not None
            assert await store.find_held(HandleHash(home, as_another_kind)) is None

    async def test_several_requests_of_one_home_are_told_apart(self) -> None:
        home = a_home()
        first, second = a_request(home=home), a_request(home=home, n=2)
        async with self.open_store() as store:
            await open_request(store, first)
            await open_request(store, second)
            await store.apply(change(first.held.key, advance(Event.CANCEL)))
            assert await store.find_held(second.held.handle) == second.held
            ended = await store.find_held(first.held.handle)
            assert ended is not None and ended.state == Cancelled()

    async def test_a_second_request_at_the_same_key_is_a_fault_and_changes_nothing(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            with pytest.raises(Exception, match=".") as caught:
                await open_request(store, a_request(home=held.key.home))
            assert not isinstance(caught.value, StoreAway | AssertionError)
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
            with pytest.raises(ValueError):
                await store.apply(change(held.key, wrong))
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

    # --- quotas

    @covers("SEC-DOS-06")
    async def test_a_client_at_its_quota_opens_no_more(self) -> None:
        async with self.open_store() as store:
            for _ in range(3):
                await open_request(store, a_request(at_most=3))
            fourth = a_request(at_most=3)
            assert await store.apply(change(fourth.held.key, fourth)) == Superseded(fourth, None)
            assert await store.find_held(fourth.held.handle) is None
            assert await store.find_loaded(fourth.held.key) is None
            assert await store.count_waiting(ANN, now=NOW, at_most=9) == 3

    @covers("SEC-DOS-06")
    async def test_only_open_requests_of_the_same_client_use_up_its_quota(self) -> None:
        another = a_snapshot(client=ClientId("another"))
        async with self.open_store() as store:
            await open_request(store, a_request(snapshot=another))
            for stage in (Stage.APPROVED, Stage.DENIED, Stage.CANCELLED, Stage.REDEEMED):
                await open_in(store, stage)
            long_ago = a_request(opened_at=NOW - HOUR, lifetime=HOUR)
            await open_request(store, long_ago)
            await open_request(store, a_request(at_most=1))
            step = a_request(at_most=1)
            assert await store.apply(change(step.held.key, step)) == Superseded(step, None)

    @covers("SEC-RACE-17")
    async def test_of_fifty_requests_at_the_limit_less_one_exactly_one_opens(self) -> None:
        async with self.open_store() as store:
            await open_request(store)
            requests = [a_request(at_most=2) for _ in range(50)]
            answers = await race(store, *(change(each.held.key, each) for each in requests))
            assert wins(answers) == 1
            assert await store.count_waiting(ANN, now=NOW, at_most=100) == 2

    # --- races

    @covers("SEC-RACE-01", "T-151", "T-152")
    async def test_of_fifty_redemptions_one_wins(self) -> None:
        async with self.open_store() as store:
            held = await open_in(store, Stage.APPROVED)
            tokens = [a_token(held.key.home) for _ in range(50)]
            answers = await race(
                store,
                *(
                    change(held.key, advance(Event.REDEEM, version=2), rows=(token,))
                    for token in tokens
                ),
            )
            assert wins(answers) == 1
            redeemed = replace(held, version=3, state=Redeemed())
            losers = [each for each in answers if isinstance(each, Superseded)]
            assert all(each.current == redeemed for each in losers)
            kept = [await store.find_token(held.key.home, token.jti) for token in tokens]
            assert [token for token in kept if token] == [
                token for token, answer in zip(tokens, answers, strict=True) if wins([answer])
            ]

    @covers("SEC-RACE-03", "T-155")
    async def test_a_redemption_and_a_cancellation_never_both_win(self) -> None:
        async with self.open_store() as store:
            for first in (Event.REDEEM, Event.CANCEL):
                held = await open_in(store, Stage.APPROVED)
                second = Event.CANCEL if first is Event.REDEEM else Event.REDEEM
                answers = await race(
                    store, *(change(held.key, advance(event)) for event in (first, second))
                )
                assert wins(answers) == 1
                won = TO[first if isinstance(answers[0], Applied) else second]
                assert (await loaded(store, held.key)).held.state == won

    @covers("SEC-RACE-06", "T-157")
    async def test_an_approval_and_a_denial_never_both_win(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            answers = await race(
                store,
                change(held.key, advance(Event.APPROVE, version=1), CastVote(1, a_ballot(ANN))),
                change(
                    held.key,
                    advance(Event.DENY, version=1),
                    CastVote(1, a_ballot(BEN, Verdict.DENY)),
                ),
            )
            assert wins(answers) == 1
            (loser,) = (each for each in answers if isinstance(each, Superseded))
            found = await loaded(store, held.key)
            assert loser.current == found.held
            assert len(found.ballots) == 1

    @covers("SEC-RACE-02", "T-156")
    async def test_an_approval_and_a_cancellation_end_cancelled(self) -> None:
        async with self.open_store() as store:
            for order in ((Event.APPROVE, Event.CANCEL), (Event.CANCEL, Event.APPROVE)):
                held = await open_request(store)
                answers = await race(store, *(change(held.key, advance(each)) for each in order))
                assert isinstance(answers[order.index(Event.CANCEL)], Applied)
                assert (await loaded(store, held.key)).held.state == Cancelled()
                late = await store.apply(change(held.key, advance(Event.REDEEM)))
                assert isinstance(late, Superseded)

    @covers("SEC-RACE-06", "T-158")
    async def test_of_one_reviewers_simultaneous_votes_one_counts(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            answers = await race(
                store, *(change(held.key, CastVote(1, a_ballot())) for _ in range(20))
            )
            assert wins(answers) == 1
            assert len((await loaded(store, held.key)).ballots) == 1

    @covers("SEC-RACE-06", "SEC-RACE-11")
    async def test_of_votes_on_one_version_one_wins_and_the_others_weigh_again(self) -> None:
        reviewers = [f"reviewer-{number}" for number in range(20)]
        async with self.open_store() as store:
            held = await open_request(store)
            answers = await race(
                store,
                *(
                    change(
                        held.key,
                        Advance(1, Event.APPROVE, None, NOW, 1),
                        CastVote(1, a_ballot(reviewer)),
                    )
                    for reviewer in reviewers
                ),
            )
            assert wins(answers) == 1
            found = await loaded(store, held.key)
            assert found.held.version == 2 and len(found.ballots) == 1

    @covers("T-161")
    async def test_of_simultaneous_cancellations_one_moves_the_request(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            answers = await race(
                store, *(change(held.key, advance(Event.CANCEL)) for _ in range(20))
            )
            assert wins(answers) == 1
            assert (await loaded(store, held.key)).held.version == 2

    @covers("SEC-RACE-05", "DTR-CANC-05")
    async def test_a_read_after_the_answer_sees_the_change_whatever_was_under_way(self) -> None:
        async with self.open_store() as store:
            for _ in range(50):
                held = await open_request(store)
                readers = [asyncio.create_task(store.find_held(held.handle)) for _ in range(5)]
                await store.apply(change(held.key, advance(Event.CANCEL)))
                for _ in range(3):
                    found = await store.find_held(held.handle)
                    assert found is not None and found.state == Cancelled()
                await asyncio.gather(*readers)
                found = await store.find_held(held.handle)
                assert found is not None and found.state == Cancelled()

    # --- all or nothing

    async def test_a_fault_fails_its_own_change_and_no_other(self) -> None:
        async with self.open_store() as store:
            held = [await open_in(store, Stage.APPROVED) for _ in range(10)]
            tokens = [a_token(each.key.home) for each in held]
            await store.apply(Change(held[3].key.home, (), (tokens[3],)))
            answers = await asyncio.gather(
                *(
                    store.apply(change(each.key, advance(Event.REDEEM), rows=(token,)))
                    for each, token in zip(held, tokens, strict=True)
                ),
                return_exceptions=True,
            )
            assert isinstance(answers[3], Exception) and not isinstance(answers[3], StoreAway)
            assert sum(isinstance(each, Applied) for each in answers) == 9
            assert (await loaded(store, held[3].key)).held == held[3]
            assert await store.find_held(held[3].handle) == held[3]

    async def test_a_caller_that_gives_up_does_not_undo_its_change(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            caller = asyncio.create_task(store.apply(change(held.key, advance(Event.CANCEL))))
            await asyncio.sleep(0)
            caller.cancel()
            await asyncio.gather(caller, return_exceptions=True)
            await store.check()
            found = await store.find_held(held.handle)
            assert found is not None and found.state == Cancelled()

    @covers("DTR-CANC-06")
    async def test_a_pulse_changes_nothing_that_can_be_seen(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            assert await store.apply(Change(held.key.home, (), (Pulse(),))) == Applied(None)
            assert await store.apply(Change(a_home(), (), (Pulse(),))) == Applied(None)
            assert (await loaded(store, held.key)).held == held

    async def test_listeners_hear_of_every_move_before_the_writer_and_of_nothing_else(
        self,
    ) -> None:
        told: list[object] = []
        async with self.open_store() as store:
            held = await open_request(store)
            store.on_change(told.append)

            async def cancel() -> None:
                told.append(await store.apply(change(held.key, advance(Event.CANCEL))))

            await cancel()
            assert told[0] == held.key
            assert isinstance(told[1], Applied)
            await cancel()
            assert isinstance(told[2], Superseded)
            await store.apply(Change(held.key.home, (), (Pulse(),)))
            assert len(told) == 3

    async def test_a_listener_that_asks_at_once_is_told_the_new_state(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            await store.find_held(held.handle)
            asked: list[asyncio.Task[Held | None]] = []
            store.on_change(
                lambda _: asked.append(asyncio.create_task(store.find_held(held.handle)))
            )
            await store.apply(change(held.key, advance(Event.DENY)))
            found = await asked[0]
            assert found is not None and found.state == TO[Event.DENY]

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
            assert set(await store.find_open_homes(SHOP, limit=9)) == live
            assert len(await store.find_open_homes(SHOP, limit=2)) == 2
            for home in live:
                await store.apply(Change(home, (CloseHome(Event.CANCEL, Cancelled()),)))
            assert await store.find_open_homes(SHOP, limit=9) == []

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

    # --- the inbox

    async def test_what_waits_is_listed_page_by_page_the_nearest_deadline_first(self) -> None:
        async with self.open_store() as store:
            minutes = [7, 3, 9, 3, 5, 3, 8]
            requests = [a_request(decide_within=timedelta(minutes=each)) for each in minutes]
            for request in requests:
                await open_request(store, request)
            for limit in (1, 2, 3, 7, 50):
                seen: list[Loaded] = []
                cursor = None
                while True:
                    page = await store.list_waiting(ANN, now=NOW, limit=limit, cursor=cursor)
                    assert len(page.items) <= limit
                    seen += page.items
                    if (cursor := page.next) is None:
                        break
                deadlines = [each.held.decide_by - NOW for each in seen]
                assert deadlines == [timedelta(minutes=each) for each in sorted(minutes)]
                assert {each.held.key for each in seen} == {each.held.key for each in requests}
            assert seen[0].snapshot == a_snapshot()

    async def test_a_page_goes_on_where_the_last_one_ended_whatever_was_decided_since(
        self,
    ) -> None:
        async with self.open_store() as store:
            held = [
                await open_request(store, a_request(decide_within=timedelta(minutes=each)))
                for each in range(1, 7)
            ]
            first = await store.list_waiting(ANN, now=NOW, limit=2)
            for decided in held[:4]:
                await store.apply(change(decided.key, advance(Event.DENY)))
            second = await store.list_waiting(ANN, now=NOW, limit=9, cursor=first.next)
            assert [each.held for each in second.items] == held[4:]

    async def test_only_named_reviewers_see_a_request_and_only_before_its_deadline(self) -> None:
        plan = ReviewPlan(frozenset({BEN}))
        async with self.open_store() as store:
            held = await open_request(store, a_request(snapshot=a_snapshot(plan=plan)))
            assert (await store.list_waiting(ANN, now=NOW, limit=9)).items == ()
            last = held.decide_by - TICK
            assert len((await store.list_waiting(BEN, now=last, limit=9)).items) == 1
            assert (await store.list_waiting(BEN, now=held.decide_by, limit=9)).items == ()
            assert await store.count_waiting(BEN, now=last, at_most=9) == 1
            assert await store.count_waiting(BEN, now=held.decide_by, at_most=9) == 0

    @pytest.mark.parametrize("event", [Event.APPROVE, Event.DENY, Event.CANCEL, Event.STALE])
    async def test_what_is_resolved_waits_for_nobody(self, event: Event) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            waits = await open_in(store, Stage.AWAITING_INTERACTION)
            await store.apply(change(waits.key, CastVote(1, a_ballot())))
            await store.apply(change(held.key, advance(event)))
            for reviewer in (ANN, BEN):
                page = await store.list_waiting(reviewer, now=NOW, limit=9)
                assert [each.held for each in page.items] == [waits]
                assert page.items[0].ballots == (a_ballot(),)

    async def test_counting_what_waits_stops_at_the_bound(self) -> None:
        async with self.open_store() as store:
            for _ in range(5):
                await open_request(store)
            assert await store.count_waiting(ANN, now=NOW, at_most=3) == 3
            assert await store.count_waiting(ANN, now=NOW, at_most=9) == 5

    async def test_a_cursor_that_the_store_did_not_make_is_refused(self) -> None:
        async with self.open_store() as store:
            for _ in range(2):
                await open_request(store)
            page = await store.list_waiting(ANN, now=NOW, limit=1)
            assert page.next is not None
            for cursor in (
                "",
                "x",
                "not base64url!",
                page.next[:-1],
                page.next + "A",
                ("A" if page.next[0] != "A" else "B") + page.next[1:],
                "0" * len(page.next),
            ):
                with pytest.raises(ValueError):
                    await store.list_waiting(ANN, now=NOW, limit=1, cursor=cursor)
            with pytest.raises(ValueError):
                await store.list_waiting(BEN, now=NOW, limit=1, cursor=page.next)

    # --- clients and people

    async def test_a_client_is_found_as_it_was_last_put(self) -> None:
        client = Client(
            id=SHOP,
            name="The shop",
            auth_method="client_secret_basic",
            secret_digests=(os.urandom(32), os.urandom(32)),
            grant_types=frozenset({"client_credentials"}),
            scope=frozenset({"a", "b"}),
            resources=frozenset({"https://api.example/"}),
            owner="carla",
        )
        async with self.open_store() as store:
            assert await store.find_client(SHOP) is None
            await store.put_client(client)
            assert await store.find_client(SHOP) == client
            fenced = replace(client, enabled=False)
            await store.put_client(fenced)
            assert await store.find_client(SHOP) == fenced
            another = replace(client, id=ClientId("another"))
            await store.put_client(another)
            assert list(await store.list_clients()) == [another, fenced]

    @covers("SEC-RACE-08")
    async def test_a_fence_is_seen_by_whoever_looks_after_it_was_acknowledged(self) -> None:
        client = Client(id=SHOP, name="The shop", auth_method="client_secret_basic")
        async with self.open_store() as store:
            for _ in range(20):
                await store.put_client(client)
                readers = [asyncio.create_task(store.find_client(SHOP)) for _ in range(5)]
                await store.put_client(replace(client, enabled=False))
                found = await store.find_client(SHOP)
                assert found is not None and not found.enabled
                await asyncio.gather(*readers)
                found = await store.find_client(SHOP)
                assert found is not None and not found.enabled

    async def test_a_person_is_found_as_it_was_last_put(self) -> None:
        ann = Person(id=ANN, name="Ann", roles=frozenset(Role), password_hash="$argon2id$x")
        async with self.open_store() as store:
            assert await store.find_person(ANN) is None
            await store.put_person(ann)
            assert await store.find_person(ANN) == ann
            await store.put_person(replace(ann, enabled=False))
            ben = Person(id=BEN, name="Ben", roles=frozenset({Role.REVIEWER}))
            await store.put_person(ben)
            assert list(await store.list_people()) == [replace(ann, enabled=False), ben]

    # --- sessions and invitations

    @covers("OAUTH-SESS-01")
    async def test_a_session_lasts_until_it_is_ended(self) -> None:
        session = ConsoleSession(os.urandom(32), ANN, NOW, NOW)
        async with self.open_store() as store:
            assert await store.find_session(session.digest) is None
            await store.put_session(session)
            used = replace(session, seen_at=NOW + HOUR)
            await store.put_session(used)
            assert await store.find_session(session.digest) == used
            await store.end_session(session.digest)
            assert await store.find_session(session.digest) is None
            await store.end_session(session.digest)

    async def test_a_session_that_was_ended_is_not_raised_by_a_late_use(self) -> None:
        session = ConsoleSession(os.urandom(32), ANN, NOW, NOW)
        async with self.open_store() as store:
            await store.put_session(session)
            await store.end_session(session.digest)
            await store.put_session(replace(session, seen_at=NOW + HOUR))
            assert await store.find_session(session.digest) is None

    async def test_all_sessions_of_a_person_end_at_once_and_nobody_elses(self) -> None:
        anns = [ConsoleSession(os.urandom(32), ANN, NOW, NOW) for _ in range(3)]
        bens = ConsoleSession(os.urandom(32), BEN, NOW, NOW)
        async with self.open_store() as store:
            for session in (*anns, bens):
                await store.put_session(session)
            await store.end_sessions_of(ANN)
            assert [await store.find_session(each.digest) for each in anns] == [None] * 3
            assert await store.find_session(bens.digest) == bens

    @covers("SEC-OPS-03")
    async def test_an_invitation_is_used_once(self) -> None:
        invitation = Invitation(os.urandom(32), ANN, NOW + HOUR)
        people = [
            Person(id=ANN, name="Ann", roles=frozenset(), password_hash=f"hash-{number}")
            for number in range(10)
        ]
        async with self.open_store() as store:
            await store.put_invitation(invitation)
            assert await store.find_invitation(invitation.digest) == invitation
            used = await asyncio.gather(
                *(store.accept_invitation(invitation.digest, person, NOW) for person in people)
            )
            assert sum(used) == 1
            assert await store.find_person(ANN) == people[used.index(True)]
            assert await store.find_invitation(invitation.digest) is None

    @covers("SEC-OPS-03")
    async def test_an_invitation_that_is_late_or_anothers_changes_nothing(self) -> None:
        invitation = Invitation(os.urandom(32), ANN, NOW + HOUR)
        ann, ben = (Person(id=each, name=each, roles=frozenset()) for each in (ANN, BEN))
        async with self.open_store() as store:
            await store.put_invitation(invitation)
            digest = invitation.digest
            assert not await store.accept_invitation(digest, ann, NOW + HOUR)
            assert not await store.accept_invitation(digest, ben, NOW)
            assert not await store.accept_invitation(os.urandom(32), ann, NOW)
            assert list(await store.list_people()) == []
            assert await store.accept_invitation(digest, ann, NOW + HOUR - TICK)

    async def test_security_events_are_listed_the_newest_first(self) -> None:
        events = [
            SecurityEvent(NOW + number * TICK, "signed_in", f"person:{number}", "password")
            for number in range(5)
        ]
        async with self.open_store() as store:
            for event in events:
                await store.record(event)
            assert list(await store.list_security_events(3)) == events[:1:-1]

    # --- the life of a store

    @covers("T-172")
    async def test_a_store_that_is_opened_again_has_kept_everything(self) -> None:
        place = self.new_place()
        request = a_request()
        key = request.held.key
        token = a_token(key.home)
        client = Client(id=SHOP, name="The shop", auth_method="client_secret_basic")
        session = ConsoleSession(os.urandom(32), ANN, NOW, NOW)
        security = SecurityEvent(NOW, "signed_in", "person:ann", "password")
        async with place() as store:
            waits = {stage: await open_in(store, stage) for stage in Stage}
            await store.apply(change(key, request, rows=(an_event("opened"),)))
            await store.apply(change(key, CastVote(1, a_ballot()), rows=(token,)))
            await store.put_client(client)
            await store.put_session(session)
            await store.record(security)
            page = await store.list_waiting(ANN, now=NOW, limit=9)
        for _ in range(2):
            async with place() as store:
                for held in waits.values():
                    assert await store.find_held(held.handle) == held
                assert await store.find_loaded(key) == Loaded(
                    request.held, request.snapshot, (a_ballot(),)
                )
                assert await store.find_events(key) == [an_event("opened")]
                assert await store.find_token(key.home, token.jti) == token
                assert await store.find_client(SHOP) == client
                assert await store.find_session(session.digest) == session
                assert list(await store.list_security_events(9)) == [security]
                assert await store.list_waiting(ANN, now=NOW, limit=9) == page

    async def test_a_store_at_work_says_so_and_a_closed_one_is_away(self) -> None:
        async with self.open_store() as store:
            await store.check()
            held = await open_request(store)
        for ask in (
            store.check(),
            store.find_loaded(held.key),
            store.apply(change(held.key, advance(Event.CANCEL))),
        ):
            with pytest.raises(StoreAway):
                await ask

    async def test_what_was_handed_over_before_closing_is_still_done(self) -> None:
        place = self.new_place()
        requests = [a_request() for _ in range(20)]
        async with place() as store:
            callers = [
                asyncio.create_task(store.apply(change(each.held.key, each))) for each in requests
            ]
            await asyncio.sleep(0)
        assert wins(await asyncio.gather(*callers)) == 20
        async with place() as store:
            for request in requests:
                assert await store.find_held(request.held.handle) == request.held

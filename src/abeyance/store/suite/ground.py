"""The ground of the suite: what a place is, and requests with defaults."""
# ruff: noqa: S101

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

import pytest

from abeyance.access.access import Access
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.change import (
    Advance,
    Applied,
    AuditEvent,
    Change,
    Open,
    Row,
    Step,
    Superseded,
    TokenRecord,
)
from abeyance.pending.handles import HandleKind, Home, mint_handle
from abeyance.pending.quota import Quota
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
)
from abeyance.pending.votes import Ballot, ReviewPlan, Verdict
from abeyance.store.ports import Store, StoreAway

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

# --- arguments show what matters, the rest has defaults


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
    return Open(held, snapshot, Quota(client=at_most))


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
        assert isinstance(answer, Applied)
        assert answer.current is not None
        held = answer.current
    return held


async def loaded(store: Store, key: Key) -> Loaded:
    found = await store.find_loaded(key)
    assert found is not None
    return found


async def state_of(store: Store, held: Held) -> State:
    """What a poll of this request would find."""
    found = await store.find_held(held.handle)
    assert found is not None
    return found.state


async def race(store: Store, *changes: Change) -> list[Applied | Superseded]:
    return list(await asyncio.gather(*map(store.apply, changes)))


def wins(answers: Sequence[Applied | Superseded]) -> int:
    return sum(isinstance(each, Applied) for each in answers)


async def fault_of(asked: Awaitable[object]) -> Exception | None:
    """The exception of a fault: anything but `StoreAway`, which says nothing about the change."""
    try:
        await asked
    except StoreAway:
        raise
    except Exception as fault:
        return fault
    return None


class Suite(ABC):
    """What every part of the suite stands on."""

    @abstractmethod
    def new_place(self) -> Place:
        """A place where no store is yet. What it returns opens the store there, again and
        again but never twice at once: what was acknowledged before is there after."""

    def open_store(self) -> AbstractAsyncContextManager[Store]:
        return self.new_place()()

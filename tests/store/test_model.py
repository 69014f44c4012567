"""One machine drives the pure core and the real store with the same moves, and compares them.

The model is the core itself (table of states, sum of votes, judge) over a
dictionary: what a store is asked to do durably and in one go. The clock is a
value that the machine moves; nothing sleeps.
"""

import asyncio
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar, assert_never

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from abeyance.access.access import Access
from abeyance.access.details import DetailsTypes
from abeyance.access.narrowing import Wider, check_not_wider
from abeyance.pending.change import (
    Advance,
    Applied,
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
from abeyance.pending.handles import LENGTH, HandleKind, Home, parse_handle
from abeyance.pending.judging import Redeemable, Refused, Why, judge, owned
from abeyance.pending.opening import Opened, Proposal, open_request
from abeyance.pending.pacing import FRESH
from abeyance.pending.quota import Quota
from abeyance.pending.request import Held, Key, Loaded, Snapshot
from abeyance.pending.states import (
    OPEN,
    Approved,
    AwaitingInteraction,
    Cancelled,
    Denied,
    Event,
    Outcome,
    Pending,
    Redeemed,
    State,
    stage_after,
    stage_of,
)
from abeyance.pending.votes import Ballot, Grant, Refuse, ReviewPlan, Undecided, Verdict, weigh
from abeyance.proofs.dpop import ProvenKey
from abeyance.store.sql import requests
from abeyance.store.sql.db import Db
from abeyance.store.sqlite import SqliteStore
from abeyance.store.suite.ground import (
    ASKED,
    NOW,
    SHOP,
    TICK,
    a_ballot,
    a_snapshot,
    a_token,
    an_event,
)
from tests.covers import covers
from tests.store.test_broken import forget_clocks, forget_versions
from tests.store.test_powercut import FAST

T = TypeVar("T")

TYPES: Final = DetailsTypes()
AT_MOST: Final = 6
INTERVAL: Final = timedelta(seconds=5)
JKT: Final = "k" * 43

# --- the model


@dataclass
class Model:
    """What a store is, said with a dictionary and the core."""

    requests: dict[Key, Loaded] = field(default_factory=dict)
    tokens: dict[tuple[Home, bytes], TokenRecord] = field(default_factory=dict)

    def apply(self, change: Change) -> Applied | Superseded:
        before = dict(self.requests), dict(self.tokens)
        current: Held | None = None
        for step in change.steps:
            won, current = self._take(change.home, step)
            if not won:
                self.requests, self.tokens = before
                return Superseded(step, self._met(change.home, step))
        for row in change.rows:
            self._add(change.home, row)
        return Applied(current)

    def _take(self, home: Home, step: Step) -> tuple[bool, Held | None]:
        match step:
            case Open(held, snapshot, at_most):
                if self.count_open(snapshot, held.opened_at) >= at_most.client:
                    return False, None
                self.requests[held.key] = Loaded(held, snapshot, ())
                return True, held
            case Advance(n, event, to, alive_at, version):
                loaded = self.requests[Key(home, n)]
                held = loaded.held
                if (
                    stage_after(stage_of(held.state), event) is None
                    or not in_time(held, event, alive_at)
                    or version not in (None, held.version)
                ):
                    return False, None
                held = replace(held, version=held.version + 1, state=to or held.state)
                self.requests[held.key] = replace(loaded, held=held)
                return True, held
            case CastVote(n, ballot):
                loaded = self.requests[Key(home, n)]
                if ballot.voter in {each.voter for each in loaded.ballots}:
                    return False, None
                loaded = replace(loaded, ballots=(*loaded.ballots, ballot))
                self.requests[loaded.held.key] = loaded
                return True, loaded.held
            case CloseHome(event, to):
                for key, loaded in self.requests.items():
                    if key.home == home and stage_after(stage_of(loaded.held.state), event):
                        closed = replace(loaded.held, version=loaded.held.version + 1, state=to)
                        self.requests[key] = replace(loaded, held=closed)
                return True, None
            case RevokeToken(jti, client, at):
                token = self.tokens.get((home, jti))
                if token is None or token.client != client or token.revoked_at:
                    return False, None
                self.tokens[home, jti] = replace(token, revoked_at=at)
                return True, None
            case _:
                raise NotImplementedError

    def _met(self, home: Home, step: Step) -> Held | None:
        if isinstance(step, Advance | CastVote):
            return self.requests[Key(home, step.n)].held
        return None

    def _add(self, home: Home, row: Row) -> None:
        if isinstance(row, TokenRecord):
            self.tokens[home, row.jti] = row

    def count_open(self, snapshot: Snapshot, now: datetime) -> int:
        return sum(
            each.held.client == snapshot.client
            and stage_of(each.held.state) in OPEN
            and each.held.expires_at > now
            for each in self.requests.values()
        )


def in_time(held: Held, event: Event, at: datetime) -> bool:
    match event:
        case Event.APPROVE | Event.DENY:
            return at < held.decide_by
        case Event.STALE:
            return True
        case _:
            return at < held.expires_at


def state_for(event: Event) -> State:
    match event:
        case Event.INTERACTION_ASKED:
            return AwaitingInteraction(1)
        case Event.INTERACTION_DONE:
            return Pending()
        case Event.CANCEL:
            return Cancelled()
        case Event.STALE:
            return Denied(Outcome.PRECONDITION_FAILED)
        case Event.REDEEM:
            return Redeemed()
        case Event.APPROVE | Event.DENY:
            raise AssertionError("decisions come from votes")


# --- the machine

# What the machine has met: a machine that never gets anywhere finds nothing.
SEEN: Final[Counter[str]] = Counter()

plans = st.sampled_from(
    [
        ReviewPlan(frozenset({"ann", "ben"})),
        ReviewPlan(frozenset({"ann", "ben", "eve"}), approvals=2),
        ReviewPlan(frozenset({"ann", "ben", "eve"}), approvals=2, denials=2),
    ]
)
# Two scope tokens were asked, and one hour: some of what reviewers try is wider.
grants = st.sampled_from(
    [
        ASKED,
        replace(ASKED, scope=frozenset({"accounts"})),
        replace(ASKED, scope=frozenset({"payments"}), details=()),
        replace(ASKED, resources=frozenset(), lifetime=timedelta(minutes=1)),
        replace(ASKED, scope=ASKED.scope | {"administration"}),
        replace(ASKED, lifetime=timedelta(hours=2)),
    ]
)
versions = st.sampled_from(["seen", "seen", "seen", "older", "none"])
moves = st.sampled_from(
    [
        Event.CANCEL,
        Event.STALE,
        Event.REDEEM,
        Event.INTERACTION_ASKED,
        Event.INTERACTION_DONE,
    ]
)

endings = st.sampled_from([Event.REDEEM, Event.REDEEM, Event.CANCEL, Event.STALE])


class CoreAndStore(RuleBasedStateMachine):
    keys = Bundle("keys")

    @initialize()
    def begin(self) -> None:
        self.now = NOW
        self.chance = random.Random(0)
        self.model = Model()
        self.opened: dict[Key, Opened] = {}
        self.documents: dict[Key, bytes] = {}
        self.ended: dict[Key, Held] = {}
        self.redeemed: dict[Key, int] = {}
        self.found: dict[Key, Held | None] = {}
        self.folder = Path(tempfile.mkdtemp(dir=FAST))
        self.runner = asyncio.Runner()
        self.store = self.run(SqliteStore.open(self.folder / "abeyance.db", memory=3))

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.run(self.store.close())
            self.runner.close()
            shutil.rmtree(self.folder)

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(doing)

    def apply(self, *changes: Change) -> list[Applied | Superseded]:
        """Apply to both, at once where there are several; both must answer alike."""

        async def at_once() -> list[Applied | Superseded]:
            return list(await asyncio.gather(*map(self.store.apply, changes)))

        answers = self.run(at_once())
        for answer in answers:
            SEEN[type(answer).__name__] += 1
            if isinstance(answer, Applied) and answer.current:
                SEEN[type(answer.current.state).__name__] += 1
        assert answers == [self.model.apply(change) for change in changes]
        for change, answer in zip(changes, answers, strict=True):
            if isinstance(answer, Applied):
                for step in change.steps:
                    if isinstance(step, Advance) and step.event is Event.REDEEM:
                        key = Key(change.home, step.n)
                        self.redeemed[key] = self.redeemed.get(key, 0) + 1
        return answers

    # --- moves

    @rule(target=keys, plan=plans, bound=st.booleans(), minutes=st.integers(2, 90))
    def open(self, plan: ReviewPlan, bound: bool, minutes: int) -> Any:
        return self.open_one(plan, bound=bound, minutes=minutes) or multiple()

    def open_one(self, plan: ReviewPlan, *, bound: bool, minutes: int) -> Key | None:
        snapshot = a_snapshot(plan=plan, jkt=JKT if bound else None)
        opened = open_request(
            Proposal(Home(self.chance.randbytes(16)), snapshot),
            interval=INTERVAL,
            lifetime=timedelta(minutes=minutes),
            at_most=Quota(client=AT_MOST),
            secret=self.chance.randbytes(32),
            now=self.now,
        )
        [answer] = self.apply(opened.change)
        if isinstance(answer, Superseded):
            return None
        self.opened[opened.held.key] = opened
        return opened.held.key

    @rule(
        key=keys,
        voter=st.sampled_from(["ann", "ben", "eve"]),
        granted=st.none() | grants,
        seen=versions,
    )
    def vote(self, key: Key, voter: str, granted: Access | None, seen: str) -> None:
        self.vote_once(key, voter, granted, seen)

    def vote_once(self, key: Key, voter: str, granted: Access | None, seen: str) -> None:
        if change := self.voting(key, voter, granted, seen):
            self.apply(change)

    @rule(key=keys, granted=grants | grants | st.none())
    def decide(self, key: Key, granted: Access | None) -> None:
        """Everybody votes alike, one after the other, on what they have just seen."""
        for voter in ("ann", "ben", "eve"):
            self.vote_once(key, voter, granted, "seen")

    @rule(
        target=keys,
        plan=plans,
        granted=grants | grants | st.none(),
        endings=st.lists(endings, min_size=1, max_size=3),
    )
    def live(self, plan: ReviewPlan, granted: Access | None, endings: list[Event]) -> Any:
        """A whole life: opened, decided, and then all at once."""
        key = self.open_one(plan, bound=False, minutes=60)
        if key is None:
            return multiple()
        for voter in ("ann", "ben", "eve"):
            self.vote_once(key, voter, granted, "seen")
        self.apply(*(self.moving(key, event, "none") for event in endings))
        return key

    @rule(key=keys, seen=versions)
    def redeem(self, key: Key, seen: str) -> None:
        self.apply(self.moving(key, Event.REDEEM, seen))

    @rule(key=keys, event=moves, seen=versions)
    def move(self, key: Key, event: Event, seen: str) -> None:
        self.apply(self.moving(key, event, seen))

    @rule(
        key=keys,
        events=st.lists(moves, min_size=2, max_size=5),
        granted=st.none() | grants,
        first=st.booleans(),
    )
    def race(self, key: Key, events: list[Event], granted: Access | None, first: bool) -> None:
        changes = [self.moving(key, event, "none") for event in events]
        if change := self.voting(key, "ann", granted, "seen"):
            changes.insert(0 if first else len(changes), change)
        self.apply(*changes)

    @rule(key=keys, what=st.sampled_from(["close", "pulse", "revoke"]))
    def touch_the_home(self, key: Key, what: str) -> None:
        match what:
            case "close":
                close = CloseHome(Event.STALE, Denied(Outcome.PRECONDITION_FAILED))
                self.apply(Change(key.home, (close,)))
            case "pulse":
                self.apply(Change(key.home, (), (Pulse(),)))
            case _:
                for home, jti in self.model.tokens:
                    if home == key.home:
                        self.apply(Change(home, (RevokeToken(jti, SHOP, self.now),)))

    @rule(by=st.integers(1, 600))
    def pass_time(self, by: int) -> None:
        self.now += timedelta(seconds=by)

    @rule(
        key=keys,
        deadline=st.sampled_from(["decide_by", "expires_at"]),
        off=st.sampled_from([-TICK, timedelta(0), TICK]),
    )
    def come_to_a_deadline(self, key: Key, deadline: str, off: timedelta) -> None:
        at: datetime = getattr(self.model.requests[key].held, deadline)
        self.now = max(self.now, at + off)

    @rule()
    def reopen(self) -> None:
        self.run(self.store.close())
        self.store = self.run(SqliteStore.open(self.folder / "abeyance.db", memory=3))

    def moving(self, key: Key, event: Event, seen: str) -> Change:
        step = Advance(key.n, event, state_for(event), self.now, self.version(key, seen))
        token = (a_token(key.home),) if event is Event.REDEEM else ()
        return Change(key.home, (step,), (*token, an_event(event)))

    def voting(self, key: Key, voter: str, granted: Access | None, seen: str) -> Change | None:
        """What the act of deciding makes of a vote: nothing, if it would grant more than asked."""
        loaded = self.model.requests[key]
        verdict = Verdict.DENY if granted is None else Verdict.APPROVE
        ballot: Ballot = replace(a_ballot(voter, verdict, loaded.held.version), granted=granted)
        if granted is not None:
            try:
                check_not_wider(granted, loaded.snapshot.asked, TYPES)
            except Wider:
                return None
        to: State | None
        match weigh(loaded.snapshot.plan, (*loaded.ballots, ballot), TYPES):
            case Grant(access):
                event, to = Event.APPROVE, Approved(access, self.now + access.lifetime)
            case Refuse(remark):
                event, to = Event.DENY, Denied(Outcome.DENIED, remark)
            case Undecided():
                event, to = (Event.DENY if granted is None else Event.APPROVE), None
            case never:
                assert_never(never)
        advance = Advance(key.n, event, to, self.now, self.version(key, seen))
        return Change(key.home, (advance, CastVote(key.n, ballot)), (an_event("voted"),))

    def version(self, key: Key, seen: str) -> int | None:
        now = self.model.requests[key].held.version
        return {"seen": now, "older": now - 1, "none": None}[seen]

    # --- what holds after every move

    @invariant()
    def everything_holds(self) -> None:
        self.the_store_holds_what_the_model_holds()
        self.what_waits_is_what_is_open_and_undecided_in_time()
        self.nothing_grants_more_than_was_asked()
        self.every_poll_is_answered_as_the_core_answers()
        self.what_has_ended_stays_as_it_ended()
        self.no_request_is_redeemed_twice()

    def the_store_holds_what_the_model_holds(self) -> None:
        known = self.model.requests

        async def read(db: Db) -> list[tuple[Loaded | None, bytes]]:
            return [
                (await requests.find_loaded(db, key), await document_of(db, key)) for key in known
            ]

        async def polls() -> list[Held | None]:
            return [await self.store.find_held(each.held.handle) for each in known.values()]

        self.found = dict(zip(known, self.run(polls()), strict=True))
        assert self.found == {key: each.held for key, each in known.items()}
        for key, (loaded, document) in zip(
            known, self.run(self.store._reader.run(read)), strict=True
        ):
            assert loaded == known[key]
            assert document == self.documents.setdefault(key, document)  # DTR-INV-04
        tokens = self.run(self.store._reader.run(lambda db: tokens_of(db, self.model.tokens)))
        assert tokens == list(self.model.tokens.values())

    def what_waits_is_what_is_open_and_undecided_in_time(self) -> None:
        for reviewer in ("ann", "eve"):
            waiting = [
                each
                for each in self.model.requests.values()
                if stage_of(each.held.state) in OPEN
                and reviewer in each.snapshot.plan.reviewers
                and each.held.decide_by > self.now
            ]
            listed = self.run(self.store.list_waiting(reviewer, now=self.now, limit=100))  # type: ignore[arg-type]
            # In which turn, the suite tells; here it is what and what of it.
            assert sorted(listed.items, key=_deadline) == sorted(waiting, key=_deadline)

    def nothing_grants_more_than_was_asked(self) -> None:  # DTR-INV-01
        for key, loaded in self.model.requests.items():
            held = self.found[key]
            if held and isinstance(held.state, Approved):
                check_not_wider(held.state.granted, loaded.snapshot.asked, TYPES)

    def every_poll_is_answered_as_the_core_answers(self) -> None:  # DTR-INV-02, -03, -05, -06
        for key, opened in self.opened.items():
            code = opened.code.reveal()
            assert len(code) == LENGTH
            handle = parse_handle(HandleKind.DEFERRAL_CODE, code)
            assert handle is not None
            held = owned(self.found[key], handle, SHOP)
            assert held is not None
            assert held.binding == opened.held.binding
            proven = ProvenKey(JKT) if held.binding.bound else None
            poll = judge(held, proven, clock=FRESH, now=self.now, tick=0.0)
            model = self.model.requests[key].held
            assert poll == judge(model, proven, clock=FRESH, now=self.now, tick=0.0)
            if isinstance(poll.answer, Redeemable):
                assert self.now < held.expires_at
            if held.binding.bound:
                for other in (None, ProvenKey("o" * 43)):
                    judged = judge(held, other, clock=FRESH, now=self.now, tick=0.0)
                    assert judged.answer == Refused(Why.KEY)

    def what_has_ended_stays_as_it_ended(self) -> None:
        for key, loaded in self.model.requests.items():
            if isinstance(loaded.held.state, Denied | Cancelled | Redeemed):
                assert self.found[key] == self.ended.setdefault(key, loaded.held)

    def no_request_is_redeemed_twice(self) -> None:
        assert all(count == 1 for count in self.redeemed.values())
        assert len(self.model.tokens) == len(self.redeemed)
        for key in self.redeemed:
            assert isinstance(self.model.requests[key].held.state, Redeemed)


async def tokens_of(db: Db, places: Iterable[tuple[Home, bytes]]) -> list[TokenRecord | None]:
    return [await requests.find_token(db, home, jti) for home, jti in places]


async def document_of(db: Db, key: Key) -> bytes:
    [[document]] = await db.rows(
        "SELECT CAST(document AS BLOB) FROM snapshot WHERE home = :home AND n = :n",
        {"home": key.home, "n": key.n},
    )
    assert isinstance(document, bytes)
    return document


# Everybody's run is the same; MODEL_EXAMPLES=10000 looks further, elsewhere each time.
EXAMPLES: Final = os.environ.get("MODEL_EXAMPLES")
MODEL: Final = settings(
    max_examples=int(EXAMPLES or 25),
    derandomize=EXAMPLES is None,
    database=None,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@covers(
    "DTR-INV-01",
    "DTR-INV-02",
    "DTR-INV-03",
    "DTR-INV-04",
    "DTR-INV-05",
    "DTR-INV-06",
    "T-253",
    "T-254",
    "T-255",
)
def test_the_store_does_what_the_core_says_whatever_the_moves() -> None:
    SEEN.clear()
    states = {"Pending", "AwaitingInteraction", "Approved", "Denied", "Cancelled", "Redeemed"}
    run_state_machine_as_test(CoreAndStore, settings=MODEL)
    for _ in range(10):
        if set(SEEN) == states | {"Applied", "Superseded"}:
            return
        # Which moves are drawn depends on what else is imported, and few may miss a state.
        further = settings(MODEL, max_examples=25, derandomize=False)
        run_state_machine_as_test(CoreAndStore, settings=further)
    raise AssertionError(f"not all was seen, but {SEEN}")


@pytest.mark.parametrize("breaks", [forget_clocks, forget_versions])
def test_the_machine_notices_that_a_safeguard_is_gone(
    monkeypatch: pytest.MonkeyPatch, breaks: Callable[[pytest.MonkeyPatch], None]
) -> None:
    breaks(monkeypatch)
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_state_machine_as_test(
            CoreAndStore,
            settings=settings(
                MODEL,
                max_examples=500,
                phases=[Phase.generate],
                report_multiple_bugs=False,
            ),
        )


def _deadline(loaded: Loaded) -> tuple[datetime, bytes]:
    return loaded.held.decide_by, loaded.held.key.home

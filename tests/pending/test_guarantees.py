"""The six guarantees, under whatever happens in whatever order (DTR-INV-01 to -06).

The machine makes random moves on the pure core and a store of three
dictionaries. Beside it stands a record in plain words of what was done to each
request, kept without asking the core; after each move the two must agree. The
same moves run against the real store in `tests/store`.
"""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from abeyance.access.access import Access
from abeyance.access.details import TYPE
from abeyance.access.narrowing import check_not_wider
from abeyance.access.scope import render_scope
from abeyance.oauth.minting import mint_access_token
from abeyance.parties.client import Client, ClientId
from abeyance.pending.change import Advance, Applied, CastVote, Change, CloseHome, Superseded
from abeyance.pending.choosing import Choice, ChoiceRefused, choose
from abeyance.pending.handles import HandleKind, Home, parse_handle
from abeyance.pending.interaction import NO_INTERACTION, InteractionPlan
from abeyance.pending.judging import (
    Answer,
    InteractionRequired,
    Redeemable,
    Refused,
    StillPending,
    Why,
    answer_to,
    judge,
    owned,
)
from abeyance.pending.opening import Proposal, open_request
from abeyance.pending.pacing import FRESH, TOLERANCE, PollClock
from abeyance.pending.quota import Quota
from abeyance.pending.request import Held, Key, Snapshot
from abeyance.pending.states import (
    Approved,
    AwaitingInteraction,
    Cancelled,
    Denied,
    Event,
    Outcome,
    Pending,
    Redeemed,
    State,
)
from abeyance.pending.votes import Ballot, Grant, Refuse, Undecided, weigh
from abeyance.proofs.dpop import ProvenKey
from abeyance.wire.base64url import parse_base64url
from abeyance.wire.strict_json import JsonObject, parse_json_object
from tests.access.examples import TYPES, access, account, payment
from tests.covers import covers
from tests.oauth.examples import ISSUER, SIGNING
from tests.pending.examples import (
    BATCH,
    KEY,
    NOW,
    OTHER_KEY,
    SECOND,
    ballot,
    review_plan,
    snapshot,
)
from tests.pending.ledger import Ledger

CLIENT = Client(id=BATCH, name="Night batch", auth_method="client_secret_basic")
THIEF = ClientId("thief")
TOKEN_LIFE = timedelta(minutes=5)
AT_MOST = 3
Token = JsonObject
ASKED = st.sampled_from(
    [
        access("a b c"),
        access("a", payment()),
        access("a b", account("read", "transfer", ceiling="100"), payment("1")),
        access("", account("read", "close"), account("read"), lifetime=timedelta(minutes=3)),
    ]
)


@dataclass(eq=False)
class Record:
    """What was done to one request, in plain words; kept without the core."""

    code: str
    first: Held
    asked: Snapshot
    votes: dict[str, Access | None] = field(default_factory=dict)
    approved: Approved | None = None
    end: Why | None = None  # how it ended, as the client must hear it
    told: Why | None = None  # the first end that the client did hear
    asked_to_act: int | None = None  # the number of the interaction that is awaited
    numbers: list[int] = field(default_factory=list)  # of all interactions, in their order
    tokens: list[Token] = field(default_factory=list)
    last_poll: float | None = None
    bound: timedelta = timedelta(0)

    @property
    def key(self) -> ProvenKey | None:
        return None if self.asked.binding.bound is None else ProvenKey(self.asked.binding.bound)

    def must_answer(self, now: datetime) -> Why | None:
        """The end that a poll must tell now; `None` while there is none."""
        if self.end is not None:
            return self.end
        return Why.EXPIRED if now >= self.first.expires_at else None


@dataclass(frozen=True)
class Delayed:
    """Somebody has read, and has not written yet."""

    record: Record
    held: Held
    change: Change
    token: Token | None = None
    voter: str | None = None


class Guarantees(RuleBasedStateMachine):
    records: Bundle[Record] = Bundle("records")
    delayed: Bundle[Delayed] = Bundle("delayed")

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.tick = 1000.0
        self.ledger = Ledger()
        self.clocks: dict[Key, PollClock] = {}
        self.all: list[Record] = []
        self.made = 0

    # --- moves

    @initialize(target=records, asked=ASKED, head_start=st.booleans(), data=st.data())
    def begin(self, asked: Access, head_start: bool, data: st.DataObject) -> Record:
        record = self._opened(asked, bound=True, needed=(1, 1), life=3600)
        if head_start:
            self.approve(record, data)
        return record

    @initialize(target=records, asked=ASKED, bound=st.booleans())
    def begin_with_a_plan(self, asked: Access, bound: bool) -> Record:
        return self._opened(asked, bound=bound, needed=(2, 2), life=3600)

    @rule(
        target=records,
        asked=ASKED,
        bound=st.booleans(),
        needed=st.tuples(st.integers(1, 3), st.integers(1, 3)),
        life=st.sampled_from([20, 120, 3600]),
        steps=st.sampled_from([NO_INTERACTION, InteractionPlan("confirm")]),
    )
    def open(
        self,
        asked: Access,
        bound: bool,
        needed: tuple[int, int],
        life: int,
        steps: InteractionPlan,
    ) -> Record:
        return self._opened(asked, bound=bound, needed=needed, life=life, steps=steps)

    @rule(seconds=st.sampled_from([0.2, 4.6, 5.0, 15.0, 300.0]))
    def pass_time(self, seconds: float) -> None:
        self._move_to(self.now + timedelta(seconds=seconds))

    @rule(
        record=records,
        deadline=st.sampled_from([True, True, False]),
        off=st.sampled_from([-SECOND, timedelta(microseconds=-1), timedelta(0), SECOND]),
    )
    def reach_a_moment(self, record: Record, deadline: bool, off: timedelta) -> None:
        moment = record.first.decide_by if deadline else record.first.expires_at
        self._move_to(max(self.now, moment + off))

    @rule(record=records)
    def poll(self, record: Record) -> None:
        self._check_told(record, self._poll(record, BATCH, record.key))

    @rule()
    def poll_everything(self) -> None:
        for record in self.all:
            self.poll(record)

    @rule(
        record=records,
        client=st.sampled_from([BATCH, THIEF]),
        key=st.sampled_from([KEY, None, OTHER_KEY]),
    )
    def poll_as_anybody(self, record: Record, client: ClientId, key: ProvenKey | None) -> None:
        before = self._everything()
        answer = self._poll(record, client, key)
        if client != BATCH:
            assert answer == Refused(Why.UNKNOWN)
        elif record.key is not None and key != record.key:
            assert answer == Refused(Why.KEY)  # INV-03, whatever the state
        else:
            self._check_told(record, answer)
            return
        assert self._everything() == before

    @rule(record=records, voter=st.sampled_from("pqrx"), data=st.data())
    def vote(self, record: Record, voter: str, data: st.DataObject) -> None:
        approves = data.draw(st.booleans())
        self._write(self._read_vote(record, voter, data, approves=approves))

    @rule(record=records, data=st.data())
    def approve(self, record: Record, data: st.DataObject) -> None:
        """Everybody who may, each in their own way: what mostly happens."""
        for voter in sorted(record.asked.plan.reviewers):
            self._write(self._read_vote(record, voter, data, approves=True))

    @rule(record=records)
    def cancel(self, record: Record) -> None:
        self._cancel(record, BATCH, record.key)

    @rule(
        record=records,
        client=st.sampled_from([BATCH, THIEF]),
        key=st.sampled_from([None, OTHER_KEY]),
    )
    def cancel_as_anybody(self, record: Record, client: ClientId, key: ProvenKey | None) -> None:
        self._cancel(record, client, key)

    @rule(record=records, whole_home=st.booleans())
    def lose_a_precondition(self, record: Record, whole_home: bool) -> None:
        gone = Denied(Outcome.PRECONDITION_FAILED)
        close = Change(record.first.key.home, (CloseHome(Event.STALE, gone),))
        change = close if whole_home else self._advance(record, Event.STALE, gone)
        if record.end is None:
            assert isinstance(self.ledger.apply(change), Applied)
            record.end = Why.DENIED
        elif whole_home:
            before = self._everything()
            assert isinstance(self.ledger.apply(change), Applied)
            assert self._everything() == before
        else:
            self._changes_nothing(change)

    @rule(record=records)
    def ask_somebody_to_act(self, record: Record) -> None:
        """A reviewer asks for a step, also while one is awaited: the later one counts."""
        number = len(record.numbers) + 1
        change = self._advance(record, Event.INTERACTION_ASKED, AwaitingInteraction(number))
        if self._is_open(record):
            assert isinstance(self.ledger.apply(change), Applied)
            record.asked_to_act = number
            record.numbers.append(number)
        else:
            self._changes_nothing(change)

    @rule(record=records)
    def act(self, record: Record) -> None:
        """Somebody takes the step: the request goes on, and nothing is decided by it."""
        change = self._advance(record, Event.INTERACTION_DONE, Pending())
        if self._is_open(record) and record.asked_to_act is not None:
            assert isinstance(self.ledger.apply(change), Applied)
            record.asked_to_act = None
        else:
            self._changes_nothing(change)

    @rule(target=delayed, record=records)
    def read_for_redemption(self, record: Record) -> Delayed:
        held = self.ledger.held[record.first.key]
        answer = answer_to(held, self.now)
        if not isinstance(answer, Redeemable):
            return multiple()  # type: ignore[return-value]  # no value for the bundle
        return self._read_redemption(record, answer)

    @rule(target=delayed, record=records, voter=st.sampled_from("pqr"), data=st.data())
    def read_for_a_vote(self, record: Record, voter: str, data: st.DataObject) -> Delayed:
        read = self._read_vote(record, voter, data, approves=data.draw(st.booleans()))
        return multiple() if read is None else read  # type: ignore[return-value]

    @rule(read=consumes(delayed))
    def write_late(self, read: Delayed) -> None:
        self._write(read)

    # --- how a server would do it, in short

    def _opened(
        self,
        asked: Access,
        *,
        bound: bool,
        needed: tuple[int, int],
        life: int,
        steps: InteractionPlan = NO_INTERACTION,
    ) -> Record:
        self.made += 1
        chance = hashlib.shake_256(b"%d" % self.made).digest(48)
        plan = review_plan("p", "q", "r", approvals=needed[0], denials=needed[1])
        cold = replace(snapshot(asked, bound=bound, plan=plan), interaction=steps)
        opened = open_request(
            Proposal(Home(chance[:16]), cold),
            interval=5 * SECOND,
            lifetime=timedelta(seconds=life),
            at_most=Quota(client=AT_MOST),
            secret=chance[16:],
            now=self.now,
        )
        open_now = sum(
            each.must_answer(self.now) is None and each.approved is None for each in self.all
        )
        result = self.ledger.apply(opened.change)
        assert isinstance(result, Applied) == (open_now < AT_MOST)
        if isinstance(result, Superseded):
            return multiple()  # type: ignore[return-value]
        code = opened.code.reveal()
        assert parse_base64url(code) == chance  # INV-05: a home, a secret, nothing else
        assert opened.held.decide_by < opened.held.expires_at
        record = Record(code, opened.held, cold, bound=opened.held.interval)
        if steps.first is not None:
            record.asked_to_act = 1
            record.numbers.append(1)
        assert opened.held.state == self._open_state(record)
        self.all.append(record)
        return record

    def _is_open(self, record: Record) -> bool:
        return record.approved is None and record.must_answer(self.now) is None

    def _found(self, record: Record, client: ClientId) -> Held | None:
        handle = parse_handle(HandleKind.DEFERRAL_CODE, record.code)
        assert handle is not None
        return owned(self.ledger.find(handle), handle, client)

    def _cancel(self, record: Record, client: ClientId, key: ProvenKey | None) -> None:
        held = self._found(record, client)
        goes_on = held is not None and held.binding.continues(key)
        assert goes_on == (client == BATCH and record.key in (None, key))
        if not goes_on:
            return
        change = self._advance(record, Event.CANCEL, Cancelled())
        if record.must_answer(self.now) is None:
            assert isinstance(self.ledger.apply(change), Applied)
            record.end = Why.DENIED
        else:
            self._changes_nothing(change)

    def _poll(self, record: Record, client: ClientId, key: ProvenKey | None) -> Answer | Token:
        held = self._found(record, client)
        if held is None:
            return Refused(Why.UNKNOWN)
        clock = self.clocks.get(held.key, FRESH)
        judged = judge(held, key, clock=clock, now=self.now, tick=self.tick)
        if judged.clock is not None:
            self.clocks[held.key] = judged.clock
        if not isinstance(judged.answer, Redeemable):
            return judged.answer
        read = self._read_redemption(record, judged.answer)
        result = self._write(read)
        assert isinstance(result, Applied)  # nobody came between
        return answer_to(self.ledger.held[held.key], self.now) if read.token is None else read.token

    def _read_redemption(self, record: Record, answer: Redeemable) -> Delayed:
        held, approval = answer.held, answer.approval
        life = min(TOKEN_LIFE, approval.until - self.now)
        if life < SECOND:
            gone = Denied(Outcome.PRECONDITION_FAILED)
            return Delayed(record, held, self._advance(record, Event.STALE, gone))
        minted = mint_access_token(
            client=CLIENT,
            subject=record.asked.subject,
            access=approval.granted,
            key=record.key,
            home=held.key.home,
            n=held.key.n,
            issuer=ISSUER,
            signing=SIGNING,
            random=bytes(16),
            now=self.now,
            life=life,
        )
        redeem = Advance(1, Event.REDEEM, Redeemed(), self.now, held.version)
        change = Change(held.key.home, (redeem,), (minted.record,))
        return Delayed(record, held, change, token=minted.answer)

    def _read_vote(
        self, record: Record, voter: str, data: st.DataObject, *, approves: bool
    ) -> Delayed | None:
        held = self.ledger.held[record.first.key]
        granted = None
        if approves:
            made = data.draw(choices(record.asked.asked))
            try:
                granted = choose(record.asked.asked, made, TYPES)
            except ChoiceRefused:
                return None
        mine = ballot(voter, granted, version=held.version, at=self.now)
        cast = [*self.ledger.ballots[held.key], mine]
        event, to = self._resolve(record.asked, cast)
        advance = Advance(1, event, to, self.now, held.version)
        change = Change(held.key.home, (CastVote(1, mine), advance))
        return Delayed(record, held, change, voter=voter)

    def _resolve(self, cold: Snapshot, cast: list[Ballot]) -> tuple[Event, State | None]:
        match weigh(cold.plan, cast, TYPES):
            case Undecided():
                return Event.APPROVE, None
            case Grant(access=access):
                return Event.APPROVE, Approved(access, self.now + access.lifetime)
            case Refuse(remark=remark):
                return Event.DENY, Denied(Outcome.DENIED, remark)

    def _write(self, read: Delayed | None) -> Applied | Superseded | None:
        if read is None:
            return None
        return self._write_vote(read) if read.voter is not None else self._write_token(read)

    def _write_token(self, read: Delayed) -> Applied | Superseded:
        record, before = read.record, self._everything()
        result = self.ledger.apply(self._at_present(read.change))
        if isinstance(result, Applied):
            # Only an approval that nothing has touched since it was read.
            assert record.end is None
            assert record.approved is not None
            if read.token is None:
                record.end = Why.DENIED
            else:
                assert record.must_answer(self.now) is None
                record.end = Why.REDEEMED
                record.tokens.append(read.token)
        else:
            assert self._everything() == before
            assert result.current is not None
            told = answer_to(result.current, self.now)
            # The loser hears the state that won; only a fault would be redeemable again.
            assert told == Refused(record.must_answer(self.now) or Why.UNKNOWN)
        return result

    def _write_vote(self, read: Delayed) -> Applied | Superseded:
        record, before = read.record, self._everything()
        mine = read.change.steps[0]
        assert isinstance(mine, CastVote)
        voter, granted = mine.ballot.voter, mine.ballot.granted
        may = (
            voter not in record.votes
            and record.end is None
            and record.approved is None
            and self.now < record.first.decide_by
            and self.ledger.held[record.first.key].version == read.held.version
        )
        result = self.ledger.apply(self._at_present(read.change))
        assert isinstance(result, Applied) == may
        if not may:
            assert self._everything() == before
            return result
        record.votes[voter] = granted
        self._sum_up(record)
        return result

    def _sum_up(self, record: Record) -> None:
        """Add the votes up in the record's own way, and compare."""
        plan, state = record.asked.plan, self.ledger.held[record.first.key].state
        counted = {who: what for who, what in record.votes.items() if who in plan.reviewers}
        approvals = [granted for granted in counted.values() if granted is not None]
        if len(counted) - len(approvals) >= plan.denials:
            assert state == Denied(Outcome.DENIED)
            record.end = Why.DENIED
        elif len(approvals) < plan.approvals:
            assert state == self._open_state(record)
        elif isinstance(state, Denied):
            # Approvals with nothing in common.
            assert not frozenset.intersection(*(each.scope for each in approvals))
            record.end = Why.DENIED
        else:
            assert isinstance(state, Approved)
            for each in approvals:
                check_not_wider(state.granted, each, TYPES)
            assert not state.granted.is_empty()
            # Votes that were read before may be written later: the approval counts from reading.
            assert state.until <= self.now + min(each.lifetime for each in approvals)
            record.approved = state

    def _open_state(self, record: Record) -> State:
        awaited = record.asked_to_act
        return Pending() if awaited is None else AwaitingInteraction(awaited)

    def _at_present(self, change: Change) -> Change:
        """The same change, judged by the clock of the moment at which it is written."""
        steps = tuple(
            Advance(step.n, step.event, step.to, self.now, step.version)
            if isinstance(step, Advance)
            else step
            for step in change.steps
        )
        return Change(change.home, steps, change.rows)

    def _advance(self, record: Record, event: Event, to: State) -> Change:
        return Change(record.first.key.home, (Advance(1, event, to, self.now),))

    def _changes_nothing(self, change: Change) -> None:
        before = self._everything()
        assert isinstance(self.ledger.apply(change), Superseded)
        assert self._everything() == before

    def _move_to(self, moment: datetime) -> None:
        self.tick += (moment - self.now).total_seconds()
        self.now = moment

    def _everything(self) -> object:
        return (
            dict(self.ledger.held),
            dict(self.ledger.snapshots),
            dict(self.ledger.ballots),
            self.ledger.tokens,
            dict(self.clocks),
        )

    # --- what a rightful poll is told

    def _check_told(self, record: Record, answer: Answer | Token) -> None:
        match answer:
            case StillPending(bound=bound) | Refused(why=Why.EARLY | Why.STOP, bound=bound):
                assert self._is_open(record)
                assert isinstance(answer, Refused) or record.asked_to_act is None
                self._check_pace(record, bound, early=isinstance(answer, Refused))
            case InteractionRequired(bound=bound, key=key, number=number):
                assert self._is_open(record)
                assert (key, number) == (record.first.key, record.asked_to_act)
                self._check_pace(record, bound, early=False)
            case Refused(why=why):
                assert why == record.must_answer(self.now)
                assert record.told in (None, why, Why.EXPIRED)
                record.told = record.told or why
            case Redeemable():
                raise AssertionError("an approval was not redeemed")
            case token:
                # T-254: never after a no, an expiry or an acknowledged cancellation.
                assert record.told is None
                assert record.tokens == [token]

    def _check_pace(self, record: Record, told: timedelta | None, *, early: bool) -> None:
        gap = None if record.last_poll is None else self.tick - record.last_poll
        if gap is None or gap >= record.bound.total_seconds():
            assert not early
        if gap is not None and gap < (record.bound - TOLERANCE).total_seconds() - 1e-6:
            assert early
        bound = record.bound if told is None else told  # told to stop: it is what it was
        assert bound >= record.bound >= record.first.interval
        record.last_poll, record.bound = self.tick, bound

    # --- the guarantees

    @invariant()
    def inv_01_nothing_expands(self) -> None:
        for record in self.all:
            asked = record.asked.asked
            state = self.ledger.held[record.first.key].state
            if isinstance(state, Approved):
                check_not_wider(state.granted, asked, TYPES)
            for token in record.tokens:
                assert record.approved is not None
                granted, claims = record.approved.granted, claims_of(token)
                assert set(str(claims.get("scope", "")).split()) <= asked.scope
                assert claims.get("scope", "") == render_scope(granted.scope)
                assert claims.get("authorization_details", []) == list(granted.details)
                assert claims["exp"] <= record.approved.until.timestamp()  # type: ignore[operator]

    @invariant()
    def inv_02_only_polls_advance(self) -> None:
        for record in self.all:
            stored = [each for each in self.ledger.tokens if home_of(each.jti) == home(record)]
            assert len(stored) == len(record.tokens) <= 1
            redeemed = isinstance(self.ledger.held[record.first.key].state, Redeemed)
            assert redeemed == (len(stored) == 1)

    @invariant()
    def inv_03_the_key_goes_on(self) -> None:
        for record in self.all:
            for token in record.tokens:
                key = None if record.key is None else {"jkt": KEY.jkt}
                assert claims_of(token).get("cnf") == key
                assert token["token_type"] == ("Bearer" if key is None else "DPoP")

    @invariant()
    def inv_04_nothing_replaces_what_was_asked(self) -> None:
        for record in self.all:
            held = self.ledger.held[record.first.key]
            assert self.ledger.snapshots[held.key] is record.asked
            assert fixed(held) == fixed(record.first)

    @invariant()
    def inv_05_the_code_is_opaque(self) -> None:
        codes = {record.code for record in self.all}
        assert len(codes) == len(self.all)
        assert all(code not in repr(self.ledger) for code in codes)

    @invariant()
    def inv_06_polling_always_tells_the_truth(self) -> None:
        for record in self.all:
            held = self._found(record, BATCH)
            assert held is not None
            judged = judge(held, record.key, clock=FRESH, now=self.now, tick=self.tick)
            why = record.must_answer(self.now)
            if why is not None:
                assert judged.answer == Refused(why)
            elif record.approved is not None:
                assert judged.answer == Redeemable(held, record.approved)
            elif record.asked_to_act is not None:
                number = record.asked_to_act
                assert judged.answer == InteractionRequired(held.interval, held.key, number)
            else:
                assert judged.answer == StillPending(held.interval)


def choices(asked: Access) -> st.SearchStrategy[Choice]:
    """What a reviewer may leave of a request, mostly something."""
    items = [f"scope:{token}" for token in sorted(asked.scope)]
    items += [f"detail:{index}" for index in range(len(asked.details))]
    parts = {
        f"detail:{index}": frozenset(part.id for part in TYPES[str(detail[TYPE])].parts(detail))
        for index, detail in enumerate(asked.details)
    }
    return st.builds(
        lambda left_out, share: Choice(
            items=frozenset(items) - left_out,
            parts=parts,
            limits={},
            lifetime=asked.lifetime / share,
        ),
        st.sampled_from([frozenset(), frozenset(items[:1]), frozenset(items[-1:])]),
        st.integers(1, 3),
    )


def claims_of(token: Token) -> JsonObject:
    return parse_json_object(parse_base64url(str(token["access_token"]).split(".")[1]))


def home_of(jti: bytes) -> bytes:
    return jti[:16]


def home(record: Record) -> bytes:
    return record.first.key.home


def fixed(held: Held) -> tuple[object, ...]:
    """All of a request but its state and version."""
    return (
        held.key,
        held.client,
        held.binding,
        held.handle,
        held.opened_at,
        held.decide_by,
        held.expires_at,
        held.interval,
    )


@covers(
    "DTR-INV-01",
    "DTR-INV-02",
    "DTR-INV-03",
    "DTR-INV-04",
    "DTR-INV-05",
    "DTR-INV-06",
    "DTR-ERR-03",
    "EXT-INTERACT-14",
    "T-150",
    "T-254",
    "T-255",
)
class TestGuarantees(Guarantees.TestCase):  # type: ignore[misc, valid-type]  # by Hypothesis
    settings = settings(
        max_examples=100,
        stateful_step_count=40,
        suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no fault
    )

"""A reviewer looks and votes; the votes decide (EXT-DECIDE-02, -03; EXT-EVID-01 to -03).

A vote names the digest and the version of what was shown. Eligibility is judged
when the page is drawn, when the vote is cast and when the votes are added up.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Final, TypeAlias

import structlog

from abeyance.access.access import Access
from abeyance.acts.house import House
from abeyance.acts.memory import memory_row
from abeyance.acts.rejudge import AskOthers, Holds, Over, end, rejudge
from abeyance.parties.person import Person, PersonId, Role
from abeyance.pending.change import (
    Advance,
    Applied,
    AuditEvent,
    CastVote,
    Change,
    Superseded,
)
from abeyance.pending.choosing import Choice, ChoiceRefused, choose
from abeyance.pending.disclosure import Disclosure, disclose, request_name
from abeyance.pending.refusals import essence
from abeyance.pending.request import Held, Key, Loaded
from abeyance.pending.states import (
    OPEN,
    Approved,
    Denied,
    Event,
    Expired,
    Outcome,
    State,
    stage_of,
)
from abeyance.pending.votes import Ballot, Grant, Refuse, Undecided, Verdict, weigh

MAX_REASON: Final = 2000  # SEC-DOS-19
_ATTEMPTS: Final = 3

_log = structlog.get_logger("abeyance.decide")


@dataclass(frozen=True, slots=True)
class Review:
    """What one reviewer may see of a request: the rows, the disclosure, and whether
    it can still be decided by them."""

    loaded: Loaded
    disclosure: Disclosure
    decidable: bool
    eligible: bool  # the plan names the reviewer; an administrator may look all the same
    voted: bool
    own: bool  # it is about the reviewer, or of a client that they answer for, then or now


class Obstacle(Enum):
    """Why a vote did not count. Nothing was recorded."""

    UNKNOWN = "unknown"  # no such request, or not this reviewer's: indistinguishable
    OWN_REQUEST = "own_request"
    CLOSED = "closed"  # decided, withdrawn, or past its deadline
    CHANGED = "changed"  # what was shown is not what stands now
    VOTED = "voted"
    INVALID = "invalid"  # the choice cannot be granted
    RULES = "rules"  # today's rules let others approve it
    ENDED = "ended"  # today's rules let nobody approve it, so it has ended


@dataclass(frozen=True, slots=True)
class NotCounted:
    obstacle: Obstacle
    explanation: str | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """The vote stands; `state` is what it led to."""

    state: State


VoteResult: TypeAlias = Counted | NotCounted


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What a reviewer says. `choice` `None` with an approval: everything as asked."""

    verdict: Verdict
    seen: str  # the disclosure's digest
    version: int
    choice: Choice | None = None
    reason: str | None = None
    shareable: bool = False
    authenticated: str = "password"


async def was_disposed_of(house: House, reader: Person, key: Key) -> bool:
    """Was there a request of which only the audit knows? Told to administrators alone: to
    everybody else it is as if it had never been. Only asked when `review` found nothing.
    """
    if Role.ADMINISTRATOR not in reader.roles or not reader.enabled:
        return False
    return bool(await house.store.find_events(key))


async def review(house: House, reviewer: Person, key: Key) -> Review | None:
    """Load a request for one reviewer; `None` if it is not theirs to see."""
    loaded = await house.store.find_loaded(key)
    if loaded is None or not reviewer.enabled:
        return None
    eligible = reviewer.id in loaded.snapshot.plan.reviewers and Role.REVIEWER in reviewer.roles
    if not eligible and Role.ADMINISTRATOR not in reviewer.roles:
        return None
    voted = any(ballot.voter == reviewer.id for ballot in loaded.ballots)
    own = reviewer.id in await _owners(house, loaded)
    return Review(
        loaded,
        disclose(
            loaded.held,
            loaded.snapshot,
            house.types,
            issuer=house.endpoints.issuer,
            scopes=house.scopes,
            interactions=loaded.interactions,
        ),
        decidable=(
            eligible and not voted and not own and _is_decidable(loaded.held, house.clock.now())
        ),
        eligible=eligible,
        voted=voted,
        own=own,
    )


async def decide(house: House, reviewer: Person, key: Key, vote: Vote) -> VoteResult:
    """Cast a vote and apply the decision that the votes then add up to, in one change.

    A vote of somebody else in between raises the version; then this one is
    weighed again, since what it was shown has not changed.
    """
    result = await _decide(house, reviewer, key, vote)
    if isinstance(result, NotCounted):
        note_refused(house, reviewer, key, result.obstacle)
    return result


def note_refused(house: House, reviewer: Person, key: Key, why: Obstacle) -> None:
    """Log that a decision was not taken: one that would have added something is an attack on
    the server or a fault in a program (T-143). Nothing of what it said is logged.
    """
    _log.warning(
        "decision refused",
        request=request_name(key),
        reviewer=house.keys.pseudonym(reviewer.id),
        why=why.value,
    )


async def _decide(house: House, reviewer: Person, key: Key, vote: Vote) -> VoteResult:
    for _ in range(_ATTEMPTS):
        seen = await review(house, reviewer, key)
        if seen is None:
            return NotCounted(Obstacle.UNKNOWN)
        if (obstacle := _obstacle(seen, vote, house.clock.now())) is not None:
            return NotCounted(obstacle)
        try:
            granted = _granted(seen.loaded, vote, house)
        except ChoiceRefused as refused:
            return NotCounted(Obstacle.INVALID, str(refused))
        holds = Holds()
        if granted is not None:
            match await rejudge(house, seen.loaded, reviewer.id):
                case Holds() as holds:
                    granted = _capped(granted, holds)
                case AskOthers():
                    return NotCounted(Obstacle.RULES)
                case Over():
                    await end(house, seen.loaded.held)
                    return NotCounted(Obstacle.ENDED)
        result = await _apply(house, seen, reviewer, vote, granted, holds)
        if result is not None:
            return result
    return NotCounted(Obstacle.CHANGED)


def _obstacle(seen: Review, vote: Vote, now: datetime) -> Obstacle | None:
    if not seen.eligible:
        return Obstacle.UNKNOWN
    if seen.own:
        return Obstacle.OWN_REQUEST
    if seen.voted:
        return Obstacle.VOTED
    if not _is_decidable(seen.loaded.held, now):
        return Obstacle.CLOSED
    # Votes of others raise the version too, but change nothing of what was shown.
    votes_since = sum(ballot.version >= vote.version for ballot in seen.loaded.ballots)
    if vote.seen != seen.disclosure.digest or (
        seen.loaded.held.version != vote.version + votes_since
    ):
        return Obstacle.CHANGED
    return None


def _granted(loaded: Loaded, vote: Vote, house: House) -> Access | None:
    if vote.reason is not None and len(vote.reason) > MAX_REASON:
        raise ChoiceRefused("The reason is too long")
    if vote.verdict is Verdict.DENY:
        return None
    asked = loaded.snapshot.asked
    if vote.choice is not None:
        return choose(asked, vote.choice, house.types)
    if not all(house.types.accepts(detail) for detail in asked.details):
        raise ChoiceRefused("A part of the request cannot be shown, so it cannot be approved")
    return asked


def _capped(granted: Access, holds: Holds) -> Access:
    if holds.at_most is None:
        return granted
    return replace(granted, lifetime=min(granted.lifetime, holds.at_most))


async def _apply(
    house: House, seen: Review, reviewer: Person, vote: Vote, granted: Access | None, holds: Holds
) -> VoteResult | None:
    """Apply the vote; `None` if another vote came first."""
    held, now = seen.loaded.held, house.clock.now()
    ballot = Ballot(
        voter=reviewer.id,
        verdict=vote.verdict,
        granted=granted,
        reason=vote.reason,
        shareable=vote.shareable,
        seen=seen.disclosure.digest,
        shown=seen.disclosure.object,
        version=held.version,
        at=now,
        authenticated=vote.authenticated,
    )
    ballots = [
        each
        for each in seen.loaded.ballots
        if (holds.voters is None or each.voter in holds.voters)
        and await _still_counts(house, each, seen.loaded)
    ]
    event, to = _outcome(weigh(seen.loaded.snapshot.plan, [*ballots, ballot], house.types), now)
    change = Change(
        held.key.home,
        (
            CastVote(held.key.n, ballot),
            Advance(held.key.n, event, to, alive_at=now, version=held.version),
        ),
        (
            AuditEvent(
                n=held.key.n,
                at=now,
                event=f"vote_{vote.verdict}" if to is None else str(stage_of(to)),
                actor=f"person:{reviewer.id}",
                detail={
                    "verdict": vote.verdict,
                    "seen": ballot.seen,
                    "granted": None if granted is None else granted.to_json(),
                },
            ),
            *(memory_row(house, seen.loaded, to, reviewer.id) if isinstance(to, Approved) else ()),
        ),
    )
    match await house.store.apply(change):
        case Applied(current=current):
            if to is not None:
                house.counters.decided(
                    approved=isinstance(to, Approved), by="reviewer", after=now - held.opened_at
                )
            await _remember_refusals(house, seen.loaded, to)
            return Counted(to if to is not None else (current or held).state)
        case Superseded(lost=CastVote()):
            return NotCounted(Obstacle.VOTED)
        case Superseded(current=Held() as won) if _is_decidable(won, house.clock.now()):
            return None
        case Superseded():
            return NotCounted(Obstacle.CLOSED)


async def _remember_refusals(house: House, loaded: Loaded, to: State | None) -> None:
    """Whoever asks for the same again is slowed down, until somebody says yes (EXT-QUEUE-05)."""
    snapshot = loaded.snapshot
    what = essence(snapshot.client, snapshot.subject, snapshot.asked, house.types)
    if isinstance(to, Denied):
        await house.store.note_refusal(what, at=house.clock.now())
    elif isinstance(to, Approved):
        await house.store.forget_refusals(what)


async def _still_counts(house: House, ballot: Ballot, loaded: Loaded) -> bool:
    person = await house.store.find_person(PersonId(ballot.voter))
    return person is not None and person.enabled and person.id not in await _owners(house, loaded)


async def _owners(house: House, loaded: Loaded) -> frozenset[str | None]:
    """Whose own request it is: the resource owner's, and that of whoever answers for the
    client, when it asked and by its registration now (EXT-DECIDE-03, SEC-UI-20).
    """
    snapshot = loaded.snapshot
    client = await house.store.find_client(snapshot.client)
    return frozenset(
        {snapshot.person, snapshot.client_owner, None if client is None else client.owner}
    )


def _outcome(decision: Undecided | Grant | Refuse, now: datetime) -> tuple[Event, State | None]:
    match decision:
        case Undecided():
            return Event.APPROVE, None
        case Grant(access=access):
            # The approval holds from the decision on, for what the votes allow.
            return Event.APPROVE, Approved(access, now + access.lifetime)
        case Refuse(remark=remark):
            return Event.DENY, Denied(Outcome.DENIED, remark)


def _is_decidable(held: Held, now: datetime) -> bool:
    state = held.state_at(now)
    return not isinstance(state, Expired) and stage_of(state) in OPEN and now < held.decide_by

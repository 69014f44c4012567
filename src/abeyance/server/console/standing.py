"""Where a request stands, in words, and what was said about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from abeyance.access.access import Access
from abeyance.acts.decide import Review
from abeyance.parties.person import PersonId
from abeyance.pending.interaction import Step
from abeyance.pending.request import Held, Loaded
from abeyance.pending.states import (
    Approved,
    AwaitingInteraction,
    Cancelled,
    Denied,
    Expired,
    Outcome,
    Pending,
    Redeemed,
)
from abeyance.pending.votes import Ballot, Verdict
from abeyance.store.ports import Ended


@dataclass(frozen=True, slots=True)
class Standing:
    """`kind` chooses the look: open, yes, no or over."""

    kind: str
    heading: str
    text: str


def stand(review: Review, now: datetime, me: PersonId) -> Standing:
    """Say where the request stands for this person."""
    match review.loaded.held.state_at(now):
        case Approved(until=until) if now < until:
            return Standing("yes", "Approved", "The client has not collected its token yet.")
        case Approved():
            return Standing("over", "Approved, not collected", "The approval has run out.")
        case Redeemed():
            return Standing("yes", "Approved and collected", "The client has its token.")
        case Denied(outcome=Outcome.PRECONDITION_FAILED):
            return Standing("no", "Closed", "What the request rested on no longer holds.")
        case Denied(outcome=Outcome.ABANDONED):
            return Standing("no", "Closed", "Nobody took the step that was asked for in time.")
        case Denied():
            return Standing("no", "Denied", "The client gets nothing.")
        case Cancelled():
            return Standing("over", "Withdrawn", "The client took its request back.")
        case Expired():
            return _expired(review)
        case Pending() | AwaitingInteraction():
            return _open(review, now, me)
        case state:
            assert_never(state)


def awaited(loaded: Loaded, steps: Mapping[str, Step]) -> Step | None:
    """The step that somebody must take first, if one is awaited."""
    state = loaded.held.state
    return steps.get(state.step) if isinstance(state, AwaitingInteraction) else None


def may_end(loaded: Loaded, now: datetime) -> bool:
    """Is there anything that could still be ended: a wait, an approval, what came of it?"""
    return ended(loaded.held, now) in (Ended.WAITING, Ended.APPROVED, Ended.REDEEMED)


def ended(held: Held, now: datetime) -> Ended:
    """How it stands, in the words of a history."""
    match held.state:
        case Pending() | AwaitingInteraction():
            return Ended.WAITING if now < held.expires_at else Ended.EXPIRED
        case Approved():
            return Ended.APPROVED if now < held.expires_at else Ended.LAPSED
        case Denied():
            return Ended.DENIED
        case Cancelled():
            return Ended.CANCELLED
        case Redeemed():
            return Ended.REDEEMED
        case state:
            assert_never(state)


def granted_by(ballots: tuple[Ballot, ...], asked: Access) -> Access | None:
    """What the approving votes left, where that is less than asked."""
    for ballot in ballots:
        if ballot.granted is not None and ballot.granted != asked:
            return ballot.granted
    return None


def _expired(review: Review) -> Standing:
    if any(ballot.verdict is Verdict.APPROVE for ballot in review.loaded.ballots):
        return Standing("over", "Approved, not collected", "The client did not come for its token.")
    return Standing("no", "Not decided in time", "Nobody decided, so the answer was no.")


def _open(review: Review, now: datetime, me: PersonId) -> Standing:
    if now >= review.loaded.held.decide_by:
        return Standing(
            "no", "The deadline has passed", "Nobody decided in time, so the answer is no."
        )
    if not review.eligible:
        return Standing(
            "open", "Waiting for somebody else", "You may look, as an administrator, not decide."
        )
    if review.voted:
        return Standing("open", "You have voted", "More votes are needed.")
    if review.own:
        return Standing(
            "open",
            "This is not yours to decide",
            "It is about you, or of a client that you answer for, and nobody decides their own "
            "requests. Somebody else must.",
        )
    return Standing("open", "Waiting for your decision", "")

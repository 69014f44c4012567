"""What a poll is answered: the one list of checks, for every face (DTR-POLL-03).

Reasons, not wire names: a face has the words.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import TypeAlias, assert_never

from abeyance.parties.client import ClientId
from abeyance.pending.ending import Ending
from abeyance.pending.handles import HandleHash
from abeyance.pending.pacing import PollClock, pace
from abeyance.pending.request import Held, Key
from abeyance.pending.states import (
    Approved,
    AwaitingInteraction,
    Cancelled,
    Denied,
    Expired,
    Pending,
    Redeemed,
)
from abeyance.proofs.dpop import ProvenKey


class Why(Enum):
    """Why a poll gets no token."""

    UNKNOWN = auto()  # no such handle, or another client's: indistinguishable
    KEY = auto()  # the bound key was not proven
    CERTIFICATE = auto()  # the bound certificate was not shown
    EARLY = auto()  # too fast
    STOP = auto()  # too fast for too long
    EXPIRED = auto()
    DENIED = auto()  # by a reviewer, by the client's own cancellation, or stale
    REDEEMED = auto()


@dataclass(frozen=True, slots=True)
class StillPending:
    """Not yet. `bound` is the pace that the client must keep."""

    bound: timedelta


@dataclass(frozen=True, slots=True)
class InteractionRequired:
    """Not yet, and somebody must act first: `number` names the interaction (DTR-ERR-03).

    `until`: the end of its address, told to clients that speak the profile; `lapsed`:
    it is over. `arrived`: somebody is there (EXT-INTERACT-01).
    """

    bound: timedelta
    key: Key
    number: int
    until: datetime | None = None
    lapsed: bool = False
    arrived: bool = False


@dataclass(frozen=True, slots=True)
class Redeemable:
    """Approved: the act redeems, the store may still refuse."""

    held: Held
    approval: Approved


@dataclass(frozen=True, slots=True)
class Refused:
    """`bound` only where the client may poll again; `remark` only where one may be shared;
    `ending` only for clients that registered the profile.
    """

    why: Why
    bound: timedelta | None = None
    remark: str | None = None
    ending: Ending | None = None


Waiting: TypeAlias = StillPending | InteractionRequired
Answer: TypeAlias = Waiting | Redeemable | Refused


@dataclass(frozen=True, slots=True)
class Judged:
    """The answer, and the poll clock as it must stand afterwards (`None`: untouched)."""

    answer: Answer
    clock: PollClock | None


def owned(held: Held | None, handle: HandleHash, client: ClientId) -> Held | None:
    """Step 2: known, and issued to this client; else as if it did not exist (DTR-ERR-05)."""
    if held is None or held.client != client or held.handle != handle:
        return None
    return held


def judge(
    held: Held, key: ProvenKey | None, *, clock: PollClock, now: datetime, tick: float
) -> Judged:
    """Judge a poll of its rightful client (readings 1 to 6).

    Key continuity comes before any state shows; then the state; then the pace,
    since only open requests are paced.
    """
    if not held.binding.continues(key):
        lacking = Why.KEY if held.binding.lacks_proof(key) else Why.CERTIFICATE
        return Judged(Refused(lacking), None)
    answer = answer_to(held, now)
    if not isinstance(answer, StillPending | InteractionRequired):
        return Judged(answer, None)
    paced = pace(clock, tick, held.interval)
    bound = paced.clock.bound(held.interval)
    if paced.stop:
        # Without a bound: this answer is final, so it must not say when to come again.
        return Judged(Refused(Why.STOP), paced.clock)
    if paced.early:
        return Judged(Refused(Why.EARLY, bound), paced.clock)
    if isinstance(answer, InteractionRequired):
        return Judged(replace(answer, bound=bound), paced.clock)
    return Judged(StillPending(bound), paced.clock)


def answer_to(held: Held, now: datetime) -> Answer:
    """What the state alone says; also what the loser of a race is told."""
    match held.state_at(now):
        case Pending():
            return StillPending(held.interval)
        case AwaitingInteraction(number=number, until=until, arrived=arrived):
            lapsed = until is not None and now >= until
            return InteractionRequired(held.interval, held.key, number, until, lapsed, arrived)
        case Approved() as approval:
            return Redeemable(held, approval)
        case Denied(remark=remark):
            return Refused(Why.DENIED, remark=remark)
        case Cancelled():
            return Refused(Why.DENIED)
        case Expired():
            return Refused(Why.EXPIRED)
        case Redeemed():
            return Refused(Why.REDEEMED)
        case never:
            assert_never(never)

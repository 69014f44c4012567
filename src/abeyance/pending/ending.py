"""How a request ended, in words that a program can act upon (EXT-OUTCOME-01, -02, -05)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from abeyance.pending.states import Cancelled, Denied, Expired, Outcome, Redeemed, State


class NextAction(StrEnum):
    """What a client may do next."""

    NONE = "none"
    RETRY = "retry"  # the same again, after a while
    REQUEST = "request"  # a new request may succeed


@dataclass(frozen=True, slots=True)
class Ending:
    """`outcome` is `None` where the error says it all. `retry_after`: seconds, with `RETRY`."""

    outcome: str | None
    next_action: NextAction
    retry_after: int | None = None


CANCELLED: Final = "cancelled"
WITHDRAWN: Final = "withdrawn"
USER_UNREACHABLE: Final = Ending("user_unreachable", NextAction.NONE)
COLLAPSED: Final = Ending(Outcome.DENIED, NextAction.NONE)


def ending_of(state: State | Expired, *, collapse: bool, by_client: bool) -> Ending | None:
    """How this ended; `None`: it has not. `collapse`: every bad end is told as a plain no, since
    policy is secret there. `by_client`: it was the client itself that cancelled.
    """
    match state:
        case Denied() | Cancelled() if collapse:
            return COLLAPSED
        case Denied(outcome=Outcome.DENIED):
            return Ending(Outcome.DENIED, NextAction.NONE)
        case Denied(outcome=outcome):
            return Ending(outcome, NextAction.REQUEST)
        case Cancelled():
            return Ending(CANCELLED if by_client else WITHDRAWN, NextAction.REQUEST)
        case Expired():
            return Ending(None, NextAction.REQUEST)
        case Redeemed():
            return Ending(None, NextAction.NONE)
        case _:
            return None

"""What a caller may know while a request waits (DTR-ERR-08: may be shown, never depended on)."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum


class Waiting(Enum):
    """What the last poll met."""

    PENDING = "pending"
    INTERACTION_REQUIRED = "interaction_required"
    INTERACTION_PENDING = "interaction_pending"
    SLOWED_DOWN = "slowed_down"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The request is still pending.

    `description` is the server's opaque step identifier (untrusted text);
    `polled` says whether this call sent a request; `next_poll_in` is zero once
    a poll is due; `expires_in` is unknown if the server did not tell it.
    """

    state: Waiting
    description: str | None
    polls: int
    polled: bool
    waited: timedelta
    next_poll_in: timedelta
    expires_in: timedelta | None

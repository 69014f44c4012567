"""What a caller may know while a request waits (DTR-ERR-08: may be shown, never depended on)."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum

from abeyance.wire.secret import Secret


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
    `interaction_uri`: where somebody must act first, at the server's own origin;
    whoever has the address and may sign in can act, so show it to that person only,
    and ask before a browser opens it. `interaction_code`: show it beside, so that they can
    compare it with what stands there.
    """

    state: Waiting
    description: str | None
    polls: int
    polled: bool
    waited: timedelta
    next_poll_in: timedelta
    expires_in: timedelta | None
    interaction_uri: Secret | None = field(default=None, compare=False)
    interaction_code: str | None = None

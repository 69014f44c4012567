"""`Change`: what the core asks of the store, all or nothing.

Each step is one conditional statement at the change's home, in order; rows are
additions that no constraint can refuse. Whoever loses learns which step lost and
what it met, from the same transaction. Nobody checks and then acts.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from abeyance.parties.client import ClientId
from abeyance.pending.handles import Home
from abeyance.pending.request import Held, Snapshot
from abeyance.pending.states import Event, State
from abeyance.pending.votes import Ballot
from abeyance.wire.strict_json import JsonObject

# --- steps


@dataclass(frozen=True, slots=True)
class Open:
    """A new request. Loses if its client has `at_most` open ones already (SEC-DOS-06)."""

    held: Held
    snapshot: Snapshot
    at_most: int


@dataclass(frozen=True, slots=True)
class Advance:
    """Move request `n` by `event` to `to`; `None` raises the version only (too few votes yet).

    Loses unless the state is one from which the event leads, the clock allows it
    at `alive_at` (decisions: before `decide_by`; cancel and redeem: before
    `expires_at`; stale: always) and, where given, `version` still stands.
    """

    n: int
    event: Event
    to: State | None
    alive_at: datetime
    version: int | None = None


@dataclass(frozen=True, slots=True)
class CastVote:
    """Record a vote on request `n`. Loses if this voter has voted."""

    n: int
    ballot: Ballot


@dataclass(frozen=True, slots=True)
class CloseHome:
    """End every open or approved request of the home by `event`. Never loses."""

    event: Event
    to: State


@dataclass(frozen=True, slots=True)
class RevokeToken:
    """Revoke an access token of `client`. Loses if it is unknown, another's or revoked."""

    jti: bytes
    client: ClientId
    at: datetime


Step: TypeAlias = Open | Advance | CastVote | CloseHome | RevokeToken

# --- rows


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """An issued access token; its value is not kept (OAUTH-AT-06). `n` 0: never deferred."""

    jti: bytes
    n: int
    client: ClientId
    subject: str
    issued_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """What happened to a request, appended in the transaction that made it happen.

    `actor` is `client:…`, `person:…` or `system`; `detail` holds no secrets.
    """

    n: int
    at: datetime
    event: str
    actor: str
    detail: JsonObject


@dataclass(frozen=True, slots=True)
class Pulse:
    """Nothing, at the price of something: makes a refused cancellation cost the same
    write as a granted one, so that time does not tell known from unknown (DTR-CANC-06).
    """


Row: TypeAlias = TokenRecord | AuditEvent | Pulse


@dataclass(frozen=True, slots=True)
class Change:
    """Steps and rows at one home, applied in one transaction."""

    home: Home
    steps: tuple[Step, ...]
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """All of it happened. `current` is the request that the last step left, if one did."""

    current: Held | None = None


@dataclass(frozen=True, slots=True)
class Superseded:
    """None of it happened: `lost` is the step that lost, `current` what it met."""

    lost: Step
    current: Held | None

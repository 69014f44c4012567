"""`Change`: what the core asks of the store, all or nothing.

Each step is one conditional statement at the change's home, in order; rows are
additions that no constraint can refuse. Whoever loses learns which step lost and
what it met, from the same transaction. Nobody checks and then acts.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.credentials import Assertion, Code, Family, RefreshToken, UserGrant
from abeyance.pending.device import Claim, Device
from abeyance.pending.exchanged import Source
from abeyance.pending.handles import Home
from abeyance.pending.interaction import Interaction
from abeyance.pending.message import Message
from abeyance.pending.quota import Quota
from abeyance.pending.repetition import Delivery, Repetition
from abeyance.pending.request import Held, Snapshot
from abeyance.pending.standing import StandingApproval
from abeyance.pending.states import AwaitingInteraction, Event, State
from abeyance.pending.votes import Ballot
from abeyance.wire.strict_json import JsonObject

# --- steps


@dataclass(frozen=True, slots=True)
class Open:
    """A new request. Loses if as many wait already as `at_most` allows (EXT-QUEUE-01), if
    its place is taken, or if it holds the home's family and another open one does.
    """

    held: Held
    snapshot: Snapshot
    at_most: Quota
    holds_family: bool = False


@dataclass(frozen=True, slots=True)
class Advance:
    """Move request `n` by `event` to `to`; `None` raises the version only (too few votes yet).

    Loses unless the state is one from which the event leads, the clock allows it
    at `alive_at` (decisions: before `decide_by`; cancel and redeem: before
    `expires_at`; stale: always) and, where given, `version` still stands. `quiet`: its
    client has ended it and is not told (DTR-CANC-02).
    """

    n: int
    event: Event
    to: State | None
    alive_at: datetime
    version: int | None = None
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class CastVote:
    """Record a vote on request `n`. Loses if this voter has voted."""

    n: int
    ballot: Ballot


@dataclass(frozen=True, slots=True)
class RecordInteraction:
    """Record that an interaction of request `n` was done. Loses if it was recorded before."""

    n: int
    interaction: Interaction


@dataclass(frozen=True, slots=True)
class NoteArrival:
    """Somebody eligible has opened the address of what request `n` awaits. Loses unless it
    awaits just this. The version stands: nothing that anybody decides about has changed.
    """

    n: int
    seen: AwaitingInteraction
    at: datetime


@dataclass(frozen=True, slots=True)
class OpenGrant:
    """Begin a home with a person's grant. Loses if the home has one: each authorization
    request is answered once (OAUTH-AUTHZ-09).
    """

    grant: UserGrant


@dataclass(frozen=True, slots=True)
class UseAssertion:
    """Use the assertion whose home this is; the first use inserts it.

    Loses if it was used before; but with `again` the same client may use the same
    one with the same key, while what came of it has not ended (OAUTH-DEC-09).
    """

    assertion: Assertion
    again: bool = False


@dataclass(frozen=True, slots=True)
class SpendCode:
    """Spend a code. Loses if it is unknown, spent or expired, or its grant has ended."""

    digest: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class HoldFamily:
    """Nothing but a condition: the family is alive. A deferred refresh spends nothing."""

    at: datetime


@dataclass(frozen=True, slots=True)
class TurnFamily:
    """Use a family. Loses unless it is alive and at `generation`.

    With `head` the present token is spent and `head` follows it (`successor`: the
    same, sealed for whoever presents the spent one again); without, the present
    one stays. Either way the idle time starts again.
    """

    generation: int
    at: datetime
    idle_until: datetime
    head: RefreshToken | None = None
    successor: bytes | None = None


@dataclass(frozen=True, slots=True)
class CloseHome:
    """End every open or approved request of the home by `event`. Never loses.

    `at`: those that have not expired by then, and with them the grant, its codes,
    family and access tokens.
    """

    event: Event
    to: State
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RevokeToken:
    """Revoke an access token of `client`. Loses if it is unknown, another's or revoked."""

    jti: bytes
    client: ClientId
    at: datetime


@dataclass(frozen=True, slots=True)
class Recover:
    """Revoke what was issued for request `n`, to issue it again. Loses unless the request was
    redeemed, may be repeated, and was recovered less than `at_most` times.
    """

    n: int
    at: datetime
    at_most: int


@dataclass(frozen=True, slots=True)
class OpenDevice:
    """A new device session. Loses if its home is taken, if `at_most` are open in all, or
    `from_one` of its client and address (DEV-REQ-05).
    """

    device: Device
    from_one: int
    at_most: int


@dataclass(frozen=True, slots=True)
class BindDevice:
    """Bind the device session to the key that proved itself first. Loses if it is bound."""

    jkt: str


@dataclass(frozen=True, slots=True)
class ClaimDevice:
    """Somebody confirms the code: theirs to answer until the claim ends (DEV-VER-06).

    Loses if it was answered, its time for that is over, or another session's claim stands.
    """

    claim: Claim
    at: datetime


@dataclass(frozen=True, slots=True)
class ContestDevice:
    """Another account shows a code that is claimed: the second one ends it (DEV-XD-03).

    Loses if nothing can be claimed any more, or the claim is this person's own.
    """

    person: PersonId
    at: datetime


@dataclass(frozen=True, slots=True)
class AnswerDevice:
    """The person's answer, once. Loses unless this claim stands and `decide_by` is to come."""

    claim: Claim
    agrees: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class SpendDevice:
    """Spend a device code, for a token or a deferral. Loses unless its person has agreed, it has
    not expired, and their grant stands.
    """

    at: datetime


@dataclass(frozen=True, slots=True)
class EndStanding:
    """Take back the approval memory of request `n`. Loses if there is none that still stands."""

    n: int
    at: datetime


Step: TypeAlias = (
    Open
    | Advance
    | CastVote
    | RecordInteraction
    | NoteArrival
    | OpenGrant
    | UseAssertion
    | SpendCode
    | HoldFamily
    | TurnFamily
    | CloseHome
    | RevokeToken
    | Recover
    | OpenDevice
    | BindDevice
    | ClaimDevice
    | ContestDevice
    | AnswerDevice
    | SpendDevice
    | EndStanding
)

# --- rows


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """An issued access token; its value is not kept (OAUTH-AT-06). `n` 0: never deferred.

    `until`: what it rests on ends then, and so does whatever is derived from it.
    """

    jti: bytes
    n: int
    client: ClientId
    subject: str
    issued_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    until: datetime | None = None


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


@dataclass(frozen=True, slots=True)
class NewFamily:
    """The family of the home, with its first token. A code is spent once, so there is one."""

    family: Family
    token: RefreshToken


@dataclass(frozen=True, slots=True)
class LiveUntil:
    """The grant lives at least until then: something at its home does."""

    until: datetime


@dataclass(frozen=True, slots=True)
class DerivedFrom:
    """What lives at this home was derived from a token of ours, and ends with it."""

    source: Source


@dataclass(frozen=True, slots=True)
class SealedCopy:
    """The handle of request `n`, sealed, for a request that is joined by its repetition."""

    n: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Reseal:
    """What sending message `seq` of request `n` takes is another now, if it still waits."""

    n: int
    seq: int
    sealed: bytes


Row: TypeAlias = (
    TokenRecord
    | AuditEvent
    | Pulse
    | Code
    | NewFamily
    | LiveUntil
    | DerivedFrom
    | SealedCopy
    | Reseal
    | Repetition
    | Delivery
    | Message
    | StandingApproval
)


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

"""What the house asks of a store. Small reads, one write: `apply`.

A store raises for faults, never for races: whoever loses is answered
`Superseded`. Every read sees the latest commit. `StoreAway` means that nothing
can be said at present; the outcome of a change that it interrupts is unknown to
the caller, and the stored row is the truth.

The behaviour that these signatures promise is a suite that runs on any store:
`abeyance.store.suite`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, TypeAlias

from abeyance.parties.client import Client, ClientId
from abeyance.parties.consent import Consent
from abeyance.parties.person import ConsoleSession, Invitation, Person, PersonId
from abeyance.parties.registration import InitialToken, Registration
from abeyance.pending.authorization import AuthorizationRequest, PushedRequest
from abeyance.pending.challenge import ChallengeSession
from abeyance.pending.change import Applied, AuditEvent, Change, Superseded, TokenRecord
from abeyance.pending.credentials import (
    FoundAssertion,
    FoundCode,
    FoundRefresh,
    UserGrant,
)
from abeyance.pending.device import FoundDevice
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.message import Claimed, Settled
from abeyance.pending.refusals import Refusals
from abeyance.pending.repetition import Repetition
from abeyance.pending.request import Held, Key, Loaded
from abeyance.pending.reservation import Reservation
from abeyance.pending.standing import StandingApproval
from abeyance.wire.strict_json import JsonObject


class StoreAway(Exception):
    """The store cannot be reached or cannot write; answered 503 (OAUTH-REVO-06)."""


class StoreInUse(Exception):
    """Another process owns this store; the message says which file and what to do."""


class StoreElsewhere(StoreInUse):
    """What is here is a copy, or has moved away; the message says what to do."""


class StoreTooNew(Exception):
    """A newer program has written this store; the message says what to do."""


class Requests(Protocol):
    """Pending requests and the tokens that come of them."""

    async def find_held(self, handle: HandleHash) -> Held | None: ...
    async def find_loaded(self, key: Key) -> Loaded | None:
        """`None` also for a request whose details were disposed of."""
        ...

    async def list_loaded(self, home: Home) -> Sequence[Loaded]:
        """The requests of one home that can be loaded, in the order of their numbers."""
        ...

    async def find_token(self, home: Home, jti: bytes) -> TokenRecord | None: ...
    async def find_code(self, handle: HandleHash) -> FoundCode | None:
        """An authorization code, spent or not."""
        ...

    async def find_device(self, home: Home) -> FoundDevice | None:
        """The device session at this home, in whatever state."""
        ...

    async def find_refresh(self, handle: HandleHash) -> FoundRefresh | None:
        """A refresh token of any generation, with its family as it stands."""
        ...

    async def find_grant(self, home: Home) -> UserGrant | None:
        """What a person granted at this home, ended or not."""
        ...

    async def find_assertion(self, home: Home) -> FoundAssertion | None:
        """The assertion that was used at this home, with the grant that it opened."""
        ...

    async def list_derived(
        self, home: Home, jti: bytes | None, *, after: Home | None, limit: int
    ) -> Sequence[Home]:
        """Homes of what was derived from a token there, or (`None`) from anything there: in
        their order, those behind `after`.
        """
        ...

    async def find_holding(self, home: Home, *, now: datetime) -> Loaded | None:
        """The open request that holds the home's family, if one has not expired."""
        ...

    async def find_sealed(self, key: Key) -> bytes | None:
        """The sealed copy of a request's handle, if it has one."""
        ...

    async def find_repetition(self, home: Home, key: bytes) -> Repetition | None:
        """The last request at this home that may be sent again under `key`."""
        ...

    async def find_events(self, key: Key) -> Sequence[AuditEvent]:
        """The audit events of one request, oldest first."""
        ...

    async def apply(self, change: Change) -> Applied | Superseded: ...


@dataclass(frozen=True, slots=True)
class Page:
    """One page of waiting requests; `next` is a cursor, `None` at the end."""

    items: tuple[Loaded, ...]
    next: str | None


class Inbox(Protocol):
    """What waits for whom; cold, by secondary index, bounded pages, oldest deadline first."""

    async def list_waiting(
        self, reviewer: PersonId, *, now: datetime, limit: int, cursor: str | None = None
    ) -> Page:
        """Open requests whose plan names the reviewer and whose deadline has not passed.

        Raises `ValueError` for a cursor that this store did not make.
        """
        ...

    async def count_waiting(self, reviewer: PersonId, *, now: datetime, at_most: int) -> int: ...


class Ended(StrEnum):
    """How a request stands by the clock, in the words of a history."""

    WAITING = "waiting"
    APPROVED = "approved"  # and not collected yet
    REDEEMED = "redeemed"
    LAPSED = "lapsed"  # approved, never collected
    DENIED = "denied"
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # nobody decided


@dataclass(frozen=True, slots=True)
class AsReviewer:
    """Requests that this person may or might vote on."""

    person: PersonId


@dataclass(frozen=True, slots=True)
class AsAsker:
    """Requests about this person, or of a client that they answer for."""

    person: PersonId


@dataclass(frozen=True, slots=True)
class OfAll:
    """Every request."""


Whose: TypeAlias = AsReviewer | AsAsker | OfAll


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which requests a list shall have; `None` does not matter."""

    whose: Whose
    ended: Ended | None = None
    client: ClientId | None = None
    decided_by: PersonId | None = None


class History(Protocol):
    """Requests of any state, the newest first; bounded pages."""

    async def list_requests(
        self, wanted: Wanted, *, now: datetime, limit: int, cursor: str | None = None
    ) -> Page:
        """Raises `ValueError` for a cursor that this store did not make for this list."""
        ...

    async def count_requests(self, wanted: Wanted, *, now: datetime, at_most: int) -> int: ...


@dataclass(frozen=True, slots=True)
class OfClient:
    client: ClientId


@dataclass(frozen=True, slots=True)
class OfPerson:
    person: PersonId


@dataclass(frozen=True, slots=True)
class OfSession:
    digest: bytes


@dataclass(frozen=True, slots=True)
class OfConsent:
    person: PersonId
    client: ClientId


Ground: TypeAlias = OfClient | OfPerson | OfSession | OfConsent


class Sweeps(Protocol):
    async def find_open_homes(self, of: Ground, *, now: datetime, limit: int) -> Sequence[Home]:
        """Homes that rest on this and where something lives: an open or approved request,
        a grant with a code, family or token; for closing them. Each once.
        """
        ...


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """A sign-in, key or settings change: not of one request, so in a table of its own."""

    at: datetime
    event: str
    actor: str
    detail: str


class Parties(Protocol):
    """Clients, people, sessions, invitations: reference data. The fence lives here.

    `put_client` of a disabled client is the fence: whoever opens a request reads
    the client after writing and closes its own request if it finds the fence.
    """

    async def find_client(self, client: ClientId) -> Client | None: ...
    async def list_clients(self) -> Sequence[Client]: ...
    async def put_client(self, client: Client) -> None: ...
    async def replace_client(self, before: Client | None, after: Client) -> bool:
        """Write `after` if the stored client is `before` (`None`: there is none)."""
        ...

    async def find_person(self, person: PersonId) -> Person | None: ...
    async def list_people(self) -> Sequence[Person]: ...
    async def put_person(self, person: Person) -> None: ...
    async def replace_person(self, before: Person | None, after: Person) -> bool:
        """Write `after` if the stored person is `before` (`None`: there is none)."""
        ...

    async def put_session(self, session: ConsoleSession) -> None: ...
    async def find_session(self, digest: bytes) -> ConsoleSession | None: ...
    async def list_sessions(self, person: PersonId) -> Sequence[ConsoleSession]:
        """Those that have not ended, the last used first."""
        ...

    async def end_session(self, digest: bytes, *, forced: bool = False) -> None:
        """End it; also one that is not known yet, so that a host's session stays ended."""
        ...

    async def end_sessions_of(
        self, person: PersonId, *, but: bytes | None = None
    ) -> Sequence[bytes]:
        """End all by force, but for one; return the digests of those that ended."""
        ...

    async def is_ended_by_force(self, digest: bytes) -> bool:
        """Was this session ended by somebody's decision (reading 18)?"""
        ...

    async def find_consent(self, person: PersonId, client: ClientId) -> Consent | None: ...
    async def put_consent(self, consent: Consent, *, new: bool) -> bool:
        """Write it, if there is none (`new`) or the one with its id still stands; a withdrawal
        in between is not undone.
        """
        ...

    async def drop_consent(self, person: PersonId, client: ClientId) -> bool:
        """Forget it, which is the fence of its withdrawal; `False` if there was none."""
        ...

    async def list_consents(
        self, *, person: PersonId | None = None, client: ClientId | None = None
    ) -> Sequence[Consent]:
        """The newest first."""
        ...

    async def put_invitation(self, invitation: Invitation) -> None: ...
    async def find_invitation(self, digest: bytes) -> Invitation | None: ...
    async def accept_invitation(self, digest: bytes, person: Person, now: datetime) -> bool:
        """Use up the invitation and store the person, both or neither; `False` if it was used.

        With it go the person's other invitations and sessions.
        """
        ...

    async def record(self, event: SecurityEvent) -> None:
        """Append to the security log."""
        ...

    async def record_news(self, event: SecurityEvent) -> bool:
        """Append, unless the latest of its kind says the same: for what several notice.

        `False`: it does. Only the last 1,000 events are looked at.
        """
        ...

    async def list_security_events(self, limit: int) -> Sequence[SecurityEvent]:
        """The newest first."""
        ...


class Registered(StrEnum):
    """What became of a registration; only `DONE` has changed anything."""

    DONE = "done"
    TAKEN = "taken"  # there is a client with this id
    NO_TOKEN = "no_token"  # unknown, expired or used up
    FULL = "full"


class Registrations(Protocol):
    """Clients that register by themselves (RFC 7591, 7592)."""

    async def register(
        self,
        client: Client,
        registration: Registration,
        *,
        initial: bytes | None,
        most: int,
        now: datetime,
    ) -> Registered:
        """Write both and use the initial token (its digest) once, or nothing at all. `most`:
        registrations that may stand.
        """
        ...

    async def find_registration(self, client: ClientId) -> Registration | None: ...
    async def replace_registration(
        self, before: Client, after: Client, metadata: JsonObject
    ) -> bool:
        """Write both if the stored client is `before` and its registration stands."""
        ...

    async def drop_registration(self, client: ClientId) -> bool:
        """Forget it, and its token with it; the client stays. `False` if there was none."""
        ...

    async def put_initial_token(self, token: InitialToken) -> None: ...
    async def list_initial_tokens(self, *, now: datetime) -> Sequence[InitialToken]:
        """Those that have not expired, used up or not."""
        ...

    async def drop_initial_token(self, digest: bytes) -> bool: ...


class TooManyAuthorizations(Exception):
    """More people are on their way to a decision than the store will hold (SEC-DOS-06)."""


class Authorizations(Protocol):
    """Authorization requests whose person has not answered yet."""

    async def put_authorization(self, request: AuthorizationRequest) -> None:
        """Keep it until it expires, dropping some that have. Raises `TooManyAuthorizations`."""
        ...

    async def find_authorization(self, digest: bytes) -> AuthorizationRequest | None:
        """By the digest of its identifier; expired or not, while it is kept."""
        ...

    async def turn_challenge(
        self, before: bytes | None, after: ChallengeSession | None, *, now: datetime
    ) -> bool:
        """End the session `before` and keep `after`, both or neither; `False` if `before` was
        not there any more. Raises `TooManyAuthorizations` for a first one.
        """
        ...

    async def find_challenge(self, digest: bytes) -> ChallengeSession | None:
        """By the digest of its `auth_session`; expired or not, while it is kept."""
        ...

    async def put_pushed(self, request: PushedRequest) -> None:
        """Keep it until it expires. Raises `TooManyAuthorizations`."""
        ...

    async def find_pushed(self, digest: bytes) -> PushedRequest | None:
        """By the digest of its reference, unless somebody has answered it: then its home is
        taken. Expired or not, while it is kept.
        """
        ...


@dataclass(frozen=True, slots=True)
class Remembered:
    """A call with an idempotency key: what was called, and the answer once there is one."""

    fingerprint: bytes
    answer: bytes | None


class Calls(Protocol):
    """Idempotency keys of the admin API; `key` is a digest of caller and key."""

    async def begin_call(
        self, key: bytes, fingerprint: bytes, *, now: datetime, until: datetime
    ) -> Remembered | None:
        """Remember the call; `None` if it is new, else what is remembered of it."""
        ...

    async def end_call(self, key: bytes, answer: bytes | None) -> None:
        """Keep the answer; `None` forgets the call, since nothing came of it."""
        ...


class Reservations(Protocol):
    """What must be unique under a key of its own (EXT-IDEMP-01, DEV-UC-02)."""

    async def reserve(self, wanted: Reservation, *, now: datetime) -> Reservation:
        """Write it unless its key is taken; the one that stands then, ours or another's."""
        ...

    async def find_reservation(self, key: bytes, *, now: datetime) -> Reservation | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long things are kept behind their end.

    `details`: of a request, behind the end of its handle; of a session, behind its last use.
    `tombstone`: how long after that a request is still known, so that a late poll is told how
    it ended; and whatever else is only of use for as long as it is valid. `audit`: events.
    """

    details: timedelta
    tombstone: timedelta
    audit: timedelta


@dataclass(frozen=True, slots=True)
class Disposed:
    """What one page of disposal did: how many of each kind went; `next` is `None` at the end."""

    counts: Mapping[str, int]
    next: str | None


class Disposals(Protocol):
    """Getting rid of what nobody is owed any more (reading 21)."""

    async def dispose(
        self, kept: Retention, *, now: datetime, limit: int, after: str | None = None
    ) -> Disposed:
        """Look at no more than `limit` rows, and delete those that have been kept long enough.

        Any number may do so at once. Nothing that lives is touched, and no answer changes that
        is still owed. A request whose details have gone is in no list and cannot be loaded.
        Raises `ValueError` for a cursor that this store did not make.
        """
        ...

    async def erase_person(
        self, person: PersonId, becomes: Person, *, limit: int, after: str | None = None
    ) -> Disposed:
        """Look at no more than `limit` rows, and take the person out of them; at the end only
        `becomes` is left. Their requests are disposed of and their grants gone; votes and
        events that were theirs name `becomes`.

        Whoever calls has ended what lives of theirs. It can be done again if it was cut short.
        Raises `ValueError` for a cursor that this store did not make.
        """
        ...


class Outbox(Protocol):
    """Messages that wait to be sent; leases, so that nobody has to give anything back."""

    async def claim_messages(
        self, *, now: datetime, lease: datetime, limit: int
    ) -> Sequence[Claimed]:
        """What is due, the longest due first; nobody else gets it until `lease`. What is too
        late is forgotten.
        """
        ...

    async def settle_message(self, claimed: Claimed, settled: Settled) -> None:
        """Nothing happens if the lease was over and another has claimed it, or it is gone."""
        ...

    async def next_message(self) -> datetime | None:
        """When something is due or too late next, by what is known now."""


class Reviewing(Protocol):
    """What protects reviewers. Refusals are hints: one that is lost costs a cool-down."""

    async def note_refusal(self, essence: bytes, *, at: datetime) -> None: ...
    async def find_refusals(self, essence: bytes, *, now: datetime) -> Refusals | None: ...
    async def forget_refusals(self, essence: bytes) -> None: ...

    async def find_standing(
        self, client: ClientId, subject: str, *, now: datetime
    ) -> Sequence[StandingApproval]:
        """Approvals that may answer a request of this client about this subject."""
        ...

    async def find_standing_at(self, key: Key) -> StandingApproval | None:
        """The approval memory of one request, whether or not it still stands."""
        ...

    async def list_standing(
        self, *, approver: PersonId | None, now: datetime, limit: int
    ) -> Sequence[StandingApproval]:
        """Those that still stand, of one approver or of all, the next to end first."""
        ...


class Mark(StrEnum):
    """What may be true of a store as a whole; the value says when it became so."""

    COPY = "copy"  # made while the original went on
    MOVED = "moved"  # the last word of this store; it goes on elsewhere


class Work(StrEnum):
    """What one process does for all that share a store."""

    DISPOSAL = "disposal"
    RESEALING = "resealing"


class Leases(Protocol):
    async def take_lease(
        self, work: Work, holder: bytes, *, now: datetime, until: datetime
    ) -> bool:
        """Take it, or keep it for longer; `False` while another holder has it.

        `holder` names a process (16 random bytes, made when it starts).
        """
        ...


class Wholes(Protocol):
    """The store as a whole: what it is, and what an earlier state of it must not do again."""

    async def find_mark(self, mark: Mark) -> str | None: ...
    async def put_mark(self, mark: Mark, value: str | None) -> None:
        """`None` takes it off."""
        ...

    async def list_revived(self, *, now: datetime, limit: int) -> Sequence[Home]:
        """Homes where a token could be had without anybody deciding anew: an approved request,
        a code, an answered device, a family. For closing them.
        """
        ...

    async def list_open(self, *, after: Key | None, now: datetime, limit: int) -> Sequence[Key]:
        """Open requests that have not expired, in the order of their keys."""
        ...

    async def forget_answers(self, *, now: datetime) -> None:
        """End what stands for an answer that a person may have taken back or used since:
        sessions, consents on which nothing waits, invitations, standing approvals, tokens for
        registering, authorization requests, access tokens.
        """
        ...


@dataclass(frozen=True, slots=True)
class Measured:
    """How much there is, each counted up to a bound; `oldest` among those that were counted."""

    waiting: int
    oldest: datetime | None
    messages: int


class Measuring(Protocol):
    async def measure(self, *, now: datetime, at_most: int) -> Measured:
        """Requests that wait, and messages that were not sent yet."""
        ...


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed value: of a request's handle (`seq` is `None`) or of one of its messages."""

    key: Key
    seq: int | None
    value: bytes


class Sealing(Protocol):
    """What rests sealed, while one key follows another."""

    async def list_sealed(self, *, after: Sealed | None, limit: int) -> Sequence[Sealed]:
        """In an order of the store's own, those behind `after`."""
        ...

    async def replace_sealed(self, before: Sealed, value: bytes) -> bool:
        """Put `value` there if `before` still is; the message, due or leased, stays as it is."""
        ...

    async def is_waiting_since(self, at: datetime, *, now: datetime) -> bool:
        """Is any request open, and not expired, that was opened before `at`?"""
        ...


class Store(
    Wholes,
    Leases,
    Measuring,
    Sealing,
    Requests,
    Inbox,
    History,
    Sweeps,
    Parties,
    Registrations,
    Authorizations,
    Calls,
    Reservations,
    Disposals,
    Outbox,
    Reviewing,
    Protocol,
):
    """All ports, and the life of the thing behind them."""

    def on_change(self, tell: Callable[[Key], None]) -> None:
        """Call `tell` on the event loop after each commit that moved a request,
        after the store's own memory has forgotten it and before the writer is told.
        """
        ...

    def on_messages(self, tell: Callable[[], None]) -> None:
        """Call `tell` on the event loop after each commit by which a message may have
        fallen due.
        """
        ...

    async def check(self) -> None:
        """Raise `StoreAway` unless the store can read and write now (readiness)."""
        ...

    async def close(self) -> None: ...

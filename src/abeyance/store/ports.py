"""What the house asks of a store. Small reads, one write: `apply`.

A store raises for faults, never for races: whoever loses is answered
`Superseded`. Every read sees the latest commit. `StoreAway` means that nothing
can be said at present; the outcome of a change that it interrupts is unknown to
the caller, and the stored row is the truth.

The behaviour that these signatures promise is a suite that runs on any store:
`abeyance.store.suite`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from abeyance.parties.client import Client, ClientId
from abeyance.parties.person import ConsoleSession, Invitation, Person, PersonId
from abeyance.pending.change import Applied, AuditEvent, Change, Superseded, TokenRecord
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.request import Held, Key, Loaded


class StoreAway(Exception):
    """The store cannot be reached or cannot write; answered 503 (OAUTH-REVO-06)."""


class StoreInUse(Exception):
    """Another process owns this store; the message says which file and what to do."""


class StoreTooNew(Exception):
    """A newer program has written this store; the message says what to do."""


class Requests(Protocol):
    """Pending requests and the tokens that come of them."""

    async def find_held(self, handle: HandleHash) -> Held | None: ...
    async def find_loaded(self, key: Key) -> Loaded | None: ...
    async def find_token(self, home: Home, jti: bytes) -> TokenRecord | None: ...
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


class Sweeps(Protocol):
    async def find_open_homes(self, client: ClientId, limit: int) -> Sequence[Home]:
        """Homes where this client has an open or approved request, for closing them."""
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
    async def find_person(self, person: PersonId) -> Person | None: ...
    async def list_people(self) -> Sequence[Person]: ...
    async def put_person(self, person: Person) -> None: ...
    async def put_session(self, session: ConsoleSession) -> None: ...
    async def find_session(self, digest: bytes) -> ConsoleSession | None: ...
    async def end_session(self, digest: bytes) -> None: ...
    async def end_sessions_of(self, person: PersonId) -> None: ...
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

    async def list_security_events(self, limit: int) -> Sequence[SecurityEvent]:
        """The newest first."""
        ...


class Store(Requests, Inbox, Sweeps, Parties, Protocol):
    """All ports, and the life of the thing behind them."""

    def on_change(self, tell: Callable[[Key], None]) -> None:
        """Call `tell` on the event loop after each commit that moved a request,
        after the store's own memory has forgotten it and before the writer is told.
        """
        ...

    async def check(self) -> None:
        """Raise `StoreAway` unless the store can read and write now (readiness)."""
        ...

    async def close(self) -> None: ...

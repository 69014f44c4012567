"""Who is there: clients, people, sessions, and the log of what they did."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from abeyance.parties.client import Client, ClientId
from abeyance.parties.consent import Consent
from abeyance.parties.person import ConsoleSession, Invitation, Person, PersonId
from abeyance.parties.registration import InitialToken, Registration
from abeyance.wire.strict_json import JsonObject


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

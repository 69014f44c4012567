"""Ending what lost its ground, and getting rid of what is over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from abeyance.parties.client import ClientId
from abeyance.parties.person import Person, PersonId
from abeyance.pending.handles import Home


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

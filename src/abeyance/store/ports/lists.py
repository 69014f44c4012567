"""Lists of requests: what waits for whom, and what was."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeAlias

from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.request import Loaded


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

"""The store as a whole, and what is done for all that share it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from abeyance.pending.handles import Home
from abeyance.pending.request import Key


class Mark(StrEnum):
    """What may be true of a store as a whole; the value says when it became so."""

    COPY = "copy"  # made while the original went on
    MOVED = "moved"  # the last word of this store; it goes on elsewhere


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

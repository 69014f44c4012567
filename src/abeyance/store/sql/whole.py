"""Transactions, as an engine has them, and the ports that are about a store as a whole."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from abeyance.pending.handles import Home
from abeyance.pending.request import Key
from abeyance.store.ports import Mark, Measured, Sealed, Work
from abeyance.store.sql import leases, marks, measuring, restoring, sealing
from abeyance.store.sql.changes import Written
from abeyance.store.sql.db import Db, Operation

T = TypeVar("T")


class Transactions(ABC):
    """What an engine has: transactions, and what is remembered between them."""

    @abstractmethod
    async def _read(self, read: Operation[T]) -> T:
        """Run it in one transaction that sees the latest commit."""

    @abstractmethod
    async def _change(self, write: Operation[Written[T]]) -> T:
        """Run it in one transaction; return when it is durable and who listens was told."""

    async def _write(self, write: Operation[T]) -> T:
        """The same for what moves no request."""

        async def written(db: Db) -> Written[T]:
            return Written(await write(db))

        return await self._change(written)


class SqlWhole(Transactions):
    """What a store is, what rests sealed in it, and what an earlier state must not do again."""

    async def find_mark(self, mark: Mark) -> str | None:
        return await self._read(partial(marks.find_mark, mark=mark))

    async def put_mark(self, mark: Mark, value: str | None) -> None:
        await self._write(partial(marks.put_mark, mark=mark, value=value))

    async def take_lease(
        self, work: Work, holder: bytes, *, now: datetime, until: datetime
    ) -> bool:
        return await self._write(
            partial(leases.take_lease, work=work, holder=holder, now=now, until=until)
        )

    async def measure(self, *, now: datetime, at_most: int) -> Measured:
        return await self._read(partial(measuring.measure, now=now, at_most=at_most))

    async def list_sealed(self, *, after: Sealed | None, limit: int) -> Sequence[Sealed]:
        return await self._read(partial(sealing.list_sealed, after=after, limit=limit))

    async def replace_sealed(self, before: Sealed, value: bytes) -> bool:
        return await self._write(partial(sealing.replace_sealed, before=before, value=value))

    async def is_waiting_since(self, at: datetime, *, now: datetime) -> bool:
        return await self._read(partial(sealing.is_waiting_since, at=at, now=now))

    async def list_revived(self, *, now: datetime, limit: int) -> Sequence[Home]:
        return await self._read(partial(restoring.list_revived, now=now, limit=limit))

    async def list_open(self, *, after: Key | None, now: datetime, limit: int) -> Sequence[Key]:
        return await self._read(partial(restoring.list_open, after=after, now=now, limit=limit))

    async def forget_answers(self, *, now: datetime) -> None:
        await self._write(partial(restoring.forget_answers, now=now))

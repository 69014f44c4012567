"""The reader: one thread, one transaction for all reads that wait.

Whoever waits has asked before the transaction begins, so each sees at least
the latest commit that anybody was told of before it asked.
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw

from abeyance.store.sql.db import Operation
from abeyance.store.sqlite.connection import connect_reader
from abeyance.store.sqlite.drive import AtOnce, drive
from abeyance.store.sqlite.lane import Crew, Lane
from abeyance.store.sqlite.work import Failed, Work, settle

T = TypeVar("T")

_CAP: Final = 128


class Reader:
    """Where the loop hands its reads over."""

    def __init__(self, path: Path, vfs: str | None) -> None:
        self._lane: Lane[Work[Any]] = Lane("reader", _Reading(path, vfs))

    async def start(self) -> None:
        await self._lane.start()

    async def run(self, read: Operation[T]) -> T:
        waits: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._lane.put(Work(read, waits))
        return await waits

    async def close(self) -> None:
        await self._lane.close()


class _Reading(Crew[Work[Any]]):
    def __init__(self, path: Path, vfs: str | None) -> None:
        self._path = path
        self._vfs = vfs

    def begin(self) -> None:
        self._db = connect_reader(self._path, self._vfs)
        self._at_once = AtOnce(self._db)

    def work(self, first: Work[Any], more: Callable[[], Work[Any] | None]) -> Callable[[], None]:
        batch = [first]
        while len(batch) < _CAP and (work := more()) is not None:
            batch.append(work)
        try:
            self._db.execute("BEGIN")
            answers = [self._one(work) for work in batch]
        except Exception as fault:
            answers = [Failed(fault)] * len(batch)
        finally:
            self._leave()
        return partial(_deliver, batch, answers)

    def rest(self, *, idle: bool) -> None:
        pass

    def end(self) -> None:
        self._db.close()

    def _one(self, work: Work[Any]) -> object:
        try:
            return drive(work.run(self._at_once))
        except Exception as fault:
            return Failed(fault)

    def _leave(self) -> None:
        # Nothing was written; what ails the connection will be told by the next read.
        if self._db.in_transaction:
            with contextlib.suppress(apsw.Error):
                self._db.execute("ROLLBACK")


def _deliver(batch: list[Work[Any]], answers: list[object]) -> None:
    for work, answer in zip(batch, answers, strict=True):
        settle(work.waits, answer)

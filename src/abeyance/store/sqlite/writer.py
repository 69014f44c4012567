"""The writer: one thread, and one COMMIT for all changes that wait (group commit).

Take one, do what else has come meanwhile, commit, tell. No timer: while one
sync runs, the next batch gathers. Each change has a savepoint, so a fault in
one fails one caller; if the disk refuses, all of the batch are told `StoreAway`
and nothing of it stands. A caller that has gone does not undo its change.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw

from abeyance.store.sql.changes import Written
from abeyance.store.sql.db import Operation
from abeyance.store.sqlite import schema
from abeyance.store.sqlite.connection import AWAY, connect_writer, prepare_file
from abeyance.store.sqlite.drive import AtOnce, drive
from abeyance.store.sqlite.lane import Crew, Lane
from abeyance.store.sqlite.lock import FileLock
from abeyance.store.sqlite.work import Failed, Work, settle

T = TypeVar("T")

_CAP: Final = 128
_LONGEST: Final = 0.005  # seconds in which a batch may grow
_CHECKPOINT_IDLE: Final = 1_000  # pages of write-ahead log that are worth an idle moment
_CHECKPOINT_ANYWAY: Final = 8_000

Tell = Callable[[Sequence[Written[Any]]], None]


class Writer:
    """Where the loop hands its writes over.

    `tell` runs on the loop after each COMMIT, before any caller of the batch
    hears of it.
    """

    def __init__(self, path: Path, vfs: str | None, tell: Tell) -> None:
        self._lane: Lane[Work[Written[Any]]] = Lane("writer", _Writing(path, vfs, tell))

    async def start(self) -> None:
        await self._lane.start()

    async def run(self, write: Operation[Written[T]]) -> T:
        """Run `write` within a savepoint named `change`; return when it is durable."""
        waits: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._lane.put(Work(write, waits))
        return await waits

    async def close(self) -> None:
        await self._lane.close()


class _Writing(Crew[Work[Written[Any]]]):
    def __init__(self, path: Path, vfs: str | None, tell: Tell) -> None:
        self._path = path
        self._vfs = vfs
        self._tell = tell
        self._log_pages = 0

    def begin(self) -> None:
        path = self._path.resolve()  # two names of one file must meet at one lock
        self._lock = FileLock.take(path)
        try:
            prepare_file(path)
            self._db = self._open(path)
            self._at_once = AtOnce(self._db)
        except BaseException:
            self._lock.release()
            raise

    def work(
        self, first: Work[Written[Any]], more: Callable[[], Work[Written[Any]] | None]
    ) -> Callable[[], None]:
        until = time.monotonic() + _LONGEST
        batch = [first]
        answers: list[Written[Any] | Failed] = []
        try:
            self._db.execute("BEGIN IMMEDIATE")
            answers.append(self._one(first))
            while len(batch) < _CAP and time.monotonic() < until and (work := more()):
                batch.append(work)
                answers.append(self._one(work))
            self._db.execute("COMMIT")
        except Exception as fault:
            self._take_back()
            answers = [Failed(fault)] * len(batch)
        return partial(self._deliver, batch, answers)

    def rest(self, *, idle: bool) -> None:
        if self._log_pages < (_CHECKPOINT_IDLE if idle else _CHECKPOINT_ANYWAY):
            return
        self._log_pages = 0
        # If it fails, the log keeps what it holds; the next write says that the disk is away.
        with contextlib.suppress(apsw.Error):
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def end(self) -> None:
        try:
            self._db.close()
        finally:
            self._lock.release()

    def _open(self, path: Path) -> apsw.Connection:
        db = connect_writer(path, self._vfs)
        try:
            schema.migrate(db)
            db.set_wal_hook(self._count_pages)
        except BaseException:
            db.close()
            raise
        return db

    def _one(self, work: Work[Written[Any]]) -> Written[Any] | Failed:
        self._db.execute("SAVEPOINT change")
        try:
            written = drive(work.run(self._at_once))
        except AWAY:
            raise
        except Exception as fault:
            self._db.execute("ROLLBACK TO change")
            self._db.execute("RELEASE change")
            return Failed(fault)
        self._db.execute("RELEASE change")
        return written

    def _take_back(self) -> None:
        # A fault such as a full disk may have made SQLite roll back by itself.
        if self._db.in_transaction:
            with contextlib.suppress(apsw.Error):
                self._db.execute("ROLLBACK")

    def _deliver(
        self, batch: list[Work[Written[Any]]], answers: list[Written[Any] | Failed]
    ) -> None:
        try:
            self._tell([each for each in answers if isinstance(each, Written)])
        finally:
            for work, answer in zip(batch, answers, strict=True):
                settle(work.waits, answer.answer if isinstance(answer, Written) else answer)

    def _count_pages(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

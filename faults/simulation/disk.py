"""The store of a simulated world: the real SQL over one database in memory, for all hosts.

A transaction is one instant, as it is for whoever waits for one; what surrounds it takes time
and may fail: before the commit, or after it, so that nobody knows what became of it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import apsw

from abeyance.pending.request import Key
from abeyance.store.ports import StoreAway
from abeyance.store.sql.changes import Written
from abeyance.store.sql.db import Operation, Row
from abeyance.store.sql.store import SqlStore
from abeyance.store.sqlite.drive import AtOnce, drive
from faults.simulation.chance import Chance, Fault

T = TypeVar("T")

_SLOW = 0.05  # seconds, and rarely longer
_FAILS = 0.004
_NEWS = 0.2  # until another host has heard of a commit


@dataclass(slots=True)
class Disk:
    """What the hosts share. `image`: a database as `serialize` gives it."""

    image: bytes
    chance: Chance
    stores: list["SimulatedStore"] = field(default_factory=list)
    connection: apsw.Connection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = apsw.Connection(":memory:")
        self.connection.deserialize("main", self.image)
        for pragma in ("foreign_keys = ON", "recursive_triggers = ON"):
            self.connection.execute(f"PRAGMA {pragma}")

    def look(self, statement: str, **values: Any) -> Sequence[Row]:
        """Past all faults, for whoever judges."""
        return self.connection.execute(statement, values).fetchall()

    def transact(self, write: Operation[Written[T]]) -> Written[T]:
        db = self.connection
        db.execute("BEGIN IMMEDIATE; SAVEPOINT change")
        try:
            written = drive(write(AtOnce(db)))
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        for store in self.stores:
            store.hear(written)
        return written


class SimulatedStore(SqlStore):
    """One host's way to the disk; it ends with the host."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._moved: list[Callable[[Key], None]] = []
        self._post: list[Callable[[], None]] = []
        disk.stores.append(self)

    async def close(self) -> None:
        if self in self._disk.stores:
            self._disk.stores.remove(self)

    async def check(self) -> None:
        await self._read(_nothing)

    def on_change(self, tell: Callable[[Key], None]) -> None:
        self._moved.append(tell)

    def on_messages(self, tell: Callable[[], None]) -> None:
        self._post.append(tell)

    def hear(self, written: Written[Any]) -> None:
        """Somebody has committed: tell who listens, a little later."""
        if not written.moved and not written.posted:
            return
        loop = asyncio.get_running_loop()
        loop.call_later(self._disk.chance.soon(_NEWS), self._tell, written)

    def _tell(self, written: Written[Any]) -> None:
        for held in written.moved:
            for moved in self._moved:
                moved(held.key)
        if written.posted:
            for posted in self._post:
                posted()

    async def _read(self, read: Operation[T]) -> T:
        await self._arrive()
        found = drive(read(AtOnce(self._disk.connection)))
        await self._return()
        return found

    async def _change(self, write: Operation[Written[T]]) -> T:
        await self._arrive()
        written = self._disk.transact(write)
        await self._return()
        return written.answer

    async def _arrive(self) -> None:
        await asyncio.sleep(self._disk.chance.soon(_SLOW))
        if self not in self._disk.stores:
            raise StoreAway("simulated: the host is gone")  # what it would still do, it does not
        if self._disk.chance.strikes(Fault.STORE_BEFORE, _FAILS):
            raise StoreAway("simulated: before the transaction")

    async def _return(self) -> None:
        await asyncio.sleep(self._disk.chance.soon(_SLOW))
        if self._disk.chance.strikes(Fault.STORE_AFTER, _FAILS):
            raise StoreAway("simulated: after the transaction")


async def _nothing(_: object) -> None:
    """A look at nothing."""

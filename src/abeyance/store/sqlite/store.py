"""`SqliteStore`: the ports of `abeyance.store.ports` over one file.

Writes go to the writer's lane, reads to the reader's; what a poll needs is
remembered (`hot`). This file puts them together and decides nothing else.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from abeyance.parties.client import Client, ClientId
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.request import Held, Key
from abeyance.pending.states import TRANSITIONS, stage_of
from abeyance.store.ports import StoreAway
from abeyance.store.sql import changes, parties, requests
from abeyance.store.sql.changes import Written
from abeyance.store.sql.db import Db, Operation
from abeyance.store.sql.store import SqlStore
from abeyance.store.sqlite.connection import AWAY
from abeyance.store.sqlite.hot import Memory
from abeyance.store.sqlite.reader import Reader
from abeyance.store.sqlite.writer import Writer

T = TypeVar("T")

_MOST_CLIENTS: Final = 10_000


class SqliteStore(SqlStore):
    """Open it with `open`; it is ready then, and this process owns the file."""

    def __init__(self, path: Path, memory: int, vfs: str | None) -> None:
        self._held: Memory[bytes, Held] = Memory(memory)
        self._clients: Memory[ClientId, Client] = Memory(_MOST_CLIENTS)
        self._listeners: list[Callable[[Key], None]] = []
        self._post: list[Callable[[], None]] = []
        self._writer = Writer(path, vfs, self._after_commit)
        self._reader = Reader(path, vfs)

    @classmethod
    async def open(
        cls, path: Path | str, *, memory: int = 200_000, vfs: str | None = None
    ) -> "SqliteStore":
        """Open the file, make or migrate it, and own it until `close`.

        `memory` bounds how many open requests are kept at hand (0.8 kB each).
        Raises `StoreInUse`, `StoreTooNew`, or `StoreAway` if the file cannot be used.
        """
        store = cls(Path(path), memory, vfs)
        try:
            await store._writer.start()
            try:
                await store._reader.start()
            except BaseException:
                await store._writer.close()
                raise
        except (*AWAY, OSError) as fault:
            raise StoreAway(f"{path} cannot be opened: {fault}") from fault
        return store

    async def close(self) -> None:
        """Do what still waits, then let go of the file."""
        await self._reader.close()
        await self._writer.close()

    def on_change(self, tell: Callable[[Key], None]) -> None:
        self._listeners.append(tell)

    def on_messages(self, tell: Callable[[], None]) -> None:
        self._post.append(tell)

    async def check(self) -> None:
        await self._writer.run(_beat)
        await self._reader.run(_look)

    # --- what is remembered

    async def find_held(self, handle: HandleHash) -> Held | None:
        held = self._held.get(handle.digest)
        if held is not None:
            return held if held.key.home == handle.home else None
        return await self._held.load(
            handle.digest, self._reader.run(partial(requests.find_held, handle=handle))
        )

    async def find_client(self, client: ClientId) -> Client | None:
        known = self._clients.get(client)
        if known is not None:
            return known
        return await self._clients.load(
            client, self._reader.run(partial(parties.find_client, client=client))
        )

    # --- transactions

    async def _read(self, read: Operation[T]) -> T:
        return await self._reader.run(read)

    async def _change(self, write: Operation[Written[T]]) -> T:
        return await self._writer.run(write)

    def _after_commit(self, batch: Sequence[Written[Any]]) -> None:
        """Set the memory right for the whole batch, then tell who listens."""
        for written in batch:
            for held in written.moved:
                if TRANSITIONS[stage_of(held.state)]:
                    self._held.put(held.handle.digest, held)
                else:
                    self._held.forget(held.handle.digest)
            for digest in written.forgotten:
                self._held.forget(digest)
            if written.client is not None:
                self._clients.put(written.client.id, written.client)
        for key in {held.key: None for written in batch for held in written.moved}:
            for listener in self._listeners:
                listener(key)
        if any(written.posted for written in batch):
            for tell in self._post:
                tell()


async def _beat(db: Db) -> Written[None]:
    await changes.beat(db, Home(bytes(16)))
    return Written(None)


async def _look(db: Db) -> None:
    await db.rows("SELECT version FROM schema_version")

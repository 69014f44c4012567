"""`SqliteStore`: the ports of `abeyance.store.ports` over one file.

Writes go to the writer's lane, reads to the reader's; what a poll needs is
remembered (`hot`). This file puts them together and decides nothing else.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw

from abeyance.parties.client import Client, ClientId
from abeyance.parties.person import ConsoleSession, Invitation, Person, PersonId
from abeyance.pending.change import Applied, AuditEvent, Change, Superseded, TokenRecord
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.request import Held, Key, Loaded
from abeyance.pending.states import TRANSITIONS, stage_of
from abeyance.store.ports import Page, SecurityEvent, StoreAway
from abeyance.store.sqlite import changes, inbox, parties, requests
from abeyance.store.sqlite.changes import Written
from abeyance.store.sqlite.connection import AWAY
from abeyance.store.sqlite.hot import Memory
from abeyance.store.sqlite.reader import Reader
from abeyance.store.sqlite.writer import Writer

T = TypeVar("T")

_MOST_CLIENTS: Final = 10_000


class SqliteStore:
    """Open it with `open`; it is ready then, and this process owns the file."""

    def __init__(self, path: Path, memory: int, vfs: str | None) -> None:
        self._held: Memory[bytes, Held] = Memory(memory)
        self._clients: Memory[ClientId, Client] = Memory(_MOST_CLIENTS)
        self._listeners: list[Callable[[Key], None]] = []
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

    async def check(self) -> None:
        await self._writer.run(_beat)
        await self._reader.run(_look)

    # --- requests

    async def find_held(self, handle: HandleHash) -> Held | None:
        held = self._held.get(handle.digest)
        if held is not None:
            return held if held.key.home == handle.home else None
        return await self._held.load(
            handle.digest, self._reader.run(partial(requests.find_held, handle=handle))
        )

    async def find_loaded(self, key: Key) -> Loaded | None:
        return await self._reader.run(partial(requests.find_loaded, key=key))

    async def find_token(self, home: Home, jti: bytes) -> TokenRecord | None:
        return await self._reader.run(partial(requests.find_token, home=home, jti=jti))

    async def find_events(self, key: Key) -> Sequence[AuditEvent]:
        return await self._reader.run(partial(requests.list_events, key=key))

    async def apply(self, change: Change) -> Applied | Superseded:
        return await self._writer.run(partial(changes.apply, change=change))

    # --- inbox and sweeps

    async def list_waiting(
        self, reviewer: PersonId, *, now: datetime, limit: int, cursor: str | None = None
    ) -> Page:
        return await self._reader.run(
            partial(inbox.list_waiting, reviewer=reviewer, now=now, limit=limit, cursor=cursor)
        )

    async def count_waiting(self, reviewer: PersonId, *, now: datetime, at_most: int) -> int:
        return await self._reader.run(
            partial(inbox.count_waiting, reviewer=reviewer, now=now, at_most=at_most)
        )

    async def find_open_homes(self, client: ClientId, limit: int) -> Sequence[Home]:
        return await self._reader.run(partial(requests.list_open_homes, client=client, limit=limit))

    # --- parties

    async def find_client(self, client: ClientId) -> Client | None:
        known = self._clients.get(client)
        if known is not None:
            return known
        return await self._clients.load(
            client, self._reader.run(partial(parties.find_client, client=client))
        )

    async def list_clients(self) -> Sequence[Client]:
        return await self._reader.run(parties.list_clients)

    async def put_client(self, client: Client) -> None:
        def put(db: apsw.Connection) -> Written[None]:
            parties.put_client(db, client)
            return Written(None, client=client)

        await self._writer.run(put)

    async def find_person(self, person: PersonId) -> Person | None:
        return await self._reader.run(partial(parties.find_person, person=person))

    async def list_people(self) -> Sequence[Person]:
        return await self._reader.run(parties.list_people)

    async def put_person(self, person: Person) -> None:
        await self._write(partial(parties.put_person, person=person))

    async def put_session(self, session: ConsoleSession) -> None:
        await self._write(partial(parties.put_session, session=session))

    async def find_session(self, digest: bytes) -> ConsoleSession | None:
        return await self._reader.run(partial(parties.find_session, digest=digest))

    async def end_session(self, digest: bytes) -> None:
        await self._write(partial(parties.end_session, digest=digest))

    async def end_sessions_of(self, person: PersonId) -> None:
        await self._write(partial(parties.end_sessions_of, person=person))

    async def put_invitation(self, invitation: Invitation) -> None:
        await self._write(partial(parties.put_invitation, invitation=invitation))

    async def find_invitation(self, digest: bytes) -> Invitation | None:
        return await self._reader.run(partial(parties.find_invitation, digest=digest))

    async def accept_invitation(self, digest: bytes, person: Person, now: datetime) -> bool:
        return await self._write(
            partial(parties.accept_invitation, digest=digest, person=person, now=now)
        )

    async def record(self, event: SecurityEvent) -> None:
        await self._write(partial(parties.record, event=event))

    async def list_security_events(self, limit: int) -> Sequence[SecurityEvent]:
        return await self._reader.run(partial(parties.list_security_events, limit=limit))

    # --- after a commit

    async def _write(self, write: Callable[[apsw.Connection], T]) -> T:
        return await self._writer.run(lambda db: Written(write(db)))

    def _after_commit(self, batch: Sequence[Written[Any]]) -> None:
        """Set the memory right for the whole batch, then tell who listens."""
        for written in batch:
            for held in written.moved:
                if TRANSITIONS[stage_of(held.state)]:
                    self._held.put(held.handle.digest, held)
                else:
                    self._held.forget(held.handle.digest)
            if written.client is not None:
                self._clients.put(written.client.id, written.client)
        for key in {held.key: None for written in batch for held in written.moved}:
            for listener in self._listeners:
                listener(key)


def _beat(db: apsw.Connection) -> Written[None]:
    changes.beat(db, Home(bytes(16)))
    return Written(None)


def _look(db: apsw.Connection) -> None:
    db.execute("SELECT version FROM schema_version").fetchall()

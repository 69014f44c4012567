"""`PostgresStore`: the ports of `abeyance.store.ports` over a PostgreSQL database.

Any number of processes may have it open. Nothing that moves is remembered here: a poll looks its
request up in the database, together with all others that ask in the same turn of the loop
(`gather`). Clients are remembered for a moment, and no change of a client is acknowledged
before that moment is over in every process (`known`). Processes wake each other (`wakes`), and
end what one of them has begun that was stopped in the middle (`silence`).
This file puts the parts together and decides nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, TypeVar

from abeyance.parties.client import Client, ClientId
from abeyance.pending.handles import HOME_BYTES, HandleHash, Home
from abeyance.pending.request import Held, Key
from abeyance.proofs.replay import ReplayMark
from abeyance.store.ports import StoreAway, StoreTooNew
from abeyance.store.postgres.address import Bounds, connect, parse_address
from abeyance.store.postgres.engine import Engine
from abeyance.store.postgres.faults import told, unreachable
from abeyance.store.postgres.gather import Gathered
from abeyance.store.postgres.known import LEASE, Known
from abeyance.store.postgres.schema import migrate
from abeyance.store.postgres.silence import Silence
from abeyance.store.postgres.used import Used
from abeyance.store.postgres.wakes import Wakes
from abeyance.store.sql import changes, rows, rows_parties
from abeyance.store.sql.changes import Written
from abeyance.store.sql.db import Db, Operation
from abeyance.store.sql.store import SqlStore
from abeyance.store.sql.text import HELD, sql

T = TypeVar("T")

FIND_HELD: Final = sql(
    """
    SELECT {held}
      FROM request
     WHERE home = ANY($1::bytea[])
    """,
    held=HELD,
)
FIND_CLIENTS: Final = "SELECT document FROM client WHERE id = ANY($1::text[])"


class PostgresStore(SqlStore):
    """Open it with `open`; it is ready then. `lease`: seconds for which a client is remembered."""

    def __init__(self, url: str, bounds: Bounds, lease: float) -> None:
        self._address = parse_address(url)
        self._bounds = bounds
        self._engine = Engine(self._address, bounds)
        # By home and digest in one, since bytes remember their hash.
        self._lookups: Gathered[bytes, Held] = Gathered(self._find_held)
        self._clients: Gathered[ClientId, Client] = Gathered(self._find_clients)
        self._known = Known(lease)
        self._used = Used(self._engine)
        self._silence = Silence(self._engine, bounds.idle)
        self._listeners: list[Callable[[Key], None]] = []
        self._earners: list[Callable[[bytes], None]] = []
        self._post: list[Callable[[], None]] = []
        self._answerers: list[Callable[[Key], None]] = []
        self._wakes = Wakes(
            self._engine,
            self._address,
            bounds,
            moved=self._moved,
            earned=self._earned,
            answered=self._answered,
        )

    @classmethod
    async def open(
        cls, url: str, *, bounds: Bounds | None = None, lease: float = LEASE
    ) -> "PostgresStore":
        """Connect, make or migrate the schema.

        Raises `ValueError` for what is no URL of a database (never repeating it), `StoreTooNew`,
        or `StoreAway` if the database cannot be used.
        """
        store = cls(url, bounds or Bounds(), lease)
        try:
            await store._migrate()
            await store.check()
            await store._wakes.start()
            store._silence.start()
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Do what still waits, then let go of the connections."""
        await self._wakes.close()
        await self._silence.close()
        await self._engine.close()
        await self._lookups.close()
        await self._clients.close()
        await self._used.close()

    def on_change(self, tell: Callable[[Key], None]) -> None:
        self._listeners.append(tell)

    def on_messages(self, tell: Callable[[], None]) -> None:
        self._post.append(tell)

    def on_earned(self, tell: Callable[[bytes], None]) -> None:
        """Call `tell` with the digest of a handle that has earned a poll in another process."""
        self._earners.append(tell)

    def share_earned(self, digest: bytes) -> None:
        """Let the other processes know that this handle has earned a poll."""
        self._wakes.tell_earned(digest)

    def on_answered(self, tell: Callable[[Key], None]) -> None:
        """Call `tell` with a request whose first answer another process has seen off."""
        self._answerers.append(tell)

    def share_answered(self, key: Key) -> None:
        """Let the other processes know that the first answer is on the network."""
        self._wakes.tell_answered(key)

    async def check(self) -> None:
        await self._change(_beat)
        await self._read(_look)

    async def find_time(self) -> datetime:
        """What the database's clock says: all processes judge by it."""
        [[now]] = await self._engine.look_up("SELECT clock_timestamp()")
        told: datetime = now
        return told

    # --- what a poll asks

    async def use(self, mark: ReplayMark, *, now: datetime) -> bool:
        """Take the mark for all processes; `False` if it was taken before."""
        return await self._used.use(mark, now=now)

    async def find_held(self, handle: HandleHash) -> Held | None:
        return await self._lookups.find(handle.home + handle.digest)

    async def find_client(self, client: ClientId) -> Client | None:
        return self._known.get(client) or await self._known.load(client, self._clients.find)

    async def _find_held(self, handles: Sequence[bytes]) -> Mapping[bytes, Held]:
        homes = [handle[:HOME_BYTES] for handle in handles]
        found = map(rows.parse_held, await self._engine.look_up(FIND_HELD, homes))
        return {held.handle.home + held.handle.digest: held for held in found}

    async def _find_clients(self, clients: Sequence[ClientId]) -> Mapping[ClientId, Client]:
        found = await self._engine.look_up(FIND_CLIENTS, list(clients))
        known = [rows_parties.parse_client(str(document)) for (document,) in found]
        return {client.id: client for client in known}

    # --- transactions

    async def _read(self, read: Operation[T]) -> T:
        return await self._engine.read(read)

    async def _change(self, write: Operation[Written[T]]) -> T:
        written = await self._engine.write(write, self._after_commit)
        if written.replaced:
            await self._known.outlive()
        return written.answer

    def _after_commit(self, written: Written[Any]) -> None:
        moved = dict.fromkeys(held.key for held in written.moved)
        for key in moved:
            self._moved(key)
        self._wakes.tell_moved(moved)
        if written.posted:
            for tell in self._post:
                tell()

    def _moved(self, key: Key) -> None:
        for listener in self._listeners:
            listener(key)

    def _earned(self, digest: bytes) -> None:
        for tell in self._earners:
            tell(digest)

    def _answered(self, key: Key) -> None:
        for tell in self._answerers:
            tell(key)

    async def _migrate(self) -> None:
        try:
            connection = await connect(self._address, self._bounds, name="abeyance schema")
        except Exception as fault:
            raise unreachable(fault) from fault
        try:
            await migrate(connection)
        except (StoreAway, StoreTooNew):
            raise
        except Exception as fault:
            raise told(fault, closed=connection.is_closed()) from fault
        finally:
            with suppress(Exception):
                await connection.close(timeout=1)


async def _beat(db: Db) -> Written[None]:
    await changes.beat(db, Home(bytes(16)))
    return Written(None)


async def _look(db: Db) -> None:
    await db.rows("SELECT version FROM schema_version LIMIT 1")

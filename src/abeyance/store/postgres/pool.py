"""Connections that are held: taken for one operation, given back as they were.

Not asyncpg's pool, which asks the server to reset each connection that comes back: half the
price of a short read. Nothing here leaves anything in a session, and what an operation that was
cut short left is mended before anybody else gets it (`mend`).

While the database is away nobody waits for it: after a connection failed, all are told so for
a moment; the first who asks behind it tries again. So it recovers by itself, with its callers.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg

from abeyance.store.ports import StoreAway
from abeyance.store.postgres.address import Connection
from abeyance.store.postgres.faults import Meaning, meaning, unreachable

MOST_WAITING: Final = 20_000  # who comes later is told at once that the store is away
RETRY: Final = 0.25  # seconds between attempts to connect while the database is away
_MENDING: Final = 2.0  # seconds
_NO_MORE: Final = frozenset({"53300"})  # too many connections

Connect = Callable[[], Awaitable[Connection]]


class Pool:
    """At most `most` connections, made when they are needed; touched by one loop alone."""

    def __init__(self, connect: Connect, *, most: int, queue: float) -> None:
        self._connect = connect
        self._most = most
        self._patience = queue
        self._idle: list[Connection] = []  # the one used last is used next
        self._open: dict[Connection, int] = {}  # with the generation that they are of
        self._generation = 0
        self._coming = 0  # connections that are being made
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._away: StoreAway | None = None
        self._away_until = 0.0
        self._mending: set[asyncio.Task[None]] = set()
        self._closed = False

    async def take(self) -> Connection:
        """A connection for the caller alone, until `give` or `mend`. Raises `StoreAway`."""
        if self._closed:
            raise StoreAway("the store is closed")
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._forget(connection)
        if len(self._open) + self._coming < self._most:
            made = await self._make()
            if made is not None:
                return made
            if self._idle:  # given back meanwhile, when nobody waited
                return await self.take()
        return await self._wait()

    def give(self, connection: Connection) -> None:
        """Take back a connection that is in no transaction and waits for nothing."""
        old = self._open.get(connection) != self._generation
        if connection.is_closed() or old or self._closed:
            self._drop(connection)
            return
        if not self._hand_on(connection):
            self._idle.append(connection)

    def mend(self, connection: Connection) -> None:
        """Take back a connection whose operation was cut short, as soon as it is clean."""
        if connection.is_closed():
            self._drop(connection)
            return
        task = asyncio.get_running_loop().create_task(self._mend(connection))
        self._mending.add(task)
        task.add_done_callback(self._mending.discard)

    def distrust(self, lost: Connection) -> None:
        """`lost`, not given back yet, is of no more use: nor is whatever is as old."""
        if self._open.get(lost) != self._generation:
            return  # somebody has said so, and what is open now is newer
        self._generation += 1
        idle, self._idle = self._idle, []
        for connection in idle:
            self._drop(connection)

    async def close(self) -> None:
        """Close what is idle, wait for what is being mended; who waits hears `StoreAway`."""
        self._closed = True
        self._tell_away(StoreAway("the store is closed"))
        idle, self._idle = self._idle, []
        await asyncio.gather(*self._mending, return_exceptions=True)
        for connection in idle:
            self._forget(connection)
            with contextlib.suppress(Exception):
                await connection.close(timeout=_MENDING)

    def __len__(self) -> int:
        """How many connections there are."""
        return len(self._open)

    async def _make(self) -> Connection | None:
        """Open one more; `None` if the server has no room for it but others of ours are there."""
        loop = asyncio.get_running_loop()
        if self._away is not None and loop.time() < self._away_until:
            raise StoreAway(*self._away.args) from self._away.__cause__
        self._coming += 1
        try:
            connection = await self._connect()
        except Exception as fault:
            state = fault.sqlstate if isinstance(fault, asyncpg.PostgresError) else None
            if state in _NO_MORE and self._open:
                return None
            if meaning(fault, closed=True) is Meaning.BUG and not isinstance(
                fault, asyncpg.PostgresError
            ):
                raise
            away = unreachable(fault)
            self._away, self._away_until = away, loop.time() + RETRY
            self._tell_away(away)
            raise away from fault
        finally:
            self._coming -= 1
        self._away = None
        self._open[connection] = self._generation
        if self._closed:
            self._drop(connection)
            raise StoreAway("the store is closed")
        return connection

    async def _wait(self) -> Connection:
        if len(self._waiting) >= MOST_WAITING:
            raise StoreAway("too much is waiting for the database")
        waits: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waits)
        try:
            async with asyncio.timeout(self._patience):
                connection = await waits
        except BaseException as end:
            # It may have come at the same moment: then it goes to the next.
            if waits.done() and not waits.cancelled() and waits.exception() is None:
                given = waits.result()
                if given is None:
                    self._hand_on(None)
                else:
                    self.give(given)
            if isinstance(end, TimeoutError):
                raise StoreAway("no connection to the database came free in time") from None
            raise
        return await self.take() if connection is None else connection

    async def _mend(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(_MENDING):
                # Waits by itself until the server has acknowledged that a statement was cancelled.
                await connection.execute(
                    "ROLLBACK" if connection.is_in_transaction() else "SELECT 1"
                )
        except (Exception, asyncio.CancelledError):
            self._drop(connection)
        else:
            self.give(connection)

    def _drop(self, connection: Connection) -> None:
        connection.terminate()
        self._forget(connection)
        self._hand_on(None)

    def _hand_on(self, connection: Connection | None) -> bool:
        """Give it, or the right to make one, to whoever has waited longest."""
        while self._waiting:
            waits = self._waiting.popleft()
            if not waits.done():
                waits.set_result(connection)
                return True
        return False

    def _forget(self, connection: Connection) -> None:
        self._open.pop(connection, None)

    def _tell_away(self, away: StoreAway) -> None:
        waiting, self._waiting = self._waiting, deque()
        for waits in waiting:
            if not waits.done():
                waits.set_exception(StoreAway(*away.args))

"""Runs operations on PostgreSQL: each in one transaction, retried where that is safe.

Deadlocks and serialization failures begin anew, with the whole operation. A connection that
is lost before COMMIT was sent has done nothing, so the operation begins anew on another one.
Lost behind that, the outcome is unknown to the caller and the stored row is the truth:
`StoreAway`. A caller that goes away does not undo its change, as on SQLite.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import structlog

from abeyance.store.postgres.address import Address, Bounds, Connection, bounded, connect
from abeyance.store.postgres.faults import Meaning, is_its_own, meaning, name_of, told
from abeyance.store.postgres.pool import Pool
from abeyance.store.postgres.session import Alone, AnotherStatement, Bare, Glance, Snapshot, Writing
from abeyance.store.sql.db import Operation, Row

T = TypeVar("T")

CONNECTIONS: Final = 8  # of one process, for operations
LOOKERS: Final = 2  # and for looking up what is polled
_TRIES: Final = 5  # of an operation that gets in others' way
_LOSSES: Final = 2  # connections that an operation may lose before it has done anything
_PAUSE: Final = 0.005  # seconds

_log = structlog.get_logger("abeyance.store")


class _Session(Protocol):
    @property
    def unsure(self) -> bool:
        """Has COMMIT been sent, so that only the row tells what came of it?"""
        ...

    async def commit(self) -> None: ...


S = TypeVar("S", bound=_Session)


class Engine:
    """The connections of one process to one database."""

    def __init__(self, address: Address, bounds: Bounds, *, most: int = CONNECTIONS) -> None:
        open_one = partial(connect, address, bounds)
        queue = bounds.queue.total_seconds()
        self._bounds = bounded(address, bounds)
        self._operations = Pool(open_one, most=most, queue=queue)
        self._lookers = Pool(open_one, most=LOOKERS, queue=queue)
        self._writes: set[asyncio.Task[Any]] = set()
        self._several: set[object] = set()  # kinds of reads that are not one statement

    async def write(self, operation: Operation[T], then: Callable[[T], None] | None = None) -> T:
        """Run `operation` in one transaction; return when it is durable.

        `then` is called on the loop behind the COMMIT, before the caller hears of it. Raises
        `StoreAway`: the outcome is unknown if COMMIT had been sent, else nothing was done.
        """
        task = asyncio.get_running_loop().create_task(self._write(operation, then))
        self._writes.add(task)
        task.add_done_callback(self._written)
        return await asyncio.shield(task)

    async def read(self, operation: Operation[T]) -> T:
        """Run `operation`, whose statements all see one moment, not before this call.

        Most are one statement, which needs no transaction around it. One that turns out to have
        a second begins anew in a transaction, and so does the next of its kind from the start.
        """
        kind = _kind(operation)
        if kind not in self._several:
            try:
                return await self._run(self._operations, Glance, operation)
            except AnotherStatement:
                self._several.add(kind)
        return await self._run(self._operations, partial(Snapshot, bounds=self._bounds), operation)

    async def look_up(self, text: str, *values: Any) -> Sequence[Row]:
        """Run one statement with `$1` ... that reads, for many who wait; see `gather`."""
        return await self._run(self._lookers, Bare, partial(_fetch, text, values))

    async def put(self, text: str, *values: Any) -> Sequence[Row]:
        """Run one statement with `$1` ... that writes, by itself. Raises `StoreAway`: the
        outcome is unknown.
        """
        return await self._run(self._lookers, Alone, partial(_fetch, text, values))

    async def close(self) -> None:
        """Let what is being written end, then close."""
        while self._writes:
            await asyncio.wait(self._writes)
        await self._operations.close()
        await self._lookers.close()

    async def _write(self, operation: Operation[T], then: Callable[[T], None] | None) -> T:
        begin = partial(Writing, bounds=self._bounds)
        answer = await self._run(self._operations, begin, operation)
        if then is not None:
            then(answer)
        return answer

    def _written(self, task: asyncio.Task[Any]) -> None:
        self._writes.discard(task)
        if not task.cancelled():
            task.exception()  # also when its caller has gone, so that nobody misses it

    async def _run(
        self, pool: Pool, begin: Callable[[Connection], S], operation: Callable[[S], Awaitable[T]]
    ) -> T:
        tries = losses = 0
        while True:
            connection = await pool.take()
            session = begin(connection)
            try:
                answer = await operation(session)
                await session.commit()
            except AnotherStatement:
                pool.give(connection)
                raise
            except Exception as fault:
                closed = connection.is_closed()
                means = meaning(fault, closed=closed)
                if means is Meaning.LOST:
                    pool.distrust(connection)
                pool.mend(connection)
                match means:
                    case Meaning.AGAIN if tries < _TRIES:
                        tries += 1
                        await asyncio.sleep(_PAUSE * 2**tries * secrets.randbelow(100) / 100)
                        continue
                    case Meaning.LOST if losses < _LOSSES and not session.unsure:
                        losses += 1
                        continue
                    case _ if is_its_own(fault):
                        # Whoever asked hears "not now"; nobody else would hear of it.
                        _log.error("the database has a fault of its own", kind=name_of(fault))
                    case _:
                        pass
                raise told(fault, closed=closed) from fault.__cause__
            except BaseException:
                pool.mend(connection)  # the caller has gone
                raise
            pool.give(connection)
            return answer


async def _fetch(text: str, values: Sequence[Any], bare: Bare) -> Sequence[Row]:
    return await bare.fetch(text, values)


def _kind(operation: Operation[Any]) -> object:
    """What the calls of one operation have in common, whatever their arguments."""
    function = operation.func if isinstance(operation, partial) else operation
    return getattr(function, "__code__", function)

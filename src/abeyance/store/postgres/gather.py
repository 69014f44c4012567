"""Look-ups that wait leave together: one statement for all that ask within a turn of the loop.

Half the price of a poll would otherwise be its own round trip. Nobody waits for a timer: the
first who asks sends what the same turn of the loop brings, and while a statement is under way
the next ones gather; only many who wait get one beside it. Half as many keys in a statement cost
a poll a fifth more. Whoever asks is answered by a statement that is sent after that, so it
sees the latest commit.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Generic, TypeVar

from abeyance.store.ports import StoreAway

K = TypeVar("K")
V = TypeVar("V")

MOST_AT_ONCE: Final = 256  # keys of one statement
UNDER_WAY: Final = 2  # statements
ENOUGH: Final = 64  # keys that wait, for a statement beside another
MOST_WAITING: Final = 20_000


class Gathered(Generic[K, V]):
    """`ask` finds many at once; what it does not find is left out."""

    def __init__(
        self,
        ask: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]],
        *,
        under_way: int = UNDER_WAY,
    ) -> None:
        self._ask = ask
        self._under_way = under_way
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._called = False

    def find(self, key: K) -> "asyncio.Future[V | None]":
        """What `ask` says of this key from now on. Raises what it raises, or `StoreAway`.

        A future and no coroutine: each that a poll goes through on its way back costs.
        """
        loop = asyncio.get_running_loop()
        waits: asyncio.Future[V | None] = loop.create_future()
        others = self._waiting.get(key)
        if others is not None:
            others.append(waits)
        elif len(self._waiting) < MOST_WAITING:
            self._waiting[key] = [waits]
        else:
            raise StoreAway("too much is waiting for the database")
        if not self._called:
            self._called = True
            loop.call_soon(self._send)
        return waits

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._tasks)

    def _send(self) -> None:
        self._called = False
        while self._waiting and self._may_send():
            batch = self._take()
            task = asyncio.get_running_loop().create_task(self._answer(batch))
            self._tasks.add(task)
            task.add_done_callback(self._landed)

    def _take(self) -> Mapping[K, list["asyncio.Future[V | None]"]]:
        batch = self._waiting
        if len(batch) <= MOST_AT_ONCE:
            self._waiting = {}
            return batch
        items = list(batch.items())
        self._waiting = dict(items[MOST_AT_ONCE:])
        return dict(items[:MOST_AT_ONCE])

    def _may_send(self) -> bool:
        if not self._tasks:
            return True
        return len(self._tasks) < self._under_way and len(self._waiting) >= ENOUGH

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._send()

    async def _answer(self, batch: Mapping[K, list["asyncio.Future[V | None]"]]) -> None:
        try:
            found = await self._ask(list(batch))
        except BaseException as fault:
            for waits in _still(batch.values()):
                waits.set_exception(_own(fault))
            if not isinstance(fault, Exception):
                raise
        else:
            for key, waiting in batch.items():
                value = found.get(key)
                for waits in waiting:
                    if not waits.done():
                        waits.set_result(value)


def _still(
    waiting: Iterable[list["asyncio.Future[V | None]"]],
) -> Iterator["asyncio.Future[V | None]"]:
    """Those who have not gone meanwhile."""
    return (waits for some in waiting for waits in some if not waits.done())


def _own(fault: BaseException) -> BaseException:
    """Each who waits gets an exception of its own: a shared one would grow with each raise."""
    if isinstance(fault, StoreAway):
        own = StoreAway(*fault.args)
        own.__cause__ = fault.__cause__
        return own
    if isinstance(fault, Exception):
        return fault
    return StoreAway("the store is closing")

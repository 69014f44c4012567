"""Waking those who wait for a change: held polls, and pages that update themselves.

Whoever waits for one thing has a bell at its key, so that a change wakes those whom it
concerns and costs nothing for the rest, however many they are. A lost wake-up costs
latency, never correctness: whoever wakes reads the store.
"""

import asyncio
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class Bell:
    """Rings for one who waits. `over`: there is nothing more to wait for."""

    __slots__ = ("_event", "over")

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.over = False

    def ring(self) -> None:
        self._event.set()

    def end(self) -> None:
        """The time is up, or the house closes."""
        self.over = True
        self._event.set()

    def still(self) -> None:
        """Hear the next ring only. What is read after this has everything before it."""
        self._event.clear()

    async def wait(self) -> None:
        await self._event.wait()


class Waiters:
    """Bells by key, and one for all changes; each waiter bounds its wait."""

    __slots__ = ("_bells", "_capacity", "_closed", "_common", "_waiting")

    def __init__(self, capacity: int = 1_000) -> None:
        self._capacity = capacity
        self._waiting = 0
        self._common = asyncio.Event()
        self._bells: dict[Hashable, tuple[Bell, ...]] = {}
        self._closed = False

    def ring(self, key: Hashable = None) -> None:
        """Something has changed at `key`: wake those who listen there or for any change."""
        common, self._common = self._common, asyncio.Event()
        common.set()
        for bell in self._bells.get(key, ()):
            bell.ring()

    def close(self) -> None:
        """Let nobody wait any longer, nor begin to: the house wants to close."""
        self._closed = True
        self._common.set()
        for bells in self._bells.values():
            for bell in bells:
                bell.end()

    @contextmanager
    def listen(self, key: Hashable) -> Iterator[Bell]:
        """A bell at this key, for as long as the block lasts."""
        bell = Bell()
        if self._closed:
            bell.end()
        self._bells[key] = (*self._bells.get(key, ()), bell)
        try:
            yield bell
        finally:
            left = tuple(each for each in self._bells[key] if each is not bell)
            if left:
                self._bells[key] = left
            else:
                del self._bells[key]

    async def wait(self, seconds: float) -> bool:
        """Wait for any change; `False` if none came in time or too many wait already."""
        if self._waiting >= self._capacity or self._closed:
            return False
        common = self._common
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await common.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return True

    def __len__(self) -> int:
        """How many bells hang."""
        return sum(map(len, self._bells.values()))

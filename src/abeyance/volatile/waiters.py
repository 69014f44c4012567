"""Waking those who wait for a change: pages that update themselves.

A lost wake-up costs latency, never correctness: whoever wakes reads the store.
"""

import asyncio


class Waiters:
    """One bell for all changes; each waiter has a bound on its wait."""

    __slots__ = ("_bell", "_capacity", "_waiting")

    def __init__(self, capacity: int = 1_000) -> None:
        self._capacity = capacity
        self._waiting = 0
        self._bell = asyncio.Event()

    def ring(self) -> None:
        """Wake everyone who waits now."""
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    async def wait(self, seconds: float) -> bool:
        """Wait for the next ring; `False` if none came in time or too many wait already."""
        if self._waiting >= self._capacity:
            return False
        bell = self._bell
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await bell.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return True

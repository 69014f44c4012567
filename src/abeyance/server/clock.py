"""The system's clock, the only place where the time is read (OAUTH-SEC-08)."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Final, Self

import structlog

from abeyance.store.ports import StoreAway

EVERY: Final = 30.0  # seconds between two looks at a clock that is shared
_WORTH_A_WORD: Final = timedelta(seconds=1)

_log = structlog.get_logger("abeyance.clock")


class SystemClock:
    """Wall time in UTC and monotonic ticks in seconds."""

    __slots__ = ()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def tick(self) -> float:
        return time.monotonic()

    def after(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, call)


class SharedClock(SystemClock):
    """The clock that several processes have in common, such as their database's.

    Ours, and how far it is from that: measured at the start and every `EVERY` seconds, right to
    half the time that asking took.
    """

    __slots__ = ("_ahead", "_ask", "_ours")

    def __init__(
        self, ask: Callable[[], Awaitable[datetime]], ours: Callable[[], datetime] | None = None
    ) -> None:
        self._ask = ask
        self._ours = ours or super().now
        self._ahead = timedelta()

    @classmethod
    @asynccontextmanager
    async def following(
        cls, ask: Callable[[], Awaitable[datetime]], ours: Callable[[], datetime] | None = None
    ) -> AsyncIterator[Self]:
        """Measure, and again and again while the block runs. Raises what `ask` raises."""
        clock = cls(ask, ours)
        await clock.measure()
        follows = asyncio.create_task(clock._follow())
        try:
            yield clock
        finally:
            follows.cancel()
            with suppress(asyncio.CancelledError):
                await follows

    def now(self) -> datetime:
        return self._ours() + self._ahead

    async def measure(self) -> None:
        """Set it right. Raises what `ask` raises, and keeps going as before then."""
        before = self._ours()
        there = await self._ask()
        after = self._ours()
        ahead = there - (before + (after - before) / 2)
        if abs(ahead - self._ahead) > _WORTH_A_WORD:
            _log.warning(
                "this machine's clock is not the database's", seconds=ahead.total_seconds()
            )
        self._ahead = ahead

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            with suppress(StoreAway):
                await self.measure()

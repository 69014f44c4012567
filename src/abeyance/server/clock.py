"""The system's clock, the only place where the time is read (OAUTH-SEC-08)."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime


class SystemClock:
    """Wall time in UTC and monotonic ticks in seconds."""

    __slots__ = ()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def tick(self) -> float:
        return time.monotonic()

    def after(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, call)

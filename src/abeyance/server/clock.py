"""The system's clock, the only place where the time is read (OAUTH-SEC-08)."""

import time
from datetime import UTC, datetime


class SystemClock:
    """Wall time in UTC and monotonic ticks in seconds."""

    __slots__ = ()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def tick(self) -> float:
        return time.monotonic()

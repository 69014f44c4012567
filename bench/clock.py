"""The clock of a server under the benchmark: the day goes as it goes, the pace runs ahead."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

SPEED: Final = 1_000.0


class HastyClock:
    """The system's clock, but for `tick`, which counts `SPEED` seconds for each.

    `tick` is read for the pace of polls (and for rates, which are out of reach
    anyway). With an interval of a second, a client may so poll once a
    millisecond, and no poll of the benchmark comes too early. `now`, by which
    proofs, assertions and deadlines are judged, is not touched.
    """

    __slots__ = ()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def tick(self) -> float:
        return time.monotonic() * SPEED

    def after(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, call)

"""Rates and back-off: token buckets by key, bounded (OAUTH-CAUTH-11, SEC-DOS-08).

No key is ever locked for good from outside: a bucket refills, a delay ends.
"""

import math
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

CAPACITY: Final = 100_000
FORGOTTEN: Final = 900.0  # seconds


class Buckets:
    """So many a second for each key, with a burst."""

    __slots__ = ("_burst", "_capacity", "_levels", "_rate")

    def __init__(self, *, rate: float, burst: int, capacity: int = CAPACITY) -> None:
        self._rate = rate
        self._burst = burst
        self._capacity = capacity
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, tick: float) -> int | None:
        """Take one; `None` if there was one, else the seconds to wait."""
        level, at = self._levels.get(key, (float(self._burst), tick))
        level = min(float(self._burst), level + max(0.0, tick - at) * self._rate)
        if level < 1.0:
            return max(1, math.ceil((1.0 - level) / self._rate))
        self._put(key, (level - 1.0, tick))
        return None

    def _put(self, key: Hashable, value: tuple[float, float]) -> None:
        self._levels[key] = value
        self._levels.move_to_end(key)
        if len(self._levels) > self._capacity:
            self._levels.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _Failures:
    count: int
    at: float
    blocked_until: float


class Backoff:
    """A delay that grows with each failure in a row, and ends with a success or with time.

    The first `free` failures cost nothing, then the delay doubles from `first`
    seconds to `longest`. Failures that lie back longer than `forgotten` seconds do
    not count: people behind one address mistype now and then.
    """

    __slots__ = ("_capacity", "_failures", "_first", "_forgotten", "_free", "_longest")

    def __init__(
        self,
        *,
        free: int,
        longest: float,
        first: float = 1.0,
        forgotten: float = FORGOTTEN,
        capacity: int = CAPACITY,
    ) -> None:
        self._free = free
        self._longest = longest
        self._first = first
        self._forgotten = forgotten
        self._capacity = capacity
        self._failures: OrderedDict[Hashable, _Failures] = OrderedDict()

    def wait(self, key: Hashable, tick: float) -> int | None:
        """The seconds to wait before this key may try again; `None`: now."""
        failures = self._failures.get(key)
        if failures is None or failures.blocked_until <= tick:
            return None
        return math.ceil(failures.blocked_until - tick)

    def fail(self, key: Hashable, tick: float) -> None:
        known = self._failures.get(key)
        if known is None or tick - known.at > self._forgotten:
            count = 1
        else:
            count = known.count + 1
        delay = 0.0
        if count > self._free:
            delay = min(self._longest, self._first * 2.0 ** min(count - self._free - 1, 30))
        self._failures[key] = _Failures(count, tick, tick + delay)
        self._failures.move_to_end(key)
        if len(self._failures) > self._capacity:
            self._failures.popitem(last=False)

    def count(self, key: Hashable, tick: float) -> int:
        """The failures that count at present."""
        known = self._failures.get(key)
        return 0 if known is None or tick - known.at > self._forgotten else known.count

    def forgive(self, key: Hashable, tick: float, times: int = 1) -> None:
        """Take back failures that were counted before it was known what they were."""
        known = self._failures.get(key)
        if known is not None:
            self._failures[key] = _Failures(max(0, known.count - times), known.at, tick)

    def succeed(self, key: Hashable) -> None:
        self._failures.pop(key, None)

    def __len__(self) -> int:
        return len(self._failures)

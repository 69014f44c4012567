"""Poll clocks, in this process's memory (DTR-ERR-04; readings 5, 13, 20).

A clock is changed by compare-and-swap: two polls that arrive together cannot
both be on time, the loser is an early poll. Forgetting a clock (restart, memory
bound) forgets its penalties, so the bound is `interval` again, never less.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from abeyance.pending.pacing import FRESH, PollClock, earn
from abeyance.pending.states import State

CAPACITY: Final = 200_000


class PollClocks:
    """The clocks of the handles that were polled last, by the digest of the handle."""

    __slots__ = ("_capacity", "_clocks", "share")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._clocks: OrderedDict[bytes, PollClock] = OrderedDict()
        self.share: Callable[[bytes], None] = lambda _: None  # with other processes

    def get(self, key: bytes) -> PollClock:
        return self._clocks.get(key, FRESH)

    def swap(self, key: bytes, *, seen: PollClock, new: PollClock) -> bool:
        """Put `new` in the place of `seen`; `False` if another poll was faster."""
        if self._clocks.get(key, FRESH) is not seen:
            return False
        self._put(key, new)
        return True

    def earn(self, key: bytes) -> None:
        """Give the request one poll that the pace does not count (EXT-WAIT-06).

        In each process: the client may come to any of them.
        """
        self.credit(key)
        self.share(key)

    def credit(self, key: bytes) -> None:
        """The same here alone."""
        self._put(key, earn(self.get(key)))

    def hold(self, key: bytes) -> None:
        """A poll is held from now on: any other comes too early (EXT-WAIT-03)."""
        self._put(key, replace(self.get(key), held=True))

    def release(self, key: bytes, tick: float) -> None:
        """It was answered: the interval counts from here."""
        self._put(key, replace(self.get(key), last=tick, held=False))

    def tell(self, key: bytes, state: State) -> None:
        """A poll that may wait is told this state: the next one waits for another."""
        self._put(key, replace(self.get(key), told=state))

    def forget(self, key: bytes) -> None:
        self._clocks.pop(key, None)

    def _put(self, key: bytes, clock: PollClock) -> None:
        self._clocks[key] = clock
        self._clocks.move_to_end(key)
        if len(self._clocks) > self._capacity:
            self._clocks.popitem(last=False)

    def __len__(self) -> int:
        return len(self._clocks)

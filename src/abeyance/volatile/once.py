"""Things that are told once: so that repeating a mistake does not repeat its record."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

CAPACITY: Final = 10_000


class Once:
    """Remembers what was seen, bounded; what is forgotten may be told again."""

    __slots__ = ("_capacity", "_seen")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._seen: OrderedDict[Hashable, None] = OrderedDict()

    def first(self, thing: Hashable) -> bool:
        """Is this the first time?"""
        if thing in self._seen:
            return False
        self._seen[thing] = None
        if len(self._seen) > self._capacity:
            self._seen.popitem(last=False)
        return True

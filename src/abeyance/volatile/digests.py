"""Who is told of many things at once, since one message each would be too many (SEC-DOS-10)."""

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime
from typing import Final

CAPACITY: Final = 10_000


class Digests:
    """By person: whether something was held back, and up to when everything has been told.

    Forgetting costs messages that would have been spared, never one that is missing.
    """

    __slots__ = ("_capacity", "_owed", "_told")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._owed: OrderedDict[Hashable, None] = OrderedDict()
        self._told: OrderedDict[Hashable, datetime] = OrderedDict()

    def owe(self, person: Hashable) -> None:
        """Something was held back: the next message is about all that waits."""
        self._owed[person] = None
        if len(self._owed) > self._capacity:
            self._owed.popitem(last=False)

    def owes(self, person: Hashable) -> bool:
        return person in self._owed

    def told(self, person: Hashable, at: datetime) -> None:
        """A message has gone. If it was about all that waits, it covers all until then."""
        if person not in self._owed:
            return
        del self._owed[person]
        self._told[person] = at
        if len(self._told) > self._capacity:
            self._told.popitem(last=False)

    def covers(self, person: Hashable, opened_at: datetime) -> bool:
        """Has the person been told of what came then, with everything else?"""
        told = self._told.get(person)
        return told is not None and opened_at <= told

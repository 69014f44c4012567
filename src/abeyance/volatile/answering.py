"""First answers on their way out: nobody is called back before theirs is written (DTR-CB-03).

Whoever has seen one off tells the other processes. One that has heard nothing waits until the
answer cannot be on its way any more.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from abeyance.pending.request import Key

CAPACITY: Final = 10_000


class Answering:
    """The requests whose first answer is owed by this process, or is out, as far as it knows."""

    __slots__ = ("_capacity", "_out", "_owed", "share")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._owed: set[Key] = set()
        self._out: OrderedDict[Key, None] = OrderedDict()
        self.share: Callable[[Key], None] = lambda _: None  # with other processes

    def begin(self, key: Key) -> None:
        self._owed.add(key)
        self._out.pop(key, None)

    def end(self, key: Key) -> None:
        """It is out, or never will be."""
        if key in self._owed:
            self._owed.discard(key)
            self.note_out(key)
            self.share(key)

    def note_out(self, key: Key) -> None:
        """Some process has handed it to the network."""
        self._out[key] = None
        if len(self._out) > self._capacity:
            self._out.popitem(last=False)

    def is_out(self, key: Key) -> bool:
        """Is it known, from the last ones, that the answer is not on its way any more?"""
        return key in self._out

"""Deferred responses on their way: nobody is called before theirs is written (DTR-CB-03).

Whoever has seen one off tells the other processes. One that has heard nothing waits until the
answer cannot be on its way any more.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from abeyance.pending.request import Key

CAPACITY: Final = 10_000
STUCK: Final = timedelta(seconds=30)  # an answer that takes longer has not been heard


@dataclass(slots=True)
class _Owed:
    answers: int
    since: datetime  # the latest began


class Answering:
    """The requests of which this process owes an answer, and those whose answers are out, as far
    as it knows.
    """

    __slots__ = ("_capacity", "_out", "_owed", "share")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._owed: dict[Key, _Owed] = {}
        self._out: OrderedDict[Key, None] = OrderedDict()
        self.share: Callable[[Key], None] = lambda _: None  # with other processes

    def begin(self, key: Key, now: datetime) -> None:
        """An answer that names this request begins; several may be on their way."""
        if len(self._owed) >= self._capacity:
            self._owed = {k: owed for k, owed in self._owed.items() if now < owed.since + STUCK}
        owed = self._owed.setdefault(key, _Owed(0, now))
        owed.answers += 1
        owed.since = now
        self._out.pop(key, None)

    def end(self, key: Key) -> None:
        """One of them is out, or never will be."""
        owed = self._owed.get(key)
        if owed is None:
            return
        owed.answers -= 1
        if owed.answers <= 0:
            del self._owed[key]
            self.note_out(key)
            self.share(key)

    def note_out(self, key: Key) -> None:
        """Some process has handed it to the network."""
        self._out[key] = None
        if len(self._out) > self._capacity:
            self._out.popitem(last=False)

    def is_out(self, key: Key) -> bool:
        """Is it known, from the last ones, that no answer is on its way any more?"""
        return key in self._out and key not in self._owed

    def may_be_on_its_way(self, key: Key, opened_at: datetime, now: datetime) -> bool:
        """Could an answer that tells of this request, opened then, be still unheard?"""
        owed = self._owed.get(key)
        if owed is not None:
            return now < owed.since + STUCK
        return not self.is_out(key) and now < opened_at + STUCK

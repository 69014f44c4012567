"""Whom messages go to, and how many may be under way to each (SEC-SSRF-63).

A receiver that answers gets many at once; one that has not answered yet, or whose last answer
was no answer, one at a time, and never the last places. So whoever hangs, however many
they are, takes no place from those who answer. A few of each wait here for their turn; the
others are told when to come again.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from abeyance.pending.message import Claimed

_KNOWN: Final = 10_000
_SOON: Final = timedelta(seconds=1)


class Standing(Enum):
    """How a receiver has answered last: `each` to it at once, while fewer than `all` are in all;
    so many more wait in its `queue`, where nothing waits long. Whoever finds no room comes
    again, one at least `apart` seconds behind the other.
    """

    ANSWERS = (16, 256, 32, 0.01)
    NEW = (1, 192, 32, 0.1)
    FAILS = (1, 128, 1, 1.0)

    @property
    def each(self) -> int:
        return self.value[0]

    @property
    def all(self) -> int:
        return self.value[1]

    @property
    def queue(self) -> int:
        return self.value[2]

    @property
    def apart(self) -> timedelta:
        return timedelta(seconds=self.value[3])


AT_ONCE: Final = Standing.ANSWERS.all


@dataclass(slots=True)
class _Receiver:
    standing: Standing = Standing.NEW
    under_way: int = 0
    queue: deque[Claimed] = field(default_factory=deque)
    took: timedelta = timedelta()  # the last one
    turn: datetime | None = None  # of whoever was put off last


class Receivers:
    """Counts what is under way. The longest unheard of is forgotten first."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Receiver] = OrderedDict()
        self._waiting: dict[str, None] = {}  # whose queues are not empty
        self._under_way = 0

    @property
    def full(self) -> bool:
        return self._under_way >= AT_ONCE

    def add(self, claimed: Claimed, now: datetime) -> datetime | None:
        """Let it wait for its turn, which `ready` tells; or say when it may come again."""
        receiver = self._known.setdefault(claimed.to, _Receiver())
        self._known.move_to_end(claimed.to)
        if len(receiver.queue) < receiver.standing.queue:
            receiver.queue.append(claimed)
            self._waiting[claimed.to] = None
            return None
        # One behind the other, so that what waits is not looked at all the time.
        step = max(receiver.took / receiver.standing.each, receiver.standing.apart)
        receiver.turn = max(receiver.turn or now, now) + step
        return max(receiver.turn, now + _SOON)

    def ready(self) -> Iterator[Claimed]:
        """Whose turn it is, each with a place until `end`."""
        for to in list(self._waiting):
            receiver = self._known[to]
            standing = receiver.standing
            while (
                receiver.queue
                and receiver.under_way < standing.each
                and self._under_way < standing.all
            ):
                receiver.under_way += 1
                self._under_way += 1
                yield receiver.queue.popleft()
            if not receiver.queue:
                del self._waiting[to]

    def clear(self) -> list[Claimed]:
        """Whoever waits here waits here no more."""
        waiting = [each for to in self._waiting for each in self._known[to].queue]
        for to in self._waiting:
            self._known[to].queue.clear()
        self._waiting.clear()
        return waiting

    def end(self, to: str, took: timedelta, *, answered: bool | None) -> None:
        """One has come to its end. `answered`: by its receiver; `None`: nobody was asked."""
        receiver = self._known[to]
        receiver.under_way -= 1
        self._under_way -= 1
        if answered is None:
            return
        receiver.took = took
        receiver.standing = Standing.ANSWERS if answered else Standing.FAILS
        if len(self._known) > _KNOWN:
            self._forget()

    def _forget(self) -> None:
        for to, receiver in list(self._known.items())[: len(self._known) - _KNOWN]:
            if not receiver.under_way and not receiver.queue:
                del self._known[to]

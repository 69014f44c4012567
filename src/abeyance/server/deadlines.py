"""How long a connection may stand where it stands (SEC-DOS-03).

One timer a server, not one a request: it looks at every connection once a
second and counts how often it was found at the same point. A request pays
nothing but the number that tells it from the last one, and a test that wants
ten seconds to pass looks ten times.
"""

import asyncio
from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Final
from weakref import WeakKeyDictionary

from uvicorn.server import ServerState

LOOK_EVERY: Final = 1.0  # seconds


class Stage(Enum):
    """Where a connection stands."""

    FRESH = auto()  # has sent nothing
    IDLE = auto()  # between two requests
    IN_HEAD = auto()
    IN_BODY = auto()
    WORKING = auto()  # we owe an answer; acts bound themselves
    UNTAKEN = auto()  # the peer does not take what we have sent
    LINGERING = auto()  # was told why it ends, and may read that


# In looks, so in seconds, of which the first may be a short one.
LIMITS: Final[Mapping[Stage, int]] = MappingProxyType(
    {
        Stage.FRESH: 10,
        Stage.IN_HEAD: 10,
        Stage.IN_BODY: 20,
        Stage.UNTAKEN: 20,
        Stage.LINGERING: 5,
    }
)


class Patience:
    """What one connection has used up; `idle` seconds are allowed between two requests."""

    __slots__ = ("_idle", "_looks", "_seen")

    def __init__(self, idle: int) -> None:
        self._idle = idle
        self._seen = (0, Stage.FRESH)
        self._looks = 0

    def is_over(self, serial: int, stage: Stage) -> bool:
        """Note one more look; `serial` tells requests of one connection apart."""
        # An answer that is not taken is one wait, whichever requests pile up behind it.
        seen = (0 if stage is Stage.UNTAKEN else serial, stage)
        self._looks = self._looks + 1 if seen == self._seen else 1
        self._seen = seen
        limit = self._idle if stage is Stage.IDLE else LIMITS.get(stage)
        return limit is not None and self._looks >= limit


class Sweeper:
    """The one timer of a server, running while there are connections."""

    def __init__(self, connections: set[Any], loop: asyncio.AbstractEventLoop) -> None:
        self._connections = connections
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_EVERY, self._look)

    def _look(self) -> None:
        self._timer = None
        self.sweep()
        if self._connections:
            self.start()

    def sweep(self) -> None:
        """Let every connection be a second older."""
        for connection in tuple(self._connections):
            connection.grow_older()


_sweepers: Final[WeakKeyDictionary[ServerState, Sweeper]] = WeakKeyDictionary()


def sweeper_of(server: ServerState, loop: asyncio.AbstractEventLoop) -> Sweeper:
    """The sweeper of the connections of this server."""
    sweeper = _sweepers.get(server)
    if sweeper is None:
        sweeper = _sweepers[server] = Sweeper(server.connections, loop)
    return sweeper

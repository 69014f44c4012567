"""How often a client may poll (RFC 8628 §3.5; DTR-ERR-04, readings 5, 13, 14, 20).

A tick is a reading of the monotonic clock in seconds: a wall clock that jumps
must neither stop nor hurry anybody. Clocks live in memory only; after a restart
the bound is `interval` again, never less.
"""

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from abeyance.pending.states import State

PENALTY: Final = timedelta(seconds=5)
TOLERANCE: Final = timedelta(seconds=0.5)
PERSISTENT: Final = 20  # early polls in a row after which the answer is invalid_request


@dataclass(frozen=True, slots=True)
class PollClock:
    """What is remembered of one handle's polls.

    `last` is the tick of the last counted poll, `penalties` how often
    `slow_down` was said, `early` how many polls in a row came too early,
    `credits` how many polls a notification has earned (EXT-WAIT-06). `held`: one
    is being held, so that any other comes too early (EXT-WAIT-03). `told`: the
    state that a poll which may wait was told last (EXT-WAIT-02), `None` if none was.
    """

    last: float | None = None
    penalties: int = 0
    early: int = 0
    credits: int = 0
    held: bool = False
    told: State | None = None

    def bound(self, interval: timedelta) -> timedelta:
        """The least time between two polls, as both sides keep it."""
        return interval + self.penalties * PENALTY


FRESH: Final = PollClock()


@dataclass(frozen=True, slots=True)
class Pace:
    """The verdict on one poll: `early`, and `stop` if it was persistently so."""

    clock: PollClock
    early: bool
    stop: bool = False


def pace(clock: PollClock, tick: float, interval: timedelta) -> Pace:
    """Judge whether a poll comes too early.

    `interval` is the one that the deferred response told. Never raises: being
    early is an answer. A poll credit is spent first. The bound is measured
    between arrivals, so an early poll moves it too.

    Source: RFC 8628 §3.5; readings 5, 13, 14.
    """
    if not clock.held:
        least = clock.bound(interval) - TOLERANCE
        if clock.last is None or tick - clock.last >= least.total_seconds():
            return Pace(
                PollClock(tick, clock.penalties, 0, clock.credits, told=clock.told), early=False
            )
        if clock.credits:
            return Pace(
                PollClock(tick, clock.penalties, 0, clock.credits - 1, told=clock.told),
                early=False,
            )
    early = clock.early + 1
    if early >= PERSISTENT:
        return Pace(replace(clock, last=tick, early=early), early=True, stop=True)
    penalties = clock.penalties + 1
    return Pace(replace(clock, last=tick, penalties=penalties, early=early), early=True)


def earn(clock: PollClock) -> PollClock:
    """Grant one poll that the pace does not count."""
    return replace(clock, credits=clock.credits + 1)


def whole_seconds(bound: timedelta) -> int:
    """A bound as `Retry-After` and `interval` say it: never shorter than it is."""
    return math.ceil(bound.total_seconds())

"""An event loop in virtual time: when nothing is ready, the clock goes to the next timer.

Own, since simulators of others need a newer Python than 3.11. Nothing here opens a socket,
starts a thread or sleeps; callbacks run in the order that asyncio promises.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

# What is read of a clock and added to it again must not fall short of a timer.
_TINY: Final = 1e-9


class Stuck(Exception):
    """Nothing is ready, no timer runs, and the world has not ended."""


class _NoFiles:
    """What the loop waits in: instead of waiting, time passes."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Stuck("everybody waits for somebody else")
        if timeout > 0:
            self._loop.pass_time(timeout + _TINY)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """Starts at 0 seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._seconds = 0.0
        self._selector = _NoFiles(self)

    def time(self) -> float:
        return self._seconds

    def pass_time(self, seconds: float) -> None:
        """Let time pass while nobody can do anything, such as in a slow signature."""
        self._seconds += seconds

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        raise AssertionError("a thread has spoken to a simulated world")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run it to its end in a loop of its own. Raises `Stuck`, and what it raises."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.run_until_complete(_end_all())
        loop.close()


async def _end_all() -> None:
    others = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
    for each in others:
        each.cancel()
    await asyncio.gather(*others, return_exceptions=True)

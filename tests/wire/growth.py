"""How much work a parser does, counted and not timed."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def work(act: Callable[[], object]) -> int:
    """Lines run and functions called, ours and C's, while `act` runs."""
    steps = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        steps += 1
        return trace

    def profile(frame: FrameType, event: str, _: Any) -> None:
        nonlocal steps
        steps += event == "c_call"

    before, profiled = sys.gettrace(), sys.getprofile()
    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        act()
    finally:
        sys.settrace(before)
        sys.setprofile(profiled)
    return steps


def grows_linearly(act: Callable[[int], object], size: int) -> bool:
    """Is four times as much at most five times the work?"""
    small, large = work(lambda: act(size)), work(lambda: act(4 * size))
    return large <= 5 * small

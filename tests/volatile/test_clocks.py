"""Poll clocks: two polls at once are not both in time, and memory is bounded (DTR-ERR-04)."""

import pytest

from abeyance.pending.pacing import FRESH, PollClock, pace
from abeyance.volatile.clocks import PollClocks
from tests.covers import covers
from tests.pending.examples import INTERVAL


def key(n: int = 1) -> bytes:
    """The digest of a handle."""
    return bytes([n]) * 32


def poll(clocks: PollClocks, at: bytes, tick: float) -> bool:
    """Poll as the server does; is it in time?"""
    while True:
        seen = clocks.get(at)
        judged = pace(seen, tick, INTERVAL)
        if clocks.swap(at, seen=seen, new=judged.clock):
            return not judged.early


def test_a_request_that_was_never_polled_has_a_fresh_clock() -> None:
    assert PollClocks().get(key()) is FRESH


@covers("DTR-ERR-04", "T-107")
def test_each_request_has_a_clock_of_its_own() -> None:
    clocks = PollClocks()
    assert poll(clocks, key(1), 0.0)
    assert poll(clocks, key(2), 0.1)
    assert not poll(clocks, key(1), 0.2)


@covers("DTR-ERR-04", "DTR-RD-20")
def test_of_two_polls_at_once_one_is_early() -> None:
    clocks = PollClocks()
    seen = clocks.get(key())
    mine, theirs = pace(seen, 10.0, INTERVAL), pace(seen, 10.0, INTERVAL)
    assert not mine.early
    assert not theirs.early
    assert clocks.swap(key(), seen=seen, new=mine.clock)
    assert not clocks.swap(key(), seen=seen, new=theirs.clock)
    assert clocks.get(key()) is mine.clock
    assert not poll(clocks, key(), 10.0)


@covers("DTR-ERR-04")
def test_a_swap_is_lost_even_if_the_other_poll_left_an_equal_clock() -> None:
    clocks = PollClocks()
    seen = PollClock(last=1.0)
    assert clocks.swap(key(), seen=FRESH, new=seen)
    assert clocks.swap(key(), seen=seen, new=PollClock(last=1.0))
    assert not clocks.swap(key(), seen=seen, new=PollClock(last=2.0))


@covers("EXT-WAIT-06")
def test_a_credit_earned_between_look_and_swap_is_not_lost() -> None:
    clocks = PollClocks()
    poll(clocks, key(), 0.0)
    seen = clocks.get(key())
    clocks.earn(key())
    assert not clocks.swap(key(), seen=seen, new=PollClock(last=1.0))
    assert clocks.get(key()).credits == 1
    assert poll(clocks, key(), 0.5)
    assert not poll(clocks, key(), 0.6)


@covers("DTR-RD-13")
def test_a_forgotten_clock_is_fresh_again_and_forgetting_twice_is_harmless() -> None:
    clocks = PollClocks()
    poll(clocks, key(), 0.0)
    clocks.forget(key())
    clocks.forget(key())
    assert clocks.get(key()) is FRESH
    assert len(clocks) == 0


@covers("DTR-RD-13")
def test_what_was_polled_longest_ago_is_forgotten_first() -> None:
    clocks = PollClocks(capacity=3)
    for n in (1, 2, 3, 1, 4):
        poll(clocks, key(n), float(n))
    assert clocks.get(key(2)) is FRESH
    assert [clocks.get(key(n)) is FRESH for n in (1, 3, 4)] == [False] * 3


@pytest.mark.parametrize("earning", [False, True])
def test_memory_is_bounded_however_a_clock_gets_there(earning: bool) -> None:
    clocks = PollClocks(capacity=10)
    for n in range(100):
        if earning:
            clocks.earn(key(n))
        else:
            poll(clocks, key(n), 0.0)
    assert len(clocks) == 10

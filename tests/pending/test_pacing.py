"""How often a client may poll (DTR-ERR-04; readings 5, 13, 14, 20; EXT-WAIT-06)."""

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.pending.pacing import (
    FRESH,
    PENALTY,
    PERSISTENT,
    Pace,
    PollClock,
    earn,
    pace,
    whole_seconds,
)
from tests.covers import covers

FIVE = timedelta(seconds=5)


def polls(*gaps: float, clock: PollClock = FRESH, interval: timedelta = FIVE) -> list[Pace]:
    """Poll at 1,000 and then after each gap, in seconds."""
    tick, paces = 1000.0, [pace(clock, 1000.0, interval)]
    for gap in gaps:
        tick += gap
        paces.append(pace(paces[-1].clock, tick, interval))
    return paces


def words(paces: list[Pace]) -> str:
    """One letter a poll: `.` in time, `E` early, `S` stop."""
    return "".join("S" if each.stop else "E" if each.early else "." for each in paces)


@covers("DTR-RD-14", "T-108")
@pytest.mark.parametrize("tick", [0.0, 0.001, 1e9])
def test_a_first_poll_is_never_early(tick: float) -> None:
    assert not pace(FRESH, tick, timedelta(hours=1)).early


@covers("DTR-ERR-04", "T-109")
def test_a_poll_a_second_before_its_time_is_early() -> None:
    assert words(polls(4.0)) == ".E"


@covers("DTR-RD-14")
def test_half_a_second_is_forgiven_and_not_more() -> None:
    assert words(polls(4.5)) == ".."
    assert words(polls(4.499)) == ".E"


@covers("T-110")
def test_a_client_that_keeps_the_interval_is_never_slowed() -> None:
    jitter = random.Random(8)
    assert words(polls(*(5 + jitter.uniform(-0.05, 0.05) for _ in range(20)))) == "." * 21


@covers("DTR-RD-05", "DTR-RD-13", "T-111")
def test_each_slow_down_adds_five_seconds_to_the_bound_that_both_sides_keep() -> None:
    paces = polls(1.0, 9.0, 15.0)
    assert words(paces) == ".EE."
    assert [each.clock.bound(FIVE).total_seconds() for each in paces] == [5, 10, 15, 15]


@covers("DTR-RD-13", "T-112")
def test_the_bound_does_not_shrink_on_its_own() -> None:
    paces = polls(1.0, 10.0, 10.0, 100.0, 3600.0, 9.0)
    assert words(paces) == ".E....E"
    assert paces[-2].clock.bound(FIVE) == timedelta(seconds=10)


@covers("DTR-RD-13", "T-112")
def test_a_forgotten_clock_bounds_by_the_interval_and_never_less() -> None:
    paces = polls(3.0, clock=FRESH)
    assert words(paces) == ".E"


@covers("DTR-RD-14")
def test_the_bound_is_measured_between_arrivals() -> None:
    # Early at 2 s moves the clock: 9 s later is still early, although 11 s after the first.
    assert words(polls(2.0, 9.0)) == ".EE"


@covers("DTR-ERR-04", "DTR-RD-13", "T-114")
def test_hammering_is_told_to_stop_from_the_twentieth_time_on() -> None:
    paces = polls(*[0.1] * 24)
    assert words(paces) == "." + "E" * 19 + "S" * 5
    assert {each.clock.bound(FIVE) for each in paces[19:]} == {FIVE + 19 * PENALTY}


@covers("DTR-RD-13", "T-114")
def test_after_a_stop_a_poll_that_keeps_the_bound_is_answered() -> None:
    paces = polls(*[0.1] * 20, 100.0, 99.0)
    assert words(paces)[-3:] == "S.E"
    assert paces[-1].clock.early == 1


@covers("DTR-RD-13")
def test_only_early_polls_in_a_row_are_counted_for_a_stop() -> None:
    clock, tick = FRESH, 0.0
    for _ in range(PERSISTENT):
        for gap in (clock.bound(FIVE).total_seconds(), 0.1):
            tick += gap
            judged = pace(clock, tick, FIVE)
            clock = judged.clock
            assert not judged.stop


@covers("EXT-WAIT-06")
def test_a_notification_earns_one_poll_that_does_not_count() -> None:
    clock = earn(pace(FRESH, 1000.0, FIVE).clock)
    first = pace(clock, 1000.1, FIVE)
    second = pace(first.clock, 1000.2, FIVE)
    assert (first.early, first.clock.penalties) == (False, 0)
    assert (second.early, second.clock.penalties) == (True, 1)


@covers("EXT-WAIT-06")
def test_a_credit_is_spent_on_an_early_poll_only() -> None:
    clock = earn(earn(pace(FRESH, 1000.0, FIVE).clock))
    in_time = pace(clock, 1005.0, FIVE)
    assert in_time.clock.credits == 2
    assert pace(in_time.clock, 1005.1, FIVE).clock.credits == 1


@covers("EXT-WAIT-06")
def test_a_credit_buys_one_poll_and_not_a_lower_bound() -> None:
    clock = earn(polls(1.0)[-1].clock)
    spent = pace(clock, 1002.0, FIVE)
    assert not spent.early
    assert spent.clock.bound(FIVE) == timedelta(seconds=10)
    assert pace(spent.clock, 1008.0, FIVE).early


@covers("T-119")
def test_a_monotonic_clock_that_starts_anew_slows_once_at_most() -> None:
    # After a restart the clock is forgotten with the process; within one it cannot jump.
    assert words(polls(-900.0, 10.0)) == ".E."


@covers("DTR-RD-13", "DTR-ERR-04", "T-112")
@given(st.lists(st.floats(0, 200), max_size=60), st.integers(1, 60))
def test_a_bound_never_falls_and_a_poll_that_keeps_it_is_never_early(
    gaps: list[float], seconds: int
) -> None:
    interval = timedelta(seconds=seconds)
    clock, tick = FRESH, 0.0
    for gap in gaps:
        tick += gap
        told = clock.bound(interval)
        judged = pace(clock, tick, interval)
        assert judged.clock.bound(interval) >= told >= interval
        assert judged.clock.last == tick
        if gap >= told.total_seconds():
            assert not judged.early
        clock = judged.clock


@covers("DTR-RD-29")
@pytest.mark.parametrize(("bound", "seconds"), [(5.0, 5), (4.2, 5), (0.001, 1), (15.0, 15)])
def test_a_bound_is_told_in_whole_seconds_and_never_shorter(bound: float, seconds: int) -> None:
    assert whole_seconds(timedelta(seconds=bound)) == seconds


@covers("EXT-WAIT-03")
def test_beside_a_held_poll_every_other_is_early_also_with_a_credit() -> None:
    held = PollClock(last=0.0, credits=1, held=True)
    paced = pace(held, 1_000.0, timedelta(seconds=5))
    assert paced.early
    assert paced.clock == PollClock(last=1_000.0, penalties=1, early=1, credits=1, held=True)

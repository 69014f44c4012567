"""Rates and back-off: bounded, and never a lock for good (OAUTH-CAUTH-11, DTR-SEC-06)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.volatile.limits import Backoff, Buckets
from tests.covers import covers


def takes(buckets: Buckets, *ticks: float, key: str = "k") -> list[int | None]:
    return [buckets.take(key, tick) for tick in ticks]


@covers("DTR-SEC-06")
def test_a_burst_is_free_and_then_the_rate_holds() -> None:
    buckets = Buckets(rate=0.5, burst=3)
    assert takes(buckets, 0, 0, 0, 0) == [None, None, None, 2]
    assert takes(buckets, 1.9, 2.0, 2.0, 3.0, 4.0) == [1, None, 2, 1, None]


@covers("DTR-SEC-06")
def test_keys_do_not_share_a_bucket() -> None:
    buckets = Buckets(rate=1, burst=1)
    assert takes(buckets, 0, 0, key="a") == [None, 1]
    assert takes(buckets, 0, key="b") == [None]


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    buckets = Buckets(rate=1, burst=2)
    assert takes(buckets, 0, 1e9, 1e9, 1e9) == [None, None, None, 1]


def test_who_is_refused_pays_nothing_for_it() -> None:
    buckets = Buckets(rate=1, burst=1)
    assert takes(buckets, 0, *[0.5] * 50, 1.0) == [None, *[1] * 50, None]


@covers("DTR-SEC-06")
@given(
    st.floats(0.01, 100),
    st.integers(1, 20),
    st.lists(st.floats(0, 50), max_size=50),
)
def test_whoever_waits_as_told_is_let_in(rate: float, burst: int, pauses: list[float]) -> None:
    buckets, tick = Buckets(rate=rate, burst=burst), 0.0
    for pause in pauses:
        tick += pause
        wait = buckets.take("k", tick)
        if wait is not None:
            tick += wait + 1e-6  # the clock's own grain
            assert buckets.take("k", tick) is None


@given(st.lists(st.floats(0, 3), min_size=1, max_size=80))
def test_never_more_than_burst_and_rate_get_through(pauses: list[float]) -> None:
    buckets, tick, through = Buckets(rate=2, burst=5), 0.0, 0
    for pause in pauses:
        tick += pause
        through += buckets.take("k", tick) is None
        assert through <= 5 + 2 * tick + 1e-6


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    buckets = Buckets(rate=1, burst=1)
    assert takes(buckets, 100, 50, 50) == [None, 1, 1]


@covers("DTR-SEC-06")
def test_buckets_are_bounded_and_the_one_in_use_stays() -> None:
    buckets = Buckets(rate=0.001, burst=50, capacity=10)
    for n in range(100):
        buckets.take(f"stranger {n}", 0)
        if n % 5 == 0:
            assert takes(buckets, 0, key="mine") == [None]
    assert len(buckets._levels) == 10  # memory is what is tested
    assert takes(buckets, *[0] * 31, key="mine") == [*[None] * 30, 1000]


# --- back-off


def fail(backoff: Backoff, times: int, *, key: str = "k", tick: float = 0.0) -> None:
    for _ in range(times):
        backoff.fail(key, tick)


@covers("OAUTH-CAUTH-11")
def test_the_first_failures_are_free_and_then_the_delay_doubles() -> None:
    backoff = Backoff(free=2, longest=10)
    waits = []
    for n in range(7):
        backoff.fail("k", 100.0 * n)
        waits.append(backoff.wait("k", 100.0 * n))
    assert waits == [None, None, 1, 2, 4, 8, 10]


@covers("OAUTH-CAUTH-11")
def test_no_number_of_failures_locks_for_good() -> None:
    backoff = Backoff(free=0, longest=60)
    fail(backoff, 10_000)
    assert backoff.wait("k", 0.0) == 60
    assert backoff.wait("k", 59.5) == 1
    assert backoff.wait("k", 60.0) is None
    assert backoff.wait("k", 1e9) is None


@covers("OAUTH-CAUTH-11")
def test_a_success_wipes_the_slate() -> None:
    backoff = Backoff(free=1, longest=60)
    fail(backoff, 5)
    backoff.succeed("k")
    assert backoff.wait("k", 0.0) is None
    fail(backoff, 1)
    assert backoff.wait("k", 0.0) is None
    backoff.succeed("never seen")


@covers("OAUTH-CAUTH-11", "OAUTH-SESS-07")
def test_so_many_failures_are_taken_back_as_are_said() -> None:
    backoff = Backoff(free=1, longest=60, forgotten=100.0)
    fail(backoff, 5)
    assert [backoff.count(key, 0.0) for key in ("k", "never seen")] == [5, 0]
    backoff.forgive("k", 0.0, 3)
    assert (backoff.count("k", 0.0), backoff.wait("k", 0.0)) == (2, None)
    backoff.forgive("k", 0.0, 9)
    assert backoff.count("k", 0.0) == 0
    fail(backoff, 1)
    assert backoff.count("k", 101.0) == 0, "they lie back long"


@covers("OAUTH-CAUTH-11")
def test_a_stranger_elsewhere_does_not_keep_the_client_out() -> None:
    backoff = Backoff(free=1, longest=60)
    for _ in range(50):
        backoff.fail(("batch", "192.0.2.1"), 0.0)
    assert backoff.wait(("batch", "192.0.2.2"), 0.0) is None


def test_asking_is_not_failing() -> None:
    backoff = Backoff(free=1, longest=60)
    for _ in range(50):
        assert backoff.wait("k", 0.0) is None


@covers("DTR-SEC-06")
@given(st.integers(0, 5), st.floats(1, 3600), st.lists(st.floats(0, 100), min_size=1, max_size=60))
def test_a_delay_is_never_longer_than_the_longest(
    free: int, longest: float, pauses: list[float]
) -> None:
    backoff, tick = Backoff(free=free, longest=longest), 0.0
    for pause in pauses:
        tick += pause
        backoff.fail("k", tick)
        wait = backoff.wait("k", tick)
        assert wait is None or 1 <= wait <= longest + 1
        assert backoff.wait("k", tick + longest) is None


@pytest.mark.parametrize("capacity", [1, 10])
def test_failures_are_remembered_within_bounds(capacity: int) -> None:
    backoff = Backoff(free=0, longest=60, capacity=capacity)
    for n in range(100):
        backoff.fail(n, 0.0)
    assert len(backoff._failures) == capacity  # memory is what is tested
    assert backoff.wait(99, 0.0) == 1


@covers("OAUTH-CAUTH-11", "OAUTH-SESS-07")
def test_failures_that_lie_back_long_do_not_add_up() -> None:
    backoff = Backoff(free=1, longest=30.0, forgotten=100.0)
    for tick in (0.0, 101.0, 202.0, 303.0):
        backoff.fail("x", tick)
        assert backoff.wait("x", tick) is None
    backoff.fail("x", 350.0)
    assert backoff.wait("x", 350.0) == 1

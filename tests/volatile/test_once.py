"""What is told once, and who waits for a change."""

import asyncio
from contextlib import ExitStack

import pytest

from abeyance.volatile.once import Once
from abeyance.volatile.seats import Seats
from abeyance.volatile.waiters import Waiters


def test_only_the_first_time_is_the_first() -> None:
    once = Once()
    assert [once.first(thing) for thing in "abab"] == [True, True, False, False]


def test_what_is_remembered_is_bounded_and_the_oldest_may_be_told_again() -> None:
    once = Once(capacity=2)
    assert all(once.first(n) for n in range(3))
    assert [once.first(n) for n in (2, 1, 0)] == [False, False, True]


# --- waiters


async def wait_for(waiters: Waiters, count: int) -> None:
    """Let the others come to their wait."""
    for _ in range(1000):
        if waiters._waiting == count:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{waiters._waiting} wait")


async def test_a_ring_wakes_everybody_who_waits() -> None:
    waiters = Waiters()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        tasks = [group.create_task(waiters.wait(60)) for _ in range(20)]
        await wait_for(waiters, 20)
        waiters.ring()
    assert [task.result() for task in tasks] == [True] * 20


async def test_a_ring_is_for_those_who_wait_now_and_not_for_later() -> None:
    waiters = Waiters()
    waiters.ring()
    assert not await waiters.wait(0.01)


async def test_each_wait_is_bounded() -> None:
    async with asyncio.timeout(30):
        assert not await Waiters().wait(0.02)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_a_wait_of_no_time_ends_at_once(seconds: float) -> None:
    assert not await Waiters().wait(seconds)


async def test_a_wait_that_is_cancelled_leaves_its_place() -> None:
    waiters = Waiters(capacity=1)
    waiting = asyncio.create_task(waiters.wait(60))
    await wait_for(waiters, 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    again = asyncio.create_task(waiters.wait(60))
    await wait_for(waiters, 1)
    waiters.ring()
    assert await again


async def test_one_who_gives_up_does_not_wake_or_stop_the_others() -> None:
    waiters = Waiters()
    stays = asyncio.create_task(waiters.wait(60))
    leaves = asyncio.create_task(waiters.wait(60))
    await wait_for(waiters, 2)
    leaves.cancel()
    await asyncio.gather(leaves, return_exceptions=True)
    await asyncio.sleep(0)
    assert not stays.done()
    waiters.ring()
    assert await stays


async def test_too_many_waiters_are_sent_away_at_once() -> None:
    waiters = Waiters(capacity=2)
    tasks = [asyncio.create_task(waiters.wait(60)) for _ in range(2)]
    await wait_for(waiters, 2)
    async with asyncio.timeout(30):
        assert not await waiters.wait(3_600)
    waiters.ring()
    assert await asyncio.gather(*tasks) == [True, True]


async def test_a_ring_while_someone_wakes_is_not_lost_on_the_next() -> None:
    waiters = Waiters()
    first = asyncio.create_task(waiters.wait(60))
    await wait_for(waiters, 1)
    waiters.ring()
    second = asyncio.create_task(waiters.wait(60))
    assert await first
    await wait_for(waiters, 1)
    assert not second.done()
    waiters.ring()
    assert await second


async def test_a_ring_at_one_key_leaves_the_others_alone() -> None:
    waiters = Waiters()
    with waiters.listen("a") as first, waiters.listen("a") as second, waiters.listen("b") as other:
        waiters.ring("a")
        await first.wait()
        await second.wait()
        assert not other._event.is_set()
        waiters.close()
        assert [bell.over for bell in (first, second, other)] == [True] * 3
    assert len(waiters) == 0
    with waiters.listen("c") as late:
        assert late.over, "who comes when the house closes does not wait"
    assert not await waiters.wait(60)


async def test_what_rings_before_the_wait_is_heard() -> None:
    waiters = Waiters()
    with waiters.listen("a") as bell:
        bell.still()
        waiters.ring("a")
        await bell.wait()


def test_a_ring_costs_the_same_however_many_listen_elsewhere() -> None:
    waiters = Waiters()
    with ExitStack() as stack:
        bells = [stack.enter_context(waiters.listen(n)) for n in range(1_000)]
        waiters.ring(17)
        assert [n for n, bell in enumerate(bells) if bell._event.is_set()] == [17]


def test_seats_are_bounded_in_all_and_for_each() -> None:
    seats = Seats(most=3, each=2)
    assert [seats.take("a") for _ in range(3)] == [True, True, False]
    assert [seats.take("b") for _ in range(2)] == [True, False]
    seats.leave("a")
    assert seats.take("b")
    assert not seats.take("a")
    for whose in "abb":
        seats.leave(whose)
    assert seats.taken == 0

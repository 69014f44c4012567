"""Replay memory: a mark is taken once, while its proof could come again (OAUTH-DPOP-12)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.proofs.replay import ReplayMark, replay_mark
from abeyance.volatile.replay import LocalReplayMemory, ReplayMemoryFull
from tests.covers import covers

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def mark(name: str = "a", *, until: datetime = NOW + MINUTE) -> ReplayMark:
    return ReplayMark(name.encode(), until)


@covers("OAUTH-DPOP-12", "OAUTH-CAUTH-17", "T-126")
async def test_a_mark_is_taken_once() -> None:
    memory = LocalReplayMemory()
    assert await memory.use(mark(), now=NOW)
    assert not await memory.use(mark(), now=NOW)
    assert not await memory.use(mark(), now=NOW + MINUTE)
    assert await memory.use(mark("b"), now=NOW)


@covers("OAUTH-DPOP-12")
async def test_the_same_jti_in_a_younger_proof_is_a_replay_too() -> None:
    memory = LocalReplayMemory()
    for age in range(30):
        until = NOW + MINUTE + age * SECOND
        proof = replay_mark("proof", "jkt", "https://as.example/token", jti="one", until=until)
        assert await memory.use(proof, now=NOW + age * SECOND) == (age == 0)


@covers("OAUTH-DPOP-12", "OAUTH-CAUTH-17")
async def test_the_same_jti_of_another_key_client_or_kind_is_another_mark() -> None:
    memory = LocalReplayMemory()
    until = NOW + MINUTE
    for each in (
        replay_mark("proof", "jkt1", "https://as.example/token", jti="j", until=until),
        replay_mark("proof", "jkt2", "https://as.example/token", jti="j", until=until),
        replay_mark("proof", "jkt1", "https://as.example/revoke", jti="j", until=until),
        replay_mark("assertion", "jkt1", jti="j", until=until),
        replay_mark("assertion", "client", jti="j", until=until),
    ):
        assert await memory.use(each, now=NOW)
        assert not await memory.use(each, now=NOW)


@covers("OAUTH-DPOP-12")
async def test_nothing_is_forgotten_before_its_proof_is_dead() -> None:
    for offset in range(25):
        memory = LocalReplayMemory()
        until = NOW + offset * SECOND + timedelta(milliseconds=700)
        assert await memory.use(mark(until=until), now=NOW)
        # Sweeping by others, up to the very moment.
        await memory.use(mark("other", until=until + MINUTE), now=until)
        assert not await memory.use(mark(until=until + MINUTE), now=until)


async def test_what_is_dead_is_forgotten_within_a_slot() -> None:
    memory = LocalReplayMemory()
    for n in range(100):
        await memory.use(mark(str(n), until=NOW + n * SECOND), now=NOW)
    await memory.use(mark("last", until=NOW + 10 * MINUTE), now=NOW + 99 * SECOND + 10 * SECOND)
    assert len(memory) == 1


async def test_a_mark_that_is_taken_again_after_its_end_breaks_nothing() -> None:
    # The second end falls into the same slot as the first, and both are swept.
    memory = LocalReplayMemory()
    assert await memory.use(mark(until=NOW + SECOND), now=NOW)
    assert await memory.use(mark(until=NOW + 5 * SECOND), now=NOW + 2 * SECOND)
    assert await memory.use(mark("b"), now=NOW + 30 * SECOND)
    assert len(memory) == 1


@covers("OAUTH-DPOP-12")
async def test_a_full_memory_makes_wait_and_forgets_nothing() -> None:
    memory = LocalReplayMemory(capacity=3)
    for name in "abc":
        assert await memory.use(mark(name), now=NOW)
    with pytest.raises(ReplayMemoryFull):
        await memory.use(mark("d"), now=NOW)
    for name in "abc":
        assert not await memory.use(mark(name), now=NOW)
    assert len(memory) == 3
    assert await memory.use(mark("d", until=NOW + 3 * MINUTE), now=NOW + 2 * MINUTE)


async def test_a_clock_that_goes_back_forgets_nothing_more() -> None:
    memory = LocalReplayMemory()
    assert await memory.use(mark(), now=NOW)
    assert not await memory.use(mark(), now=NOW - timedelta(hours=1))
    assert not await memory.use(mark(), now=NOW + MINUTE)


@covers("OAUTH-DPOP-12")
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.integers(0, 12_000).map(lambda ms: timedelta(milliseconds=ms)),
            st.integers(-1_000, 90_000).map(lambda ms: timedelta(milliseconds=ms)),
        ),
        max_size=40,
    )
)
async def test_a_mark_is_free_exactly_while_no_taken_one_is_alive(
    uses: list[tuple[str, timedelta, timedelta]],
) -> None:
    memory, now, alive = LocalReplayMemory(), NOW, dict[str, datetime]()
    for name, pause, life in uses:
        now += pause
        free = name not in alive or alive[name] < now
        assert await memory.use(mark(name, until=now + life), now=now) == free
        if free:
            alive[name] = now + life
        assert len(memory) <= 3

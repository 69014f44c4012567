"""The task that disposes of what is old, for as long as the server runs.

Soon after the start, since some servers never run for an hour; then once an hour, by one of the
processes that share a store (`acts/retention.py`). The others look every few minutes whether it
still does. A run that fails is told once and counted, and the next comes all the same.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog

from abeyance.acts import retention
from abeyance.acts.house import House
from abeyance.store.ports import StoreAway

FIRST_AFTER: Final = 60.0  # seconds; the start has other things to do
EVERY: Final = retention.EVERY.total_seconds()
LOOK_EVERY: Final = retention.LEASE.total_seconds()  # whether whoever does it is still there
_JITTER: Final = 0.1  # of the time, so that servers that started together do not run together

_log = structlog.get_logger("abeyance.retention")


@asynccontextmanager
async def disposing(house: House) -> AsyncIterator[None]:
    """Run while the block does."""
    # Not a task group, which would wrap what ends the server into a group of its own.
    runs = asyncio.create_task(_run_again_and_again(house))
    try:
        yield
    finally:
        runs.cancel()
        with suppress(asyncio.CancelledError):
            await runs


async def _run_again_and_again(house: House) -> None:
    wait = FIRST_AFTER
    while True:
        await _pass(house, wait)
        wait = EVERY
        try:
            gone = await retention.dispose_in_turn(house)
        except StoreAway as fault:
            house.counters.disposal_failures.inc()
            _log.warning("nothing was disposed of", problem=str(fault))
        except Exception:
            # Whatever it is, it must not end disposal until somebody restarts the server.
            house.counters.disposal_failures.inc()
            _log.exception("disposal has failed")
        else:
            if gone is None:
                wait = LOOK_EVERY
            elif gone:
                _log.info("disposed of what is old", **gone)


async def _pass(house: House, seconds: float) -> None:
    """Wait so long by the house's clock, and up to a tenth longer."""
    passed = asyncio.Event()
    jitter = int.from_bytes(house.random(2)) / 2**16
    timer = house.clock.after(seconds * (1 + _JITTER * jitter), passed.set)
    try:
        await passed.wait()
    finally:
        timer.cancel()

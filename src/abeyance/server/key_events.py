"""A new signing key stands in the security log, from whenever the server notices it.

The ring tells it while something else is going on, and the log is a store that one
has to wait for: so there is one task that writes, as long as the house is open. Of several
processes that notice the same one writes it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from abeyance.acts.house import House
from abeyance.keys import Scheduled
from abeyance.store.ports import SecurityEvent, StoreAway

CHANGED: Final = "signing_key_changed"
_PATIENCE: Final = 5.0  # seconds, for one event

_log = structlog.get_logger("abeyance.keys")


@asynccontextmanager
async def noting_signing_keys(house: House) -> AsyncIterator[None]:
    """Record each key that begins to sign, also one that did while nobody was running."""
    changes: asyncio.Queue[Scheduled | None] = asyncio.Queue()
    house.keys.on_change(changes.put_nowait)
    signing = house.keys.scheduled
    await _write_down(house, signing)
    # Not a task group, which would wrap what ends the server into a group of its own.
    writer = asyncio.create_task(_write_all_down(house, changes))
    try:
        yield
    finally:
        changes.put_nowait(None)
        await writer


def signing_detail(key: Scheduled) -> str:
    """The words by which the log names a signing key; public all of them."""
    return f"{key.kid} {key.pair.alg} from {key.at:%Y-%m-%dT%H:%M:%SZ}"


async def _write_all_down(house: House, changes: asyncio.Queue[Scheduled | None]) -> None:
    while (key := await changes.get()) is not None:
        await _write_down(house, key)


async def _write_down(house: House, key: Scheduled) -> None:
    event = SecurityEvent(house.clock.now(), CHANGED, "system", signing_detail(key))
    try:
        async with asyncio.timeout(_PATIENCE):
            await house.store.record_news(event)
    except (StoreAway, TimeoutError):
        # The next start finds that it is missing, and writes it.
        _log.error("the security log lacks a change of the signing key")

"""Where a house keeps what it knows: one file for one process, or a database for many."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from abeyance.acts.house import Clock
from abeyance.server.clock import SharedClock, SystemClock
from abeyance.server.settings import ConfigurationError, Settings
from abeyance.store.ports import Store
from abeyance.store.sqlite import SqliteStore
from abeyance.volatile.clocks import PollClocks
from abeyance.volatile.replay import LocalReplayMemory, ReplayMemory, SharedReplayMemory
from abeyance.wire.secret import Secret


@dataclass(frozen=True, slots=True)
class Kept:
    """A store that is open, and what hangs on its kind."""

    store: Store
    clock: Clock
    clocks: PollClocks
    replay: ReplayMemory


@asynccontextmanager
async def open_store(settings: Settings, clock: Clock | None) -> AsyncIterator[Kept]:
    """Open the store that the settings name; `clock`: instead of the one that goes with it.

    Raises `ConfigurationError`, `StoreInUse`, `StoreTooNew`, `StoreAway`.
    """
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    clocks, replay = PollClocks(settings.store.memory_requests), LocalReplayMemory()
    if settings.store.url is not None:
        async with _open_postgres(settings.store.url, clock, clocks, replay) as kept:
            yield kept
        return
    store = await SqliteStore.open(settings.store.path, memory=settings.store.memory_requests)
    try:
        yield Kept(store, clock or SystemClock(), clocks, replay)
    finally:
        await store.close()


@asynccontextmanager
async def _open_postgres(
    url: Secret, clock: Clock | None, clocks: PollClocks, replay: LocalReplayMemory
) -> AsyncIterator[Kept]:
    try:
        from abeyance.store.postgres.store import PostgresStore
    except ImportError as missing:
        raise ConfigurationError(
            "store.url",
            f"needs the package {missing.name}",
            'Install it: pip install "abeyance[server,postgres]".',
        ) from None
    store = await PostgresStore.open(url.reveal())
    try:
        store.on_earned(clocks.credit)
        clocks.share = store.share_earned
        memory = SharedReplayMemory(replay, store)
        if clock is not None:
            yield Kept(store, clock, clocks, memory)
            return
        async with SharedClock.following(store.find_time) as shared:
            yield Kept(store, shared, clocks, memory)
    finally:
        await store.close()

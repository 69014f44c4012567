"""Where a house keeps what it knows: one file for one process, or a database for many."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from abeyance.acts.house import Clock
from abeyance.server.clock import SharedClock, SystemClock
from abeyance.server.settings import ConfigurationError, Settings
from abeyance.store.ports import Store
from abeyance.store.sqlite import SqliteStore
from abeyance.volatile.answering import Answering
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
    answering: Answering


@asynccontextmanager
async def open_store(settings: Settings, clock: Clock | None) -> AsyncIterator[Kept]:
    """Open the store that the settings name; `clock`: instead of the one that goes with it.

    Raises `ConfigurationError`, `StoreInUse`, `StoreTooNew`, `StoreAway`.
    """
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    clocks = PollClocks(settings.store.memory_requests)
    if (url := find_url(settings)) is not None:
        async with _open_postgres(url, clock, clocks) as kept:
            yield kept
        return
    store = await SqliteStore.open(settings.store.path, memory=settings.store.memory_requests)
    try:
        yield Kept(store, clock or SystemClock(), clocks, LocalReplayMemory(), Answering())
    finally:
        await store.close()


def find_url(settings: Settings) -> Secret | None:
    """Where the database is, if one is named. Raises `ConfigurationError` if it cannot be used."""
    url = settings.store.url
    if url is None:
        return None
    try:
        from abeyance.store.postgres.address import parse_address

        parse_address(url.reveal())
    except ImportError as missing:
        raise ConfigurationError(
            "store.url",
            f"needs the package {missing.name}",
            'Install it: pip install "abeyance[server,postgres]".',
        ) from None
    except ValueError as wrong:
        raise ConfigurationError(
            "store.url", f"cannot be used: {wrong}", "See docs/operations.md for what it may say."
        ) from None
    return url


@asynccontextmanager
async def _open_postgres(
    url: Secret, clock: Clock | None, clocks: PollClocks
) -> AsyncIterator[Kept]:
    from abeyance.store.postgres.store import PostgresStore

    store = await PostgresStore.open(url.reveal())
    try:
        answering = Answering()
        store.on_earned(clocks.credit)
        store.on_answered(answering.note_out)
        clocks.share, answering.share = store.share_earned, store.share_answered
        replay = SharedReplayMemory(LocalReplayMemory(), store)
        if clock is not None:
            yield Kept(store, clock, clocks, replay, answering)
            return
        async with SharedClock.following(store.find_time) as shared:
            yield Kept(store, shared, clocks, replay, answering)
    finally:
        await store.close()

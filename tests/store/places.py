"""Where the tests' SQLite stores stand."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

from abeyance.store.sqlite import SqliteStore

SqlitePlace: TypeAlias = Callable[[], AbstractAsyncContextManager[SqliteStore]]


def place_at(path: Path, *, memory: int = 200_000, vfs: str | None = None) -> SqlitePlace:
    """Open the store in this file, as often as asked."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[SqliteStore]:
        store = await SqliteStore.open(path, memory=memory, vfs=vfs)
        try:
            yield store
        finally:
            await store.close()

    return opened

"""Where the tests' SQLite stores stand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from abeyance.store.sqlite import SqliteStore
from abeyance.store.suite import Place


def place_at(path: Path, *, memory: int = 200_000, vfs: str | None = None) -> Place:
    """Open the store in this file, as often as asked."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[SqliteStore]:
        store = await SqliteStore.open(path, memory=memory, vfs=vfs)
        try:
            yield store
        finally:
            await store.close()

    return opened

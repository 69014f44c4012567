"""The store's suite on a real PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from abeyance.store.ports import Store
from abeyance.store.postgres.store import PostgresStore
from abeyance.store.suite import Place, StoreSuite
from tests.postgres.databases import PATIENT, Database, Databases


class TestPostgresStore(StoreSuite):
    @pytest.fixture(autouse=True)
    async def _ground(self, databases: Databases) -> AsyncIterator[None]:
        self.databases = databases
        async with AsyncExitStack() as self.stack:
            yield

    def new_place(self) -> Place:
        found: list[Database] = []

        @asynccontextmanager
        async def place() -> AsyncIterator[Store]:
            if not found:
                found.append(await self.stack.enter_async_context(self.databases.fresh()))
            store = await PostgresStore.open(found[0].url, bounds=PATIENT, lease=0)
            try:
                yield store
            finally:
                await store.close()

        return place

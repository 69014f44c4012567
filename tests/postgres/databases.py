"""Databases for tests: made once, emptied between two tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import asyncpg

from abeyance.store.postgres.address import Bounds, connect, parse_address
from abeyance.store.postgres.schema import migrate
from tests.postgres.server import PostgresServer

_TEMPLATE = "abeyance_template"

_MINUTE: Final = timedelta(minutes=1)
# For tests that are about something else: a machine that is busy answers late, not with a 503.
PATIENT: Final = Bounds(
    statement=_MINUTE, lock=_MINUTE, idle=_MINUTE, connect=_MINUTE, queue=_MINUTE
)


@dataclass(frozen=True, slots=True)
class Database:
    """One database: `name` and its URL by the server's socket."""

    server: PostgresServer
    name: str

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection of the test's own, to look and to do harm."""
        return await asyncpg.connect(self.url)


@dataclass(slots=True)
class Databases:
    """The databases of one server."""

    server: PostgresServer
    _free: list[str] = field(default_factory=list)
    _made: int = 0
    _has_template: bool = False

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[Database]:
        """One with the schema and nothing in it."""
        if not self._has_template:
            await self._make_template()
            self._has_template = True
        name = self._free.pop() if self._free else await self._make(_TEMPLATE)
        yield Database(self.server, name)
        await self._empty(name)
        self._free.append(name)

    @asynccontextmanager
    async def bare(self) -> AsyncIterator[Database]:
        """One without a schema; dropped afterwards."""
        name = await self._make("template0")
        yield Database(self.server, name)
        await self._do(f"DROP DATABASE {name} WITH (FORCE)")

    async def _make_template(self) -> None:
        await self._do(f"CREATE DATABASE {_TEMPLATE}")
        db = await connect(parse_address(self.server.url(_TEMPLATE)), Bounds())
        await migrate(db)
        await db.close()

    async def _make(self, template: str) -> str:
        self._made += 1
        name = f"test_{self._made}"
        await self._do(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name

    async def _empty(self, name: str) -> None:
        await self._do(
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        db = await asyncpg.connect(self.server.url(name))
        tables = await db.fetch(
            "SELECT tablename FROM pg_tables"
            " WHERE schemaname = 'public' AND tablename <> 'schema_version'"
        )
        # Far quicker than TRUNCATE, which makes new files; `replica` keeps triggers out of it.
        deletes = "".join(f"DELETE FROM {table};" for (table,) in tables)
        await db.execute("SET session_replication_role = replica;" + deletes)
        await db.close()

    async def _do(self, statement: str) -> None:
        db = await asyncpg.connect(self.server.url("postgres"))
        try:
            await db.execute(statement)
        finally:
            await db.close()

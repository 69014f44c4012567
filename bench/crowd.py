"""A crowd of waiting requests, put into a database beside its server: copies of a few real ones.

Opening a million over HTTP would take a quarter of an hour. Each copy has a home and a secret
of its own, and every row that a request of the benchmark has.
"""

import asyncio
import hashlib
import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import asyncpg

from abeyance.pending.handles import HandleKind, Home, mint_handle, parse_handle

_AT_ONCE: Final = 50_000
# In an order in which rows come after those that they point at.
_TABLES: Final = ("request", "snapshot", "inbox", "audit", "concern")
_OWN: Final = {"home": "crowd.home", "handle_digest": "crowd.digest"}
_COLUMNS: Final = ("home", "digest", "template")


@dataclass(frozen=True, slots=True)
class Copy:
    """`template`: the home of the request that it is a copy of."""

    code: str
    home: bytes
    digest: bytes
    template: bytes


class Database(Protocol):
    """A connection of the benchmark's own, beside the server's."""

    def columns(self, table: str) -> Sequence[str]: ...
    def put(self, copies: Sequence[Copy], statements: Sequence[str]) -> None:
        """Fill the table `crowd` and run the statements over it, in one transaction."""
        ...

    def settle(self) -> None:
        """Leave the database as it is after a while: log folded in, statistics taken."""
        ...


def gather(database: Database, templates: Sequence[str], count: int) -> list[str]:
    """Add `count` copies of the requests with these codes, in turn; return their codes."""
    statements = [_statement(table, database.columns(table)) for table in _TABLES]
    codes: list[str] = []
    copies = _copies(templates, count)
    while batch := list(itertools.islice(copies, _AT_ONCE)):
        database.put(batch, statements)
        codes += [each.code for each in batch]
    database.settle()
    return codes


def _copies(templates: Sequence[str], count: int) -> Iterator[Copy]:
    homes = [_home(code) for code in templates]
    for number in range(count):
        # Spread like random ones, and the same in each run.
        seed = hashlib.sha512(b"%d of the crowd" % number).digest()
        code, at_rest = mint_handle(HandleKind.DEFERRAL_CODE, Home(seed[:16]), seed[16:48])
        yield Copy(code.reveal(), at_rest.home, at_rest.digest, homes[number % len(homes)])


def _home(code: str) -> bytes:
    found = parse_handle(HandleKind.DEFERRAL_CODE, code)
    assert found is not None
    return found.home


def _statement(table: str, columns: Sequence[str]) -> str:
    values = ", ".join(_OWN.get(name, f"t.{name}") for name in columns)
    names = ", ".join(columns)
    return (
        f"INSERT INTO {table} ({names})"
        f" SELECT {values} FROM crowd JOIN {table} t ON t.home = crowd.template"
    )


class SqliteFile:
    """See `Database`."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=60)
        self._db.execute("CREATE TEMP TABLE crowd (home BLOB, digest BLOB, template BLOB)")

    def columns(self, table: str) -> Sequence[str]:
        return [name for (_, name, *_) in self._db.execute(f"PRAGMA table_info({table})")]

    def put(self, copies: Sequence[Copy], statements: Sequence[str]) -> None:
        rows = [(each.home, each.digest, each.template) for each in copies]
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT INTO crowd VALUES (?, ?, ?)", rows)
        for statement in (*statements, "DELETE FROM crowd"):
            self._db.execute(statement)
        self._db.execute("COMMIT")

    def settle(self) -> None:
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        self._db.close()


class PostgresDatabase:
    """See `Database`; `url` as the server's setting has it."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._db: asyncpg.Connection[Any] = self._runner.run(asyncpg.connect(url))
        self._execute("CREATE TEMP TABLE crowd (home BYTEA, digest BYTEA, template BYTEA)")

    def columns(self, table: str) -> Sequence[str]:
        found = self._runner.run(
            self._db.fetch(
                "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass"
                " AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                table,
            )
        )
        return [name for (name,) in found]

    def put(self, copies: Sequence[Copy], statements: Sequence[str]) -> None:
        self._runner.run(self._put(copies, statements))

    def settle(self) -> None:
        self._execute("VACUUM ANALYZE")
        self._execute("CHECKPOINT")

    def close(self) -> None:
        self._runner.run(self._db.close())
        self._runner.close()

    async def _put(self, copies: Sequence[Copy], statements: Sequence[str]) -> None:
        rows = [(each.home, each.digest, each.template) for each in copies]
        async with self._db.transaction():
            await self._db.copy_records_to_table("crowd", records=rows, columns=_COLUMNS)
            for statement in (*statements, "TRUNCATE crowd"):
                await self._db.execute(statement)

    def _execute(self, statement: str) -> None:
        self._runner.run(self._db.execute(statement))

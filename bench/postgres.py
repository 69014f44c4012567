"""The PostgreSQL under the benchmark: a real one, started for the run, on a disk that is synced.

It runs on the core of the load, so that the server that is measured has its own for itself.
"""

import asyncio
import os
import re
import subprocess
from collections.abc import Awaitable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncpg

from abeyance.store.sql.text import HELD
from bench.database import Mark
from tests.postgres.server import PostgresServer, find_programs

_T = TypeVar("_T")

# Beside these, the defaults: `synchronous_commit` is on. The sizes are for a million requests.
_KEPT: Final = {
    "fsync": "on",
    "full_page_writes": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "4GB",
    "deadlock_timeout": "1s",
}
_TICKS: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100

# The homes of `bench.crowd` can be reckoned, so that pgbench finds them by their number.
_LOOK_UP: Final = f"""\\set first random(0, :crowd - {{at_once}})
SELECT {HELD}
  FROM request
 WHERE home = ANY(ARRAY(SELECT substr(sha512((g || ' of the crowd')::bytea), 1, 16)
                          FROM generate_series(:first, :first + {{at_once}} - 1) AS g));
"""


class Postgres:
    """A server for all cases, with a database for each. Raises `NoPostgres`."""

    def __init__(self, stack: ExitStack) -> None:
        self._programs = find_programs()
        self.server = stack.enter_context(PostgresServer(self._programs, **_KEPT))
        self._folder = Path(self.server.url("x").partition("?host=")[2].partition("&")[0])

    def make(self, name: str) -> str:
        """A new database; its URL."""
        run(self._make(name))
        return self.server.url(name)

    def cpu_seconds(self) -> float:
        """What all processes of the server have computed so far, as far as /proc tells."""
        parent = int((self._folder / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
        return sum(map(_cpu_seconds, (parent, *_children(parent))))

    def look_ups(self, name: str, folder: Path, crowd: int, at_once: int, seconds: int) -> float:
        """How many requests a second pgbench looks up, so many in each statement, as we do it:
        prepared, over two connections.
        """
        script = folder / f"{name}.sql"
        script.write_text(_LOOK_UP.format(at_once=at_once))
        told = subprocess.run(
            [
                self._programs / "pgbench",
                *("-n", "-M", "prepared", "-c", "2", "-T", str(seconds)),
                *("-D", f"crowd={crowd}", "-f", script, self.server.url(name)),
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        found = re.search(r"tps = ([0-9.]+)", told)
        assert found is not None
        return float(found[1]) * at_once

    async def _make(self, name: str) -> None:
        db = await asyncpg.connect(self.server.url("postgres"))
        try:
            await db.execute(f'CREATE DATABASE "{name}"')
        finally:
            await db.close()


class PostgresWatch:
    """A connection beside the server's: see `bench.database.Watch`.

    The database counts everybody's commits, also those that read; so what counts as one here is a
    request that has moved, or a word in the audit.
    """

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._db: asyncpg.Connection[Any] = self._runner.run(asyncpg.connect(url))

    def mark(self) -> Mark:
        written = self._value(
            "SELECT (SELECT coalesce(sum(version), 0) FROM request)::bigint"
            " + (SELECT count(*) FROM audit)"
        )
        return Mark(written, 0)

    def database_bytes(self) -> int:
        return self._value("SELECT pg_database_size(current_database())")

    def waiting(self) -> int:
        return self._value("SELECT count(*) FROM request WHERE state = 'pending'")

    def close(self) -> None:
        self._db.terminate()  # the database may have crashed meanwhile, as a case wants it
        self._runner.close()

    def _value(self, statement: str) -> int:
        return int(self._runner.run(self._db.fetchval(statement)))


def run(asked: Awaitable[_T]) -> _T:
    async def wait() -> _T:
        return await asked

    return asyncio.run(wait())


def _children(parent: int) -> Sequence[int]:
    listed = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(each) for each in listed.read_text().split()] if listed.exists() else ()


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS

"""The schema: all that is missing in one transaction.

Any number of processes may start at once: one migrates under an advisory lock, the others wait
and find it done. Who finds nothing to do needs no right to change the schema. The numbers and
tables are those of SQLite; `tests/postgres/test_schema.py` compares them.
"""

from collections.abc import Sequence
from importlib import resources
from typing import Final

from abeyance.store.migrations import (
    OLDEST_SAID_FROM,
    Migration,
    Version,
    missing,
    read_migrations,
)
from abeyance.store.postgres.address import Connection
from abeyance.store.postgres.session import lock_number

FOLDER: Final = resources.files("abeyance.store.postgres") / "migrations"

_LOCK: Final = lock_number(b"abeyance schema")
# Whoever waits for a table's lock makes all wait who come behind: not for long.
_BEGIN: Final = f"""
    BEGIN ISOLATION LEVEL READ COMMITTED;
    SET LOCAL statement_timeout = 0;
    SET LOCAL lock_timeout = 0;
    SELECT pg_advisory_xact_lock({_LOCK});
    SET LOCAL lock_timeout = '10s';
    """
_HAS_ANY: Final = "SELECT to_regclass('schema_version') IS NOT NULL"
_VERSION: Final = "SELECT coalesce(max(version), 0) FROM schema_version"
_OLDEST: Final = "SELECT max(coalesce(oldest, version)) FROM schema_version"
_RUNS_WITH: Final = "UPDATE schema_version SET oldest = $1 WHERE version = $2"
_LONGEST: Final = 3_600.0  # seconds


async def migrate(connection: Connection, migrations: Sequence[Migration] | None = None) -> None:
    """Bring the schema to the newest version. Raises `StoreTooNew` for one that is not for us."""
    known = read_migrations(FOLDER) if migrations is None else migrations
    if not missing(known, await _find(connection)):
        return
    try:
        await connection.execute(_BEGIN, timeout=_LONGEST)
        for migration in missing(known, await _find(connection)):
            await connection.execute(migration.sql, timeout=_LONGEST)
            await connection.execute(
                "INSERT INTO schema_version (version) VALUES ($1)", migration.version
            )
            if migration.oldest is not None:
                await connection.execute(_RUNS_WITH, migration.oldest, migration.version)
        await connection.execute("COMMIT", timeout=_LONGEST)
    except BaseException:
        connection.terminate()
        raise


async def find_version(connection: Connection) -> int:
    """The version of the schema, 0 for an empty database."""
    if not await connection.fetchval(_HAS_ANY):
        return 0
    version: int = await connection.fetchval(_VERSION)
    return version


async def _find(connection: Connection) -> Version:
    version = await find_version(connection)
    if version < OLDEST_SAID_FROM:
        return Version(version, version)
    return Version(version, await connection.fetchval(_OLDEST))

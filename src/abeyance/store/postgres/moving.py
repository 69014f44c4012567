"""All of a PostgreSQL store, read at one moment or written in one transaction."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from abeyance.store.archive import BATCH, BadArchive, Row
from abeyance.store.ports import StoreAway, StoreInUse
from abeyance.store.postgres.address import Address, Bounds, Connection, connect, parse_address
from abeyance.store.postgres.faults import told, unreachable
from abeyance.store.postgres.schema import find_version
from abeyance.store.sql.tables import CONTENT

_UNBOUNDED: Final = """
    SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0;
    """
_COLUMNS: Final = """
    SELECT column_name
      FROM information_schema.columns
     WHERE table_schema = current_schema() AND table_name = $1
    """
_OTHERS: Final = """
    SELECT count(*)
      FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()
       AND application_name LIKE 'abeyance %'
       AND application_name NOT LIKE '% ' || $1
    """
_CONTINUE: Final = """
    SELECT setval(pg_get_serial_sequence('security_event', 'seq'),
                  (SELECT 1 + coalesce(max(seq), 0) FROM security_event), false)
    """
_LONGEST: Final = 86_400.0  # seconds, of one statement


class NotEmpty(StoreInUse):
    """Something is there already; the message says where."""


class Tables:
    """`archive.Target` within a transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def columns(self, table: str) -> Sequence[str]:
        return [str(name) for (name,) in await self._connection.fetch(_COLUMNS, table)]

    async def rows(self, table: str, columns: Sequence[str]) -> AsyncIterator[Row]:
        select = f"SELECT {_names(columns)} FROM {table}"  # noqa: S608 - our own names
        async for row in self._connection.cursor(select, prefetch=BATCH, timeout=_LONGEST):
            yield tuple(row)

    async def add(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        try:
            await self._connection.copy_records_to_table(
                table, columns=columns, records=rows, timeout=_LONGEST
            )
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError):
            raise BadArchive(f"has a row that no {table} can be") from None


@asynccontextmanager
async def moment(url: str) -> AsyncIterator[tuple[int, Tables]]:
    """The version of the schema, and one moment of the store; servers may run on it.

    Raises `StoreAway`.
    """
    async with (
        _connected(parse_address(url)) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute(_UNBOUNDED)
        yield await find_version(connection), Tables(connection)


@asynccontextmanager
async def transaction(url: str) -> AsyncIterator[Tables]:
    """One transaction on an empty store; taken back if the block fails.

    Raises `NotEmpty`, `StoreAway`.
    """
    async with _connected(parse_address(url)) as connection, connection.transaction():
        await connection.execute(_UNBOUNDED)
        await connection.execute(f"LOCK TABLE {_names(CONTENT)} IN EXCLUSIVE MODE")
        for table in CONTENT:
            if await connection.fetchval(f"SELECT EXISTS (SELECT 1 FROM {table})"):  # noqa: S608
                raise NotEmpty(f"there is something in {table}; name a database with nothing in it")
        yield Tables(connection)
        await connection.execute(_CONTINUE)


async def check_alone(url: str) -> None:
    """Raises `StoreInUse` if another process of ours has the database open."""
    async with _connected(parse_address(url)) as connection:
        if await connection.fetchval(_OTHERS, str(os.getpid())):
            raise StoreInUse("the database is in use by a server. Stop all of them first")


@asynccontextmanager
async def _connected(address: Address) -> AsyncIterator[Connection]:
    try:
        connection = await connect(address, Bounds(), name="abeyance moving")
    except Exception as fault:
        raise unreachable(fault) from fault
    try:
        yield connection
    except (OSError, StoreAway):
        raise
    except Exception as fault:
        away = told(fault, closed=connection.is_closed())
        raise away from fault.__cause__
    finally:
        await connection.close(timeout=5)


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f'"{each}"' for each in columns)

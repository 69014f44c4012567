"""One database whose hot tables lie on several servers: hash partitions that are foreign tables.

PostgreSQL's own parts do all of it: declarative partitioning chooses the server by the home, and
`postgres_fdw` goes there. What is not of one home (clients, people, histories, reservations) stays
on the server that everybody connects to, and so do the locks. docs/scale.md says what this
proves and what it does not.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg

from tests.postgres.databases import Database
from tests.postgres.server import USER

# Every table whose key begins with a home.
_OF_HOMES: Final = """
    SELECT conrelid::regclass::text,
           (regexp_match(pg_get_constraintdef(oid), '^PRIMARY KEY \\((\\w+)'))[1]
      FROM pg_constraint
     WHERE contype = 'p' AND connamespace = 'public'::regnamespace
       AND pg_get_constraintdef(oid) ~ '^PRIMARY KEY \\((source_)?home[,)]'
     ORDER BY 1
    """


async def spread(center: Database, shards: Sequence[Database]) -> Sequence[str]:
    """Move the hot tables of `center`, which are empty, to the others; all have our schema.

    Returns their names.
    """
    db = await center.connect()
    try:
        await db.execute("CREATE EXTENSION IF NOT EXISTS postgres_fdw")
        for number, shard in enumerate(shards):
            await db.execute(_server(number, shard))
        tables = await db.fetch(_OF_HOMES)
        for table, key in tables:
            await db.execute(_partitioned(table, key, len(shards)))
        return [table for table, _ in tables]
    finally:
        await db.close()


async def rows_on(shards: Sequence[Database], tables: Sequence[str]) -> Sequence[Mapping[str, int]]:
    """How many rows of each table lie on each server, where there are any."""
    found = []
    for shard in shards:
        db = await shard.connect()
        counts = {each: await db.fetchval(f"SELECT count(*) FROM {each}") for each in tables}
        found.append({table: count for table, count in counts.items() if count})
        await db.close()
    return found


async def homes_on(shard: Database, table: str) -> set[bytes]:
    db: asyncpg.Connection[asyncpg.Record] = await shard.connect()
    try:
        return {home for (home,) in await db.fetch(f"SELECT DISTINCT home FROM {table}")}
    finally:
        await db.close()


def _server(number: int, shard: Database) -> str:
    # Connections to the shards stay open; they are those of the session that uses them.
    return f"""
        CREATE SERVER shard_{number} FOREIGN DATA WRAPPER postgres_fdw
            OPTIONS (host '127.0.0.1', port '{shard.server.port}', dbname '{shard.name}');
        CREATE USER MAPPING FOR CURRENT_USER SERVER shard_{number}
            OPTIONS (user '{USER}', password '{shard.server.password}');
        """


def _partitioned(table: str, key: str, shards: int) -> str:
    """The same columns, without keys and triggers: those are where the rows are."""
    partitions = "".join(
        f"""
        CREATE FOREIGN TABLE {table}_{number} PARTITION OF {table}
            FOR VALUES WITH (MODULUS {shards}, REMAINDER {number})
            SERVER shard_{number} OPTIONS (table_name '{table}');
        """
        for number in range(shards)
    )
    return f"""
        ALTER TABLE {table} RENAME TO {table}_was;
        CREATE TABLE {table} (LIKE {table}_was INCLUDING DEFAULTS) PARTITION BY HASH ({key});
        DROP TABLE {table}_was CASCADE;
        {partitions}
        """

"""The tables of PostgreSQL: the same as SQLite's, made once however many start at once."""

import asyncio
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import apsw
import asyncpg
import pytest

from abeyance.store.migrations import Migration, read_migrations
from abeyance.store.ports import StoreTooNew
from abeyance.store.postgres import schema
from abeyance.store.postgres.address import Bounds, Connection, connect, parse_address
from abeyance.store.sqlite import connection as sqlite_connection
from abeyance.store.sqlite import schema as sqlite_schema
from tests.covers import covers
from tests.postgres.databases import Database, Databases

SHARED: Final = {"used_proof"}  # among processes; SQLite has one
TYPES: Final = {"BLOB": "bytea", "INTEGER": "bigint", "TEXT": "text"}


@pytest.fixture
def sqlite(tmp_path: Path) -> apsw.Connection:
    path = tmp_path / "abeyance.db"
    sqlite_connection.prepare_file(path)
    db = sqlite_connection.connect_writer(path, None)
    sqlite_schema.migrate(db)
    return db


async def session_of(database: Database) -> Connection:
    return await connect(parse_address(database.url), Bounds())


# --- the same tables


async def test_both_engines_have_the_same_migrations(database: Database) -> None:
    ours = sorted(each.name for each in schema.FOLDER.iterdir() if each.name.endswith(".sql"))
    theirs = sorted(
        each.name for each in sqlite_schema.FOLDER.iterdir() if each.name.endswith(".sql")
    )
    assert ours == theirs
    db = await session_of(database)
    assert await schema.find_version(db) == len(ours)
    await db.close()


async def test_both_engines_have_the_same_tables_and_columns(
    database: Database, sqlite: apsw.Connection
) -> None:
    db = await database.connect()
    found = await db.fetch(
        """
        SELECT table_name, column_name, data_type, is_nullable = 'NO', column_default
          FROM information_schema.columns
         WHERE table_schema = 'public'
         ORDER BY table_name, ordinal_position
        """
    )
    await db.close()
    ours = [(*row[:4], _default(row[4])) for row in found if row[0] not in SHARED]
    theirs = []
    for table in _tables(sqlite):
        for _, name, kind, required, default, key in sqlite.execute(f"PRAGMA table_info({table})"):
            theirs.append((table, name, TYPES[str(kind)], bool(required or key), _default(default)))
    assert sorted(ours) == sorted(theirs)


async def test_both_engines_have_the_same_keys(database: Database, sqlite: apsw.Connection) -> None:
    db = await database.connect()
    found = await db.fetch(
        """
        SELECT conrelid::regclass::text, pg_get_constraintdef(oid)
          FROM pg_constraint
         WHERE contype IN ('p', 'f') AND connamespace = 'public'::regnamespace
        """
    )
    await db.close()
    ours = {(table, _plain(text)) for table, text in found if table not in SHARED}
    assert ours == _sqlite_keys(sqlite)


async def test_both_engines_have_the_same_indexes(
    database: Database, sqlite: apsw.Connection
) -> None:
    db = await database.connect()
    found = await db.fetch(
        """
        SELECT indexname, indexdef
          FROM pg_indexes
         WHERE schemaname = 'public' AND indexname NOT LIKE '%\\_pkey'
        """
    )
    await db.close()
    ours = {row[0]: _index(row[1]) for row in found if not _is_shared(row[1])}
    theirs = {
        str(name): _index(str(text))
        for name, text in sqlite.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
        )
    }
    assert ours == theirs


async def test_both_engines_refuse_the_same(database: Database, sqlite: apsw.Connection) -> None:
    db = await database.connect()
    triggers = await db.fetch(
        """
        SELECT tgrelid::regclass::text, tgname
          FROM pg_trigger
         WHERE NOT tgisinternal
        """
    )
    checks = await db.fetch(
        """
        SELECT conrelid::regclass::text, count(*)
          FROM pg_constraint
         WHERE contype = 'c' AND connamespace = 'public'::regnamespace
         GROUP BY conrelid
        """
    )
    await db.close()
    assert {tuple(row) for row in triggers} == set(
        sqlite.execute("SELECT tbl_name, name FROM sqlite_schema WHERE type = 'trigger'")
    )
    counted = {
        str(table): str(text).count("CHECK (")
        for table, text in sqlite.execute("SELECT name, sql FROM sqlite_schema WHERE type='table'")
    }
    assert {row[0]: row[1] for row in checks if row[0] not in SHARED} == {
        table: count for table, count in counted.items() if count
    }


async def test_text_is_ordered_by_its_bytes_whatever_the_locale(database: Database) -> None:
    db = await database.connect()
    found = await db.fetch(
        """
        SELECT table_name, column_name
          FROM information_schema.columns
         WHERE table_schema = 'public' AND data_type = 'text'
           AND collation_name IS DISTINCT FROM 'C'
        """
    )
    await db.close()
    assert found == []


async def test_every_hot_key_begins_with_the_home(database: Database) -> None:
    hot = {"request", "snapshot", "inbox", "vote", "token", "audit", "user_grant", "code", "family"}
    hot |= {"refresh_token", "interaction", "sealed", "outbox", "repetition", "device", "assertion"}
    hot |= {"standing_approval"}
    db = await database.connect()
    keys = await db.fetch(
        """
        SELECT conrelid::regclass::text, pg_get_constraintdef(oid)
          FROM pg_constraint
         WHERE contype = 'p' AND connamespace = 'public'::regnamespace
        """
    )
    await db.close()
    begins = {table for table, text in keys if re.match(r"PRIMARY KEY \(home[,)]", text)}
    assert hot <= begins


# --- what is frozen


@covers("SEC-STORE-10")
async def test_a_request_that_has_ended_cannot_be_moved_by_sql(database: Database) -> None:
    db = await database.connect()
    await db.execute(
        """
        INSERT INTO request (home, n, version, state, client_id, handle_digest,
                             opened_at, decide_by, expires_at, interval)
        VALUES (decode(repeat('00', 16), 'hex'), 1, 1, 'cancelled', 'shop',
                decode(repeat('00', 32), 'hex'), 1, 2, 3, 5)
        """
    )
    for statement, says in (
        ("UPDATE request SET state = 'pending'", "stays as it ended"),
        ("UPDATE request SET client_id = 'thief'", "never change"),
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=says):
            await db.execute(statement)
    assert await db.fetchval("SELECT state || ' ' || client_id FROM request") == "cancelled shop"
    await db.close()


@covers("SEC-STORE-10", "OAUTH-LOG-07")
async def test_the_audit_can_be_shortened_only_as_far_as_disposal_may_reach(
    database: Database,
) -> None:
    db = await database.connect()
    await db.execute(
        """
        INSERT INTO audit (home, seq, n, at, event, actor, detail)
        SELECT decode(repeat('00', 16), 'hex'), at, 1, at, 'opened', 'system', '{}'
          FROM generate_series(1, 3) AS at
        """
    )
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
        await db.execute("DELETE FROM audit WHERE at = 1")
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
        await db.execute("UPDATE audit SET actor = 'nobody'")
    await db.execute("INSERT INTO disposal (log, before) VALUES ('audit', 2)")
    await db.execute("DELETE FROM audit WHERE at <= 2")
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
        await db.execute("DELETE FROM audit")
    assert await db.fetchval("SELECT array_agg(at) FROM audit") == [3]
    await db.close()


# --- migrating


async def test_an_empty_database_is_migrated_by_the_first_of_several_processes(
    databases: Databases,
) -> None:
    async with databases.bare() as database:
        started = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.postgres.migrating", database.url
            )
            for _ in range(3)
        ]
        assert [await process.wait() for process in started] == [0, 0, 0]
        db = await session_of(database)
        assert await db.fetchval("SELECT count(*) FROM schema_version") == len(
            read_migrations(schema.FOLDER)
        )
        await db.close()


async def test_a_newer_schema_is_left_alone(databases: Databases) -> None:
    async with databases.bare() as database:
        db = await session_of(database)
        await schema.migrate(db)
        await db.execute("INSERT INTO schema_version (version) VALUES (999)")
        with pytest.raises(StoreTooNew, match="schema 999"):
            await schema.migrate(db)
        assert await schema.find_version(db) == 999
        await db.close()


async def test_a_migration_that_is_cut_short_leaves_the_schema_before_it(
    databases: Databases,
) -> None:
    known = read_migrations(schema.FOLDER)
    second = len(known) + 1
    async with databases.bare() as database:
        db = await session_of(database)
        await schema.migrate(db, known)
        cut = "CREATE TABLE half (a BIGINT); SELECT no_such_function();"
        with pytest.raises(asyncpg.UndefinedFunctionError):
            await schema.migrate(db, (*known, Migration(second, cut)))
        db = await session_of(database)
        assert await schema.find_version(db) == len(known)
        assert await db.fetchval("SELECT to_regclass('half')") is None
        await schema.migrate(db, (*known, Migration(second, "CREATE TABLE half (a BIGINT);")))
        assert await schema.find_version(db) == second
        await db.close()


async def test_who_finds_the_schema_there_needs_no_right_to_change_it(
    databases: Databases,
) -> None:
    async with databases.bare() as database:
        owner = await session_of(database)
        await schema.migrate(owner)
        await owner.execute("CREATE ROLE clerk LOGIN; GRANT SELECT ON schema_version TO clerk")
        clerk = await connect(
            parse_address(database.url.replace("//abeyance@", "//clerk@")), Bounds()
        )
        await schema.migrate(clerk)
        await clerk.close()
        await owner.execute("DROP OWNED BY clerk; DROP ROLE clerk")
        await owner.close()


# --- reading both


def _tables(sqlite: apsw.Connection) -> Sequence[str]:
    found = sqlite.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    return [str(name) for (name,) in found if not str(name).startswith("sqlite_")]


def _default(text: Any) -> str | None:
    """`''::text` and `''` are the same."""
    return None if text is None else re.sub(r"::\w+", "", str(text))


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace('"', "")).strip()


def _is_shared(text: str) -> bool:
    return any(f"ON public.{table} " in text for table in SHARED)


def _index(text: str) -> tuple[bool, str, str, str | None]:
    """Whether it is unique, its table, its columns, and the rows that it is of."""
    matched = re.fullmatch(
        r"CREATE (UNIQUE )?INDEX \w+ ON (?:public\.)?(\w+)(?: USING btree)? \((.*?)\)"
        r"(?: WHERE (.*))?",
        _plain(text),
    )
    assert matched is not None, text
    return bool(matched[1]), matched[2], matched[3], _condition(matched[4])


def _condition(text: str | None) -> str | None:
    """Both spell it in their own way: what is left are names and values."""
    if text is None:
        return None
    words = re.findall(r"'\w+'|\w+", re.sub(r"::\w+(\[\])?", "", text))
    said = [word for word in words if word not in ("IN", "ANY", "ARRAY")]
    return " ".join(said)


def _sqlite_keys(sqlite: apsw.Connection) -> set[tuple[str, str]]:
    keys = set()
    for table in _tables(sqlite):
        columns = list(sqlite.execute(f"PRAGMA table_info({table})"))
        key = [str(row[1]) for row in sorted(columns, key=lambda row: row[5]) if row[5]]
        keys.add((table, f"PRIMARY KEY ({', '.join(key)})"))
        keys |= {(table, text) for text in _sqlite_references(sqlite, table)}
    return keys


def _sqlite_references(sqlite: apsw.Connection, table: str) -> Sequence[str]:
    found: dict[Any, list[Sequence[Any]]] = {}
    for row in sqlite.execute(f"PRAGMA foreign_key_list({table})"):
        found.setdefault(row[0], []).append(row)
    texts = []
    for rows in found.values():
        here = ", ".join(str(row[3]) for row in sorted(rows, key=lambda row: row[1]))
        to, on_delete = rows[0][2], rows[0][6]
        cascade = " ON DELETE CASCADE" if on_delete == "CASCADE" else ""
        texts.append(f"FOREIGN KEY ({here}) REFERENCES {to}({here}){cascade}")
    return texts

"""Old and new programs side by side: what a migration says of those before it is kept."""

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from abeyance.pending.states import Stage
from abeyance.store.migrations import Migration, read_migrations
from abeyance.store.ports import Store, StoreTooNew
from abeyance.store.postgres import schema as postgres_schema
from abeyance.store.postgres.address import Bounds, connect, parse_address
from abeyance.store.postgres.store import PostgresStore
from abeyance.store.sqlite import SqliteStore, schema
from abeyance.store.suite.ground import open_in, state_of
from tests.covers import covers
from tests.postgres.databases import Databases
from tests.store.test_erasing import live_a_full_life

KNOWN = read_migrations(schema.FOLDER)
OURS = KNOWN[-1].version
ADDS = """
    ALTER TABLE request ADD COLUMN later TEXT;
    ALTER TABLE snapshot ADD COLUMN later {number} NOT NULL DEFAULT 0;
    CREATE TABLE later (home {bytes} NOT NULL PRIMARY KEY);
    CREATE INDEX request_later ON request (later);
    """


def later(oldest: int | None, **types: str) -> Migration:
    """What a newer program brings, and which programs it says may run beside it."""
    said = "" if oldest is None else f"-- runs with programs of schema {oldest}\n"
    return Migration(OURS + 1, said + ADDS.format(**types))


async def live(store: Store) -> None:
    await live_a_full_life(store)
    for stage in Stage:
        held = await open_in(store, stage)
        assert await state_of(store, held) == held.state


@covers("OAUTH-DEFER-12")
async def test_this_program_works_on_the_file_of_a_newer_one_that_lets_it(tmp_path: Path) -> None:
    path = tmp_path / "abeyance.db"
    store = await SqliteStore.open(path)
    waits = await open_in(store, Stage.PENDING)
    await store.close()
    with closing(apsw.Connection(str(path))) as db:
        schema.migrate(db, (*KNOWN, later(OURS, number="INTEGER", bytes="BLOB")))
    store = await SqliteStore.open(path)
    assert await state_of(store, waits) == waits.state
    await live(store)
    await store.close()
    with closing(apsw.Connection(str(path))) as db:
        assert schema.find_version(db) == OURS + 1


@pytest.mark.parametrize("oldest", [None, OURS + 1])
async def test_this_program_leaves_the_file_of_one_that_does_not(
    tmp_path: Path, oldest: int | None
) -> None:
    path = tmp_path / "abeyance.db"
    await (await SqliteStore.open(path)).close()
    with closing(apsw.Connection(str(path))) as db:
        schema.migrate(db, (*KNOWN, later(oldest, number="INTEGER", bytes="BLOB")))
    with pytest.raises(StoreTooNew, match=f"this one knows {OURS}"):
        await SqliteStore.open(path)


@covers("OAUTH-DEFER-12")
async def test_a_process_goes_on_while_a_newer_one_migrates_beside_it(
    databases: Databases,
) -> None:
    async with databases.bare() as database:
        store = await PostgresStore.open(database.url, lease=0)
        waits = await open_in(store, Stage.PENDING)
        db = await connect(parse_address(database.url), Bounds())
        known = read_migrations(postgres_schema.FOLDER)
        await postgres_schema.migrate(db, (*known, later(OURS, number="BIGINT", bytes="BYTEA")))
        await db.close()
        assert await state_of(store, waits) == waits.state
        await live(store)
        await store.close()
        store = await PostgresStore.open(database.url, lease=0)  # and one of ours may still start
        assert await state_of(store, waits) == waits.state
        await store.close()


@covers("OAUTH-DEFER-12")
async def test_what_a_file_held_before_the_last_migration_is_there_after_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "abeyance.db"
    with closing(apsw.Connection(str(path))) as db:
        schema.migrate(db, KNOWN[:10])
        home, digest = b"h" * 16, b"d" * 32
        db.execute(
            "INSERT INTO request (home, n, version, state, client_id, handle_digest, opened_at,"
            " decide_by, expires_at, interval) VALUES (?, 1, 1, 'pending', 'shop', ?, 1, 2, 3, 4)",
            (home, digest),
        )
        db.execute("INSERT INTO audit VALUES (?, 1, 1, 5, 'opened', 'system', '{}')", (home,))
    await (await SqliteStore.open(path)).close()
    with closing(apsw.Connection(str(path))) as db:
        assert schema.find_version(db) == OURS
        assert db.execute("SELECT home, handle_digest, state FROM request").fetchall() == [
            (home, digest, "pending")
        ]
        assert db.execute("SELECT count(*) FROM audit").get == 1

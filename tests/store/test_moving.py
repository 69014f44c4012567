"""A whole store goes from one kind of database to the other, and back, with nothing lost."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import apsw
import pytest

from abeyance.cli import main, moving
from abeyance.pending.states import Stage
from abeyance.store.archive import BadArchive
from abeyance.store.ports import Store
from abeyance.store.postgres.store import PostgresStore
from abeyance.store.sql.tables import CONTENT, OF_THE_PLACE
from abeyance.store.sqlite import SqliteStore
from abeyance.store.suite.ground import NOW, open_in
from tests.covers import covers
from tests.postgres.databases import Database, Databases
from tests.store.test_erasing import live_a_full_life

Rows = Mapping[str, list[tuple[object, ...]]]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return _config(tmp_path, "here", "")


def _config(folder: Path, name: str, more: str) -> Path:
    file = folder / f"{name}.toml"
    file.write_text(f'data = "{folder / name}"\n{more}')
    return file


def at(folder: Path, database: Database) -> Path:
    return _config(folder, database.name, f'[store]\nurl = "{database.url}"\n')


async def call(arguments: Sequence[str | Path]) -> int:
    return await asyncio.to_thread(main, list(map(str, arguments)))


async def fill(path: Path) -> None:
    """Something in every table, and requests in every state."""
    path.parent.mkdir(exist_ok=True)
    store = await SqliteStore.open(path)
    await live_a_full_life(store)
    for stage in Stage:
        await open_in(store, stage)
    await store.close()
    with closing(apsw.Connection(str(path))) as db:
        for table in CONTENT:
            if not db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchall():
                _fill_table(db, table)


def _fill_table(db: apsw.Connection, table: str) -> None:
    columns = db.execute(f"PRAGMA table_info({table})").fetchall()
    made = {"BLOB": b"\x00" * 32, "INTEGER": 2**53, "TEXT": 'ä"\\ \U0001f511'}
    values: list[object] = [made[str(column[2])] for column in columns]
    if table == "disposal":
        values = ["audit", 0]
    [[home]] = db.execute("SELECT home FROM request ORDER BY home LIMIT 1")
    for place, (_, name, *_) in enumerate(columns):
        if name == "home":
            values[place] = home
        elif name == "n":
            values[place] = 1
    if table == "repetition":
        values[columns.index(next(each for each in columns if each[1] == "granted"))] = None
        values[columns.index(next(each for each in columns if each[1] == "until"))] = None
    db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)


def rows_of(path: Path) -> Rows:
    with closing(apsw.Connection(str(path))) as db:
        return {table: sorted(_select(db, table), key=repr) for table in CONTENT}


def _select(db: apsw.Connection, table: str) -> list[tuple[object, ...]]:
    names = sorted(str(row[1]) for row in db.execute(f"PRAGMA table_info({table})"))
    listed = ", ".join(f'"{name}"' for name in names)
    return [tuple(row) for row in db.execute(f"SELECT {listed} FROM {table}")]


def test_every_table_goes_with_a_store_or_belongs_to_its_place(tmp_path: Path) -> None:
    path = tmp_path / "abeyance.db"
    asyncio.run(fill(path))
    with closing(apsw.Connection(str(path))) as db:
        found = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    tables = {str(name) for (name,) in found} - {"sqlite_sequence"}
    assert tables - OF_THE_PLACE == {*CONTENT}, "say in store/sql/tables.py whether it goes along"
    assert len(CONTENT) == len({*CONTENT})


async def test_postgres_has_no_table_that_is_forgotten(database: Database) -> None:
    db = await database.connect()
    found = await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    await db.close()
    assert {name for (name,) in found} - OF_THE_PLACE == {*CONTENT}


@covers("OAUTH-DEFER-12", "DTR-RD-21")
async def test_there_and_back_again_nothing_is_lost(
    tmp_path: Path, config: Path, databases: Databases
) -> None:
    path = tmp_path / "here" / "abeyance.db"
    await fill(path)
    before = rows_of(path)
    assert all(before.values()), "something in every table"
    archives = [tmp_path / "one", tmp_path / "two"]
    async with databases.fresh() as database:
        there = at(tmp_path, database)
        assert await call(["export", "--move", archives[0], "--config", config]) == 0
        assert await call(["import", archives[0], "--config", there]) == 0
        assert await call(["export", "--move", archives[1], "--config", there]) == 0
    back = _config(tmp_path, "back", "")
    assert await call(["import", archives[1], "--config", back]) == 0
    assert rows_of(tmp_path / "back" / "abeyance.db") == before
    assert archives[0].stat().st_mode & 0o777 == 0o600


@covers("DTR-POLL-03")
async def test_what_goes_on_elsewhere_is_an_earlier_state_here(
    tmp_path: Path, config: Path, databases: Databases
) -> None:
    store: Store = await SqliteStore.open(_folder(tmp_path) / "abeyance.db")
    approved, waiting = await open_in(store, Stage.APPROVED), await open_in(store, Stage.PENDING)
    # Beneath a server, as far as this goes: the store is open.
    write = partial(moving.export, tmp_path / "one", config=config, now=lambda: NOW)
    assert await asyncio.to_thread(write) == 0
    await store.close()
    async with databases.fresh() as database:
        read = partial(
            moving.import_, tmp_path / "one", config=at(tmp_path, database), now=lambda: NOW
        )
        assert await asyncio.to_thread(read) == 0
        store = await PostgresStore.open(database.url)
        found = [await store.find_held(each.handle) for each in (approved, waiting)]
        events = await store.list_security_events(9)
        await store.close()
    assert [each is None or type(each.state).__name__ for each in found] == ["Denied", "Pending"]
    assert events[0].event == "store_restored"


async def test_the_security_log_goes_on_behind_what_was_brought_in(
    tmp_path: Path, config: Path, databases: Databases
) -> None:
    await fill(_folder(tmp_path) / "abeyance.db")
    assert await call(["export", "--move", tmp_path / "one", "--config", config]) == 0
    async with databases.fresh() as database:
        there = at(tmp_path, database)
        assert await call(["import", tmp_path / "one", "--config", there]) == 0
        # Twice: each start of this house records something.
        assert await call(["restore", "--config", there]) == 0
        assert await call(["restore", "--config", there]) == 0


async def test_nothing_is_brought_in_where_something_is(
    tmp_path: Path, config: Path, databases: Databases, capsys: pytest.CaptureFixture[str]
) -> None:
    await fill(_folder(tmp_path) / "abeyance.db")
    before = rows_of(_folder(tmp_path) / "abeyance.db")
    assert await call(["export", tmp_path / "one", "--config", config]) == 0
    assert await call(["export", tmp_path / "one", "--config", config]) == 2
    assert await call(["import", tmp_path / "one", "--config", config]) == 2
    assert "is there already" in capsys.readouterr().err
    assert rows_of(_folder(tmp_path) / "abeyance.db") == before
    async with databases.fresh() as database:
        store = await PostgresStore.open(database.url)
        held = await open_in(store, Stage.APPROVED)
        assert await call(["import", tmp_path / "one", "--config", at(tmp_path, database)]) == 2
        assert "there is something in" in capsys.readouterr().err
        assert await store.find_held(held.handle) == held
        await store.close()


@pytest.mark.parametrize(
    "harm", ["cut", "row", "lost row", "other schema", "no archive", "no end", "tail"]
)
async def test_what_is_not_whole_leaves_nothing_behind(
    tmp_path: Path, config: Path, databases: Databases, harm: str
) -> None:
    await fill(_folder(tmp_path) / "abeyance.db")
    whole = tmp_path / "one"
    assert await call(["export", "--move", whole, "--config", config]) == 0
    lines = whole.read_bytes().splitlines(keepends=True)
    # Of a table to which nothing else refers, so that no constraint sees it.
    row = 1 + next(place for place, line in enumerate(lines) if b'"table":"audit"' in line)
    match harm:
        case "cut":
            lines = lines[: len(lines) // 2]
        case "row":
            lines[row] = lines[row].replace(b"opened", b"closed")
        case "lost row":
            del lines[row]
        case "other schema":
            lines[0] = lines[0].replace(b'"schema":', b'"schema":1')
        case "no archive":
            lines = [b"something else\n"]
        case "no end":
            del lines[-1]
        case "tail":
            lines.append(lines[-1])
    assert lines != whole.read_bytes().splitlines(keepends=True)
    whole.write_bytes(b"".join(lines))
    new = _config(tmp_path, "new", "")
    with pytest.raises(BadArchive):
        await asyncio.to_thread(moving.import_, whole, config=new)
    assert not (tmp_path / "new" / "abeyance.db").exists()
    async with databases.fresh() as database:
        there = at(tmp_path, database)
        with pytest.raises(BadArchive):
            await asyncio.to_thread(moving.import_, whole, config=there)
        db = await database.connect()
        for table in (*CONTENT, "mark"):
            assert await db.fetchval(f"SELECT count(*) FROM {table}") == 0, table
        await db.close()


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir(exist_ok=True)
    return folder

"""A process that is stopped before it runs what it had prepared holds nobody up for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from abeyance.pending.handles import Home
from abeyance.store.ports import StoreAway
from abeyance.store.postgres.address import Bounds, Connection, connect, parse_address
from abeyance.store.postgres.faults import Meaning, meaning
from abeyance.store.postgres.session import lock_number
from abeyance.store.postgres.silence import END_SILENT
from abeyance.store.postgres.store import PostgresStore
from abeyance.store.sql.changes import Written
from abeyance.store.sql.db import Db
from tests.covers import covers
from tests.postgres.databases import PATIENT, Database
from tests.postgres.wire import laid_to

HOME = Home(bytes(16))
AWHILE = timedelta(milliseconds=100)
HOUR = timedelta(hours=1)
QUICK = Bounds(lock=AWHILE, idle=AWHILE)


@asynccontextmanager
async def stopped(
    database: Database, name: str = "abeyance", **bounds: timedelta
) -> AsyncIterator[Connection]:
    """A session that has locked the home and prepared a statement, and says nothing more."""
    connection = await connect(parse_address(database.url), Bounds(**bounds), name=name)
    try:
        await connection.execute(f"BEGIN; SELECT pg_advisory_xact_lock({lock_number(HOME)})")
        await connection.prepare("SELECT 1")
        yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def store_at(url: str, bounds: Bounds) -> AsyncIterator[PostgresStore]:
    store = await PostgresStore.open(url, bounds=bounds)
    try:
        yield store
    finally:
        await store.close()


async def write(store: PostgresStore, number: int = 1) -> bool:
    async def beat(db: Db) -> Written[None]:
        await db.hold(HOME)
        await db.rows(f"INSERT INTO pulse (bucket, beats) VALUES ({number}, 1)")
        return Written(None)

    try:
        await store._change(beat)
    except StoreAway:
        return False
    return True


async def until_it_writes(store: PostgresStore) -> None:
    async with asyncio.timeout(30):
        while not await write(store):  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)


@covers("DTR-INV-06")
async def test_whoever_was_stopped_in_the_middle_of_a_statement_loses_its_transaction(
    database: Database,
) -> None:
    async with (
        # Neither of its bounds reaches it.
        stopped(database, statement=AWHILE, idle=AWHILE) as held,
        store_at(database.url, QUICK) as store,
    ):
        await until_it_writes(store)
        # How the driver says it depends on how much it has heard by then.
        [told] = await asyncio.gather(held.execute("COMMIT"), return_exceptions=True)
        assert isinstance(told, BaseException)
        assert meaning(told, closed=held.is_closed()) is Meaning.LOST


@covers("DTR-INV-06")
@pytest.mark.parametrize("hears_the_end", [True, False])
async def test_whoever_goes_on_after_that_begins_anew_and_has_done_it_once(
    database: Database, hears_the_end: bool
) -> None:
    async with (
        laid_to(database.server) as wire,
        store_at(database.server.tcp_url(database.name, wire.port), PATIENT) as slow,
        store_at(database.url, QUICK) as store,
    ):
        wire.keep_answer_to = b"VALUES (2,"
        begun = asyncio.create_task(write(slow, 2))
        await wire.kept.wait()
        await until_it_writes(store)
        if hears_the_end:  # together with why
            wire.hang_up()
        wire.give()
        assert await begun
        beats = await store._engine.look_up("SELECT bucket, beats FROM pulse WHERE bucket > 0")
        assert sorted(map(tuple, beats)) == [(1, 1), (2, 1)]


async def test_sessions_that_are_no_server_are_left_alone_and_so_is_who_was_silent_for_a_moment(
    database: Database,
) -> None:
    async with (
        stopped(database, "copying") as other,
        store_at(database.url, Bounds(lock=AWHILE, idle=HOUR)) as ours,
    ):
        assert await ours._engine.look_up(END_SILENT, timedelta(0)) == [(0,)]
        assert not await write(ours)
        await other.execute("COMMIT")
        assert await write(ours)
        async with stopped(database) as held:
            assert await ours._engine.look_up(END_SILENT, timedelta(minutes=1)) == [(0,)]
            await held.execute("COMMIT")


async def test_a_look_that_fails_is_followed_by_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = [StoreAway("not now"), asyncpg.InsufficientPrivilegeError("no")]
    async with stopped(database), store_at(database.url, QUICK) as store:
        real = store._engine.look_up

        async def look_up(statement: str, *values: Any) -> Any:
            if statement == END_SILENT and faults:
                raise faults.pop()
            return await real(statement, *values)

        monkeypatch.setattr(store._engine, "look_up", look_up)
        await until_it_writes(store)
    assert faults == []

"""Operations on a real PostgreSQL: whole or not at all, through races, losses and outages."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

import asyncpg
import pytest
import structlog

from abeyance.store.ports import StoreAway
from abeyance.store.postgres.address import Bounds, Connection, connect, parse_address
from abeyance.store.postgres.engine import Engine
from abeyance.store.postgres.pool import Pool
from abeyance.store.sql.db import Db, Row
from tests.covers import covers
from tests.postgres.databases import Database, Databases
from tests.postgres.server import PostgresServer, find_programs
from tests.postgres.wire import laid_to

BEAT: Final = "INSERT INTO pulse (bucket, beats) VALUES (:bucket, 1)"
BEATS: Final = "SELECT bucket, beats FROM pulse ORDER BY bucket"
LOOK: Final = "SELECT beats FROM pulse WHERE bucket = :bucket"
SET: Final = "UPDATE pulse SET beats = :beats WHERE bucket = :bucket"
SUICIDE: Final = "SELECT pg_terminate_backend(pg_backend_pid())"
HOME: Final = bytes(16)
OTHER: Final = bytes(15) + b"\1"


@asynccontextmanager
async def engine_at(url: str, *, most: int = 4, **bounds: timedelta) -> AsyncIterator[Engine]:
    engine = Engine(parse_address(url), Bounds(**bounds), most=most)
    try:
        yield engine
    finally:
        await engine.close()


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[Engine]:
    async with engine_at(database.url) as engine:
        yield engine


async def beats(engine: Engine) -> list[tuple[int, int]]:
    async def look(db: Db) -> list[tuple[int, int]]:
        return [(row[0], row[1]) for row in await db.rows(BEATS)]

    return await engine.read(look)


async def beat(db: Db, bucket: int = 1) -> None:
    await db.hold(HOME)
    await db.rows(BEAT, {"bucket": bucket, "unused": 7})


async def add_one(db: Db) -> int:
    """A read and a write, which only the lock keeps together."""
    await db.hold(HOME)
    [[before]] = await db.rows(LOOK, {"bucket": 1})
    await db.rows(SET, {"bucket": 1, "beats": before + 1})
    count: int = before + 1
    return count


# --- whole or not at all


async def test_what_was_written_is_told_to_the_loop_before_the_caller_hears(
    engine: Engine, database: Database
) -> None:
    told: list[str] = []

    async def write() -> None:
        await engine.write(beat, then=lambda _: told.append("loop"))
        told.append("caller")

    await write()
    assert told == ["loop", "caller"]
    assert await beats(engine) == [(1, 1)]


async def test_an_operation_that_raises_has_done_nothing(engine: Engine) -> None:
    async def fail(db: Db) -> None:
        await beat(db)
        raise LookupError("changed its mind")

    with pytest.raises(LookupError):
        await engine.write(fail)
    assert await beats(engine) == []


async def test_what_is_undone_was_never_written_and_the_lock_stays(
    engine: Engine, database: Database
) -> None:
    async def lose(db: Db) -> list[Row]:
        await db.hold(HOME)
        await db.rows(BEAT, {"bucket": 1})
        await db.hold(OTHER)
        await db.undo()
        locks = await db.rows("SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND granted")
        assert len(locks) == 2
        return list(await db.rows(BEATS))

    assert await engine.write(lose) == []
    assert await beats(engine) == []


async def test_twenty_who_read_and_write_at_one_home_lose_no_write(engine: Engine) -> None:
    await engine.write(beat)
    counts = await asyncio.gather(*(engine.write(add_one) for _ in range(20)))
    assert sorted(counts) == list(range(2, 22))
    assert await beats(engine) == [(1, 21)]


async def test_whoever_comes_second_to_a_home_sees_what_the_first_has_done(
    engine: Engine, database: Database
) -> None:
    await engine.write(beat)
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow(db: Db) -> int:
        await db.hold(HOME)
        inside.set()
        await go_on.wait()
        return await add_one(db)

    first = asyncio.create_task(engine.write(slow))
    await inside.wait()
    second = asyncio.create_task(engine.write(add_one))
    await until(lambda: waits_for_a_lock(database))
    go_on.set()
    assert [await first, await second] == [2, 3]


async def test_operations_at_two_homes_do_not_wait_for_each_other(engine: Engine) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow(db: Db) -> None:
        await beat(db)
        inside.set()
        await go_on.wait()

    async def elsewhere(db: Db) -> None:
        await db.hold(OTHER)
        await db.rows(BEAT, {"bucket": 2})

    first = asyncio.create_task(engine.write(slow))
    await inside.wait()
    await engine.write(elsewhere)
    assert await beats(engine) == [(2, 1)]
    go_on.set()
    await first


async def test_a_reader_of_several_statements_sees_one_moment(engine: Engine) -> None:
    await engine.write(beat)
    between: list[Callable[[], Awaitable[object]]] = [lambda: engine.write(add_one)] * 2

    async def twice(db: Db) -> tuple[int, int]:
        [[first]] = await db.rows(LOOK, {"bucket": 1})
        if between:
            await between.pop()()
        [[second]] = await db.rows(LOOK, {"bucket": 1})
        return first, second

    first, second = await engine.read(twice)
    assert first == second
    assert await engine.read(twice) == (3, 3)


# --- in each other's way


async def test_a_deadlock_ends_with_both_operations_done(engine: Engine) -> None:
    here, there = asyncio.Event(), asyncio.Event()

    async def cross(db: Db, first: bytes, mine: asyncio.Event, theirs: asyncio.Event) -> None:
        await db.hold(first)
        mine.set()
        await theirs.wait()
        await db.hold(OTHER if first == HOME else HOME)
        await db.rows(BEAT, {"bucket": first[-1]})

    await asyncio.gather(
        engine.write(partial(cross, first=HOME, mine=here, theirs=there)),
        engine.write(partial(cross, first=OTHER, mine=there, theirs=here)),
    )
    assert await beats(engine) == [(0, 1), (1, 1)]


async def test_a_serialization_failure_begins_the_whole_operation_anew(engine: Engine) -> None:
    tries: list[int] = []

    async def clash(db: Db, until: int) -> None:
        tries.append(1)
        await beat(db)
        if len(tries) < until:
            await db.rows("DO $$ BEGIN RAISE 'clash' USING ERRCODE = '40001'; END $$")

    await engine.write(partial(clash, until=3))
    assert len(tries) == 3
    assert await beats(engine) == [(1, 1)]


async def test_who_never_gets_through_is_told_so_after_a_bounded_number_of_tries(
    engine: Engine,
) -> None:
    tries: list[int] = []

    async def clash(db: Db) -> None:
        tries.append(1)
        await beat(db)
        await db.rows("DO $$ BEGIN RAISE 'clash' USING ERRCODE = '40P01'; END $$")

    with pytest.raises(StoreAway):
        await engine.write(clash)
    assert len(tries) == 6
    assert await beats(engine) == []


# --- bounds


async def test_a_statement_that_takes_too_long_is_ended_and_leaves_nothing(
    database: Database,
) -> None:
    async def sleep(db: Db) -> None:
        await beat(db)
        await db.rows("SELECT pg_sleep(60)")

    async with engine_at(database.url, most=1, statement=timedelta(milliseconds=100)) as engine:
        with pytest.raises(StoreAway, match="57014"):
            await engine.write(sleep)
        assert await beats(engine) == []  # over the same connection


async def test_a_lock_that_is_not_to_be_had_is_waited_for_no_longer_than_said(
    database: Database,
) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow(db: Db) -> None:
        await beat(db)
        inside.set()
        await go_on.wait()

    async with engine_at(database.url, lock=timedelta(milliseconds=100)) as engine:
        first = asyncio.create_task(engine.write(slow))
        await inside.wait()
        with pytest.raises(StoreAway, match="55P03"):
            await engine.write(partial(beat, bucket=2))
        go_on.set()
        await first
        assert await beats(engine) == [(1, 1)]


async def test_a_process_that_says_nothing_in_a_transaction_loses_it(database: Database) -> None:
    stalled = asyncio.Event()

    async def stall(db: Db) -> None:
        await beat(db)
        await stalled.wait()  # as a process that was stopped
        await db.rows(BEATS)

    async with (
        engine_at(database.url, idle=timedelta(milliseconds=100)) as engine,
        engine_at(database.url) as another,
    ):
        task = asyncio.create_task(engine.write(stall))
        await until(lambda: has_gone(database, "idle in transaction"))
        await another.write(partial(beat, bucket=2))  # the lock is free again
        stalled.set()
        await task  # which begins anew on another connection
        assert await beats(another) == [(1, 1), (2, 1)]


@pytest.mark.parametrize(
    ("state", "logged"), [("53100", 0), ("58030", 0), ("XX000", 1), ("XX001", 1)]
)
async def test_what_the_database_cannot_do_by_a_fault_of_its_own_is_not_now_and_leaves_nothing(
    engine: Engine, state: str, logged: int
) -> None:
    async def fail(db: Db) -> None:
        await beat(db)
        await db.rows(f"DO $$ BEGIN RAISE 'the disk' USING ERRCODE = '{state}'; END $$")

    with structlog.testing.capture_logs() as said, pytest.raises(StoreAway, match=state):
        await engine.write(fail)
    assert [each["log_level"] for each in said] == ["error"] * logged
    assert "the disk" not in str(said)
    assert await beats(engine) == []  # over the same connection


# --- losing connections


@pytest.mark.parametrize("at", range(4))
async def test_a_connection_that_is_lost_at_any_statement_leaves_a_change_done_once(
    engine: Engine, at: int
) -> None:
    tries: list[int] = []

    async def change(db: Db) -> None:
        tries.append(1)
        for number in range(4):
            if number == at and len(tries) == 1:
                await db.rows(SUICIDE)
            if number == 0:
                await db.hold(HOME)
            else:
                await db.rows(BEAT, {"bucket": number})

    await engine.write(change)
    assert len(tries) == 2
    assert await beats(engine) == [(1, 1), (2, 1), (3, 1)]


async def test_a_change_whose_connections_are_lost_again_and_again_has_done_nothing(
    engine: Engine,
) -> None:
    async def change(db: Db) -> None:
        await beat(db)
        await db.rows(SUICIDE)

    with pytest.raises(StoreAway):
        await engine.write(change)
    assert await beats(engine) == []


@covers("OAUTH-REVO-06")
async def test_a_commit_that_dies_is_unknown_to_the_caller_and_the_row_is_the_truth(
    engine: Engine, database: Database
) -> None:
    db = await database.connect()
    await db.execute(
        """
        CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON pulse DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION die()
        """
    )
    told: list[object] = []
    with pytest.raises(StoreAway):
        await engine.write(beat, then=told.append)
    assert await beats(engine) == []
    assert told == []
    await db.execute("DROP TRIGGER dies ON pulse; DROP FUNCTION die()")
    await db.close()


async def test_a_commit_whose_answer_is_lost_stands_and_is_not_done_again(
    database: Database,
) -> None:
    async with (
        laid_to(database.server) as wire,
        engine_at(database.server.tcp_url(database.name, wire.port)) as engine,
    ):
        await engine.write(partial(beat, bucket=1))
        wire.lose_answer_to = b"COMMIT\0"
        with pytest.raises(StoreAway):
            await engine.write(partial(beat, bucket=2))
        assert await beats(engine) == [(1, 1), (2, 1)]


@pytest.mark.parametrize("to", [b"BEGIN", b"INSERT"])
async def test_an_answer_that_is_lost_before_the_commit_costs_another_try(
    database: Database, to: bytes
) -> None:
    async with (
        laid_to(database.server) as wire,
        engine_at(database.server.tcp_url(database.name, wire.port)) as engine,
    ):
        wire.lose_answer_to = to
        await engine.write(beat)
        assert wire.has_lost()
        assert await beats(engine) == [(1, 1)]


async def test_a_network_that_says_nothing_is_not_waited_for_for_ever(
    database: Database,
) -> None:
    async with laid_to(database.server) as wire:
        url = database.server.tcp_url(database.name, wire.port)
        short = timedelta(milliseconds=100)
        async with engine_at(url, statement=short, grace=short) as engine:
            assert await beats(engine) == []
            wire.silent = True
            with pytest.raises(StoreAway, match="TimeoutError"):
                await beats(engine)
            wire.silent = False
            assert await beats(engine) == []  # over another connection


async def test_a_caller_that_goes_away_does_not_undo_its_change(engine: Engine) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()
    told = asyncio.Event()

    async def slow(db: Db) -> None:
        await beat(db)
        inside.set()
        await go_on.wait()

    caller = asyncio.create_task(engine.write(slow, then=lambda _: told.set()))
    await inside.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()
    await told.wait()
    assert await beats(engine) == [(1, 1)]


async def test_a_reader_that_goes_away_leaves_its_connection_clean(database: Database) -> None:
    async def sleep(db: Db) -> None:
        await db.rows("SELECT pg_sleep(60)")

    async def two(db: Db) -> None:
        await db.rows(BEATS)
        await sleep(db)

    async with engine_at(database.url, most=1) as engine:
        for operation in (sleep, two):
            reader = asyncio.create_task(engine.read(operation))
            await until(lambda: is_running(database, "pg_sleep"))
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
            assert await beats(engine) == []
            assert not await is_running(database, "pg_sleep")


# --- a server that may not be written to, or has no room


async def test_a_server_that_becomes_read_only_is_left_for_the_one_that_is_not(
    engine: Engine,
) -> None:
    tries: list[int] = []

    async def demoted(db: Db) -> None:
        tries.append(1)
        await db.hold(HOME)
        if len(tries) == 1:
            await db.rows("SET LOCAL transaction_read_only = on")
        await db.rows(BEAT, {"bucket": 1})

    await engine.write(demoted)
    assert await beats(engine) == [(1, 1)]


async def test_a_server_that_cannot_write_at_all_is_away(
    databases: Databases, database: Database
) -> None:
    db = await database.connect()
    await db.execute(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    async with engine_at(database.url) as engine:
        with pytest.raises(StoreAway, match="read-write"):
            await engine.write(beat)
        await db.execute("SET default_transaction_read_only = off")
        await db.execute(f"ALTER DATABASE {database.name} RESET default_transaction_read_only")
        await until(lambda: succeeds(engine.write(beat)))
    await db.close()


async def test_where_the_server_has_no_room_for_more_connections_the_ones_there_do(
    database: Database,
) -> None:
    db = await database.connect()
    await db.execute("CREATE ROLE single LOGIN CONNECTION LIMIT 1; GRANT ALL ON pulse TO single")
    try:
        async with engine_at(database.url.replace("//abeyance@", "//single@"), most=4) as engine:
            await engine.write(beat)
            counts = await asyncio.gather(*(engine.write(add_one) for _ in range(10)))
            assert sorted(counts) == list(range(2, 12))
    finally:
        await db.execute("DROP OWNED BY single; DROP ROLE single")
        await db.close()


async def test_a_connection_that_came_back_while_another_was_refused_is_found(
    database: Database,
) -> None:
    trying, given_back = asyncio.Event(), asyncio.Event()
    tries = 0

    async def connect_once() -> Connection:
        nonlocal tries
        tries += 1
        if tries == 1:
            return await connect(parse_address(database.url), Bounds())
        trying.set()
        await given_back.wait()
        raise asyncpg.TooManyConnectionsError("no room")

    pool = Pool(connect_once, most=2, queue=0.1)
    first = await pool.take()
    second = asyncio.create_task(pool.take())
    await trying.wait()
    pool.give(first)
    given_back.set()
    assert await second is first
    pool.give(first)
    await pool.close()


# --- the server away, and back


@covers("SEC-DOS-20", "OAUTH-REVO-06")
@pytest.mark.parametrize("how", ["stop", "crash"])
async def test_while_the_server_is_away_that_is_said_at_once_and_it_recovers_by_itself(
    how: str,
) -> None:
    with PostgresServer(find_programs()) as server:
        async with Databases(server).fresh() as database, engine_at(database.url) as engine:
            await engine.write(beat)
            await asyncio.gather(*(beats(engine) for _ in range(4)))
            server.stop() if how == "stop" else server.crash()
            for _ in range(3):
                with pytest.raises(StoreAway):
                    await engine.write(add_one)
                with pytest.raises(StoreAway):
                    await beats(engine)
            server.start()
            await until(lambda: succeeds(engine.write(add_one)))
            assert await beats(engine) == [(1, 2)]
            assert await asyncio.gather(*(beats(engine) for _ in range(20))) == [[(1, 2)]] * 20


async def test_whoever_waits_for_a_connection_is_told_as_soon_as_there_will_be_none() -> None:
    with PostgresServer(find_programs()) as server:
        async with Databases(server).fresh() as database:
            queue = timedelta(hours=1)
            async with engine_at(database.url, most=1, queue=queue) as engine:
                inside, go_on = asyncio.Event(), asyncio.Event()

                async def slow(db: Db) -> None:
                    await beat(db)
                    inside.set()
                    await go_on.wait()
                    await db.rows(BEATS)

                first = asyncio.create_task(engine.write(slow))
                await inside.wait()
                others = [asyncio.create_task(beats(engine)) for _ in range(5)]
                await asyncio.sleep(0)
                server.stop()
                go_on.set()
                ends = await asyncio.gather(first, *others, return_exceptions=True)
                assert [type(end) for end in ends] == [StoreAway] * 6
            server.start()


async def test_a_closed_engine_is_away(database: Database) -> None:
    async with engine_at(database.url) as engine:
        await engine.write(beat)
    with pytest.raises(StoreAway):
        await engine.write(beat)
    assert not await is_running(database, "%")


# --- what faults tell


async def test_a_bug_is_told_as_it_is_but_for_what_the_row_holds(engine: Engine) -> None:
    async def wrong(db: Db) -> None:
        await db.rows(
            "INSERT INTO call (key, fingerprint, until) VALUES (:key, :key, 1)",
            {"key": b"0123456789 of somebody"},
        )

    with pytest.raises(asyncpg.CheckViolationError) as caught:
        await engine.write(wrong)
    assert b"0123456789 of somebody".hex() not in str(caught.value)

    async def misfit(db: Db) -> None:
        await db.rows(BEAT, {"bucket": 2**70 + 77})

    with pytest.raises(asyncpg.DataError) as misfitted:
        await engine.write(misfit)
    assert str(2**70 + 77) not in str(misfitted.value)
    assert await beats(engine) == []


@covers("OAUTH-LOG-01")
async def test_why_there_is_no_connection_is_told_without_the_password(
    database: Database,
) -> None:
    url = database.server.tcp_url(database.name).replace(database.server.password, "hunter2")
    async with engine_at(url) as engine:
        with pytest.raises(StoreAway, match="password authentication failed") as caught:
            await engine.write(beat)
    assert "hunter2" not in str(caught.value)


# --- behind a pooler


async def test_behind_a_pooler_each_transaction_says_its_bounds_itself(
    database: Database,
) -> None:
    async def shown(db: Db) -> list[str]:
        names = ("statement_timeout", "lock_timeout", "synchronous_commit")
        return [(await db.rows(f"SHOW {name}"))[0][0] for name in names]

    url = database.url + "&statement_cache_size=0"
    async with engine_at(url, statement=timedelta(seconds=7)) as engine:
        assert await engine.write(shown) == ["7s", "3s", "on"]
        assert await engine.read(shown) == ["7s", "3s", "on"]
    async with engine_at(database.url, statement=timedelta(seconds=7)) as engine:
        assert await engine.write(shown) == ["7s", "3s", "on"]


# --- looking from outside


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110  # the server tells nobody
            await asyncio.sleep(0.01)


async def succeeds(attempt: Awaitable[object]) -> bool:
    try:
        await attempt
    except StoreAway:
        return False
    return True


async def is_running(database: Database, like: str) -> bool:
    return await _activity(
        database, f"state = 'active' AND query LIKE '%{like}%' AND pid <> pg_backend_pid()"
    )


async def waits_for_a_lock(database: Database) -> bool:
    return await _activity(database, "wait_event_type = 'Lock'")


async def has_gone(database: Database, state: str) -> bool:
    return not await _activity(database, f"state = '{state}'")


async def _activity(database: Database, condition: str) -> bool:
    db = await database.connect()
    try:
        return bool(
            await db.fetchval(
                "SELECT count(*) FROM pg_stat_activity"
                f" WHERE datname = current_database() AND {condition}"
            )
        )
    finally:
        await db.close()

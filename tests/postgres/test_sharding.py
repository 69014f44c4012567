"""The main flow over three servers, each with the homes that hash to it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from abeyance.store.postgres.address import Bounds, connect, parse_address
from abeyance.store.postgres.schema import migrate
from tests.postgres.databases import Database, Databases
from tests.postgres.server import PostgresServer, find_programs
from tests.postgres.shards import homes_on, rows_on, spread
from tests.served import Served, keeping_in, serve


@pytest.fixture
async def shards() -> AsyncIterator[Sequence[Database]]:
    with ExitStack() as servers:
        programs = find_programs()
        running = [servers.enter_context(PostgresServer(programs)) for _ in range(3)]
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(migrated(Databases(each))) for each in running]


@asynccontextmanager
async def migrated(databases: Databases) -> AsyncIterator[Database]:
    async with databases.bare() as database:
        db = await connect(parse_address(database.url), Bounds())
        await migrate(db)
        await db.close()
        yield database


async def test_each_home_lies_on_one_of_three_servers_with_all_that_happens_there(
    databases: Databases, shards: Sequence[Database], tmp_path: Path
) -> None:
    async with migrated(databases) as center:
        tables = await spread(center, shards)
        with keeping_in(center.url):
            async with serve(tmp_path) as served:
                await go_through(served)
        counted = await rows_on(shards, tables)
    for each in counted:
        assert {"request", "snapshot", "audit"} <= each.keys()
    assert sum(each["request"] for each in counted) == 40
    assert sum(each.get("token", 0) for each in counted) == 10
    of_requests = [await homes_on(shard, "request") for shard in shards]
    assert len(set.union(*of_requests)) == 40
    for table in ("snapshot", "audit"):
        assert [await homes_on(shard, table) for shard in shards] == of_requests


async def go_through(served: Served) -> None:
    """Forty requests; ten each are collected, denied, withdrawn, and left waiting."""
    codes = [await served.s1.defer() for _ in range(40)]
    for code in codes:
        assert (await served.s1.poll(code)).error == "authorization_pending"
    for approved, denied, withdrawn in zip(*(codes[n::4] for n in range(3)), strict=True):
        await served.approve(approved)
        answers = await asyncio.gather(*(served.s1.poll(approved) for _ in range(4)))
        assert sorted(each.status for each in answers) == [200, 400, 400, 400]
        await served.deny(denied)
        assert (await served.s1.poll(denied)).error == "access_denied"
        assert (await served.s1.revoke(withdrawn)).status == 200
        assert (await served.s1.poll(withdrawn)).error == "access_denied"
    served.clock.move(60)
    for waits in codes[3::4]:
        assert (await served.s1.poll(waits)).error == "authorization_pending"

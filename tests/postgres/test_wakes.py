"""What one process tells the others: a word may be lost, the next is said all the same."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from abeyance.pending.handles import Home
from abeyance.pending.request import Key
from abeyance.store.ports import StoreAway
from abeyance.store.postgres.store import PostgresStore
from abeyance.store.postgres.wakes import NOTIFY
from tests.covers import covers
from tests.postgres.databases import Database

Pair = tuple[PostgresStore, PostgresStore]


@pytest.fixture
async def pair(database: Database) -> AsyncIterator[Pair]:
    here = await PostgresStore.open(database.url)
    try:
        there = await PostgresStore.open(database.url)
        try:
            yield here, there
        finally:
            await there.close()
    finally:
        await here.close()


def key(n: int) -> Key:
    return Key(Home(bytes(16)), n)


@covers("EXT-WAIT-01", "DTR-CB-03")
@pytest.mark.parametrize(
    "fault", [StoreAway("not now"), asyncpg.InsufficientPrivilegeError("no"), RuntimeError("a bug")]
)
async def test_whatever_goes_wrong_with_one_word_the_next_is_said(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    here, there = pair
    heard: asyncio.Queue[Key] = asyncio.Queue()
    there.on_answered(heard.put_nowait)
    failed = asyncio.Event()
    real = here._engine.put

    async def put(statement: str, *values: Any) -> Any:
        if statement == NOTIFY and not failed.is_set():
            failed.set()
            raise fault
        return await real(statement, *values)

    monkeypatch.setattr(here._engine, "put", put)
    async with asyncio.timeout(30):
        here.share_answered(key(1))
        await failed.wait()
        here.share_answered(key(2))
        assert await heard.get() == key(2)

"""Sealing anew by several real processes: one does it, and who has fallen silent is followed."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from abeyance.acts.resealing import LEASE, NOTICED
from abeyance.keys.ring import LOOK_EVERY
from abeyance.keys.roots import Root
from abeyance.keys.rotating import succeed_root
from abeyance.store.ports import Sealed
from abeyance.store.postgres.store import PostgresStore
from tests.config import CONFIG
from tests.console.house import HASH
from tests.covers import covers
from tests.postgres.databases import Database
from tests.server.test_roots import opens
from tests.soak.afar import Afar, serve_afar

MANY: Final = 120  # more than a page
_TOKEN: Final = "notify-0123456789abcdefghij"
_WITHIN: Final = 300.0  # seconds; nothing depends on them
_NOTICED: Final = NOTICED.total_seconds() + LOOK_EVERY


@asynccontextmanager
async def two(database: Database, folder: Path) -> AsyncIterator[tuple[Afar, Afar]]:
    """Two processes with the same keys, over one database."""
    config = f'store.url = "{database.url}"\n' + CONFIG.replace("{hash}", HASH).replace(
        'id = "s1"', 'id = "s1"\ndeferred_client_notification_endpoint = "https://cb.example/"', 1
    )
    config = config.replace('lifetime = "1h"', 'lifetime = "3d"')
    config = config.replace("creations_burst = 50", f"creations_burst = {MANY}")
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(serve_afar(folder, config, name="one"))
        yield one, await stack.enter_async_context(serve_afar(folder, config, name="other"))


@asynccontextmanager
async def looking(database: Database) -> AsyncIterator[PostgresStore]:
    store = await PostgresStore.open(database.url)
    try:
        yield store
    finally:
        await store.close()


async def everything_sealed(store: PostgresStore) -> Sequence[Sealed]:
    return await store.list_sealed(after=None, limit=9 * MANY)


async def begun(database: Database) -> bool:
    """Has somebody taken the lease?"""
    db = await database.connect()
    try:
        return bool(await db.fetchval("SELECT count(*) FROM lease WHERE work = 'resealing'"))
    finally:
        await db.close()


async def passes(afar: Afar, seconds: float) -> None:
    afar.clock.move(seconds)
    assert (await afar.get("/livez")).status == 200


async def until(so: Callable[[], Awaitable[bool]], *passing: Afar) -> None:
    """Let time pass at these, far less than a lease, until it is so."""
    async with asyncio.timeout(_WITHIN):
        while not await so():
            for afar in passing:
                await passes(afar, LOOK_EVERY)


async def prepared(one: Afar, other: Afar, folder: Path) -> Root:
    """Much that the old root has sealed, and a new root, of which both know."""
    for _ in range(MANY):
        await one.s1.defer(client_notification_token=_TOKEN)
    now = one.clock.now()
    root = succeed_root(folder / "keys", at=now, now=now)
    for afar in (one, other):
        await passes(afar, LOOK_EVERY)
    return root


def sealed_anew(folder: Path) -> list[int]:
    """How much each process says that it did, each time."""
    lines = [line for log in folder.glob("*.log") for line in log.read_text().splitlines()]
    events = [json.loads(line) for line in lines if line.startswith("{")]
    return [each["values"] for each in events if each["event"] == "sealed anew"]


@covers("OAUTH-SEC-07", "OAUTH-DEFER-12")
async def test_of_two_processes_one_seals_anew(database: Database, tmp_path: Path) -> None:
    async with looking(database) as store, two(database, tmp_path) as (one, other):
        root = await prepared(one, other, tmp_path)

        async def done() -> bool:
            return all(opens(root, each) for each in await everything_sealed(store))

        assert not await done()
        await asyncio.gather(*(passes(afar, _NOTICED) for afar in (one, other)))
        await until(partial(begun, database), one, other)
        await until(done)
        # Whoever heard no looks again when the lease would be over, and finds nothing to do.
        for afar in (one, other):
            await passes(afar, LEASE.total_seconds() + LOOK_EVERY)
    assert sealed_anew(tmp_path) == [MANY]


@covers("OAUTH-SEC-07", "OAUTH-DEFER-12")
async def test_who_falls_silent_while_sealing_is_followed_and_does_no_harm(
    database: Database, tmp_path: Path
) -> None:
    async with looking(database) as store, two(database, tmp_path) as (one, other):
        root = await prepared(one, other, tmp_path)
        blocker = await database.connect()
        in_the_way = blocker.transaction()
        await in_the_way.start()
        await blocker.execute("SELECT * FROM outbox FOR UPDATE")

        async def done() -> bool:
            return all(opens(root, each) for each in await everything_sealed(store))

        await passes(one, _NOTICED)
        await until(partial(begun, database), one)
        os.kill(one.pid, signal.SIGSTOP)
        try:
            await in_the_way.rollback()
            await passes(other, _NOTICED)
            assert not await done()
            await passes(other, LEASE.total_seconds())
            await until(done, other)
        finally:
            os.kill(one.pid, signal.SIGCONT)
            await blocker.close()
        await passes(one, LEASE.total_seconds() + LOOK_EVERY)
        assert await done()
        assert len(await everything_sealed(store)) == MANY

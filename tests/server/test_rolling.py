"""A later version takes over from today's, process by process: what waits is there for both."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import apsw
import asyncpg

from tests.config import CONFIG
from tests.console.house import HASH, Tab
from tests.covers import covers
from tests.postgres.databases import Databases
from tests.soak.afar import PROGRAM, Afar, serve_afar
from tests.store.test_upgrades import OURS

NEWER: Final = "tests.soak.newer"
_VERSION: Final = "SELECT max(version) FROM schema_version"


@asynccontextmanager
async def version(folder: Path, name: str, program: str, url: str | None) -> AsyncIterator[Afar]:
    store = "" if url is None else f'store.url = "{url}"\n'
    config = store + CONFIG.replace("{hash}", HASH)
    async with serve_afar(folder, config, name=name, program=program) as afar:
        yield afar


async def decided(afar: Afar, verdict: str = "approve") -> None:
    """Rita decides what waits, at this process."""
    rita = Tab(afar)
    await rita.sign_in("rita")
    inbox = await rita.get("/console/")
    path = next(each for each in inbox.links if "/console/requests/" in each)
    form = (await rita.get(path)).form("/vote", verdict)
    assert (await rita.submit(form, verdict)).status == 200


async def waits(afar: Afar, code: str) -> bool:
    afar.clock.move(6)
    return (await afar.s1.poll(code)).error == "authorization_pending"


async def collected(afar: Afar, code: str) -> bool:
    """The token comes, and once."""
    afar.clock.move(6)
    first, second = await afar.s1.poll(code), await afar.s1.poll(code)
    return first.status == 200 and second.error == "invalid_grant"


@covers("OAUTH-DEFER-12")
async def test_old_and_new_processes_serve_side_by_side(
    databases: Databases, tmp_path: Path
) -> None:
    async with databases.bare() as database, AsyncExitStack() as stack:

        async def start(name: str, program: str) -> Afar:
            serving = version(tmp_path, name, program, database.url)
            return await stack.enter_async_context(serving)

        old = await start("old", PROGRAM)
        before, cancelled = await old.s1.defer(), await old.s1.defer(scope="write")
        assert await schema_of(database.url) == OURS
        new = await start("new", NEWER)
        assert await schema_of(database.url) == OURS + 1
        assert await waits(new, before)
        assert (await new.s1.revoke(cancelled)).status == 200
        assert (await old.s1.poll(cancelled)).error == "access_denied"
        await decided(old)
        assert await collected(new, before)
        after = await new.s1.defer()
        assert await waits(old, after)
        await decided(new)
        assert await collected(old, after)
        again = await start("again", PROGRAM)  # one of today's starts on what the newer one made
        last = await again.s1.defer()
        await decided(again)
        assert await collected(new, last)


@covers("OAUTH-DEFER-12")
async def test_one_follows_the_other_on_a_file_and_can_be_taken_back(tmp_path: Path) -> None:
    codes: list[str] = []
    for name, program, schema in (
        ("old", PROGRAM, OURS),
        ("new", NEWER, OURS + 1),
        ("again", PROGRAM, OURS + 1),
    ):
        async with version(tmp_path, name, program, None) as afar:
            assert [await waits(afar, code) for code in codes] == [True] * len(codes)
            codes.append(await afar.s1.defer(scope="read"))
            await decided(afar)
            codes = [code for code in codes if not await collected(afar, code)]
            codes.append(await afar.s1.defer(scope="write"))
        db = apsw.Connection(str(tmp_path / "abeyance.db"))
        assert next(db.execute(_VERSION)) == (schema,)
        db.close()


async def schema_of(url: str) -> int:
    db = await asyncpg.connect(url)
    found: int = await db.fetchval(_VERSION)
    await db.close()
    return found

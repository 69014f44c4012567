"""Days of mixed traffic leave nothing behind: no memory, no descriptors, no tasks, no rows.

`SOAK` says how many shifts of six hours (10 unless it is set). Warm is the server after the
first half, which is longer than what polls need is kept.
"""

import asyncio
import os
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.covers import covers
from tests.exchange.house import publish_idp
from tests.outbound.receiver import NO_CONTENT, Authority, receiving, say
from tests.soak.afar import Afar, serve_afar
from tests.soak.traffic import CONFIG, ENDS, Traffic

SHIFTS: Final = int(os.environ.get("SOAK", "10"))
MORE: Final = 0.05  # of the memory that a warm server has
_DAY: Final = 86_400.0
_KEPT: Final = 32  # days; the audit for 30, from the end of what it is about
_WITHIN: Final = 60.0  # seconds; nothing depends on them
# What stays for as long as the store does, and how many at most: who agreed to what, how far
# disposal may reach, whose turn it is, and the writes that mean nothing.
_STAYS: Final[Mapping[str, int]] = {"consent": 3, "disposal": 2, "lease": 3, "pulse": 64}


@asynccontextmanager
async def soaking(folder: Path) -> AsyncIterator[Traffic]:
    authority = Authority(folder)
    publish_idp(folder)
    async with receiving(authority.context("localhost"), say(NO_CONTENT)) as receiver:
        target = f"localhost:{receiver.port}"
        config = CONFIG.replace("{ca}", str(authority.file)).replace("{target}", target)
        async with serve_afar(folder, config) as afar:
            yield Traffic(afar, receiver)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@covers("OAUTH-LOG-07", "SEC-DOS-07")
async def test_days_of_traffic_leave_nothing_behind(tmp_path: Path) -> None:
    async with soaking(tmp_path) as traffic:
        afar = traffic.served
        fresh = afar.rows()
        for _ in range(SHIFTS // 2):
            await traffic.shift()
        warm = await at_rest(afar)
        memory = afar.resident()
        for _ in range(SHIFTS // 2):
            await traffic.shift()
        assert await at_rest(afar) == warm
        assert afar.resident() < memory * (1 + MORE)
        assert all(traffic.seen[each] for each in ENDS), traffic.seen
        await gone(afar, fresh)


async def at_rest(afar: Afar) -> tuple[int, Mapping[str, int]]:
    """How many tasks it has when nobody is connected, and descriptors by kind."""
    tasks = await afar.tidy()
    await afar.hang_up()
    async with asyncio.timeout(_WITHIN):
        while True:
            opened = Counter(re.sub(r"\d+", "", each) for each in afar.descriptors())
            if opened["socket:[]"] == 1:  # where it listens
                return tasks, opened
            await asyncio.sleep(0.01)


async def gone(afar: Afar, fresh: Mapping[str, int]) -> None:
    """Wait until no table has more rows than a store that has seen nothing."""
    for _ in range(_KEPT):
        afar.clock.move(_DAY)
        await afar.get("/livez")
    until = asyncio.get_running_loop().time() + _WITHIN
    while left := _left(afar.rows(), fresh):
        assert asyncio.get_running_loop().time() < until, left
        afar.clock.move(3_600.0)
        await afar.get("/livez")


def _left(rows: Mapping[str, int], fresh: Mapping[str, int]) -> Mapping[str, int]:
    more = {table: many - fresh[table] for table, many in rows.items()}
    return {table: many for table, many in more.items() if many > _STAYS.get(table, 0)}

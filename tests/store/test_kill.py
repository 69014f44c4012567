"""`kill -9` under load: what was acknowledged is there, and no approval became two tokens.

`KILLS` sets how often (the default takes seconds).
"""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.states import Stage, stage_of
from abeyance.store.ports import Store
from abeyance.store.sql.db import Db, Row
from tests.covers import covers
from tests.store.places import place_at

KILLS: Final = int(os.environ.get("KILLS", "5"))
ROOT: Final = Path(__file__).parents[2]

Line = dict[str, Any]


def work_and_be_killed(path: Path, lines: int) -> list[Line]:
    """Let a process work until it has said `lines` lines, kill it, return all that it said."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.store.kill_worker", str(path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout is not None
        said = [worker.stdout.readline() for _ in range(lines)]
        worker.kill()
        said += worker.stdout.readlines()
    whole = [line for line in said if line.endswith("\n")]
    assert len(whole) >= lines, "the worker ended by itself"
    return [json.loads(line) for line in whole]


async def check_line(store: Store, line: Line) -> None:
    home = Home(bytes.fromhex(line["home"]))
    held = await store.find_held(HandleHash(home, bytes.fromhex(line["digest"])))
    assert held is not None
    assert held.version >= line["version"]
    if held.version == line["version"]:
        assert stage_of(held.state) == line["stage"]
    if line["jti"]:
        assert line["stage"] == Stage.REDEEMED
        assert await store.find_token(home, bytes.fromhex(line["jti"])) is not None


async def tokens_by_home(db: Db) -> Sequence[Row]:
    return await db.rows("SELECT home, count(*) FROM token GROUP BY home")


async def is_sound(db: Db) -> bool:
    return await db.rows("PRAGMA integrity_check") == [("ok",)]


@covers("SEC-RACE-12", "DTR-INV-06")
async def test_killing_the_process_loses_nothing_acknowledged_and_doubles_no_token(
    tmp_path: Path,
) -> None:
    path = tmp_path / "abeyance.db"
    rng = random.Random(1)
    told: list[Line] = []
    for _ in range(KILLS):
        new = await asyncio.to_thread(work_and_be_killed, path, rng.randint(40, 160))
        told += new
        async with place_at(path)() as store:
            await asyncio.gather(*(check_line(store, line) for line in new))
            assert await store._reader.run(is_sound)
            counts = await store._reader.run(tokens_by_home)
        assert {count for _, count in counts} <= {1}
    async with place_at(path)() as store:
        for line in told:  # one after the other: the store lets only so many wait
            await check_line(store, line)
    redeemed = Counter(line["home"] for line in told if line["jti"])
    assert set(redeemed.values()) == {1}

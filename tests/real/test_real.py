"""Real processes under real faults: no promise is broken (R1 to R5, R7, R8, R12).

`KILLS` sets how many processes are killed at least over each store.
"""

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests.covers import covers
from tests.postgres.server import PostgresServer, find_programs
from tests.real.agent import STUMBLED, Lines
from tests.real.breaker import KILLS as KINDS
from tests.real.breaker import Fault
from tests.real.world import World
from tests.tally import count

KILLS: Final = int(os.environ.get("KILLS", "4"))
SEED: Final = int(os.environ.get("FAULTS_SEED", "0"))
AT_A_TIME: Final = 25
_NOT_HERE: Final[dict[str, set[Fault]]] = {
    "sqlite": {Fault.DATABASE_KILLED, Fault.DATABASE_STOPPED, Fault.STOPPED_CALLING},
    "postgres": set(),
}


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and prlimit")
@covers("SEC-RACE-12", "DTR-INV-06", "SEC-DOS-20")
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
async def test_whatever_is_killed_stopped_or_cut_off_no_promise_is_broken(
    tmp_path: Path, store: str
) -> None:
    struck: Counter[Fault] = Counter()
    done, number = 0, SEED
    while done < KILLS:
        folder = tmp_path / str(number)
        folder.mkdir()
        faults = min(2 * (KILLS - done), 2 * AT_A_TIME)
        if store == "sqlite":
            seen = await World(folder, number).live(faults)
        else:
            # Whoever is killed may leave a page half written, as a machine that is cut off would.
            with PostgresServer(find_programs(), full_page_writes="on") as database:
                seen = await World(folder, number, database).live(faults)
        assert list(seen.violations) == [], f"see {folder}"
        assert list(Lines(folder / STUMBLED).read()) == [], "a fault beneath was one of the server"
        assert any(each.get("what") == "token" for each in seen.events)
        struck += seen.faults
        number += 1
        done = sum(struck[each] for each in KINDS)
    count("kills", done)
    for fault, many in struck.items():
        count(str(fault), many)
    if KILLS >= 4 * AT_A_TIME:
        assert set(struck) == set(Fault) - _NOT_HERE[store]

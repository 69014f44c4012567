"""Simulated worlds keep every promise; `python -m faults` runs many more.

`WORLDS` sets how many; `python -m faults world SEED` runs one again, and shows its log.
"""

import os
from collections import Counter
from typing import Final

from faults.simulation.chance import Fault
from faults.simulation.world import live
from tests.covers import covers

WORLDS: Final = int(os.environ.get("WORLDS", "200"))


@covers("T-256", "T-257", "SEC-RACE-12", "DTR-INV-06", "EXT-IDEMP-07")
def test_no_simulated_world_breaks_a_promise() -> None:
    faults: Counter[Fault] = Counter()
    tokens = 0
    for seed in range(WORLDS):
        seen = live(seed)
        assert seen.violations == [], f"python -m faults world {seed}"
        faults += seen.faults
        tokens += sum(each.get("what") == "token" for each in seen.events)
    # Worlds in which nothing goes wrong, or nobody gets anything, would show nothing.
    assert set(faults) == set(Fault)
    assert tokens > WORLDS


def test_a_seed_is_a_world() -> None:
    again = live(7)
    assert live(7).events == again.events
    assert live(8).events != again.events

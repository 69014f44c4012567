"""Safeguards that are switched off are missed: the lane sees what it is there to see."""

from typing import Final

import pytest

from faults.mutants import hunt
from faults.safeguards import MUTANTS

# Those that show themselves within a few worlds; `python -m faults` hunts them all.
QUICK: Final = (
    "a redemption's conditions (state, version, clock)",
    "a cancellation's conditions",
    "a decision's conditions",
    "every change has its audit row",
    "a message falls due with the end",
    "nobody is called before the end",
    "a reviewer's narrowing",
    "a commit is kept",
    "a denial that was counted is applied",
)


@pytest.mark.parametrize("off", QUICK)
def test_a_missing_safeguard_is_missed(off: str) -> None:
    [mutant] = [each for each in MUTANTS if each.off == off]
    assert hunt(mutant, starts=(0,), budget=100).median is not None


def test_what_was_planted_is_gone_afterwards() -> None:
    mutant = MUTANTS[0]
    hunt(mutant, starts=(0,), budget=5)
    assert hunt(type(mutant)("nothing", ()), starts=(0,), budget=5).promises == frozenset()

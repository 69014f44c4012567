"""Runs with other seeds are added up, and no run is counted twice."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from faults.checker import Violation
from faults.lanes import Worlds
from faults.piece import Caught, Piece, Tried, add_up, read_piece, write_piece
from faults.report import rows
from faults.simulation.chance import Fault

KILLS = Tried("C kills", "R1", "kills", 20, 0, True, {"server killed": 15})
WORLDS = Worlds(100, 9, 3, 2, Counter({Fault.DROP: 7}))
PIECE = Piece(0, "2026-11-27", "abc", "3.11", WORLDS, (KILLS,), (Caught("it", ["R1"], 3.0),))
BROKEN = (1_234, Violation("R1", "some", "says"))


def test_what_was_tried_is_added_and_what_was_broken_is_broken(tmp_path: Path) -> None:
    worse = replace(
        PIECE,
        seed=1_000,
        commit="def",
        worlds=replace(WORLDS, violations=(BROKEN,)),
        tried=(replace(KILLS, good=False, says="why"),),
        caught=(),
    )
    for number, piece in enumerate((PIECE, worse)):
        write_piece(piece, tmp_path / f"{number}")
    both = add_up([read_piece(tmp_path / f"{number}") for number in range(2)])
    assert (both.worlds.count, both.worlds.faults) == (200, Counter({Fault.DROP: 14}))
    assert both.worlds.violations == (BROKEN,)
    [kills] = both.tried
    assert (kills.tries, kills.more, kills.good) == (40, {"server killed": 30}, False)
    assert both.caught == PIECE.caught
    text = "\n".join(rows(both))
    assert "at commit abc, def" in text
    assert "| R1 | C kills | 40 kills | yes |" in text


@pytest.mark.parametrize("seed", [0, 50, 99])
def test_the_same_seeds_are_not_counted_twice(seed: int) -> None:
    with pytest.raises(ValueError, match="two pieces"):
        add_up([PIECE, replace(PIECE, seed=seed)])

"""What a run has shown, so that runs with other seeds can be added to it.

A run at full size takes longer than some machines give it. So a piece is kept as JSON, and pieces
are summed up: what was tried is added, what was broken in any of them is broken. Two pieces that
tried the same seeds are not two (`ValueError`).
"""

import json
import platform
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from faults.checker import Violation
from faults.lanes import ROOT, Ran, Worlds
from faults.mutants import Hunted
from faults.simulation.chance import Fault


@dataclass(frozen=True, slots=True)
class Tried:
    """What a lane that is tests has done. `seed`: from which its chance came."""

    name: str
    promises: str
    make: str
    tries: int
    skipped: int
    good: bool
    more: dict[str, int]
    says: str = ""


@dataclass(frozen=True, slots=True)
class Caught:
    """A safeguard that was off, what showed it, and after how many worlds (`None`: it escaped)."""

    off: str
    promises: list[str]
    median: float | None


@dataclass(frozen=True, slots=True)
class Piece:
    """One run: `seed` is the first of its worlds, and what the other lanes draw from."""

    seed: int
    at: str
    commit: str
    python: str
    worlds: Worlds
    tried: tuple[Tried, ...]
    caught: tuple[Caught, ...]


def make_piece(seed: int, worlds: Worlds, ran: Sequence[Ran], hunted: Sequence[Hunted]) -> Piece:
    said = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Piece(
        seed,
        f"{datetime.now(UTC):%Y-%m-%d}",
        said.stdout.strip() or "unknown",
        platform.python_version(),
        worlds,
        tuple(_tried(each) for each in ran),
        tuple(Caught(each.mutant.off, sorted(each.promises), each.median) for each in hunted),
    )


def _tried(ran: Ran) -> Tried:
    lane = ran.lane
    says = "" if ran.good else ran.says
    return Tried(
        lane.name, lane.promises, lane.make, ran.tries, ran.skipped, ran.good, ran.more, says
    )


def write_piece(piece: Piece, path: Path) -> None:
    worlds = piece.worlds
    found = {
        **asdict(replace(piece, worlds=Worlds(0))),
        "worlds": {
            "count": worlds.count,
            "calls": worlds.calls,
            "tokens": worlds.tokens,
            "callbacks": worlds.callbacks,
            "faults": dict(worlds.faults),
            "violations": [[seed, asdict(each)] for seed, each in worlds.violations],
        },
    }
    path.write_text(json.dumps(found))


def read_piece(path: Path) -> Piece:
    found: dict[str, Any] = json.loads(path.read_text())
    worlds = found["worlds"]
    faults = Counter({Fault(name): many for name, many in worlds["faults"].items()})
    broken = tuple((seed, Violation(**each)) for seed, each in worlds["violations"])
    return Piece(
        **{
            **found,
            "worlds": Worlds(**{**worlds, "faults": faults, "violations": broken}),
            "tried": tuple(Tried(**each) for each in found["tried"]),
            "caught": tuple(Caught(**each) for each in found["caught"]),
        }
    )


def add_up(pieces: Sequence[Piece]) -> Piece:
    """All of them as one. Raises `ValueError` if two have tried the same."""
    seeds: set[int] = set()
    worlds, tried, caught = Worlds(0), dict[str, Tried](), dict[str, Caught]()
    lanes: set[tuple[str, int]] = set()
    for piece in pieces:
        mine = range(piece.seed, piece.seed + piece.worlds.count)
        if not seeds.isdisjoint(mine):
            raise ValueError(f"two pieces tried worlds from {piece.seed} on")
        seeds.update(mine)
        worlds += piece.worlds
        for each in piece.tried:
            if (each.name, piece.seed) in lanes:
                raise ValueError(f"two pieces ran {each.name} with the seed {piece.seed}")
            lanes.add((each.name, piece.seed))
            tried[each.name] = _sum(tried[each.name], each) if each.name in tried else each
        caught |= {each.off: each for each in piece.caught}
    return Piece(
        pieces[0].seed,
        _each_once(piece.at for piece in pieces),
        _each_once(piece.commit for piece in pieces),
        _each_once(piece.python for piece in pieces),
        worlds,
        tuple(tried.values()),
        tuple(caught.values()),
    )


def _sum(one: Tried, other: Tried) -> Tried:
    return replace(
        one,
        # Tests that draw nothing have tried the same again.
        tries=max(one.tries, other.tries) if one.make == "tests" else one.tries + other.tries,
        skipped=one.skipped + other.skipped,
        good=one.good and other.good,
        more=dict(Counter(one.more) + Counter(other.more)),
        says=one.says + other.says,
    )


def _each_once(words: Any) -> str:
    return ", ".join(dict.fromkeys(words))

"""The lanes: what each runs, how much of it, and what came of that."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

import structlog

from faults.checker import Violation
from faults.mutants import BUDGET, STARTS, Hunted, hunt
from faults.safeguards import MUTANTS
from faults.simulation.chance import Fault
from faults.simulation.world import live

ROOT: Final = Path(__file__).resolve().parent.parent
_AT_A_TIME: Final = 100
_PASSED: Final = re.compile(r"(\d+) passed")
_SKIPPED: Final = re.compile(r"(\d+) skipped")


@dataclass(frozen=True, slots=True)
class Worlds:
    """What some simulated worlds have shown."""

    count: int
    calls: int = 0
    tokens: int = 0
    callbacks: int = 0
    faults: Counter[Fault] = field(default_factory=Counter)
    violations: tuple[tuple[int, Violation], ...] = ()

    def __add__(self, other: "Worlds") -> "Worlds":
        return Worlds(
            self.count + other.count,
            self.calls + other.calls,
            self.tokens + other.tokens,
            self.callbacks + other.callbacks,
            self.faults + other.faults,
            self.violations + other.violations,
        )

    @property
    def blind(self) -> list[str]:
        """Faults that never struck."""
        return [each.value for each in Fault if not self.faults[each]]


def be_quiet() -> None:
    """What the server logs of faults that are meant to happen is of no use here."""
    structlog.configure(processors=[_drop])


def _drop(*_: object) -> str:
    raise structlog.DropEvent


def simulate(seeds: range) -> Worlds:
    """Run these worlds, here."""
    be_quiet()
    found = Worlds(0)
    for seed in seeds:
        seen = live(seed)
        kinds = Counter(each["event"] for each in seen.events)
        tokens = sum(each.get("what") == "token" for each in seen.events)
        broken = tuple((seed, each) for each in seen.violations)
        found += Worlds(1, kinds["call"], tokens, kinds["callback"], seen.faults, broken)
    return found


def simulate_all(pool: Executor, count: int, first: int = 0) -> Worlds:
    """Run so many worlds on all processors, from this seed on."""
    seeds = range(first, first + count)
    parts = [seeds[at : at + _AT_A_TIME] for at in range(0, count, _AT_A_TIME)]
    return sum(pool.map(simulate, parts), Worlds(0))


def hunt_all(pool: Executor) -> list[Hunted]:
    """Plant every mutant, one after the other."""
    places = range(len(MUTANTS))
    worlds = pool.map(_hunt, chain(places))
    return [Hunted(MUTANTS[at], *found) for at, found in zip(places, worlds, strict=True)]


def _hunt(at: int) -> tuple[tuple[int | None, ...], frozenset[str]]:
    be_quiet()
    found = hunt(MUTANTS[at], STARTS, BUDGET)
    return found.worlds, found.promises


# --- lanes that are tests, with larger numbers


@dataclass(frozen=True, slots=True)
class Lane:
    """Tests that are run as a lane. The variable `counts` says how much: `tries` of what they
    `make`, or else `number` of rounds. What they have tried they say themselves (`tests.tally`).
    """

    name: str
    promises: str
    make: str
    tests: tuple[str, ...]
    tries: int | None = None
    counts: str | None = None
    number: int | None = None

    @property
    def much(self) -> int | None:
        return self.number if self.tries is None else self.tries


@dataclass(frozen=True, slots=True)
class Ran:
    lane: Lane
    passed: int
    skipped: int
    good: bool
    seconds: float
    says: str
    tally: int = 0
    more: dict[str, int] = field(default_factory=dict)

    @property
    def tries(self) -> int:
        """Of what the lane makes; tests where nothing else is counted."""
        return self.tally or self.lane.tries or self.passed


@dataclass(frozen=True, slots=True)
class Size:
    """How much of each lane that is tests; 0 leaves it out."""

    images: int
    kills: int
    rounds: int
    switches: int
    shifts: int
    inputs: int


def lanes(size: Size) -> Sequence[Lane]:
    """Every lane that is tests, in the order of the report."""
    return [each for each in _lanes(size) if each.much != 0]


def _lanes(size: Size) -> Sequence[Lane]:
    fixed = None if size.rounds else 0  # what has no number of its own goes with the races
    return (
        Lane(
            "B power cuts", "R2", "disk images",
            ("tests/store/test_powercut.py", "tests/store/test_powercut_migrating.py"), size.images,
            "POWER_CUTS",
        ),
        Lane("C kill -9", "R1, R2", "kills", ("tests/store/test_kill.py",), size.kills, "KILLS"),
        Lane(
            "C real processes and faults", "R1 to R5, R7, R8, R12", "kills", ("tests/real",),
            size.kills // 2, "KILLS",
        ),
        Lane(
            "C races of requests", "R1, R3", "races", ("tests/server/test_races.py",),
            counts="RACES", number=size.rounds,
        ),
        Lane(
            "C several servers, store away", "R1, R3, R7", "tests",
            (
                "tests/server/test_several.py",
                "tests/server/test_on_postgres.py",
                "tests/store/test_broken.py",
            ),
            number=fixed,
        ),
        Lane(
            "C races of changes", "R1, R3", "tests",
            (
                "tests/store/test_sqlite.py",
                "tests/store/test_postgres.py",
                "tests/store/test_model.py",
            ),
            number=fixed,
        ),
        Lane(
            "C workers, a frozen database, upgrades", "R7, R9", "tests",
            (
                "tests/server/test_workers.py",
                "tests/server/test_frozen.py",
                "tests/server/test_bounds.py",
                "tests/server/test_roots_in_processes.py",
                "tests/server/test_rolling.py",
            ),
            number=fixed,
        ),
        Lane(
            "replay of recorded requests", "R9", "tests", ("tests/replay",), number=fixed,
        ),
        Lane(
            "D interleavings", "R1 to R5", "races", ("tests/isolation",),
            counts="SWITCHES", number=size.switches,
        ),
        Lane(
            "soak: memory, descriptors, rows", "R12", "shifts of six hours",
            ("tests/soak/test_soak.py",), size.shifts, "SOAK",
        ),
        Lane(
            "the client library goes on after a crash", "R10", "tests",
            (
                "tests/client/test_saved_state.py",
                "tests/client/test_sources.py",
                "tests/client/test_processes.py",
            ),
            number=fixed,
        ),
        Lane(
            f"parsers, {size.inputs:,} random inputs for each property", "R13", "tests",
            (
                "tests/wire",
                "tests/proofs",
                "tests/access",
                "tests/oauth",
                "tests/outbound/test_targets.py",
                "tests/registration",
                "tests/client/test_answers.py",
                "tests/server/test_fuzz.py",
            ),
            counts="EXAMPLES", number=size.inputs,
        ),
    )  # fmt: skip


def run_lane(lane: Lane, seed: int = 0) -> Ran:
    """Run its tests with its number of tries, and chance from this seed."""
    began = time.monotonic()
    more: Mapping[str, str] = {} if lane.counts is None else {lane.counts: str(lane.much)}
    with tempfile.NamedTemporaryFile("r") as tally:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *lane.tests],
            cwd=ROOT,
            env={
                **os.environ,
                "FAULTS_TALLY": tally.name,
                "FAULTS_SEED": str(seed),
                "POWER_CUT_SEED": str(20261 + seed),
                **more,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        tried: Counter[str] = Counter()
        for line in tally:
            many, _, what = line.strip().partition(" ")
            tried[what] += int(many)
    return Ran(
        lane,
        _count(_PASSED, done.stdout),
        _count(_SKIPPED, done.stdout),
        done.returncode == 0,
        time.monotonic() - began,
        "\n".join(_last(done.stdout)),
        tried.pop(lane.make, 0),
        dict(tried),
    )


def _count(pattern: re.Pattern[str], text: str) -> int:
    return sum(int(each) for each in pattern.findall(text))


def _last(text: str) -> Iterator[str]:
    yield from text.splitlines()[-15:]

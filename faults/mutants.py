"""Hunting mutants: the server with one safeguard switched off must break a promise that is seen.

A mutant patches the running code and, where the database guards the same thing once more, drops
that guard too, so that it is the promise that is tested and not one statement. `hunt` runs
simulated worlds until one of them shows it. What is switched off: `faults.safeguards`.
"""

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias
from unittest.mock import patch

from faults.simulation import world
from faults.simulation.template import template

BUDGET: Final = 300  # worlds in which a mutant must show itself
STARTS: Final = (0, 10_000, 20_000)  # seeds from which it is hunted, each by itself

Patch: TypeAlias = Callable[[ExitStack], object]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`off`: the safeguard that is missing. `schema` is run on the database first."""

    off: str
    patches: tuple[Patch, ...]
    schema: str = ""


@dataclass(frozen=True, slots=True)
class Hunted:
    """How many worlds it took from each start (`None`: more than the budget), and what broke."""

    mutant: Mutant
    worlds: tuple[int | None, ...]
    promises: frozenset[str]

    @property
    def median(self) -> float | None:
        """`None` if it got away once."""
        found = [each for each in self.worlds if each is not None]
        return statistics.median(found) if len(found) == len(self.worlds) else None


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """The server is wrong in this way until the block ends."""
    with ExitStack() as stack:
        for each in mutant.patches:
            each(stack)
        if mutant.schema:
            weaker = template().changed(mutant.schema)
            stack.enter_context(patch.object(world, "template", lambda: weaker))
        yield


def hunt(mutant: Mutant, starts: Sequence[int] = STARTS, budget: int = BUDGET) -> Hunted:
    """Look for a world that shows it, from each start."""
    worlds: list[int | None] = []
    promises: set[str] = set()
    with planted(mutant):
        for start in starts:
            worlds.append(None)
            for count in range(budget):
                seen = world.live(start + count)
                if seen.violations:
                    worlds[-1] = count + 1
                    promises |= {each.promise for each in seen.violations}
                    break
    return Hunted(mutant, tuple(worlds), frozenset(promises))

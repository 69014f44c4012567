"""Every order of steps, each once: what was chosen in one run says what else there was to choose.

A switch away from whoever could have gone on costs; `switches` bounds how many there are. Most of
what goes wrong shows with two (Musuvathi and Qadeer, "Iterative Context Bounding", 2007); without
a bound all orders are tried.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.isolation.stepping import Choice


@dataclass(slots=True)
class Orders:
    """Give an order, run it, `learn` from it, until none is left."""

    switches: int | None
    tried: set[tuple[int, ...]] = field(default_factory=set)
    _left: list[tuple[int, ...]] = field(default_factory=lambda: [()])

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        while self._left:
            yield self._left.pop()

    def learn(self, order: Sequence[int], took: Sequence[Choice]) -> None:
        """Whatever could have been chosen behind this order is to be tried."""
        chosen = tuple(each.took for each in took)
        if chosen in self.tried:
            return  # a step less or more than the last time, as somebody's memory may have it
        self.tried.add(chosen)
        for at in range(len(order), len(took)):
            for other in took[at].able:
                if other == took[at].took:
                    continue
                if self.switches is None or _switches(took, at, other) <= self.switches:
                    self._left.append((*chosen[:at], other))


def _switches(took: Sequence[Choice], at: int, other: int) -> int:
    """How often somebody was left who could have gone on, if `other` comes at `at`."""
    chosen = [*(each.took for each in took[:at]), other]
    return sum(
        later != earlier and earlier in took[place + 1].able
        for place, (earlier, later) in enumerate(pairwise(chosen))
    )

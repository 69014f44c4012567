"""The decision maker: somebody far away whom every host asks, who takes time, or is away."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from abeyance.policy.decider import Decider, Deny, Issue, Question, Verdict
from faults.simulation.chance import Chance, Fault

_SLOW: Final = 90.0  # seconds, longer than anybody waits for an answer
_ISSUES: Final = 0.08
_DENIES: Final = 0.04


class Away(Exception):
    """Nobody answers there. The server takes it for a fault of its decider."""


@dataclass(slots=True)
class FarDecider:
    """Says yes or no at times, and else as the rules do. `granted` is told of each yes."""

    rules: Decider
    chance: Chance
    granted: Callable[[Collection[str]], None]

    @property
    def version(self) -> str:
        return self.rules.version

    async def decide(self, question: Question) -> Verdict:
        slow = self.chance.strikes(Fault.SLOW_DECIDER, 0.04)
        await asyncio.sleep(self.chance.soon(_SLOW if slow else 1.0))
        if self.chance.strikes(Fault.DECIDER_AWAY, 0.04):
            raise Away
        dice = self.chance.rng.random()
        if dice < _ISSUES:
            self.granted(question.asked.scope)
            return Issue("at once")
        if dice < _ISSUES + _DENIES:
            return Deny("never")
        return await self.rules.decide(question)

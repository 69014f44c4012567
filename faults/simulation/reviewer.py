"""Somebody who decides: looks at what waits, and says yes, less, or no."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from abeyance.acts.decide import Counted, NotCounted, Obstacle, Vote, VoteResult, decide, review
from abeyance.acts.house import House
from abeyance.parties.person import PersonId
from abeyance.pending.choosing import Choice
from abeyance.pending.request import Key, Loaded
from abeyance.pending.states import Pending
from abeyance.pending.votes import Verdict
from abeyance.store.ports import StoreAway
from faults.log import Log
from faults.simulation.chance import Chance, Fault
from faults.simulation.hosts import Down, Host

_BEFORE_THE_END: Final = timedelta(seconds=20)


@dataclass(slots=True)
class Reviewer:
    """Works at one host after the other until `until`."""

    person: str
    hosts: list[Host]
    chance: Chance
    log: Log
    until: float

    async def live(self) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < self.until:
            await asyncio.sleep(1 + self.chance.soon(240.0))
            host = self.chance.rng.choice(self.hosts)
            if host.house is None or not host.disk.look("SELECT 1 FROM inbox LIMIT 1"):
                continue  # nobody is there, or nothing waits
            try:
                await self._look(host, host.house)
            except (StoreAway, Down):
                continue

    async def _look(self, host: Host, house: House) -> None:
        page = await house.store.list_waiting(
            PersonId(self.person), now=house.clock.now(), limit=20
        )
        for loaded in page.items:
            await asyncio.sleep(self.chance.soon(10.0))
            if self.chance.rng.random() < 0.5:
                await self._decide(host, house, loaded)

    async def _decide(self, host: Host, house: House, loaded: Loaded) -> None:
        left = loaded.held.decide_by - house.clock.now()
        if left < _BEFORE_THE_END and self.chance.strikes(Fault.LAST_MOMENT, 0.9):
            await asyncio.sleep(max(0.0, left.total_seconds() - 0.02))
        asked = sorted(loaded.snapshot.asked.scope)
        approves = self.chance.rng.random() < 0.75
        scope = asked[:1] if self.chance.rng.random() < 0.4 else asked
        op = "approve" if approves else "deny"
        number = self.log.call(
            loaded.held.key.home.hex(),
            op,
            by=self.person,
            **({"scope": scope} if approves else {}),
        )
        verdict = Verdict.APPROVE if approves else Verdict.DENY
        choice = None
        if approves and scope != asked:
            choice = Choice(
                items=frozenset(f"scope:{each}" for each in scope),
                parts={},
                limits={},
                lifetime=loaded.snapshot.asked.lifetime,
            )
        voting = host.spawn(self._vote(house, loaded.held.key, verdict, choice))
        try:
            await asyncio.wait([voting])
            if voting.cancelled():
                self.log.lost(number)
                return
            voted: VoteResult = voting.result()
        except StoreAway:
            self.log.lost(number)
            return
        if self.chance.strikes(Fault.RESET, 0.05):
            self.log.lost(number)
            return
        match voted:
            case Counted(Pending()) if approves and loaded.snapshot.plan.approvals > 1:
                self.log.answer(number, "noted")
            case Counted():
                if loaded.snapshot.plan.approvals > 1 and approves:
                    self.chance.counts[Fault.TOGETHER] += 1
                self.log.answer(number, "counted")
            case NotCounted(Obstacle.CLOSED):
                self.log.answer(number, "closed")
            case _:
                self.log.answer(number, "refused")

    async def _vote(
        self, house: House, key: Key, verdict: Verdict, choice: Choice | None
    ) -> VoteResult:
        person = await house.store.find_person(PersonId(self.person))
        assert person is not None
        seen = await review(house, person, key)
        vote = Vote(
            verdict=verdict,
            seen="" if seen is None else seen.disclosure.digest,
            version=0 if seen is None else seen.loaded.held.version,
            choice=choice,
        )
        return await decide(house, person, key, vote)

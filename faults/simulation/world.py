"""One world, from a seed to a log and what the checker says of it."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from faults.checker import Violation, check
from faults.log import Event, Log
from faults.simulation.agent import Agent, Journal, at_once, name_of
from faults.simulation.chance import Chance, Fault
from faults.simulation.decider import FarDecider
from faults.simulation.disk import Disk
from faults.simulation.hosts import Host, Receiver, SkewedClock
from faults.simulation.loop import VirtualLoop, run
from faults.simulation.network import Network
from faults.simulation.reviewer import Reviewer
from faults.simulation.template import GRAVE, LOUD, QUIET, REVIEWERS, template

CALM_AT: Final = 900.0  # seconds; from then on nothing goes wrong any more
ENDS_AT: Final = 3_300.0  # and by then everything has come to its end
_LATER: Final = 7_200.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_SKEW: Final = 600.0
_JUMP: Final = 2.0
_BRIEF: Final = ("brief",)
_SCOPES: Final = (("read", "write"), ("read", "write"), ("write",), _BRIEF, (GRAVE, "write"))


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a world."""

    seed: int
    events: Sequence[Event]
    violations: Sequence[Violation]
    faults: Counter[Fault]


@dataclass(slots=True)
class World:
    """Everybody in it. `live` lets them."""

    seed: int
    loop: VirtualLoop
    log: Log = field(init=False)
    chance: Chance = field(init=False)
    hosts: list[Host] = field(init=False)
    disk: Disk = field(init=False)
    _skews: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.log = Log(self.loop.time)
        self.chance = Chance(self.seed)
        made = template()
        self.disk = Disk(made.image, self.chance)
        receiver = Receiver(self.chance, self._called)
        decider = FarDecider(made.house.decider, self.chance, self._granted)
        self.hosts = []
        self._skews = self._make_skews()
        for skew in self._skews:
            clock = SkewedClock(self.loop, skew)
            host = Host(made, self.disk, self.chance, clock, receiver, decider, self.hosts)
            self.hosts.append(host)

    async def live(self) -> Seen:
        async with asyncio.TaskGroup() as group:
            for host in self.hosts:
                host.start()
                group.create_task(self._break(host))
            for number in range(self.chance.rng.randint(1, 4)):
                group.create_task(self._employ(number))
            for person in REVIEWERS:
                reviewer = Reviewer(person, self.hosts, self.chance, self.log, CALM_AT + 300)
                group.create_task(reviewer.live())
            group.create_task(self._calm())
        await asyncio.sleep(max(0.0, ENDS_AT - self.loop.time()))
        for host in self.hosts:
            host.crash()
        self.loop.pass_time(_LATER)
        self._look()
        events = self.log.events
        return Seen(self.seed, events, check(events), self.chance.counts)

    # --- what goes wrong by itself

    def _make_skews(self) -> list[float]:
        rng, count = self.chance.rng, self.chance.rng.randint(2, 3)
        if rng.random() < 0.6:
            return [0.0] * count
        self.chance.counts[Fault.SKEW] += 1
        most = _MOST_SKEW if rng.random() < 0.3 else 5.0
        return [rng.uniform(-most / 2, most / 2) for _ in range(count)]

    def _skew(self) -> float:
        return max(self._skews) - min(self._skews) + 2 * _JUMP

    async def _break(self, host: Host) -> None:
        rng = self.chance.rng
        while self.loop.time() < CALM_AT:
            await asyncio.sleep(rng.random() * 600)
            if self.chance.strikes(Fault.HOST_CRASH, 0.5):
                host.crash()
                await asyncio.sleep(self.chance.soon(60.0))
                host.start()
            if self.chance.strikes(Fault.JUMP, 0.1):
                host.clock.skew += rng.uniform(-_JUMP, _JUMP) / 2

    async def _calm(self) -> None:
        await asyncio.sleep(CALM_AT)
        self.chance.calm = True

    # --- who asks

    async def _employ(self, number: int) -> None:
        """An agent that crashes at times, and goes on from its journal."""
        rng = self.chance.rng
        await asyncio.sleep(self.chance.soon(300.0))
        scope = rng.choice(_SCOPES)
        # A callback that comes too late for its request is forgotten, by whichever clock.
        client = QUIET if scope == _BRIEF or rng.random() < 0.4 else LOUD
        journal = Journal(client, scope, f"agent-{number}-{self.seed}-0123456789abcdef")
        storms = rng.random() < 0.02
        while not journal.over:
            agent = Agent(journal, self.hosts_net(), self.chance, self.log, self._skew(), storms)
            living = asyncio.ensure_future(agent.live())
            if not self.chance.strikes(Fault.AGENT_CRASH, 0.3):
                await living
                return
            await asyncio.wait([living], timeout=rng.random() * 300)
            living.cancel()
            await asyncio.wait([living])
            await asyncio.sleep(self.chance.soon(60.0))

    def hosts_net(self) -> Network:
        return Network(self.chance, self.hosts)

    def _called(self, code: str, heard: bool) -> None:
        self.log.note("callback", deferral=name_of(code), heard=heard)

    def _granted(self, scope: Collection[str]) -> None:
        """The decision maker said yes itself. Nobody else has a say in what comes of it."""
        self.log.note("granted", deferral=at_once(scope), scope=sorted(scope))

    # --- how it ended

    def _look(self) -> None:
        """What the database says in the end, past every fault."""
        now = (self.hosts[0].clock.now() - _EPOCH) // timedelta(microseconds=1)
        for home, state, expires in self.disk.look(
            "SELECT hex(home), state, expires_at FROM request"
        ):
            name = home.lower()
            live = self.disk.look(
                "SELECT hex(jti) FROM token WHERE hex(home) = :home AND revoked_at IS NULL",
                home=home,
            )
            [[decided]] = self.disk.look(
                """
                SELECT count(*)
                  FROM audit
                 WHERE hex(home) = :home AND event IN ('approved', 'denied')
                """,
                home=home,
            )
            votes = self.disk.look("SELECT voter FROM vote WHERE hex(home) = :home", home=home)
            # What nobody decided ends with its time, which is a fact of the clock.
            stage = "expired" if state == "pending" and expires <= now else state
            self.log.note(
                "final",
                deferral=name,
                stage=stage,
                live=[jti for (jti,) in live],
                decided=decided > 0,
                votes=[voter for (voter,) in votes],
            )


def live(seed: int) -> Seen:
    """Run the world of this seed, and judge it."""

    template()  # outside of the world, since it is made in a loop of its own

    async def main() -> Seen:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return await World(seed, loop).live()

    return run(main())

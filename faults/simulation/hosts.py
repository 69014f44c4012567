"""Hosts of a simulated world: each is the server's back channel with a memory of its own."""

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from abeyance.acts.house import House
from abeyance.keys import KeyRing
from abeyance.outbound.caller import Fetched, Headers, Outside
from abeyance.policy.decider import Decider
from abeyance.proofs.jwk import KeyPair
from abeyance.server.backchannel.revocation import revocation_endpoint
from abeyance.server.backchannel.token import token_endpoint
from abeyance.server.delivering import delivering
from abeyance.server.http import Endpoint
from abeyance.volatile.answering import Answering
from abeyance.volatile.clocks import PollClocks
from abeyance.volatile.limits import Backoff, Buckets
from abeyance.volatile.once import Once
from abeyance.volatile.replay import LocalReplayMemory
from abeyance.volatile.seats import Seats
from abeyance.volatile.waiters import Waiters
from faults.simulation.chance import Chance, Fault
from faults.simulation.disk import Disk, SimulatedStore
from faults.simulation.loop import VirtualLoop
from faults.simulation.template import Template

BEGIN: Final = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
_SIGNING = 20.0  # seconds that a slow signer takes


class Down(Exception):
    """Nobody answers: the host is down, or went down meanwhile."""


@dataclass(slots=True)
class SkewedClock:
    """Virtual time, wrong by `skew` seconds on the wall and right in what passes."""

    loop: VirtualLoop
    skew: float

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.loop.time() + self.skew)

    def tick(self) -> float:
        return 1_000.0 + self.loop.time()

    def after(self, seconds: float, call: Any) -> asyncio.TimerHandle:
        return self.loop.call_later(seconds, call)


class TurningKeys(KeyRing):
    """The server's keys; the one that signs is turned, and at times takes long."""

    def __init__(self, made: Template, clock: SkewedClock, chance: Chance) -> None:
        super().__init__(Path("nowhere"), made.keys, now=clock.now, tick=lambda: 0.0)
        self._clock, self._chance, self._signers = clock, chance, made.signers
        self._turn = 0

    @property
    def signing(self) -> KeyPair:
        if self._chance.strikes(Fault.ROTATION, 0.05):
            self._turn += 1
        if self._chance.strikes(Fault.SLOW_SIGNER, 0.02):
            self._clock.loop.pass_time(self._chance.rng.random() * _SIGNING)
        return self._signers[self._turn % len(self._signers)]


@dataclass(slots=True)
class Reply:
    """What a caller gets."""

    status: int
    body: dict[str, Any]


@dataclass(slots=True)
class Host:
    """One process of the server. `crash` ends it at once; `start` begins another life."""

    made: Template
    disk: Disk
    chance: Chance
    clock: SkewedClock
    outside: Outside
    decider: Decider
    peers: list["Host"]
    house: House | None = None
    _endpoints: dict[str, Endpoint] = field(default_factory=dict)
    _tasks: set["asyncio.Task[Any]"] = field(default_factory=set)

    def start(self) -> None:
        store = SimulatedStore(self.disk)
        made, chance = self.made.house, self.chance
        self.house = house = replace(
            made,
            store=store,
            clock=self.clock,
            random=chance.bytes,
            us=chance.bytes(16),
            keys=TurningKeys(self.made, self.clock, chance),
            clocks=PollClocks(),
            replay=LocalReplayMemory(),
            limits=replace(
                made.limits,
                failures=Backoff(free=5, longest=30.0),
                creations=Buckets(rate=100.0, burst=1000),
                held=Seats(most=100, each=50),
                notices=Buckets(rate=1.0, burst=10),
            ),
            waiters=Waiters(),
            answering=Answering(),
            reported=Once(),
            outside=self.outside,
            decider=self.decider,
        )
        house.answering.share = self._share_answered
        house.clocks.share = self._share_earned
        store.on_change(house.waiters.ring)
        self._endpoints = {"/token": token_endpoint(house), "/revoke": revocation_endpoint(house)}
        self.spawn(self._deliver(house))

    def crash(self) -> None:
        """Everything that it was doing ends where it is; its memory is gone."""
        if self.house is None:
            return
        store, self.house = self.house.store, None
        assert isinstance(store, SimulatedStore)
        if store in self.disk.stores:
            self.disk.stores.remove(store)
        for task in list(self._tasks):
            task.cancel()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """A task that ends with this life of the host."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def post(
        self, path: str, form: Sequence[tuple[str, str]], headers: Sequence[tuple[bytes, bytes]]
    ) -> Reply:
        """Answer a request. Raises `Down`."""
        if self.house is None:
            raise Down
        task = self.spawn(_call(self._endpoints[path], path, form, headers))
        # Whoever calls may go; the host does not notice.
        await asyncio.wait([task])
        if task.cancelled():
            raise Down
        answer: Reply = task.result()
        return answer

    async def _deliver(self, house: House) -> None:
        async with delivering(house):
            await asyncio.Event().wait()

    def _share_answered(self, key: Any) -> None:
        for peer in self.peers:
            if peer is not self and peer.house is not None:
                peer.house.answering.note_out(key)

    def _share_earned(self, digest: bytes) -> None:
        for peer in self.peers:
            if peer is not self and peer.house is not None:
                peer.house.clocks.credit(digest)


async def _call(
    endpoint: Endpoint,
    path: str,
    form: Sequence[tuple[str, str]],
    headers: Sequence[tuple[bytes, bytes]],
) -> Reply:
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "https",
        "path": path,
        "query_string": b"",
        "headers": [(b"content-type", b"application/x-www-form-urlencoded"), *headers],
        "client": ("192.0.2.1", 50_000),
    }
    sent: list[Any] = []
    incoming = [{"type": "http.request", "body": urlencode(form).encode(), "more_body": False}]

    async def receive() -> Any:
        if incoming:
            return incoming.pop()
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await endpoint(scope, receive, send)
    body = b"".join(each.get("body", b"") for each in sent[1:])
    return Reply(sent[0]["status"], json.loads(body) if body else {})


@dataclass(slots=True)
class Receiver(Outside):
    """Whoever is called back: slow, deaf or hanging at times. `heard` is told of each call."""

    chance: Chance
    heard: Any
    deaf: Counter[str] = field(default_factory=Counter)

    def check(self, url: str) -> None:
        """Every address may be called."""

    async def check_now(self, url: str) -> None:
        """Every address may be called."""

    async def get(self, url: str, *, at_most: int, accept: str) -> Fetched:
        raise AssertionError("nothing is fetched in a simulated world")

    async def post(self, url: str, body: bytes, headers: Headers, *, at_most: int) -> Fetched:
        await asyncio.sleep(self.chance.soon(2.0))
        code = json.loads(body)["deferral_code"]
        # Deaf twice at most: who never hears is given up after the sixth attempt.
        fails = self.deaf[code] < 2
        if fails and self.chance.strikes(Fault.HANGING, 0.1):
            self.deaf[code] += 1
            self.heard(code, False)
            await asyncio.sleep(10.0)
            return Fetched(504, (), b"")
        refuses = fails and self.chance.strikes(Fault.REFUSING, 0.2)
        self.deaf[code] += refuses
        self.heard(code, not refuses)
        await asyncio.sleep(self.chance.soon(1.0))
        return Fetched(500 if refuses else 204, (), b"")

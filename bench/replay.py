"""A population of a hundred million waiting requests, scaled down and replayed in real time.

`python -m bench.replay --scale 1000`: 100,000 requests wait, put there beside the server. Each is
polled once in `--interval` seconds, at an instant of its own; first requests come as often as
others are decided, so that a request waits for a day on average; whatever is decided is
collected by its next poll. The load is open: an answer that is late delays nobody, and its time
counts from when it should have been asked for. The clock is the shipped one, pace included.
"""

import argparse
import asyncio
import heapq
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Final

from abeyance.wire import names
from bench import crowd, machine, messages
from bench.ground import Fleet, Ground
from bench.load import Load
from bench.plan import FULL
from bench.population import Caller, make_callers
from bench.postgres import Postgres
from bench.talking import Connection, open_requests

POPULATION: Final = 100_000_000
WAIT: Final = 86_400.0  # seconds from the first request to the decision, on average
_CONNECTIONS: Final = 32
_KINDS: Final = {
    b'"deferral_code"': "deferred",
    b'"error":"authorization_pending"': "pending",
    b'"access_token"': "token",
    b"{}": "decided",
}


@dataclass(order=True, slots=True)
class _Due:
    at: float
    message: bytes = field(compare=False)
    code: str = field(compare=False, default="")


@dataclass(slots=True)
class Told:
    """How often what was answered, and how long after it was due, in seconds."""

    answers: Counter[str] = field(default_factory=Counter)
    late: list[float] = field(default_factory=list)


class Population:
    """Who asks when: `codes` wait, polled once in `interval` seconds each."""

    def __init__(
        self, callers: Sequence[Caller], codes: Sequence[str], interval: float, seed: int = 1
    ) -> None:
        self._random = random.Random(seed)
        self._callers, self._interval = callers, interval
        self._owners = {code: callers[n % len(callers)] for n, code in enumerate(codes)}
        self._waiting = list(codes)
        self._decide = messages.decide_without_code()

    def due(self, seconds: float) -> Iterator[_Due]:
        """All that falls into so many seconds, in order."""
        per_second = len(self._waiting) / WAIT
        events = [
            self._poll(self._random.random() * self._interval, code) for code in self._waiting
        ]
        for number in range(int(per_second * seconds)):
            at = self._random.random() * seconds
            caller = self._callers[number % len(self._callers)]
            events.append(_Due(at, messages.first_request(caller)))
            code = self._waiting.pop(self._random.randrange(len(self._waiting)))
            events.append(_Due(at, self._decide + code.encode()))
        heapq.heapify(events)
        while events and events[0].at < seconds:
            event = heapq.heappop(events)
            yield event
            if event.code:
                heapq.heappush(events, self._poll(event.at + self._interval, event.code))

    def _poll(self, at: float, code: str) -> _Due:
        return _Due(at, messages.poll(self._owners[code], code), code)


async def replay(population: Population, ports: Sequence[int], seconds: float) -> Told:
    """Send it all when it is due, over a few connections."""
    told, queue = Told(), asyncio.Queue[_Due | None]()
    done: set[str] = set()

    async def work(port: int) -> None:
        connection = await Connection.open(port)
        while (event := await queue.get()) is not None:
            if event.code in done:
                continue  # collected: its client does not ask again
            _, body = await connection.exchange(event.message)
            kind = next((kind for mark, kind in _KINDS.items() if mark in body), body.decode())
            told.answers[kind] += 1
            told.late.append(time.perf_counter() - began - event.at)
            if kind == "token":
                done.add(event.code)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(_CONNECTIONS):
            group.create_task(work(ports[number % len(ports)]))
        for event in population.due(seconds):
            if (early := event.at - (time.perf_counter() - began)) > 0:
                await asyncio.sleep(early)
            queue.put_nowait(event)
        for _ in range(_CONNECTIONS):
            queue.put_nowait(None)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.replay", description=__doc__)
    parser.add_argument("--scale", type=int, default=1_000, help="one of so many (1000)")
    parser.add_argument("--interval", type=float, default=60.0, help="seconds between polls (60)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--postgres", action="store_true", help="instead of SQLite")
    parser.add_argument("--processes", type=int, default=1, help="on PostgreSQL (1)")
    told = parser.parse_args()
    cores = machine.choose_cores()
    machine.pin(cores.load)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="abeyance-bench-")))
        postgres = Postgres(stack) if told.postgres else None
        load = Load(Path("wrk"), _CONNECTIONS)  # not used: the load is our own
        ground = Ground(FULL, cores, load, folder, stack, postgres)
        callers = make_callers(names.CLIENT_SECRET_BASIC, FULL.clients)
        fleet, codes = _fill(ground, callers, POPULATION // told.scale, told.processes)
        before, began = fleet.counters(), time.perf_counter()
        found = asyncio.run(
            replay(Population(callers, codes, told.interval), fleet.ports, told.seconds)
        )
        took, after = time.perf_counter() - began, fleet.counters()
        _say(found, took, told.scale, {name: after[name] - before.get(name, 0) for name in after})
        resident = sum(each.resident_bytes() for each in fleet.servers)
        print(f"memory of the servers: {resident / 1e6:,.0f} MB")


def _fill(
    ground: Ground, callers: Sequence[Caller], count: int, processes: int
) -> tuple[Fleet, list[str]]:
    database: crowd.SqliteFile | crowd.PostgresDatabase
    if ground.postgres is not None:
        fleet = ground.open_fleet("replay", callers, processes, decisions=True, paced=True)
        database = crowd.PostgresDatabase(ground.postgres.server.url("replay"))
    else:
        server = ground.open_server("replay", callers, decisions=True, paced=True)
        fleet = Fleet([server])
        database = crowd.SqliteFile(ground.folder / "replay" / "data" / "abeyance.db")
    templates = open_requests(fleet.ports[0], map(messages.first_request, callers), 8)
    codes = crowd.gather(database, templates, count)
    database.close()
    return fleet, codes


def _say(told: Told, took: float, scale: int, counted: dict[str, float]) -> None:
    cuts = quantiles(told.late, n=100)
    for kind, count in told.answers.most_common():
        rate = count / took
        print(f"{kind}: {count:,} ({rate:,.1f} a second; of all {rate * scale:,.0f})")
    p50, p99 = cuts[49] * 1e3, cuts[98] * 1e3
    print(f"answered behind the instant when it was due: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    server = counted["cpu_seconds"] / took
    database = counted.get("database_cpu_seconds", 0.0) / took
    print(
        f"cores: servers {server:.3f}, database {database:.3f};"
        f" of all {server * scale:,.0f} and {database * scale:,.0f}"
    )


if __name__ == "__main__":
    main()

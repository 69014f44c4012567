"""Whoever breaks processes, connections, clocks and disks: one fault after the other."""

import asyncio
import os
import random
import resource
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.postgres.server import PostgresServer
from tests.real.agent import SKEW
from tests.real.proxy import Proxy
from tests.real.receiver import Mood

if TYPE_CHECKING:
    from tests.real.world import Host, World


class Fault(StrEnum):
    """What is done to processes and connections; the first three are kills."""

    SERVER_KILLED = "server killed"
    CLIENT_KILLED = "client killed"
    DATABASE_KILLED = "database killed"
    SERVER_STOPPED = "server stopped"
    STOPPED_CALLING = "server stopped while it called"
    CLIENT_STOPPED = "client stopped"
    DATABASE_STOPPED = "database stopped"
    CUT = "connections cut"
    HALF_CLOSED = "connections half-closed"
    DELAYED = "connections delayed"
    CLOCK = "clock set"
    DISK_FULL = "disk full"
    RECEIVER_FAILS = "receiver answered 500"
    RECEIVER_HANGS = "receiver hung"
    RECEIVER_AWAY = "receiver away"


NOWHERE: Final = 1  # a port where nobody listens
_A_MOMENT: Final = 0.02  # seconds
_LOOKS: Final = 50
KILLS: Final = (Fault.SERVER_KILLED, Fault.CLIENT_KILLED, Fault.DATABASE_KILLED)


@dataclass(slots=True)
class Breaker:
    """Breaks this world. `struck`: how often what has been done."""

    world: "World"
    rng: random.Random
    struck: Counter[Fault] = field(default_factory=Counter)

    async def strike(self, turn: int) -> None:
        acts: dict[Fault, Callable[[], Awaitable[bool | None]]] = {
            Fault.SERVER_KILLED: self._kill_server,
            Fault.CLIENT_KILLED: self._kill_client,
            Fault.SERVER_STOPPED: self._stop_server,
            Fault.CUT: self._cut,
            Fault.HALF_CLOSED: self._half_close,
            Fault.DELAYED: self._delay,
            Fault.CLOCK: self._set_clock,
            Fault.CLIENT_STOPPED: self._stop_client,
            Fault.RECEIVER_FAILS: lambda: self._receive_badly(Mood.FAILS),
            Fault.RECEIVER_HANGS: lambda: self._receive_badly(Mood.HANGS),
            Fault.RECEIVER_AWAY: self._take_receiver_away,
        }
        if self.world.database is None:
            acts[Fault.DISK_FULL] = self._fill_disk
        else:
            acts |= {
                Fault.DISK_FULL: self._fill_disk_of_database,
                Fault.DATABASE_KILLED: self._kill_database,
                Fault.DATABASE_STOPPED: self._stop_database,
            }
        # Every other one is a kill.
        kills = [each for each in acts if each in KILLS]
        what = self.rng.choice(kills if turn % 2 else list(acts))
        if await acts[what]() is not False:
            self.struck[what] += 1

    async def _kill_server(self) -> None:
        host = self.rng.choice(self.world.hosts)
        await asyncio.to_thread(host.kill)
        host.start()
        await self.world.until_they_serve()

    async def _kill_client(self) -> None:
        self.world.clients.kill()
        await asyncio.to_thread(self.world.clients.join)
        self.world.employ()

    async def _kill_database(self) -> bool:
        """One of its processes, upon which it ends all of them and recovers; or all at once."""
        assert self.world.database is not None
        if self.rng.random() < 0.3:
            await asyncio.to_thread(self.world.database.crash)
            await asyncio.to_thread(self.world.database.revive)
            await self.world.until_it_keeps()
            return True
        await self.world.until_it_keeps()
        processes = _children(self.world.database)
        # Whoever kills the process that recovers ends the database for good.
        if not processes or any(map(_recovers, processes)):
            return False
        try:
            os.kill(self.rng.choice(processes), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    async def _stop_server(self) -> None:
        host = self.rng.choice(self.world.hosts)
        os.kill(host.process.pid, signal.SIGSTOP)
        await asyncio.sleep(self.rng.random() * 0.5)
        os.kill(host.process.pid, signal.SIGCONT)

    async def _stop_client(self) -> None:
        pid = self.world.clients.pid
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(self.rng.random() * 0.5)
        os.kill(pid, signal.SIGCONT)

    async def stop_in_the_middle(self) -> "Host | None":
        """Stop the server that is calling somebody back, if one does soon, until `go_on`."""
        world = self.world
        world.ear.mood, found = Mood.HANGS, None
        for _ in range(2 * _LOOKS):
            found = next(filter(_calls(world.way_back), world.hosts), None)
            if found is not None and world.ear.hangs:
                os.kill(found.process.pid, signal.SIGSTOP)
                way = world.ways[world.hosts.index(found)]
                way.target = NOWHERE
                way.cut()
                self.struck[Fault.STOPPED_CALLING] += 1
                break
            found = None
            await asyncio.sleep(_A_MOMENT)
        world.ear.mood = Mood.HEARS
        world.ear.cut()
        return found

    async def go_on(self, stopped: "Host") -> None:
        self.world.ways[self.world.hosts.index(stopped)].target = stopped.port
        os.kill(stopped.process.pid, signal.SIGCONT)
        await self.world.until_they_serve()

    async def _receive_badly(self, mood: Mood) -> bool:
        """Until somebody has come, or for a moment in vain."""
        ear = self.world.ear
        before, ear.mood = ear.came[mood], mood
        for _ in range(_LOOKS):
            if ear.came[mood] > before:
                break
            await asyncio.sleep(_A_MOMENT)
        await asyncio.sleep(self.rng.random() * 0.3)
        ear.mood = Mood.HEARS
        ear.cut()
        return ear.came[mood] > before

    async def _take_receiver_away(self) -> bool:
        """Nobody listens behind its address."""
        way, ear = self.world.way_back, self.world.ear
        before, way.target = way.in_vain, NOWHERE
        for _ in range(_LOOKS):
            if way.in_vain > before:
                break
            await asyncio.sleep(_A_MOMENT)
        way.target = ear.port
        return way.in_vain > before

    async def _stop_database(self) -> None:
        assert self.world.database is not None
        stopped = _children(self.world.database)
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(self.rng.random() * 0.5)
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def _cut(self) -> None:
        self.rng.choice(self.world.all_ways).cut()

    async def _half_close(self) -> None:
        way = self.rng.choice(self.world.all_ways)
        way.half_close(near=self.rng.random() < 0.5)
        await asyncio.sleep(self.rng.random() * 0.3)
        way.cut()

    async def _delay(self) -> None:
        way = self.rng.choice(self.world.all_ways)
        way.delay = self.rng.random() * 0.1
        await asyncio.sleep(self.rng.random() * 0.5)
        way.delay = 0.0

    async def _set_clock(self) -> None:
        self.rng.choice(self.world.hosts).ahead.value = self.rng.uniform(-SKEW, SKEW)

    async def _fill_disk(self) -> None:
        """No file of the server may grow any more, as on a disk that is full."""
        [host] = self.world.hosts
        unlimited = resource.RLIM_INFINITY
        sizes = [each.stat().st_size for each in (self.world.folder / "data").iterdir()]
        resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE, (min(sizes), unlimited))
        await asyncio.sleep(self.rng.random() * 0.5)
        resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))

    async def _fill_disk_of_database(self) -> bool:
        """None of its processes may write a file, its log neither: it gives up and recovers.

        The one that keeps them is spared, as if there were room again by then: a database that
        cannot write while it recovers ends, until somebody starts it (`World.keep_database`).
        """
        assert self.world.database is not None
        await self.world.until_it_keeps()
        before = set(_children(self.world.database))
        await asyncio.to_thread(self.world.database.fill_disk)
        await asyncio.sleep(self.rng.random() * 0.5)
        await asyncio.to_thread(self.world.database.clear_disk)
        return not before <= set(_children(self.world.database))


def _calls(way: Proxy) -> "Callable[[Host], bool]":
    """Which server has a connection there."""
    lines = [each.split() for each in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ports = {f"{each:04X}" for each in way.callers()}
    sockets = {f"socket:[{each[9]}]" for each in lines if each[1].rpartition(":")[2] in ports}

    def calls(host: "Host") -> bool:
        for each in Path(f"/proc/{host.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                if str(each.readlink()) in sockets:
                    return True
        return False

    return calls


def _children(database: PostgresServer) -> list[int]:
    """The processes of the database besides the one that keeps them."""
    status, found = database.home / "data" / "postmaster.pid", []
    if not status.exists():
        return []
    parent = status.read_text().split()[0]
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if place.read_text().rpartition(")")[2].split()[1] == parent:
                found.append(int(place.parent.name))
    return found


def _recovers(pid: int) -> bool:
    with suppress(OSError):
        return b"startup" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False

"""Servers, clients, reviewers and a database as processes, and whoever breaks them.

`World.live` lets clients work while faults strike one after the other, then lets everything come
to its end, and has the log of it judged by the checker of `faults`.
"""

import asyncio
import json
import multiprocessing
import os
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any, Final

import apsw
import asyncpg
import httpx2

from faults.checker import Violation, check
from faults.log import Event, Log
from tests.postgres.server import PostgresServer
from tests.real.agent import CLIENT, SKEW, Orders, left_of, work
from tests.real.proxy import Proxy
from tests.real.server import serve
from tests.server.test_workers import free_ports

_WITHIN: Final = 120.0  # seconds in which everything ends once nothing is broken any more
_A_MOMENT: Final = 0.02
_AT_ONCE: Final = 4
_REVIEWERS: Final = ("rita", "omar")
_CONFIG: Final = """
issuer = "http://127.0.0.1:{issuer}"
data = "{data}"
limits.creations_burst = 1000000
limits.open_requests_per_reviewer = 1000
{store}

[server]
listen = "127.0.0.1:{port}"

[scopes]
read = "Read the ledger"
write = "Change the ledger"
brief = "Waits for a moment"

[resources]
"https://rs.example" = "The ledger"

[[reviewers]]
id = "rita"
name = "Rita"

[[reviewers]]
id = "omar"
name = "Omar"

[[rules]]
name = "brief"
when = "'brief' in scope"
then = "defer"
reviewers = ["rita", "omar"]
interval = "1s"
lifetime = "20s"

[[rules]]
name = "review"
then = "defer"
reviewers = ["rita", "omar"]
interval = "1s"
lifetime = "1h"

[[clients]]
id = "{client}"
name = "Robot"
secret_file = "{data}/secret"
scope = ["read", "write", "brief"]
resources = ["https://rs.example"]
"""


class Fault(StrEnum):
    """What is done to processes and connections; the first three are kills."""

    SERVER_KILLED = "server killed"
    CLIENT_KILLED = "client killed"
    DATABASE_KILLED = "database killed"
    SERVER_STOPPED = "server stopped"
    DATABASE_STOPPED = "database stopped"
    CUT = "connections cut"
    HALF_CLOSED = "connections half-closed"
    DELAYED = "connections delayed"
    CLOCK = "clock set"
    DISK_FULL = "disk full"


KILLS: Final = (Fault.SERVER_KILLED, Fault.CLIENT_KILLED, Fault.DATABASE_KILLED)
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.real.server", "tests.real.agent"])


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of it."""

    events: Sequence[Event]
    violations: Sequence[Violation]
    faults: Counter[Fault]


@dataclass(slots=True)
class Host:
    """A server's place: its port does not change when it is begun again."""

    config: Path
    port: int
    ahead: Any
    process: Any = None

    def start(self) -> None:
        self.process = _PROCESSES.Process(target=serve, args=(self.config, self.ahead), daemon=True)
        self.process.start()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


@dataclass(slots=True)
class World:
    """`database`: two servers share it; without one, one server has a file."""

    folder: Path
    seed: int
    database: PostgresServer | None = None
    name: str = "postgres"
    rng: random.Random = field(init=False)
    hosts: list[Host] = field(default_factory=list)
    ways: list[Proxy] = field(default_factory=list)  # to the servers
    back: list[Proxy] = field(default_factory=list)  # from them to the database
    faults: Counter[Fault] = field(default_factory=Counter)
    calm: bool = False
    life: int = 0
    clients: Any = None
    log: Log = field(default_factory=lambda: Log(time.monotonic, _ids=count(10**12)))

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    async def live(self, faults: int) -> Seen:
        """Break it so many times while it works."""
        async with AsyncExitStack() as stack:
            await self._build(stack)
            async with asyncio.TaskGroup() as group:
                for person in _REVIEWERS:
                    group.create_task(self._review(person))
                self._employ()
                stack.callback(lambda: self.clients.kill())
                await self._until(self._has_begun)
                for _ in range(faults):
                    await asyncio.sleep(self.rng.random() * 0.3)
                    await self._strike()
                (self.folder / "stop").touch()
                for host in self.hosts:
                    host.ahead.value = SKEW  # so that what nobody may decide any more ends soon
                await self._until(lambda: not self.clients.is_alive())
                self.calm = True
            for host in self.hosts:
                host.kill()
            events = self._events() + await self._finals()
        return Seen(events, check(events), self.faults)

    # --- who is there

    async def _build(self, stack: AsyncExitStack) -> None:
        data = self.folder / "data"
        data.mkdir()
        (data / "secret").write_text(CLIENT[1])
        issuer = free_ports(1)
        for number in range(1 if self.database is None else 2):
            store, port = "", free_ports(1)
            if self.database is not None:
                way = await stack.enter_async_context(Proxy(self.database.port))
                self.back.append(way)
                store = f'store.url = "{self.database.tcp_url(self.name, way.port)}"'
            config = self.folder / f"server-{number}.toml"
            config.write_text(
                _CONFIG.format(issuer=issuer, data=data, store=store, port=port, client=CLIENT[0])
            )
            host = Host(config, port, _PROCESSES.Value("d", 0.0))
            host.start()
            stack.callback(host.kill)
            self.hosts.append(host)
            self.ways.append(await stack.enter_async_context(Proxy(port)))
            await self._until_they_serve()  # keys and schema are made by the first alone

    async def _until_they_serve(self) -> None:
        async def serves(host: Host) -> bool:
            with suppress(httpx2.HTTPError):
                async with httpx2.AsyncClient(timeout=5) as http:
                    return (await http.get(f"http://127.0.0.1:{host.port}/jwks")).status_code == 200
            return False

        for host in self.hosts:
            async with asyncio.timeout(_WITHIN):
                while not await serves(host):
                    if not host.process.is_alive():
                        host.start()  # its database was away when it began
                    await asyncio.sleep(0.02)

    def _has_begun(self) -> bool:
        """Somebody has got a token: there is something to break."""
        log = self.folder / "log"
        return log.exists() and b'"token": ' in log.read_bytes()

    def _employ(self) -> None:
        self.life += 1
        orders = Orders(self.folder, tuple(way.port for way in self.ways), _AT_ONCE, self.life)
        self.clients = _PROCESSES.Process(target=work, args=(orders,), daemon=True)
        self.clients.start()

    async def _review(self, person: str) -> None:
        """Look at what waits, at one server or the other, and say yes, less or no."""
        async with httpx2.AsyncClient(timeout=5.0) as http:
            while not self.calm:
                await asyncio.sleep(self.rng.random() * 0.2)
                with suppress(httpx2.HTTPError):
                    found = await http.get(self._somewhere("/waiting"), params={"by": person})
                    for each in found.json() if found.status_code == 200 else ():
                        await self._vote(http, person, each["home"], each["asked"])

    async def _vote(
        self, http: httpx2.AsyncClient, person: str, home: str, asked: list[str]
    ) -> None:
        scope = asked[:1] if self.rng.random() < 0.4 else asked
        op = "approve" if self.rng.random() < 0.8 else "deny"
        told = {"home": home, "by": person, "verdict": op}
        if op == "approve" and scope != asked:
            told["scope"] = " ".join(scope)
        number = self.log.call(home, op, **({"scope": scope} if op == "approve" else {}))
        try:
            answer = await http.get(self._somewhere("/vote"), params=told)
        except httpx2.HTTPError:
            self.log.lost(number)
            return
        if answer.status_code != 200:
            self.log.lost(number)
            return
        self.log.answer(number, answer.json())

    def _somewhere(self, path: str) -> str:
        return f"http://127.0.0.1:{self.rng.choice(self.ways).port}{path}"

    async def _until(self, so: Callable[[], bool]) -> None:
        for _ in range(int(_WITHIN / _A_MOMENT)):
            if so():
                return
            await asyncio.sleep(_A_MOMENT)
        raise AssertionError(f"{self.faults}, and nothing comes of {left_of(self.folder)}")

    # --- what is done to them

    async def _strike(self) -> None:
        acts: dict[Fault, Callable[[], Awaitable[bool | None]]] = {
            Fault.SERVER_KILLED: self._kill_server,
            Fault.CLIENT_KILLED: self._kill_client,
            Fault.SERVER_STOPPED: self._stop_server,
            Fault.CUT: self._cut,
            Fault.HALF_CLOSED: self._half_close,
            Fault.DELAYED: self._delay,
            Fault.CLOCK: self._set_clock,
        }
        if self.database is None:
            acts[Fault.DISK_FULL] = self._fill_disk
        else:
            acts |= {
                Fault.DATABASE_KILLED: self._kill_database,
                Fault.DATABASE_STOPPED: self._stop_database,
            }
        # Every other one is a kill.
        kills = [each for each in acts if each in KILLS]
        what = self.rng.choice(kills if sum(self.faults.values()) % 2 else list(acts))
        if await acts[what]() is not False:
            self.faults[what] += 1

    async def _kill_server(self) -> None:
        host = self.rng.choice(self.hosts)
        await asyncio.to_thread(host.kill)
        host.start()
        await self._until_they_serve()

    async def _kill_client(self) -> None:
        self.clients.kill()
        await asyncio.to_thread(self.clients.join)
        self._employ()

    async def _kill_database(self) -> bool:
        """One of its processes, upon which it ends all of them and recovers; or all at once."""
        assert self.database is not None
        if self.rng.random() < 0.3:
            await asyncio.to_thread(self.database.crash)
            await asyncio.to_thread(self.database.start)
            return True
        processes = _children(self.database)
        # Whoever kills the process that recovers ends the database for good.
        if not processes or any(map(_recovers, processes)):
            return False
        try:
            os.kill(self.rng.choice(processes), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    async def _stop_server(self) -> None:
        host = self.rng.choice(self.hosts)
        os.kill(host.process.pid, signal.SIGSTOP)
        await asyncio.sleep(self.rng.random() * 0.5)
        os.kill(host.process.pid, signal.SIGCONT)

    async def _stop_database(self) -> None:
        assert self.database is not None
        stopped = _children(self.database)
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(self.rng.random() * 0.5)
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def _cut(self) -> None:
        self.rng.choice(self.ways + self.back).cut()

    async def _half_close(self) -> None:
        way = self.rng.choice(self.ways + self.back)
        way.half_close(near=self.rng.random() < 0.5)
        await asyncio.sleep(self.rng.random() * 0.3)
        way.cut()

    async def _delay(self) -> None:
        way = self.rng.choice(self.ways + self.back)
        way.delay = self.rng.random() * 0.1
        await asyncio.sleep(self.rng.random() * 0.5)
        way.delay = 0.0

    async def _set_clock(self) -> None:
        self.rng.choice(self.hosts).ahead.value = self.rng.uniform(-SKEW, SKEW)

    async def _fill_disk(self) -> None:
        """No file of the server may grow any more, as on a disk that is full."""
        [host] = self.hosts
        unlimited = resource.RLIM_INFINITY
        sizes = [each.stat().st_size for each in (self.folder / "data").iterdir()]
        resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE, (min(sizes), unlimited))
        await asyncio.sleep(self.rng.random() * 0.5)
        resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))

    # --- what was seen, and how it ended

    def _events(self) -> list[Event]:
        """All logs in the order of time. Whoever was killed will never know of what it asked."""
        lines = (self.folder / "log").read_bytes().splitlines()
        events = sorted([*map(json.loads, lines), *self.log.events], key=lambda each: each["at"])
        ended = {each["id"] for each in events if each["event"] in ("answer", "lost")}
        now = time.monotonic()
        events += [
            {"at": now, "event": "lost", "id": each["id"]}
            for each in events
            if each["event"] == "call" and each["id"] not in ended
        ]
        return events

    async def _finals(self) -> list[Event]:
        requests = "SELECT home, state, expires_at FROM request"
        tokens = "SELECT home, jti FROM token WHERE revoked_at IS NULL"
        decided = "SELECT home FROM audit WHERE event IN ('approved', 'denied')"
        if self.database is None:
            db = apsw.Connection(str(self.folder / "data" / "abeyance.db"))
            rows = [list(db.execute(each)) for each in (requests, tokens, decided)]
            db.close()
        else:
            looker = await asyncpg.connect(self.database.url(self.name))
            rows = [[tuple(row) for row in await looker.fetch(each)] for each in
                    (requests, tokens, decided)]  # fmt: skip
            await looker.close()
        live: dict[bytes, list[str]] = {}
        for home, jti in rows[1]:
            live.setdefault(bytes(home), []).append(bytes(jti).hex())
        known = {bytes(home) for (home,) in rows[2]}
        # By the end of the longest life: what nobody decided has expired.
        return [
            {
                "at": time.monotonic(),
                "event": "final",
                "deferral": bytes(home).hex(),
                "stage": "expired" if state == "pending" else state,
                "live": live.get(bytes(home), []),
                "decided": bytes(home) in known,
            }
            for home, state, _ in rows[0]
        ]


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

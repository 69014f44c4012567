"""Servers, clients, reviewers and a database as processes, and whoever breaks them.

`World.live` lets clients work while faults strike one after the other, then lets everything come
to its end, and has the log of it judged by the checker of `faults`.
"""

import asyncio
import json
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import apsw
import asyncpg
import httpx2

from faults.checker import Violation, check
from faults.log import Event, Log
from tests.outbound.receiver import Authority
from tests.ports import free_ports
from tests.postgres.server import PostgresServer
from tests.real.agent import CLIENT, LOUD, SKEW, Orders, left_of, work
from tests.real.breaker import Breaker, Fault
from tests.real.proxy import Proxy
from tests.real.receiver import Ear
from tests.real.server import serve

_WITHIN: Final = 120.0  # seconds in which everything ends once nothing is broken any more
_A_MOMENT: Final = 0.02
_NOW_AND_THEN: Final = 0.2
_AT_ONCE: Final = 4
_STANDS_STILL: Final = 0.5  # seconds: nothing is under way any more
_REVIEWERS: Final = ("rita", "omar")
_CONFIG: Final = """
issuer = "http://127.0.0.1:{issuer}"
data = "{data}"
limits.creations_burst = 1000000
limits.open_requests_per_reviewer = 1000
outbound = {{ ca_file = "{ca}", development_targets = ["localhost:{receiver}"] }}
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

[[clients]]
id = "{loud}"
name = "Siren"
secret_file = "{data}/secret"
scope = ["read", "write", "brief"]
resources = ["https://rs.example"]
deferred_client_notification_endpoint = "https://localhost:{receiver}/cb"
"""


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
    ear: Ear = field(init=False)
    way_back: Proxy = field(init=False)  # from the servers to whoever is called
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
            breaker = Breaker(self, self.rng)
            async with asyncio.TaskGroup() as group:
                for person in _REVIEWERS:
                    group.create_task(self._review(person))
                if self.database is not None:
                    group.create_task(self.keep_database(self.database))
                self.employ()
                stack.callback(lambda: self.clients.kill())
                await self._until(self._has_begun)
                for turn in range(faults):
                    await asyncio.sleep(self.rng.random() * 0.3)
                    await breaker.strike(turn)
                stopped = await breaker.stop_in_the_middle() if len(self.hosts) > 1 else None
                (self.folder / "stop").touch()
                for host in self.hosts:
                    host.ahead.value = SKEW  # so that what nobody may decide any more ends soon
                await self._until(lambda: not self.clients.is_alive())
                self.calm = True
            await self._tell_everybody()
            if stopped is not None:
                # Others have sent what it had begun. It ends that now, and changes nothing.
                await breaker.go_on(stopped)
                await self._tell_everybody()
            for host in self.hosts:
                host.kill()
            events = self._events() + await self._finals()
            (self.folder / "all").write_text("".join(json.dumps(each) + "\n" for each in events))
        return Seen(events, check(events), breaker.struck)

    # --- who is there

    async def _build(self, stack: AsyncExitStack) -> None:
        data = self.folder / "data"
        data.mkdir()
        (data / "secret").write_text(CLIENT[1])
        authority = Authority(self.folder)
        context = authority.context("localhost")
        self.ear = await stack.enter_async_context(Ear(self.log, context))
        self.way_back = await stack.enter_async_context(Proxy(self.ear.port))
        issuer = free_ports(1)
        for number in range(1 if self.database is None else 2):
            store, port = "", free_ports(1)
            if self.database is not None:
                way = await stack.enter_async_context(Proxy(self.database.port))
                self.back.append(way)
                store = f'store.url = "{self.database.tcp_url(self.name, way.port)}"'
            config = self.folder / f"server-{number}.toml"
            config.write_text(
                _CONFIG.format(
                    issuer=issuer,
                    data=data,
                    store=store,
                    port=port,
                    client=CLIENT[0],
                    loud=LOUD[0],
                    ca=authority.file,
                    receiver=self.way_back.port,
                )
            )
            # Without a lock: who is killed while it holds one never gives it back.
            host = Host(config, port, _PROCESSES.Value("d", 0.0, lock=False))
            host.start()
            stack.callback(host.kill)
            self.hosts.append(host)
            self.ways.append(await stack.enter_async_context(Proxy(port)))
            await self.until_they_serve()  # keys and schema are made by the first alone

    @property
    def all_ways(self) -> list[Proxy]:
        return [*self.ways, *self.back, self.way_back]

    async def until_they_serve(self) -> None:
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

    async def keep_database(self, database: PostgresServer) -> None:
        """Start it again if it has given up, as whoever watches over services does."""
        while not self.calm:
            await asyncio.sleep(_NOW_AND_THEN)
            await asyncio.to_thread(database.revive)

    async def until_it_keeps(self) -> None:
        """Until the database takes connections: nothing in it recovers any more."""
        async with asyncio.timeout(_WITHIN):
            while True:
                with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await self.look("SELECT 1")
                    return
                await asyncio.sleep(_A_MOMENT)

    def _has_begun(self) -> bool:
        """Somebody has got a token: there is something to break."""
        log = self.folder / "log"
        return log.exists() and b'"token": ' in log.read_bytes()

    def employ(self) -> None:
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
        raise AssertionError(f"nothing comes of {left_of(self.folder)}\n{self._last_words()}")

    def _last_words(self) -> str:
        """What the servers said last, for whoever looks for the cause."""
        said = (each.config.with_suffix(".log").read_text()[-2_000:] for each in self.hosts)
        return "\n---\n".join(said)

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

    async def _tell_everybody(self) -> None:
        """Let the clock go to whatever the outbox still has to send, until that is nothing."""
        due = "SELECT max(due_at), count(*) FROM outbox WHERE due_at IS NOT NULL"
        seen, since, moved = None, 0.0, 0.0
        async with asyncio.timeout(_WITHIN):
            while (now := (await self.look(due))[0])[1]:
                if now != seen:
                    seen, since = now, time.monotonic()
                elif time.monotonic() > since + _STANDS_STILL:
                    # How wrong their clocks are by now they alone know.
                    more = max(now[0] / 1e6 - time.time() - moved, 0.0) + SKEW
                    moved, since = moved + more, time.monotonic()
                    for host in self.hosts:
                        host.ahead.value += more
                await asyncio.sleep(_A_MOMENT)

    async def _finals(self) -> list[Event]:
        requests = "SELECT home, state, expires_at FROM request"
        tokens = "SELECT home, jti FROM token WHERE revoked_at IS NULL"
        decided = "SELECT home FROM audit WHERE event IN ('approved', 'denied')"
        rows = [await self.look(each) for each in (requests, tokens, decided)]
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

    async def look(self, query: str) -> list[tuple[Any, ...]]:
        """What the database says, past every fault."""
        if self.database is None:
            db = apsw.Connection(str(self.folder / "data" / "abeyance.db"))
            db.set_busy_timeout(5_000)
            try:
                return list(db.execute(query))
            finally:
                db.close()
        looker = await asyncpg.connect(self.database.url(self.name))
        try:
            return [tuple(row) for row in await looker.fetch(query)]
        finally:
            await looker.close()

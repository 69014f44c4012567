"""Polls over a crowd: as many waiting requests as the case says, put there beside the server.

A crowd on PostgreSQL has two servers; a case polls one of them or both.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from abeyance.wire import names
from bench import crowd, messages
from bench.database import Mark, Watch
from bench.ground import Case, Fleet, Ground, Pair, Run, drive
from bench.load import Load, LoadFailed, Told
from bench.polls import PENDING, Written, check_pending
from bench.population import make_callers
from bench.postgres import PostgresWatch
from bench.process import Process
from bench.talking import open_requests, record

_FILLING: Final = 64  # connections
_FEW: Final = 1_000  # messages, for the bare server: the same bytes, and no need of all


class _Watching(Protocol):
    def mark(self) -> Mark: ...


class Crowd(ABC):
    """A database with waiting requests; `name` is the database's."""

    servers: Sequence[Process]
    watch: _Watching

    def __init__(self, ground: Ground, name: str, count: int) -> None:
        self.ground, self.name, self.count = ground, name, count
        self._callers = make_callers(names.CLIENT_SECRET_BASIC, ground.plan.clients)
        self._codes: list[str] = []

    def prepare(self) -> None:
        """Start, fill and look at an answer; once, whoever asks."""
        if self._codes:
            return
        database = self._start()
        asked = (messages.first_request(each) for each in self._callers)
        templates = open_requests(self.servers[0].port, asked, _FILLING)
        self._codes = crowd.gather(database, templates, self.count)
        database.close()
        answer = record(self.servers[0].port, self._poll(0))
        if PENDING.encode() not in answer.body:
            raise LoadFailed(f"{self.name} is answered {answer.body!r}")
        self.bare = self.ground.open_bare([answer])
        self.bare_file = self._write("bare", range(min(self.count, _FEW)))

    def write(self, parts: int) -> Sequence[Path]:
        """The polls of all, dealt out to so many files."""
        return [
            self._write(f"{part}-of-{parts}", range(part, self.count, parts))
            for part in range(parts)
        ]

    def fleet(self, processes: int) -> Fleet:
        return Fleet(self.servers[:processes], self._database_cpu())

    @abstractmethod
    def _start(self) -> "_Filling": ...

    def _database_cpu(self) -> Callable[[], float]:
        return float

    def _poll(self, number: int) -> bytes:
        return messages.poll(self._callers[number % len(self._callers)], self._codes[number])

    def _write(self, what: str, numbers: range) -> Path:
        file = self.ground.folder / f"{self.name}.{what}.messages"
        messages.write_messages(file, map(self._poll, numbers))
        return file


class _Filling(crowd.Database, Protocol):
    def close(self) -> None: ...


class PostgresCrowd(Crowd):
    """On PostgreSQL, with two servers."""

    def _start(self) -> _Filling:
        fleet = self.ground.open_fleet(self.name, self._callers, 2)
        self.servers = fleet.servers
        assert self.ground.postgres is not None
        url = self.ground.postgres.server.url(self.name)
        watch = PostgresWatch(url)
        self.ground.stack.callback(watch.close)
        self.watch = watch
        return crowd.PostgresDatabase(url)

    def _database_cpu(self) -> Callable[[], float]:
        assert self.ground.postgres is not None
        return self.ground.postgres.cpu_seconds


class SqliteCrowd(Crowd):
    """In a file, with its one server."""

    def _start(self) -> _Filling:
        self.servers = [self.ground.open_server(self.name, self._callers)]
        self.watch: Watch = self.ground.watch(self.name)
        return crowd.SqliteFile(self.ground.folder / self.name / "data" / "abeyance.db")


class CrowdCase(Case):
    """Pending polls in turn over all of a crowd, at so many of its servers at once."""

    def __init__(self, name: str, crowd: Crowd, processes: int = 1) -> None:
        self.name = name
        self.written = Written()
        self.crowd = crowd
        self._processes = processes

    def prepare(self) -> None:
        self.crowd.prepare()
        self._files = self.crowd.write(self._processes)
        self._fleet = self.crowd.fleet(self._processes)
        self._poll(1, expected=PENDING)

    def measure(self) -> Pair:
        crowd, plan = self.crowd, self.crowd.ground.plan
        bare = drive(
            crowd.bare,
            lambda: crowd.ground.load.turn(crowd.bare.port, crowd.bare_file, plan.bare_seconds),
        )
        return Pair(bare, self._poll(plan.case_seconds))

    def _poll(self, seconds: int, *, expected: str = "-") -> Run:
        crowd, mark = self.crowd, self.crowd.watch.mark()

        def turn(load: Load, number: int, port: int) -> Told:
            return load.turn(port, self._files[number], seconds, expected=expected)

        run = drive(self._fleet, lambda: crowd.ground.load.on_each(self._fleet.ports, turn))
        check_pending(self.name, run, crowd.ground.plan.connections)
        self.written.add(run.told.requests, mark, crowd.watch.mark())
        return run

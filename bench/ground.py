"""What every case stands on: the servers that it opens, and what one round of it tells."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.database import Watch
from bench.load import Load, Told
from bench.machine import Cores, stolen_seconds
from bench.plan import Plan
from bench.population import CalledBack, Caller, write_configuration
from bench.postgres import Postgres
from bench.process import Process
from bench.talking import Answer


class Counting(Protocol):
    """Whoever says what it has counted so far."""

    def counters(self) -> Mapping[str, float]: ...


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the load on one server: what wrk told, and by how much the counters rose.

    `stolen`: the part of the time for which the host kept the machine from its cores.
    `each`: so many requests count as one.
    """

    told: Told
    counted: Mapping[str, float]
    stolen: float
    each: int = 1

    @property
    def rate(self) -> float:
        return self.told.requests / self.told.seconds / self.each

    @property
    def cpu_us(self) -> float:
        """What the server's process computed for one, whoever else used its core."""
        return self.counted["cpu_seconds"] / self.told.requests * self.each * 1e6

    @property
    def database_us(self) -> float:
        """What a database of its own computed for one; 0 where there is none."""
        used = self.counted.get("database_cpu_seconds", 0.0)
        return used / self.told.requests * self.each * 1e6


def drive(server: Counting, load: Callable[[], Told], *, each: int = 1) -> Run:
    """Let the load loose on a server."""
    before, stolen = server.counters(), stolen_seconds()
    told = load()
    after, stolen = server.counters(), stolen_seconds() - stolen
    counted = {name: after[name] - before.get(name, 0.0) for name in after}
    return Run(told, counted, stolen / told.seconds, each)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Servers over one database, which count together; `database_cpu`: its own seconds."""

    servers: Sequence[Process]
    database_cpu: Callable[[], float] = float

    @property
    def ports(self) -> Sequence[int]:
        return [each.port for each in self.servers]

    def counters(self) -> Mapping[str, float]:
        told = Counter[str]()
        for each in self.servers:
            told.update(each.counters())
        return {**told, "database_cpu_seconds": self.database_cpu()}


@dataclass(frozen=True, slots=True)
class Pair:
    """One round of a case: the bare server and ours, one after the other."""

    bare: Run
    ours: Run

    @property
    def ratio(self) -> float:
        return self.ours.rate / self.bare.rate

    @property
    def cpu_ratio(self) -> float:
        """The ratio that the same work has on a core of its own."""
        return self.bare.cpu_us / self.ours.cpu_us

    @property
    def stolen(self) -> float:
        return max(self.bare.stolen, self.ours.stolen)


@dataclass(frozen=True, slots=True)
class Ground:
    """What all cases stand on."""

    plan: Plan
    cores: Cores
    load: Load
    folder: Path
    stack: ExitStack
    postgres: Postgres | None = None

    def open_server(
        self,
        name: str,
        callers: Sequence[Caller],
        *,
        decisions: bool = False,
        paced: bool = False,
        called_back: CalledBack | None = None,
    ) -> Process:
        folder = self.folder / name
        folder.mkdir()
        configuration = write_configuration(folder, callers, called_back)
        return self._start(configuration, self.cores.server, decisions=decisions, paced=paced)

    def open_fleet(
        self,
        name: str,
        callers: Sequence[Caller],
        processes: int,
        *,
        decisions: bool = False,
        paced: bool = False,
    ) -> Fleet:
        """So many servers over one new database of PostgreSQL, called as the case is."""
        assert self.postgres is not None
        folder = self.folder / name
        folder.mkdir()
        configuration = write_configuration(folder, callers, url=self.postgres.make(name))
        cores = (self.cores.server, self.cores.second)
        servers = [
            self._start(configuration, cores[number % 2], decisions=decisions, paced=paced)
            for number in range(processes)
        ]
        return Fleet(servers, self.postgres.cpu_seconds)

    def open_again(self, name: str) -> Process:
        """Another server where one was that has been killed."""
        configuration = self.folder / name / "abeyance.toml"
        return self._start(configuration, self.cores.server)

    def _start(
        self,
        configuration: Path,
        core: int | None,
        *,
        decisions: bool = False,
        paced: bool = False,
    ) -> Process:
        return self.stack.enter_context(
            Process.shipped(core, configuration, decisions=decisions, paced=paced)
        )

    def open_bare(self, answers: Sequence[Answer]) -> Process:
        return self.stack.enter_context(Process.bare(self.cores.server, answers))

    def watch(self, name: str) -> Watch:
        watch = Watch(self.folder / name / "data" / "abeyance.db")
        self.stack.callback(watch.close)
        return watch


class Case(ABC):
    """One line of the table."""

    name: str

    @abstractmethod
    def prepare(self) -> None:
        """Start the servers, fill them, and look at what they answer."""

    @abstractmethod
    def measure(self) -> Pair:
        """One round: the bare server, then this one, with the same requests."""

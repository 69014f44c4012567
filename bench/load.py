"""The load: wrk, driven by a script, and what it tells."""

import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

_HERE: Final = Path(__file__).parent
_PATIENCE: Final = 20  # seconds for an answer, on a machine that has more to do


class Told(msgspec.Struct, frozen=True):
    """What one run of wrk says; `requests` are cycles where a cycle is driven.

    `refused`: answers with an error status, as every pending answer is one.
    `odd`: answers that were looked at and were not what they should be.
    """

    requests: int
    seconds: float
    bytes: int
    refused: int
    broken: int
    odd: int
    exhausted: int
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


class LoadFailed(Exception):
    """What was measured is not what should have been."""


@dataclass(frozen=True, slots=True)
class Load:
    """wrk with so many connections."""

    wrk: Path
    connections: int

    def turn(
        self, port: int, messages: Path, seconds: int, *, once: bool = False, expected: str = "-"
    ) -> Told:
        """Send the messages in turn. `expected` must be in every answer, if it is given."""
        told = self._run(
            port, 1, "turn.lua", seconds, [str(messages), "once" if once else "turn", expected]
        )
        if told.odd:
            raise LoadFailed(f"{told.odd} of {told.requests} answers lacked {expected!r}")
        return told

    def on_each(self, ports: Sequence[int], drive: Callable[["Load", int, int], Told]) -> Told:
        """Drive several servers at once, `drive(load, number, port)` each, with a share of the
        connections.
        """
        share = Load(self.wrk, self.connections // len(ports))
        with ThreadPoolExecutor(len(ports)) as pool:
            return _together(list(pool.map(lambda at: drive(share, *at), list(enumerate(ports)))))

    def cycle(self, port: int, messages: Path, seconds: int) -> Told:
        """Drive whole cycles, one connection a thread."""
        told = self._run(port, self.connections, "cycle.lua", seconds, [str(messages)])
        if told.odd:
            raise LoadFailed(f"{told.odd} steps of {told.requests} cycles went wrong")
        return told

    def _run(
        self, port: int, threads: int, script: str, seconds: int, arguments: list[str]
    ) -> Told:
        done = subprocess.run(
            [
                str(self.wrk),
                f"-t{threads}",
                f"-c{self.connections}",
                f"-d{seconds}s",
                f"--timeout={_PATIENCE}s",
                "-s",
                str(_HERE / script),
                f"http://127.0.0.1:{port}/token",
                "--",
                *arguments,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode != 0 or not lines:
            raise LoadFailed(f"wrk ended with {done.returncode}: {done.stderr or done.stdout}")
        told = msgspec.json.decode(lines[-1], type=Told)
        if told.broken or not told.requests:
            raise LoadFailed(f"wrk met {told.broken} broken connections: {told}")
        return told


def _together(told: Sequence[Told]) -> Told:
    """What several runs at once come to; the slower percentile counts."""
    return Told(
        requests=sum(each.requests for each in told),
        seconds=max(each.seconds for each in told),
        bytes=sum(each.bytes for each in told),
        refused=sum(each.refused for each in told),
        broken=sum(each.broken for each in told),
        odd=sum(each.odd for each in told),
        exhausted=max(each.exhausted for each in told),
        p50_ms=max(each.p50_ms for each in told),
        p99_ms=max(each.p99_ms for each in told),
    )

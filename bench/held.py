"""Long polls: how many one process holds, what each takes, and how fast a decision is heard.

Run alone as `python -m bench.held [HOW MANY]`.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from abeyance.wire import names
from bench import machine, messages
from bench.load import LoadFailed
from bench.population import Caller, make_callers, write_configuration
from bench.process import Process
from bench.talking import Connection, open_requests

SECONDS: Final = 30  # asked for; the server's cap is below
_CLIENTS: Final = 100
_FILLING: Final = 64  # connections
_OPENING: Final = 256  # connections at once: the backlog is bounded
_PATIENCE: Final = 10.0  # seconds, for all to be held


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPolls:
    """`connection_bytes`: memory of an open connection that has polled once; `hold_bytes`: what
    a held poll takes besides. `answer_ms`: from sending a decision to the token's arrival at
    the client whose poll was held, with all others held beside.
    """

    held: int
    connection_bytes: int
    hold_bytes: int
    held_per_second: float
    answer_ms_median: float
    answer_ms_p99: float
    decisions: int


def measure(
    server: Process,
    callers: Sequence[Caller],
    many: int,
    decisions: int,
    decider: Process | None = None,
) -> HeldPolls:
    """Hold so many polls at once, decide so many of them, let the others go.

    `decider`: the server that hears the decisions, if it is another one on the same database.
    Raises `LoadFailed` if they are not all held, or not answered with a token.
    """
    owners = [callers[number % len(callers)] for number in range(many)]
    codes = open_requests(server.port, map(messages.first_request, owners), _FILLING)
    return asyncio.run(_measure(server, owners, codes, decisions, decider or server))


async def _measure(
    server: Process,
    owners: Sequence[Caller],
    codes: Sequence[str],
    decisions: int,
    decider: Process,
) -> HeldPolls:
    many, before = len(codes), server.resident_bytes()
    connections: list[Connection] = []
    for start in range(0, many, _OPENING):
        opening = (Connection.open(server.port) for _ in codes[start : start + _OPENING])
        connections += await asyncio.gather(*opening)
    for connection, owner, code in zip(connections, owners, codes, strict=True):
        await connection.exchange(messages.poll(owner, code))
    connected, began = server.resident_bytes(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        polls = [
            group.create_task(connection.exchange(messages.poll(owner, code, wait=SECONDS)))
            for connection, owner, code in zip(connections, owners, codes, strict=True)
        ]
        while server.counters()["held"] < many:
            if time.perf_counter() - began > _PATIENCE:
                raise LoadFailed(f"only {server.counters()['held']:,.0f} polls are held")
            await asyncio.sleep(0.01)
        took = time.perf_counter() - began
        held = server.resident_bytes()
        times = await _decide(decider.port, polls[:decisions], codes)
        for poll in polls:
            poll.cancel()
    for connection in connections:
        connection.close()
    return HeldPolls(
        held=many,
        connection_bytes=round((connected - before) / many),
        hold_bytes=round((held - connected) / many),
        held_per_second=round(many / took),
        answer_ms_median=round(median(times) * 1e3, 2),
        answer_ms_p99=round(quantiles(times, n=100)[98] * 1e3, 2),
        decisions=len(times),
    )


async def _decide(
    port: int, polls: Sequence["asyncio.Task[tuple[bytes, bytes]]"], codes: Sequence[str]
) -> list[float]:
    reviewer, decision = await Connection.open(port), messages.decide_without_code()
    times = []
    for poll, code in zip(polls, codes, strict=False):
        began = time.perf_counter()
        deciding = asyncio.create_task(reviewer.exchange(decision + code.encode()))
        _, body = await poll
        times.append(time.perf_counter() - began)
        await deciding
        if b'"access_token"' not in body:
            raise LoadFailed(f"a held poll was answered {body!r}")
    reviewer.close()
    return times


def main() -> None:
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    cores, callers = machine.choose_cores(), make_callers(names.CLIENT_SECRET_BASIC, _CLIENTS)
    machine.pin(cores.load)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="abeyance-bench-")))
        configuration = write_configuration(folder, callers)
        server = stack.enter_context(Process.shipped(cores.server, configuration, decisions=True))
        print(measure(server, callers, many, min(500, many // 2)))


if __name__ == "__main__":
    main()

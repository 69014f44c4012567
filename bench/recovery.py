"""How long nobody is answered after a `kill -9`: from the new start to the first good answer.

First requests are being written when it happens, so there is a log to be gone through. A poll
is asked again and again meanwhile. The start of a server includes Python's own.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from abeyance.wire import names
from bench import crowd, messages
from bench.ground import Ground
from bench.load import LoadFailed
from bench.polls import PENDING
from bench.population import Caller, make_callers
from bench.process import Process
from bench.talking import Connection, open_requests

_PATIENCE: Final = 60.0  # seconds
_WRITING: Final = 1.0  # seconds, before the blow falls
_PAUSE: Final = 0.005  # seconds between two tries


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds, the median of `tries`, beside `waiting` requests: of the server's process on each
    store, and of the database under servers that went on.
    """

    waiting: int
    tries: int
    server_on_sqlite: float
    server_on_postgres: float | None
    postgres: float | None


def measure(ground: Ground, waiting: int, tries: int) -> Recovery:
    """Raises `LoadFailed` if nobody recovers, or what was waiting is lost."""
    callers = make_callers(names.CLIENT_SECRET_BASIC, ground.plan.clients)
    on_sqlite = _of_server(ground, "recovery_sqlite", callers, waiting, tries)
    if ground.postgres is None:
        return Recovery(waiting, tries, on_sqlite, None, None)
    on_postgres = _of_server(ground, "recovery_pg", callers, waiting, tries, on_postgres=True)
    return Recovery(
        waiting, tries, on_sqlite, on_postgres, _of_postgres(ground, callers, waiting, tries)
    )


def _of_server(
    ground: Ground, name: str, callers: Sequence[Caller], waiting: int, tries: int,
    *, on_postgres: bool = False,
) -> float:  # fmt: skip
    if on_postgres:
        [server] = ground.open_fleet(name, callers, 1).servers
    else:
        server = ground.open_server(name, callers)
    poll = _fill(ground, name, server, callers, waiting, on_postgres=on_postgres)
    took = []
    for _ in range(tries):
        asyncio.run(_write_until(server, callers, server.kill))
        began = time.perf_counter()
        server = ground.open_again(name)
        asyncio.run(_until_good(server.port, poll))
        took.append(time.perf_counter() - began)
    return round(median(took), 3)


def _of_postgres(ground: Ground, callers: Sequence[Caller], waiting: int, tries: int) -> float:
    assert ground.postgres is not None
    database = ground.postgres.server
    [server] = ground.open_fleet("recovery_database", callers, 1).servers
    poll = _fill(ground, "recovery_database", server, callers, waiting, on_postgres=True)
    took = []
    for _ in range(tries):
        asyncio.run(_write_until(server, callers, database.crash))
        began = time.perf_counter()
        database.start()
        asyncio.run(_until_good(server.port, poll))
        took.append(time.perf_counter() - began)
    return round(median(took), 3)


def _fill(
    ground: Ground, name: str, server: Process, callers: Sequence[Caller], waiting: int,
    *, on_postgres: bool,
) -> bytes:  # fmt: skip
    """Put a crowd there; a poll of one of it."""
    templates = open_requests(server.port, map(messages.first_request, callers), 8)
    database: crowd.SqliteFile | crowd.PostgresDatabase
    if on_postgres and ground.postgres is not None:
        database = crowd.PostgresDatabase(ground.postgres.server.url(name))
    else:
        database = crowd.SqliteFile(ground.folder / name / "data" / "abeyance.db")
    codes = crowd.gather(database, templates, waiting)
    database.close()
    return messages.poll(callers[0], codes[0])


async def _write_until(
    server: Process, callers: Sequence[Caller], blow: Callable[[], None]
) -> None:
    """Open requests for a moment, then let it fall."""

    async def write() -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            connection = await Connection.open(server.port)
            while True:
                for caller in callers:
                    await connection.exchange(messages.first_request(caller))

    async with asyncio.TaskGroup() as group:
        writers = [group.create_task(write()) for _ in range(8)]
        await asyncio.sleep(_WRITING)
        await asyncio.to_thread(blow)
        for writer in writers:
            writer.cancel()


async def _until_good(port: int, poll: bytes) -> None:
    until = time.perf_counter() + _PATIENCE
    while time.perf_counter() < until:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            connection = await Connection.open(port)
            _, body = await connection.exchange(poll)
            connection.close()
            if PENDING.encode() in body:
                return
            if b"temporarily_unavailable" not in body and b"slow_down" not in body:
                raise LoadFailed(f"after a kill a poll is answered {body!r}")
        await asyncio.sleep(_PAUSE)
    raise LoadFailed("nobody has recovered")

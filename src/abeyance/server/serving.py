"""uvicorn as we run it: what is on, what is off, and how it ends.

What it does by default and we do not want is turned off here, not left to whoever types
the command.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from signal import SIGINT, SIGTERM, signal
from types import FrameType
from typing import Any, Final, cast

import uvicorn
from uvicorn.server import ServerState

from abeyance.server.management import Management
from abeyance.server.protocol import StrictHttp

# Longer than the minute that proxies keep an idle connection, so that they close it, not we.
KEEP_ALIVE_SECONDS: Final = 75
GRACEFUL_SECONDS: Final = 10
# For a request that was sent before its sender could know that we stop.
UNDER_WAY_SECONDS: Final = 0.25
_LOOK_SECONDS: Final = 0.05
_PROBES_SECONDS: Final = 1
BACKLOG: Final = 2048


def make_config(app: Any) -> uvicorn.Config:
    """How uvicorn runs our application, or another one that is to be compared with it."""
    return uvicorn.Config(
        app,
        http=StrictHttp,
        ws="none",
        interface="asgi3",
        lifespan="off",
        log_config=None,
        access_log=False,  # it would have queries in it (SEC-TOK-14)
        proxy_headers=False,  # `proxies` believes those that are named (SEC-OPS-07)
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )


class Server(uvicorn.Server):
    """uvicorn's server, which tells when it answers and when it stops, and leaves the end of
    the process to us.
    """

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], stopping: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nothing more, answer what was begun, and only then close (SEC-OPS-15)."""
        # Polls that are held would be waited for (EXT-WAIT-05).
        self._stopping()
        await self._close_doors(sockets or [])
        connections = self.server_state.connections
        for connection in tuple(connections):
            cast(StrictHttp, connection).end_soon()
        if connections:
            await asyncio.sleep(UNDER_WAY_SECONDS)
        # A slow sender is cut off in time (`deadlines`); this is the bound of all of them.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACEFUL_SECONDS):
                while not self.force_exit and self._is_somebody_arriving():  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_SECONDS)
        await super().shutdown(sockets)

    def _is_somebody_arriving(self) -> bool:
        return any(cast(StrictHttp, each).is_arriving() for each in self.server_state.connections)

    async def _close_doors(self, sockets: list[socket.socket]) -> None:
        """Stop accepting, but take those whom the kernel has already let in: it would reset
        them, and what they have sent would be lost.
        """
        loop = asyncio.get_running_loop()
        doors = [each.dup() for each in sockets]
        for server in self.servers:
            server.close()
        for door in doors:
            door.setblocking(False)
            with door, contextlib.suppress(OSError):  # nobody is left
                while True:
                    connection, _ = door.accept()
                    await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> StrictHttp:
        return StrictHttp(self.config, self.server_state, {})

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on a signal. uvicorn raises it again at the end, when the store is still open."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, frame: FrameType | None) -> None:
            self.handle_exit(number, frame)

        before = {number: signal(number, stop) for number in (SIGINT, SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal(number, handler)


@contextlib.asynccontextmanager
async def managing(app: Management, listener: socket.socket | None) -> AsyncIterator[None]:
    """Answer probes until the block ends; without a listener, nobody can ask.

    The same protocol without a `Server` around it: signals and the log are the first one's.
    """
    if listener is None:
        yield
        return
    config, state = make_config(app), ServerState()
    config.load()
    server = await asyncio.get_running_loop().create_server(
        lambda: StrictHttp(config, state, {}), sock=listener
    )
    try:
        yield
    finally:
        server.close()
        for connection in tuple(state.connections):
            connection.shutdown()
        if state.tasks:
            await asyncio.wait(tuple(state.tasks), timeout=_PROBES_SECONDS)

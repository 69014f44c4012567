"""How both servers of the benchmark run: one process, one core, one set of uvicorn's settings.

A server prints its port, then answers each line of its standard input with a
line of JSON, and ends with the input.
"""

import asyncio
import json
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import uvicorn

App: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]


async def serve(
    app: App,
    http: type[asyncio.Protocol] | str,
    count: Callable[[], Mapping[str, float]] = dict,
) -> None:
    """Serve until standard input ends; `count` adds to what a line is answered with."""
    listener = _listen()
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=http,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=75,
        )
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listener]))
        _say({"port": listener.getsockname()[1]})
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
        )
        while await lines.readline():
            _say({"cpu_seconds": time.process_time(), **count()})
        server.should_exit = True


def _say(what: Mapping[str, float]) -> None:
    print(json.dumps(what), flush=True)


def _listen() -> socket.socket:
    """A socket of this machine alone, on a port that is free."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)  # who connects before the server is ready waits
    return listener

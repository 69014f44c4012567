"""The server of a soak: `python -m tests.soak.server CONFIGURATION`.

The shipped server on a socket, but for its clock, which stands still until a request says in
`MOVED` how far it has gone, and for `TIDY`, where it gives back what memory it can. It prints
its address and ends with its input.
"""

import asyncio
import ctypes
import gc
import json
import sys
from pathlib import Path
from typing import Final

from abeyance.server.http import Endpoint, Receive, Scope, Send
from abeyance.server.launch import address_of, reserve, running_server
from abeyance.server.logs import configure_logs
from abeyance.server.settings import load_settings
from abeyance.server.settings_values import Listen
from tests.clock import MovableClock

MOVED: Final = "x-soak-moved"  # seconds since the start
TIDY: Final = "/-/tidy"


def steered(app: Endpoint, clock: MovableClock) -> Endpoint:
    """The application behind the hands of the clock."""
    moved = 0.0

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal moved
        told = max(float(value) for name, value in scope["headers"] if name == MOVED.encode())
        if told > moved:
            ahead, moved = told - moved, told
            clock.move(ahead)
        if scope["path"] == TIDY:
            await _tell(send, tidy())
        else:
            await app(scope, receive, send)

    return endpoint


def tidy() -> dict[str, int]:
    """Give back what nobody needs, and count what is left and moves."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    return {"tasks": len(asyncio.all_tasks())}


async def _tell(send: Send, what: dict[str, int]) -> None:
    body = json.dumps(what).encode()
    fields = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    configure_logs("INFO", "json")  # to standard error: nobody reads our output any more
    clock = MovableClock()
    with reserve(Listen("127.0.0.1", 0)) as listener:
        address = address_of(listener)
        file = Path(sys.argv[1])
        settings = load_settings(file, environ={}, flags={"issuer": f"http://{address}"})
        with running_server(
            settings, listener=listener, clock=clock, wrap=lambda app: steered(app, clock)
        ):
            sys.stdout.write(f"{address}\n")
            sys.stdout.flush()
            sys.stdin.read()


if __name__ == "__main__":
    main()

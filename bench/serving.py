"""What both servers of the benchmark share: one process on one core, and a line to who measures.

A server prints its port, answers each line of its standard input with a line of
JSON, and ends with the input. Its event loop runs in a thread, as
`launch.running_server` has it; the main thread sleeps in between.
"""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import uvicorn
import uvloop

from abeyance.server.http import Endpoint
from abeyance.server.launch import address_of, make_config, reserve
from abeyance.server.settings_values import Listen

ANYWHERE: Final = Listen("127.0.0.1", 0)


@contextmanager
def running_app(app: Endpoint) -> Iterator[str]:
    """Run any application as the shipped server runs its own; gives its address."""
    with reserve(ANYWHERE) as listener:
        server = uvicorn.Server(make_config(app))

        def work() -> None:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(server.serve(sockets=[listener]))

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield address_of(listener)
        finally:
            server.should_exit = True
            thread.join()


def answer_questions(address: str, count: Callable[[], Mapping[str, float]] = dict) -> None:
    """Tell the port, then the time used so far and what `count` says, until input ends."""
    _say({"port": int(address.rpartition(":")[2])})
    for _ in sys.stdin:
        _say({"cpu_seconds": time.process_time(), **count()})


def _say(what: Mapping[str, float]) -> None:
    print(json.dumps(what), flush=True)

"""Does time tell what the answer does not? Pairs of requests that must look alike.

One connection, one request of each kind in turn, so that whatever disturbs one
disturbs the other. Nothing is judged here: the tests count the work.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from statistics import median
from typing import Final

from abeyance.wire.base64url import render_base64url
from bench import messages
from bench.population import Caller
from bench.talking import Connection

KINDS: Final = ("poll_unknown", "poll_foreign", "cancel_unknown", "cancel_waiting")


def measure(port: int, caller: Caller, stranger: Caller, turns: int) -> Mapping[str, float]:
    """The median time of each kind, in microseconds."""
    return asyncio.run(_measure(port, caller, stranger, turns))


async def _measure(port: int, caller: Caller, stranger: Caller, turns: int) -> Mapping[str, float]:
    took: dict[str, list[float]] = {kind: [] for kind in KINDS}
    connection = await Connection.open(port)
    for _ in range(turns):
        waiting = await connection.open_request(messages.first_request(caller))
        unknown = render_base64url(secrets.token_bytes(48))
        for kind, message in (
            ("poll_unknown", messages.poll(stranger, unknown)),
            ("poll_foreign", messages.poll(stranger, waiting)),
            ("cancel_unknown", messages.revoke(caller, unknown)),
            ("cancel_waiting", messages.revoke(caller, waiting)),
        ):
            began = time.perf_counter()
            await connection.exchange(message)
            took[kind].append(time.perf_counter() - began)
    connection.close()
    return {kind: round(median(each) * 1e6, 1) for kind, each in took.items()}

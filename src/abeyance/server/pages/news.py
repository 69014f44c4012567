"""Waiting for news, for the pages that update themselves: bounded, while somebody asks.

A page looks so many times and no more: when woken, and in between, since a wake-up may
come just before the wait, and deadlines pass without one.
"""

import asyncio
from typing import Final

from starlette.requests import Request

from abeyance.volatile.waiters import Waiters

LOOKS: Final = 4
_LOOK_EVERY: Final = 5.0  # seconds


async def wait_for_news(waiters: Waiters, request: Request) -> bool:
    """Wait for a change somewhere, or a while; `False` if nobody waits for the answer any more."""
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(_until_gone(request))
        rung = group.create_task(waiters.wait(_LOOK_EVERY))
        await asyncio.wait({gone, rung}, return_when=asyncio.FIRST_COMPLETED)
        is_there = not gone.done()
        gone.cancel()
        rung.cancel()
    return is_there


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

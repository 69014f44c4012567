"""The task that empties the outbox, as long as the house is open.

It sleeps until something is due by what it knows, or until a request ends; what it missed
meanwhile, because it was not running, is due when it starts. Each message has a task of its
own, so that a slow receiver delays nobody else (`receivers`).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import structlog

from abeyance.acts.deliver import LEASE, LONGEST, deliver
from abeyance.acts.house import House
from abeyance.pending.message import Claimed, RetryAt, answered
from abeyance.server.receivers import Receivers
from abeyance.store.ports import StoreAway

_AT_ONCE: Final = 64  # messages of one look
_LONGEST_SLEEP: Final = 60.0  # seconds; other processes may write messages too
_AFTER_A_FAULT: Final = 5.0
_A_MOMENT: Final = 0.1

_log = structlog.get_logger("abeyance.outbox")


@asynccontextmanager
async def delivering(house: House) -> AsyncIterator[None]:
    """Deliver until the block ends. What is under way then is given a moment."""
    post = Post(house)
    house.store.on_messages(post.wake)
    # Not a task group, which would wrap what ends the server into a group of its own.
    task = asyncio.create_task(post.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await post.close()


class Post:
    """Claims what is due and sends it. `work` is one look; `run` looks as long as it is let."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._woken = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._receivers = Receivers()

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        while True:
            self._woken.clear()
            try:
                # A look costs a read; only what is due costs a write.
                seconds = await self._until_next()
                if seconds <= 0:
                    if await self.work():
                        continue
                    seconds = _A_MOMENT
            except StoreAway:
                seconds = _AFTER_A_FAULT
            except Exception as fault:
                # Whatever it is, those who wait for other messages have nothing to do with it.
                _log.error("the outbox stumbled", kind=type(fault).__name__)
                seconds = _AFTER_A_FAULT
            timer = self._house.clock.after(seconds, self.wake)
            try:
                await self._woken.wait()
            finally:
                timer.cancel()

    async def work(self) -> int:
        """Send what is due; return how much was taken."""
        taken = 0
        while not self._receivers.full:
            now = self._house.clock.now()
            claimed = await self._house.store.claim_messages(
                now=now, lease=now + LEASE, limit=_AT_ONCE
            )
            for each in claimed:
                later = self._receivers.add(each, now)
                if later is not None:
                    await self._house.store.settle_message(each, RetryAt(later, counts=False))
            self._begin_ready()
            taken += len(claimed)
            if not claimed:
                break
        return taken

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def close(self) -> None:
        for task in self._under_way:
            task.cancel()
        await self.settled()

    def _begin_ready(self) -> None:
        for claimed in self._receivers.ready():
            task = asyncio.create_task(self._send(claimed))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _send(self, claimed: Claimed) -> None:
        began, heard = self._house.clock.tick(), None
        try:
            if self._house.clock.now() >= claimed.leased_until - LONGEST:
                # It waited here for too long: somebody else may have it before we are done.
                again = RetryAt(self._house.clock.now(), counts=False)
                await self._house.store.settle_message(claimed, again)
                return
            heard = answered(await deliver(self._house, claimed))
        except StoreAway:
            pass  # the lease ends, and somebody sends it again
        except Exception as fault:
            _log.error("a message could not be sent", kind=type(fault).__name__)
        finally:
            took = timedelta(seconds=self._house.clock.tick() - began)
            self._receivers.end(claimed.to, took, answered=heard)
            self._begin_ready()
            self.wake()

    async def _until_next(self) -> float:
        """Seconds until something is due, by what is known now."""
        if self._receivers.full:
            return _LONGEST_SLEEP  # whatever ends wakes us
        at = await self._house.store.next_message()
        if at is None:
            return _LONGEST_SLEEP
        return min((at - self._house.clock.now()).total_seconds(), _LONGEST_SLEEP)

"""The task that empties the outbox, as long as the house is open.

It sleeps until something is due by what it knows, or until a request ends; what it missed
meanwhile, because it was not running, is due when it starts. Each message has a task of its
own, so that a slow receiver delays nobody else (`receivers`). When the house closes, what was
claimed is given back: another process, or the next one, sends it at once.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import structlog

from abeyance.acts.deliver import LEASE, LONGEST, deliver, give_back
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
    """Deliver until the block ends."""
    post = Post(house)
    house.store.on_messages(post.wake)
    # Not a task group, which would wrap what ends the server into a group of its own.
    task = asyncio.create_task(post.run())
    try:
        yield
    finally:
        await post.close()
        await task


class Post:
    """Claims what is due and sends it. `work` is one look; `run` looks as long as it is let."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._woken = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._receivers = Receivers()
        self._closing = False

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        while not self._closing:
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
        queued = (give_back(self._house, each) for each in self._receivers.clear())
        await asyncio.gather(*queued, return_exceptions=True)  # what fails, its lease ends

    async def work(self) -> int:
        """Send what is due; return how much was taken."""
        taken = 0
        while not (self._receivers.full or self._closing):
            now = self._house.clock.now()
            claimed = await self._house.store.claim_messages(
                now=now, lease=now + LEASE, limit=_AT_ONCE
            )
            put_off = [
                (each, later)
                for each in claimed
                if (later := self._receivers.add(each, now)) is not None
            ]
            self._begin_ready()
            for each, later in put_off:
                await self._house.store.settle_message(each, RetryAt(later, counts=False))
            taken += len(claimed)
            if not claimed:
                break
        return taken

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def close(self) -> None:
        """Begin nothing more, and let go of what is under way. `run` ends soon."""
        self._closing = True
        self.wake()
        await asyncio.sleep(0)  # who has not begun would give nothing back
        for task in self._under_way:
            task.cancel()
        await self.settled()

    def _begin_ready(self) -> None:
        if self._closing:
            return
        for claimed in self._receivers.ready():
            task = asyncio.create_task(self._send(claimed))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _send(self, claimed: Claimed) -> None:
        began, heard = self._house.clock.tick(), None
        try:
            if self._house.clock.now() >= claimed.leased_until - LONGEST:
                # It waited here for too long: somebody else may have it before we are done.
                await give_back(self._house, claimed)
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

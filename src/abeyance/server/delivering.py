"""The task that empties the outbox, as long as the house is open.

It sleeps until something is due by what it knows, or until a request ends; what it missed
meanwhile, because it was not running, is due when it starts. Each message has a task of its
own, so that a slow receiver delays nobody else; of one receiver only some are under way.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import structlog

from abeyance.acts.deliver import LEASE, deliver
from abeyance.acts.house import House
from abeyance.pending.message import Claimed, RetryAt
from abeyance.store.ports import StoreAway

AT_ONCE: Final = 256
AT_ONCE_EACH: Final = 16  # to one receiver
_LONGEST_SLEEP: Final = 60.0  # seconds; other processes may write messages too
_AFTER_A_FAULT: Final = 5.0
_A_MOMENT: Final = 0.1
_LATER: Final = timedelta(seconds=1)

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
        self._to: Counter[str] = Counter()

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
        """Send what is due; return how much was begun."""
        begun = 0
        while (room := AT_ONCE - len(self._under_way)) > 0:
            now = self._house.clock.now()
            claimed = await self._house.store.claim_messages(
                now=now, lease=now + LEASE, limit=min(room, 64)
            )
            for each in claimed:
                await self._begin(each)
            begun += len(claimed)
            if not claimed:
                break
        return begun

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def close(self) -> None:
        for task in self._under_way:
            task.cancel()
        await self.settled()

    async def _begin(self, claimed: Claimed) -> None:
        if self._to[claimed.to] >= AT_ONCE_EACH:
            later = RetryAt(self._house.clock.now() + _LATER, counts=False)
            await self._house.store.settle_message(claimed, later)
            return
        self._to[claimed.to] += 1
        task = asyncio.create_task(self._send(claimed))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _send(self, claimed: Claimed) -> None:
        try:
            await deliver(self._house, claimed)
        except StoreAway:
            pass  # the lease ends, and somebody sends it again
        except Exception as fault:
            _log.error("a message could not be sent", kind=type(fault).__name__)
        finally:
            self._to[claimed.to] -= 1
            if not self._to[claimed.to]:
                del self._to[claimed.to]
            self.wake()

    async def _until_next(self) -> float:
        """Seconds until something is due, by what is known now."""
        if len(self._under_way) >= AT_ONCE:
            return _LONGEST_SLEEP  # whatever ends wakes us
        at = await self._house.store.next_message()
        if at is None:
            return _LONGEST_SLEEP
        return min((at - self._house.clock.now()).total_seconds(), _LONGEST_SLEEP)

"""The task that looks after the roots: notices them, seals anew, lets go of the old ones.

It looks at the folder as often as the ring allows, since the path of a poll does not. Work is
done under a lease: of several processes one does it, and another goes on if that one dies.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

import structlog

from abeyance.acts.house import House
from abeyance.acts.resealing import (
    LEASE,
    NOTICED,
    end_turn,
    reseal_in_turn,
    retire_outgoing,
    take_turn,
)
from abeyance.keys import UnsafeKeys
from abeyance.keys.ring import LOOK_EVERY
from abeyance.store.ports import StoreAway

RETRY_EVERY: Final = timedelta(hours=1)  # whether an old root may go

_log = structlog.get_logger("abeyance.keys")


@asynccontextmanager
async def resealing(house: House) -> AsyncIterator[None]:
    """Run while the block does."""
    task = asyncio.create_task(_Caretaker(house).run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class _Caretaker:
    def __init__(self, house: House) -> None:
        self._house = house
        self._due: datetime | None = None  # when there is something to do again
        self._root = house.keys.root.id

    async def run(self) -> None:
        while True:
            try:
                self._house.keys.look()
                if self._is_due():
                    await self._work()
            except (StoreAway, OSError, UnsafeKeys) as fault:
                _log.warning("what an old root has sealed stays for now", problem=str(fault))
                self._due = self._house.clock.now() + NOTICED
            except Exception:
                # Whatever it is, it must not end this until somebody restarts the server.
                _log.exception("an old root could not be looked after")
                self._due = self._house.clock.now() + RETRY_EVERY
            await self._pass(LOOK_EVERY)

    def _is_due(self) -> bool:
        now, keys = self._house.clock.now(), self._house.keys
        if not keys.outgoing:
            return False
        if keys.root.id != self._root or self._due is None:
            self._root, self._due = keys.root.id, keys.root.at + NOTICED
        return now >= self._due

    async def _work(self) -> None:
        house, now = self._house, self._house.clock.now()
        done = await reseal_in_turn(house) if await take_turn(house) else None
        if done is None:  # another does; look whether it still lives
            self._due = now + LEASE
            return
        if done.anew or done.lost:
            _log.info("sealed anew", values=done.anew, lost=done.lost)
        for root in await retire_outgoing(house):
            _log.info("an old root is used no more", root=root.id)
        await end_turn(house)
        self._due = house.clock.now() + RETRY_EVERY

    async def _pass(self, seconds: float) -> None:
        passed = asyncio.Event()
        timer = self._house.clock.after(seconds, passed.set)
        try:
            await passed.wait()
        finally:
            timer.cancel()

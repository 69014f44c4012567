"""Leases: of all that ask, one has the work, until its time is over."""
# ruff: noqa: S101

import asyncio
import os
from datetime import datetime

from abeyance.store.ports import Store, Work
from abeyance.store.suite.ground import HOUR, NOW, TICK, Suite


async def take(store: Store, holder: bytes, now: datetime = NOW) -> bool:
    return await store.take_lease(Work.DISPOSAL, holder, now=now, until=now + HOUR)


class LeaseSuite(Suite):
    """Leases: of all that ask, one has the work, until its time is over."""

    async def test_of_many_who_ask_at_once_one_gets_the_lease(self) -> None:
        async with self.open_store() as store:
            took = await asyncio.gather(*(take(store, os.urandom(16)) for _ in range(20)))
            assert sum(took) == 1

    async def test_a_lease_is_its_holders_until_its_last_moment_and_then_anybodys(self) -> None:
        async with self.open_store() as store:
            one, other = os.urandom(16), os.urandom(16)
            assert await take(store, one)
            assert not await take(store, other, NOW + HOUR - TICK)
            assert await take(store, other, NOW + HOUR)
            assert not await take(store, one, NOW + HOUR)

    async def test_its_holder_may_keep_it_for_longer_and_end_it(self) -> None:
        async with self.open_store() as store:
            one, other = os.urandom(16), os.urandom(16)
            assert await take(store, one)
            assert await take(store, one, NOW + HOUR / 2)
            assert not await take(store, other, NOW + HOUR)
            later = NOW + HOUR
            assert await store.take_lease(Work.DISPOSAL, one, now=later, until=later)
            assert await take(store, other, later)

    async def test_a_lease_outlives_the_process_that_holds_it(self) -> None:
        place = self.new_place()
        async with place() as store:
            assert await take(store, os.urandom(16))
        async with place() as store:
            assert not await take(store, os.urandom(16), NOW + HOUR / 2)

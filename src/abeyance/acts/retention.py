"""Disposal on a schedule: what nobody is owed any more goes, a page at a time (reading 21).

Any number of runs at once are harmless, and one that is cut short loses nothing: the
next finds what it has left. Of processes that share a store one does it for all, under a
lease that it renews while it runs; who has died is followed when the lease is over.

Source: DTR-PRIV-01, reading 21, OAUTH-LOG-07, SEC-DOS-07.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Final

from abeyance.acts.house import House
from abeyance.store.ports import Work

LEASE: Final = timedelta(minutes=5)  # a page takes milliseconds
EVERY: Final = timedelta(hours=1)  # for all processes together
_PAGE: Final = 500  # rows, so that whoever else writes waits for milliseconds


async def dispose_in_turn(house: House) -> Mapping[str, int] | None:
    """Do a run if it is time for one and nobody else is at it; else `None`.

    Raises `StoreAway`.
    """
    if not await _hold(house, LEASE):
        return None
    gone, renew_at = Counter[str](), house.clock.now() + LEASE / 2
    async for page in _pages(house):
        gone.update(page)
        if (now := house.clock.now()) >= renew_at:
            if not await _hold(house, LEASE):
                return +gone  # we have slept for too long, and another goes on
            renew_at = now + LEASE / 2
    await _hold(house, EVERY)  # there is nothing to do before that
    return +gone


async def dispose_of_old(house: House) -> Mapping[str, int]:
    """Do one run whoever else does; return how many of each kind went. Raises `StoreAway`."""
    gone = Counter[str]()
    async for page in _pages(house):
        gone.update(page)
    return +gone


async def _pages(house: House) -> AsyncIterator[Mapping[str, int]]:
    now, after = house.clock.now(), None
    while True:
        page = await house.store.dispose(house.terms.retention, now=now, limit=_PAGE, after=after)
        for kind, count in page.counts.items():
            house.counters.disposed.labels(kind=kind).inc(count)
        yield page.counts
        if page.next is None:
            return
        after = page.next


async def _hold(house: House, duration: timedelta) -> bool:
    now = house.clock.now()
    return await house.store.take_lease(Work.DISPOSAL, house.us, now=now, until=now + duration)

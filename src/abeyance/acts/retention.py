"""Disposal on a schedule: what nobody is owed any more goes, a page at a time (reading 21).

Any number of runs at once are harmless, and one that is cut short loses nothing: the
next finds what it has left.

Source: DTR-PRIV-01, reading 21, OAUTH-LOG-07, SEC-DOS-07.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from abeyance.acts.house import House

_PAGE: Final = 500  # rows, so that whoever else writes waits for milliseconds


async def dispose_of_old(house: House) -> Mapping[str, int]:
    """Do one run; return how many of each kind went. Raises `StoreAway`."""
    now, gone, after = house.clock.now(), Counter[str](), None
    while True:
        page = await house.store.dispose(house.terms.retention, now=now, limit=_PAGE, after=after)
        for kind, count in page.counts.items():
            house.counters.disposed.labels(kind=kind).inc(count)
        gone.update(page.counts)
        if page.next is None:
            return +gone
        after = page.next

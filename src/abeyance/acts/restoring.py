"""A store that is an earlier state of itself: nobody is issued anything twice.

What was decided, collected, withdrawn or used behind the moment of a copy is not in it. So
nothing of it may become a token unless a person decides anew: what was approved, and whatever
else could be turned into a token, is closed; answers that may have been taken back are
forgotten. What still waits goes on waiting, since a person has the last word on it, and says in
its history that it comes from a copy.

Source: DTR-POLL-03, DTR-CANC-05, EXT-IDEMP-07.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from abeyance.pending.change import AuditEvent, Change, CloseHome
from abeyance.pending.request import Key
from abeyance.pending.states import Denied, Event, Outcome
from abeyance.store.ports import Mark, SecurityEvent, Store, StoreElsewhere

RESTORED: Final = "restored"
ENDED: Final = "ended_by_restoring"
_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Restored:
    """How many homes were closed, and how many requests wait on; `lost`: may anything be?"""

    closed: int
    waiting: int
    lost: bool


async def check_here(store: Store) -> None:
    """Raises `StoreElsewhere` for a store that must not be served as it is."""
    if (at := await store.find_mark(Mark.MOVED)) is not None:
        raise StoreElsewhere(
            f"this store has moved away on {at}, and goes on elsewhere: serve that one. To go back"
            " to this one, run: abeyance restore"
        )
    if (at := await store.find_mark(Mark.COPY)) is not None:
        raise StoreElsewhere(
            f"this is a copy of a store, of {at}: what was decided since then is not in it."
            " To serve it, run: abeyance restore"
        )


async def restore_last(store: Store, *, now: datetime) -> Restored:
    """Go on with the last state of a store that has moved: nothing is lost."""
    waiting = 0
    async for _ in _open(store, now):
        waiting += 1
    for mark in Mark:
        await store.put_mark(mark, None)
    return Restored(0, waiting, lost=False)


async def restore_earlier(store: Store, *, now: datetime) -> Restored:
    """Make an earlier state safe to serve. What is cut short can be done again."""
    closed = await _close_revived(store, now)
    await store.forget_answers(now=now)
    waiting = 0
    async for key in _open(store, now):
        event = AuditEvent(n=key.n, at=now, event=RESTORED, actor="operator", detail={})
        await store.apply(Change(key.home, (), (event,)))
        waiting += 1
    await store.record(
        SecurityEvent(now, "store_restored", "operator", f"closed {closed}, waiting {waiting}")
    )
    for mark in Mark:
        await store.put_mark(mark, None)
    return Restored(closed, waiting, lost=True)


async def _close_revived(store: Store, now: datetime) -> int:
    close = CloseHome(Event.STALE, Denied(Outcome.PRECONDITION_FAILED), at=now)
    note = AuditEvent(n=0, at=now, event=ENDED, actor="operator", detail={})
    closed = 0
    while homes := await store.list_revived(now=now, limit=_PAGE):
        for home in homes:
            await store.apply(Change(home, (close,), (note,)))
        closed += len(homes)
    return closed


async def _open(store: Store, now: datetime) -> AsyncIterator[Key]:
    after = None
    while page := await store.list_open(after=after, now=now, limit=_PAGE):
        for key in page:
            yield key
        after = page[-1]

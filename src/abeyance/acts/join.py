"""A refresh that is asked again while its deferral waits gets the same code (reading 7).

One open deferral a family: the same request joins it, another one is refused.
For that, and while it is open, its code rests sealed beside its digest; the key
is outside the database (EXT-IDEMP-06, -08).
"""

from abeyance.acts.house import House
from abeyance.acts.sealing import handle_place, open_sealed, seal_now
from abeyance.pending.change import SealedCopy
from abeyance.pending.handles import Home
from abeyance.pending.opening import Deferred, Opened
from abeyance.pending.request import Key, Snapshot
from abeyance.wire.errors import InvalidRequest
from abeyance.wire.secret import Secret


async def join(house: House, home: Home, snapshot: Snapshot) -> Deferred | None:
    """The deferral that holds this family, if it is of the same request; `None`: none does.

    Raises `InvalidRequest` if it is of another one.
    """
    holding = await house.store.find_holding(home, now=house.clock.now())
    if holding is None:
        return None
    if _is_same(holding.snapshot, snapshot):
        code = await open_handle(house, holding.held.key)
        if code is not None:
            return Deferred(code, holding.held)
    raise InvalidRequest("Another request of this grant is waiting for its decision")


async def open_handle(house: House, key: Key) -> Secret | None:
    """The handle of a request, from its sealed copy; `None` once the request has ended."""
    sealed = await house.store.find_sealed(key)
    return None if sealed is None else open_sealed(house, sealed, handle_place(key))


def seal_handle(house: House, opened: Opened) -> SealedCopy:
    """The sealed copy by which a repetition is answered."""
    key = opened.held.key
    return SealedCopy(key.n, seal_now(house, opened.code, handle_place(key)))


def _is_same(waiting: Snapshot, asked: Snapshot) -> bool:
    """Same client, key and access; by home it is the same grant already (EXT-IDEMP-02)."""
    return (
        waiting.client == asked.client
        and waiting.binding == asked.binding
        and waiting.asked.scope == asked.asked.scope
        and waiting.asked.resources == asked.asked.resources
        and waiting.asked.details == asked.asked.details
    )

"""Ending what waits when its ground is gone: pushed, before anybody is told it is gone.

OAUTH-DEFER-09, OAUTH-CLI-05, EXT-STALE-04. The caller has written the fence (the
disabled client) first; this sweeps page by page until nothing is left.
"""

from typing import Final

from abeyance.acts.house import House
from abeyance.parties.client import ClientId
from abeyance.pending.change import AuditEvent, Change, CloseHome
from abeyance.pending.states import Denied, Event, Outcome

_PAGE: Final = 100


async def close_client(house: House, client: ClientId) -> int:
    """Close every open or approved request of a client; return how many homes were closed."""
    closed = 0
    while homes := await house.store.find_open_homes(client, _PAGE):
        now = house.clock.now()
        for home in homes:
            event = AuditEvent(n=0, at=now, event="stale", actor="system", detail={})
            step = CloseHome(Event.STALE, Denied(Outcome.PRECONDITION_FAILED))
            await house.store.apply(Change(home, (step,), (event,)))
        closed += len(homes)
    return closed

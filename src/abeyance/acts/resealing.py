"""One root follows another: what the old one has sealed is sealed anew, then it goes.

A bounded page at a time, each value only if it is still the one that was read, so any number of
processes may do so at once, beside those who write. A root goes when nothing is sealed by it,
everything short-lived that it made is over, and no request is open that is older than its
successor: until then its addresses of interactions work.

Source: OAUTH-SEC-05, -07; OAUTH-DEFER-12.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from abeyance.acts.house import House
from abeyance.acts.sealing import callback_place, handle_place, open_sealed, seal_now
from abeyance.keys.roots import Root
from abeyance.proofs.sealing import unseal
from abeyance.store.ports import Sealed, SecurityEvent

# Nonces, assertions and device codes; also a day, so that nobody has to reckon.
SHORT_LIVED: Final = timedelta(days=1)
# By then every process has noticed which root is used (`keys.ring.LOOK_EVERY`).
NOTICED: Final = timedelta(minutes=1)
RETIRED: Final = "root_key_retired"
_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many values were sealed anew, and how many no root of ours opens."""

    anew: int
    lost: int


async def reseal(house: House) -> Resealed:
    """Seal by the present root whatever another one has sealed. Raises `StoreAway`."""
    anew = lost = 0
    after: Sealed | None = None
    while page := await house.store.list_sealed(after=after, limit=_PAGE):
        for each in page:
            place = handle_place(each.key) if each.seq is None else callback_place(each.key)
            if unseal(each.value, house.keys.derived.seal_key, about=place) is not None:
                continue
            value = open_sealed(house, each.value, place)
            if value is None:
                lost += 1
            else:
                await house.store.replace_sealed(each, seal_now(house, value, place))
                anew += 1
        after = page[-1]
    return Resealed(anew, lost)


async def retire_outgoing(house: House) -> tuple[Root, ...]:
    """Take those roots out of use that nothing needs any more. Raises `StoreAway`, `OSError`.

    Whoever calls has sealed anew before; here it is looked at again, whole.
    """
    now, since = house.clock.now(), house.keys.root.at
    outgoing = house.keys.outgoing
    if not outgoing or now < since + SHORT_LIVED + house.terms.device:
        return ()
    if await house.store.is_waiting_since(since + NOTICED, now=now):
        return ()
    if (await reseal(house)).anew:
        return ()
    for root in outgoing:
        house.keys.retire(root)
        await house.store.record(SecurityEvent(now, RETIRED, "system", root.id))
    return outgoing

"""One root follows another: what the old one has sealed is sealed anew, then it goes.

A bounded page at a time, each value only if it is still the one that was read, so nobody is in
the way of those who write. Of processes that share a store one does it, under a lease that it
renews; who has died is followed when the lease is over. A root goes when nothing is sealed by it,
everything short-lived that it made is over, and no request is open that is older than its
successor: until then its addresses of interactions work.

Source: OAUTH-SEC-05, -07; OAUTH-DEFER-12.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from abeyance.acts.house import House
from abeyance.acts.sealing import callback_place, handle_place, open_sealed, seal_now
from abeyance.keys.roots import Root
from abeyance.proofs.sealing import unseal
from abeyance.store.ports import Sealed, SecurityEvent, Work

# Nonces, assertions and device codes; also a day, so that nobody has to reckon.
SHORT_LIVED: Final = timedelta(days=1)
# By then every process has noticed which root is used (`keys.ring.LOOK_EVERY`).
NOTICED: Final = timedelta(minutes=1)
LEASE: Final = timedelta(minutes=5)  # a page takes milliseconds
RETIRED: Final = "root_key_retired"
_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many values were sealed anew, how many no root of ours opens, and how many somebody
    else had replaced, or done with, before they could be.
    """

    anew: int = 0
    lost: int = 0
    overtaken: int = 0

    def __add__(self, other: "Resealed") -> "Resealed":
        return Resealed(
            self.anew + other.anew, self.lost + other.lost, self.overtaken + other.overtaken
        )


async def take_turn(house: House) -> bool:
    """Is it ours to look after the roots, for the next minutes? Raises `StoreAway`."""
    now = house.clock.now()
    return await house.store.take_lease(Work.RESEALING, house.us, now=now, until=now + LEASE)


async def end_turn(house: House) -> None:
    """Whoever has something to do may begin at once. Raises `StoreAway`."""
    now = house.clock.now()
    await house.store.take_lease(Work.RESEALING, house.us, now=now, until=now)


async def reseal_in_turn(house: House) -> Resealed | None:
    """As `reseal`, in our turn; `None` if it is not ours any more. Raises `StoreAway`."""
    done, renew_at = Resealed(), house.clock.now() + LEASE / 2
    async for page in _pages(house):
        done += page
        if (now := house.clock.now()) >= renew_at:
            if not await take_turn(house):
                return None  # we have slept for too long, and another goes on
            renew_at = now + LEASE / 2
    return done


async def reseal(house: House) -> Resealed:
    """Seal by the present root whatever another one has sealed. Raises `StoreAway`."""
    done = Resealed()
    async for page in _pages(house):
        done += page
    return done


async def _pages(house: House) -> AsyncIterator[Resealed]:
    after: Sealed | None = None
    while page := await house.store.list_sealed(after=after, limit=_PAGE):
        done = Resealed()
        for each in page:
            done += await _reseal(house, each)
        yield done
        after = page[-1]


async def _reseal(house: House, sealed: Sealed) -> Resealed:
    place = handle_place(sealed.key) if sealed.seq is None else callback_place(sealed.key)
    if unseal(sealed.value, house.keys.derived.seal_key, about=place) is not None:
        return Resealed()
    value = open_sealed(house, sealed.value, place)
    if value is None:
        return Resealed(lost=1)
    if not await house.store.replace_sealed(sealed, seal_now(house, value, place)):
        return Resealed(overtaken=1)
    return Resealed(anew=1)


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
    done = await reseal(house)
    # By which root whoever overtook us has sealed is seen the next time.
    if done.anew or done.overtaken:
        return ()
    for root in outgoing:
        house.keys.retire(root)
        await house.store.record(SecurityEvent(now, RETIRED, "system", root.id))
    return outgoing

"""A first request that is sent again: the same code, the same end, or the lost success (EXT-IDEMP).

Only the client's own identifier makes two requests one. Without it a code that is shown again
is reuse (reading 8), and two equal payments are two payments (EXT-IDEMP-08).
"""

from dataclasses import dataclass
from datetime import datetime

from abeyance.acts.asked import Asked
from abeyance.acts.callback import tell_again
from abeyance.acts.collect import mint, still_holds
from abeyance.acts.dispose import close_derived
from abeyance.acts.house import House
from abeyance.acts.join import open_handle
from abeyance.acts.tell import ended
from abeyance.pending.change import AuditEvent, Change, Recover, Superseded, TurnFamily
from abeyance.pending.handles import Home
from abeyance.pending.opening import Deferred
from abeyance.pending.repetition import (
    MOST_RECOVERIES,
    RETENTION,
    Delivery,
    Repetition,
    content_key,
)
from abeyance.pending.request import Key, Loaded
from abeyance.pending.reservation import Reservation
from abeyance.pending.states import Approved, Cancelled, Denied, Expired, Redeemed
from abeyance.wire.errors import (
    AccessDenied,
    ExpiredToken,
    InvalidGrant,
    InvalidRequest,
    OAuthError,
)
from abeyance.wire.strict_json import JsonObject


@dataclass(frozen=True, slots=True)
class Earlier:
    """The request that this one repeats."""

    loaded: Loaded
    repetition: Repetition


async def find_earlier(house: House, asked: Asked) -> Earlier | None:
    """What was asked under this identifier before; `None`: nothing that was ever opened.

    Raises `InvalidRequest` if that was something else (EXT-IDEMP-04).
    """
    if asked.identifier is None:
        return None
    taken = await house.store.find_reservation(asked.identifier, now=house.clock.now())
    if taken is None:
        return None
    own = asked.claimed.home
    if own is not None and own != taken.home:
        raise _another()
    found = await house.store.find_repetition(taken.home, asked.identifier)
    if found is None:
        return None
    if found.fingerprint != asked.fingerprint():
        raise _another()
    loaded = await house.store.find_loaded(Key(taken.home, found.n))
    return None if loaded is None else Earlier(loaded, found)


async def reserve_home(house: House, asked: Asked, home: Home, *, until: datetime) -> Home:
    """Where the request under this identifier lives: whoever came first has said. `until`: the
    end of its code.

    The content is reserved before the name, so that whoever finds the name taken can tell
    whether it was by the same request. Raises `InvalidRequest` if it was not.
    """
    if asked.identifier is None:
        return home
    now, until = house.clock.now(), until + RETENTION
    key = content_key(asked.identifier, asked.fingerprint())
    same = await house.store.reserve(Reservation(key, home, until), now=now)
    taken = await house.store.reserve(Reservation(asked.identifier, same.home, until), now=now)
    if taken.home != same.home:
        raise _another()
    return taken.home


async def answer_again(
    house: House, asked: Asked, earlier: Earlier
) -> JsonObject | Deferred | None:
    """What the repeated request has come to; `None`: it moves at this moment, look again.

    Raises how it has ended.
    """
    held = earlier.loaded.held
    match held.state_at(house.clock.now()):
        case Denied() | Cancelled():
            error: OAuthError = AccessDenied("The request was not granted")
            raise await ended(house, asked.client, earlier.loaded, error)
        case Expired():
            error = ExpiredToken("The request has expired")
            raise await ended(house, asked.client, earlier.loaded, error)
        case Redeemed():
            return await _recover(house, asked, earlier)
        case _:
            code = await open_handle(house, held.key)
            if code is None:
                return None
            house.counters.joined.inc()
            told = Deferred(code, held)
            return await tell_again(house, asked.client, told, asked.notification_token)


async def _recover(house: House, asked: Asked, earlier: Earlier) -> JsonObject | None:
    """Make a success again that may have been lost: what came of the first is revoked in the
    same change (EXT-IDEMP-07).

    Nothing that was approved for one act: it may have been done with the token that is said
    to be lost. And nothing that was evidently received: its refresh token has been used.
    """
    loaded, delivery, client = earlier.loaded, earlier.repetition.delivery, asked.client
    if delivery is None or not house.types.is_standing(delivery.granted.details):
        raise InvalidGrant("The request has been answered already")
    approved, family, now = (
        Approved(delivery.granted, delivery.until),
        loaded.family,
        house.clock.now(),
    )
    if delivery.generation is not None and (
        family is None or not family.is_alive(now) or family.generation != delivery.generation
    ):
        raise InvalidGrant("The request has been answered already")
    if not await still_holds(house, loaded, approved, client):
        raise InvalidGrant("What was approved does not hold any longer")
    succeeded = mint(house, loaded, approved, client, asked.key, again=True)
    n = loaded.held.key.n
    recovered = AuditEvent(n=n, at=now, event="recovered", actor=f"client:{client.id}", detail={})
    again = Delivery(n, delivery.granted, delivery.until, succeeded.generation)
    change = Change(
        loaded.held.key.home,
        (Recover(n, now, at_most=MOST_RECOVERIES), *succeeded.steps),
        (*succeeded.rows, again, recovered),
    )
    match await house.store.apply(change):
        case Superseded(lost=TurnFamily()):
            return None
        case Superseded():
            raise InvalidGrant("The request has been answered too often")
    await close_derived(house, loaded.held.key.home, None)
    house.counters.recovered.inc()
    return succeeded.answer


def _another() -> InvalidRequest:
    return InvalidRequest("The deferral_request_id belongs to another request")

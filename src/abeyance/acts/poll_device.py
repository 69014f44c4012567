"""A device polls (RFC 8628 §3.4, §3.5; DEV-POLL, DEV-DTR).

Until its person has answered it hears of nothing but that. After a yes the same poll is the
first request of its grant: a token at once, or "not yet" under a deferral code, which takes
the place of the device code.
"""

from datetime import timedelta
from typing import Final

from abeyance.acts.admit import check_constrained, prove
from abeyance.acts.ask import ask_proven
from abeyance.acts.asked import ReviewNeeded
from abeyance.acts.callback import tell_again
from abeyance.acts.house import ClientRequest, House
from abeyance.acts.join import open_handle
from abeyance.faces.face import Face
from abeyance.grants.grant import Grant
from abeyance.oauth.asking import (
    CompletionMode,
    check_still_allowed,
    read_completion_mode,
    read_notification_token,
)
from abeyance.oauth.client_authentication import AuthenticatedClient
from abeyance.pending.change import BindDevice, Change
from abeyance.pending.device import DEFERRAL, RETENTION, RETOLD, Device, FoundDevice
from abeyance.pending.handles import parse_handle
from abeyance.pending.judging import (
    InteractionRequired,
    Redeemable,
    Refused,
    StillPending,
    Why,
    judge,
    owned,
)
from abeyance.pending.opening import Deferred
from abeyance.pending.request import Key
from abeyance.proofs.dpop import ProvenKey
from abeyance.wire.errors import (
    AccessDenied,
    InvalidRequest,
    UnauthorizedClient,
    UnsupportedGrantType,
)
from abeyance.wire.strict_json import JsonObject

_BEING_WRITTEN: Final = timedelta(seconds=5)


async def poll_device(
    house: House, request: ClientRequest, caller: AuthenticatedClient, face: Face, grant: Grant
) -> JsonObject | Deferred | StillPending | Refused:
    """In the order of DEV-POLL-02. Raises an `OAuthError`; whatever it is, the code lives on."""
    client = caller.client
    if not house.terms.device:
        raise UnsupportedGrantType("The grant type is not supported")
    if grant.name not in client.grant_types:
        raise UnauthorizedClient("The client may not use this grant")
    key = await prove(house, request, caller)
    check_constrained(house, client, key)
    found = await _find(house, request, caller, face)
    if found is None:
        return Refused(Why.UNKNOWN)
    device = found.device
    if not device.binding.continues(key):
        return Refused(Why.KEY if device.binding.lacks_proof(key) else Why.CERTIFICATE)
    mode = read_completion_mode(request.form, client, interact=house.terms.interaction_profile)
    if device.hinted and not mode.deferred:
        raise InvalidRequest("The completion_mode of the device request must be repeated")
    answer = _judge(house, device, key)
    if isinstance(answer, StillPending | Refused):
        if isinstance(answer, Refused) and answer.why is Why.REDEEMED:
            again = await _again(house, device, key, mode)
            if again is None:
                return answer
            return await tell_again(house, client, again, read_notification_token(request.form))
        if isinstance(answer, StillPending):
            house.counters.pending.inc()
            await _bind(house, device, key)
        return answer
    if await _is_being_agreed(house, found):
        return _still_pending(house, device)
    if not check_still_allowed(device.asked, client, house.types):
        raise AccessDenied("The client may no longer have what was granted")
    try:
        asked = await ask_proven(house, request, client, key, grant)
    except ReviewNeeded:
        if house.terms.device_denies:
            raise AccessDenied("The request needs a review, and this client cannot wait") from None
        await _bind(house, device, key)
        return _still_pending(house, device)
    house.clocks.forget(device.handle.digest)
    return asked


async def _find(
    house: House, request: ClientRequest, caller: AuthenticatedClient, face: Face
) -> FoundDevice | None:
    text = request.form.get(face.parameter)
    if text is None:
        raise InvalidRequest("The request lacks the handle of what it asks for")
    handle = parse_handle(face.handle, text)
    if handle is None:
        return None
    found = await house.store.find_device(handle.home)
    if found is None or owned(found.device.held(), handle, caller.client.id) is None:
        return None
    return None if house.clock.now() >= found.device.expires_at + RETENTION else found


def _still_pending(house: House, device: Device) -> StillPending:
    return StillPending(house.clocks.get(device.handle.digest).bound(device.held().interval))


async def _is_being_agreed(house: House, found: FoundDevice) -> bool:
    """Has the person said yes a moment ago, and their consent is just being written?

    It is written last, so that an answer which came second is not remembered; a device that
    polls in between must not hear a no.
    """
    grant = found.grant
    if grant is None or house.clock.now() - grant.opened_at >= _BEING_WRITTEN:
        return False
    return await house.store.find_consent(grant.person, grant.client) is None


def _judge(
    house: House, device: Device, key: ProvenKey | None
) -> StillPending | Redeemable | Refused:
    held, now, tick = device.held(), house.clock.now(), house.clock.tick()
    while True:
        clock = house.clocks.get(held.handle.digest)
        judged = judge(held, key, clock=clock, now=now, tick=tick)
        if judged.clock is None or house.clocks.swap(
            held.handle.digest, seen=clock, new=judged.clock
        ):
            break
    if isinstance(judged.answer, InteractionRequired):
        raise AssertionError("a device session awaits no interaction")
    if isinstance(judged.answer, Refused) and judged.answer.why in (Why.EARLY, Why.STOP):
        house.counters.slowed.inc()
    return judged.answer


async def _bind(house: House, device: Device, key: ProvenKey | None) -> None:
    """The first proof binds the code (DEV-BIND-02); another poll may have been faster."""
    if key is not None and device.binding.bound is None:
        await house.store.apply(Change(device.home, (BindDevice(key.bound),)))


async def _again(
    house: House, device: Device, key: ProvenKey | None, mode: CompletionMode
) -> Deferred | None:
    """The deferral code once more, since its answer may have been lost (DEV-DTR-06).

    Not to whoever has polled with it, nor when ten minutes have gone. After a restart nobody
    has polled yet: then the same client with the same key is told once more at worst.
    """
    if not mode.deferred:
        return None
    loaded = await house.store.find_loaded(Key(device.home, DEFERRAL))
    if loaded is None or house.clock.now() >= loaded.held.opened_at + RETOLD:
        return None
    held = loaded.held
    if not held.binding.continues(key) or house.clocks.get(held.handle.digest).last is not None:
        return None
    code = await open_handle(house, held.key)
    return None if code is None else Deferred(code, held)

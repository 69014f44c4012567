"""A device asks for a code that its person types elsewhere (RFC 8628 §3.1, §3.2; DEV-REQ, -RESP).

All that can be known now is checked now, so that no person is bothered for a request that
must fail. Nobody is contacted: the person comes to the page.
"""

from dataclasses import dataclass
from typing import Final

from abeyance.acts.admit import prove
from abeyance.acts.house import ClientRequest, House
from abeyance.acts.openid import note_identity
from abeyance.oauth.asking import read_completion_mode, read_notification_token, read_wish
from abeyance.oauth.authorization import read_jkt
from abeyance.oauth.client_authentication import AuthenticatedClient
from abeyance.oauth.openid import read_demand
from abeyance.parties.client import Client
from abeyance.pending.change import AuditEvent, Change, OpenDevice, Superseded
from abeyance.pending.device import INTERVAL, RETENTION, Device
from abeyance.pending.handles import HOME_BYTES, SECRET_BYTES, HandleKind, Home, mint_handle
from abeyance.pending.opening import decision_deadline
from abeyance.pending.request import Binding
from abeyance.pending.reservation import Reservation
from abeyance.pending.user_code import DRAWN_BYTES, draw_user_code, hash_user_code
from abeyance.proofs.binding import ProvenKey
from abeyance.volatile.customers import find_customer
from abeyance.wire import names
from abeyance.wire.errors import (
    InvalidDpopProof,
    RequestNotSupported,
    TooManyRequests,
    UnauthorizedClient,
    Unavailable,
)
from abeyance.wire.secret import Secret

MOST_FROM_ONE: Final = 50  # open, of one client and customer's address
MOST: Final = 2**20  # open in all
_DRAWS: Final = 5


@dataclass(frozen=True, slots=True)
class Begun:
    """What the device is told; `user_code` in normal form."""

    device_code: Secret
    user_code: Secret
    device: Device


async def begin_device(house: House, request: ClientRequest, caller: AuthenticatedClient) -> Begun:
    """Keep the request, or raise an `OAuthError` and keep nothing."""
    client, form = caller.client, request.form
    if names.GRANT_DEVICE_CODE not in client.grant_types:
        raise UnauthorizedClient("The client may not use this grant")
    key = await prove(house, request, caller)
    if names.REQUEST in form:
        raise RequestNotSupported("A request object has no meaning at this endpoint")
    hinted = read_completion_mode(form, client, interact=house.terms.interaction_profile).deferred
    read_notification_token(form)
    asked = read_wish(form, client, house.types, house.terms.approval, house.endpoints.userinfo)
    demand = read_demand(form, client, None)
    jkt = read_jkt(form)
    if key is not None and key.jkt is not None:
        if jkt not in (None, key.jkt):
            raise InvalidDpopProof("The dpop_jkt is of another key than the DPoP proof")
        jkt = key.jkt
    _pace(house, request, client)
    now, life = house.clock.now(), house.terms.device
    home = Home(house.random(HOME_BYTES))
    code, handle = mint_handle(HandleKind.DEVICE_CODE, home, house.random(SECRET_BYTES))
    device = Device(
        handle=handle,
        client=client.id,
        asked=asked,
        binding=Binding(_binding(jkt, key)),
        hinted=hinted,
        identity=note_identity(house, asked.scope, demand.nonce),
        address=find_customer(request.address),
        opened_at=now,
        decide_by=decision_deadline(now + life, lifetime=life, interval=INTERVAL),
        expires_at=now + life,
    )
    opened = AuditEvent(n=0, at=now, event="device_opened", actor=f"client:{client.id}", detail={})
    change = Change(home, (OpenDevice(device, MOST_FROM_ONE, MOST),), (opened,))
    if isinstance(await house.store.apply(change), Superseded):
        raise TooManyRequests("Too many devices are waiting for their people", 60)
    # Only now, so that a request which is refused takes no code away. One that is not found
    # waits for nobody, and ends with its life.
    return Begun(code, await _reserve(house, device), device)


async def _reserve(house: House, device: Device) -> Secret:
    """Draw a user code that nobody has, nor had for a day (DEV-UC-02)."""
    now = house.clock.now()
    for _ in range(_DRAWS):
        drawn = draw_user_code(house.random(DRAWN_BYTES))
        if drawn is None:
            continue
        key = hash_user_code(drawn, house.keys.derived.user_code_key)
        wanted = Reservation(key, device.home, device.expires_at + RETENTION)
        if (await house.store.reserve(wanted, now=now)).home == device.home:
            return Secret(drawn)
    raise Unavailable


def _pace(house: House, request: ClientRequest, client: Client) -> None:
    """Whoever is not authenticated makes records here (DEV-REQ-05)."""
    tick = house.clock.tick()
    if client.is_public:
        wait = house.limits.devices.take((client.id, find_customer(request.address)), tick)
    else:
        wait = house.limits.creations.take(("device", client.id), tick)
    if wait:
        raise TooManyRequests("The client sends requests too fast", wait)


def _binding(jkt: str | None, key: ProvenKey | None) -> str | None:
    x5t = None if key is None else key.x5t
    return None if jkt is None and x5t is None else ProvenKey(jkt, x5t).bound

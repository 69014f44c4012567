"""The revocation endpoint: withdraw what waits, revoke what was issued (RFC 7009).

DTR-CANC, OAUTH-REVO; readings 22 and 24. Unknown, foreign, redeemed, cancelled
and expired codes are answered alike and cost the same write.
"""

from abeyance.acts.admit import prove
from abeyance.acts.dispose import close_derived, close_home
from abeyance.acts.house import ClientRequest, House
from abeyance.oauth.client_authentication import AuthenticatedClient
from abeyance.oauth.minting import parse_jti
from abeyance.parties.client import ClientId
from abeyance.pending.change import (
    Advance,
    Applied,
    AuditEvent,
    Change,
    Pulse,
    RevokeToken,
)
from abeyance.pending.handles import HOME_BYTES, HandleKind, Home, parse_handle
from abeyance.pending.judging import owned
from abeyance.pending.request import Held, Key
from abeyance.pending.states import Cancelled, Event, Expired, stage_after, stage_of
from abeyance.proofs.access_token import verify_access_token
from abeyance.proofs.dpop import ProvenKey
from abeyance.proofs.jws import BadToken
from abeyance.wire import names
from abeyance.wire.errors import InvalidDpopProof, InvalidGrant, InvalidRequest


async def revoke(house: House, request: ClientRequest, caller: AuthenticatedClient) -> None:
    """Cancel a deferral code, end a refresh token's family or revoke an access token;
    returning means 200.

    `token_type_hint` is not needed and a wrong one changes nothing (DTR-CANC-01,
    OAUTH-REVO-04). Raises `InvalidDpopProof` for an open bound code without its
    key, `InvalidGrant` for another client's token.
    """
    key = await prove(house, request, caller)
    token = request.form.get(names.TOKEN)
    if token is None:
        raise InvalidRequest("The request lacks the token")
    if token.count(".") == 2:
        await _revoke_access_token(house, token, caller.client.id)
    elif not await _end_family(house, token, caller.client.id):
        await _cancel(house, token, caller.client.id, key)


async def _end_family(house: House, token: str, client: ClientId) -> bool:
    """End the grant of a refresh token of any generation, with all that lives at its home
    (OAUTH-REVO-05); `False` if it is no refresh token.
    """
    handle = parse_handle(HandleKind.REFRESH_TOKEN, token)
    found = None if handle is None else await house.store.find_refresh(handle)
    if found is None:
        return False
    if found.grant.client != client:
        raise InvalidGrant("The token was not issued to this client")
    await close_home(house, found.home, why="family_revoked", actor=f"client:{client}")
    return True


async def _cancel(house: House, token: str, client: ClientId, key: ProvenKey | None) -> None:
    handle = parse_handle(HandleKind.DEFERRAL_CODE, token)
    held = None
    if handle is not None:
        held = owned(await house.store.find_held(handle), handle, client)
    now = house.clock.now()
    if held is None or not _cancellable(held, house):
        # The same write as below, on nothing (DTR-CANC-06).
        await house.store.apply(Change(Home(house.random(HOME_BYTES)), (), (Pulse(),)))
        return
    if not held.binding.continues(key):
        if held.binding.lacks_proof(key):
            raise InvalidDpopProof("The request must prove the key of the first one")
        raise InvalidGrant("The request must show the certificate of the first one")
    cancelled = AuditEvent(
        n=held.key.n, at=now, event="cancelled", actor=f"client:{client}", detail={}
    )
    # No version: a vote in between must not make a cancellation lose. Losing to
    # another end is fine too: either way nothing waits any more.
    await house.store.apply(
        Change(
            held.key.home,
            (Advance(held.key.n, Event.CANCEL, Cancelled(), alive_at=now, quiet=True),),
            (cancelled, Pulse()),
        )
    )
    house.clocks.forget(held.handle.digest)


async def withdraw(house: House, key: Key, *, by: str) -> bool:
    """Take back a request for whoever asked; `False` if nothing waits there any more.

    The client hears the same as after its own cancellation. Who may do this is
    the caller's to check.
    """
    now = house.clock.now()
    step = Advance(key.n, Event.CANCEL, Cancelled(), alive_at=now)
    event = AuditEvent(n=key.n, at=now, event="cancelled", actor=by, detail={})
    return isinstance(await house.store.apply(Change(key.home, (step,), (event,))), Applied)


def _cancellable(held: Held, house: House) -> bool:
    state = held.state_at(house.clock.now())
    return not isinstance(state, Expired) and (
        stage_after(stage_of(state), Event.CANCEL) is not None
    )


async def _revoke_access_token(house: House, token: str, client: ClientId) -> None:
    try:
        claims = verify_access_token(
            token, keys=house.keys.published, issuer=house.endpoints.issuer
        )
    except BadToken:
        return  # unknown, and unknown is 200 (OAUTH-REVO-02)
    if claims.get("client_id") != client:
        raise InvalidGrant("The token was not issued to this client")
    place = parse_jti(str(claims.get("jti", "")))
    if place is None:
        return
    home, jti = place
    now = house.clock.now()
    revoked = AuditEvent(n=0, at=now, event="token_revoked", actor=f"client:{client}", detail={})
    await house.store.apply(Change(home, (RevokeToken(jti, client, now),), (revoked,)))
    await close_derived(house, home, jti)

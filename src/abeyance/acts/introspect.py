"""Introspection of access tokens (RFC 7662; OAUTH-INTRO).

A caller is told of tokens for its own resources, and of its own; of any other
value nothing but that it is not active, whatever the reason.
"""

from typing import Final

from abeyance.acts.admit import prove
from abeyance.acts.house import ClientRequest, House
from abeyance.oauth.client_authentication import AuthenticatedClient, challenge
from abeyance.oauth.minting import parse_jti
from abeyance.parties.client import Client, ClientId
from abeyance.parties.person import PersonId
from abeyance.proofs.access_token import verify_access_token
from abeyance.proofs.jws import BadToken
from abeyance.wire import names
from abeyance.wire.errors import InvalidClient, InvalidRequest
from abeyance.wire.strict_json import Json, JsonObject

INACTIVE: Final[JsonObject] = {names.ACTIVE: False}
_TOLD: Final = (
    "iss", "sub", "aud", "client_id", "iat", "exp", "jti", "scope", "authorization_details",
    "cnf", "auth_time", "act",
)  # fmt: skip


async def introspect(
    house: House, request: ClientRequest, caller: AuthenticatedClient
) -> JsonObject:
    """The answer's body. Raises `InvalidRequest`, and `InvalidClient` for a public client."""
    if caller.client.is_public:
        raise InvalidClient(challenge(house.endpoints.issuer))
    await prove(house, request, caller)
    token = request.form.get(names.TOKEN)
    if token is None:
        raise InvalidRequest("The request lacks the token")
    claims = await live_claims(house, token)
    if claims is None or not _concerns(claims, caller.client):
        return INACTIVE
    told: dict[str, Json] = {names.ACTIVE: True}
    told |= {name: claims[name] for name in _TOLD if name in claims}
    told[names.TOKEN_TYPE] = names.DPOP if _is_bound(claims) else names.BEARER
    return told


async def live_claims(house: House, token: str) -> JsonObject | None:
    """The claims of a token of ours that may be used now, else `None` (OAUTH-INTRO-02).

    Also what our own API asks before it lets anybody in (OAUTH-REVO-08).
    """
    now = house.clock.now()
    try:
        claims = verify_access_token(
            token, keys=house.keys.published, issuer=house.endpoints.issuer, now=now
        )
    except BadToken:
        return None
    place = parse_jti(str(claims.get("jti", "")))
    record = None if place is None else await house.store.find_token(*place)
    # By our own clock, so to the second: the skew that `verify` allows is for other issuers'.
    if record is None or record.revoked_at is not None or now >= record.expires_at:
        return None
    client = await house.store.find_client(ClientId(record.client))
    if client is None or not client.enabled:
        return None
    if not record.subject.startswith("client:"):
        person = await house.store.find_person(PersonId(record.subject))
        if person is None or not person.enabled:
            return None
    return claims


def _concerns(claims: JsonObject, caller: Client) -> bool:
    audience = claims.get("aud")
    named = {audience} if isinstance(audience, str) else set(_texts(audience))
    return claims.get("client_id") == caller.id or not named.isdisjoint(caller.introspects)


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, list | tuple) else ()


def _is_bound(claims: JsonObject) -> bool:
    binding = claims.get("cnf")
    return isinstance(binding, dict) and "jkt" in binding

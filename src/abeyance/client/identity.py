"""Who somebody is: ID tokens verified, and UserInfo asked (OpenID Connect Core §3.1.3.7, §5.3).

Nothing of an ID token is believed before it is verified; the token answer that brought it is
kept in any case, since a key set that cannot be had at the moment must not cost a token.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from abeyance.client import answers
from abeyance.client.errors import (
    DiscoveryFailed,
    MalformedResponse,
    Misconfigured,
    NotIdentified,
    ServerRefused,
    Unavailable,
)
from abeyance.client.exchange import Flow, Received, Send, Unanswered, send
from abeyance.client.link import Link, origin_of
from abeyance.client.token import Token
from abeyance.proofs.dpop import make_proof
from abeyance.proofs.id_token import verify_received
from abeyance.proofs.jwk import BadKey, KeySet, parse_jwks
from abeyance.proofs.jws import SIGNING_ALGORITHMS, BadToken, UnknownSigner
from abeyance.wire import names
from abeyance.wire.strict_json import NotStrictJson, parse_json_object

USUAL_ALG: Final = "RS256"
_UNAUTHORIZED: Final = 401


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a verified ID token is about. `subject` means the same person only at this issuer.

    `auth_time`: when they signed in, which may be long ago where a request had to wait.
    """

    issuer: str
    subject: str
    auth_time: datetime | None
    acr: str | None
    claims: Mapping[str, Any] = field(repr=False)


def identify(link: Link, token: Token, *, algorithm: str) -> Flow[Identity]:
    """Verify the ID token that came with an access token.

    `algorithm`: the one that this client is registered with, and no other is taken. Raises
    `NotIdentified`, `Misconfigured` (there is none, or no such algorithm), `DiscoveryFailed`,
    `Unavailable`; the keys are fetched once, and once more for a key that is not among them.
    """
    compact = token.other.get(names.ID_TOKEN)
    if not isinstance(compact, str):
        raise Misconfigured("The token came without an ID token: was the scope openid granted?")
    if algorithm not in SIGNING_ALGORITHMS:
        raise Misconfigured("No ID token is taken that is signed with this algorithm")
    known = link.keys
    keys = known or (yield from _fetch_keys(link))
    try:
        claims = _verify(link, token, compact, algorithm, keys)
    except UnknownSigner:
        if known is None:
            raise NotIdentified("No key of the server verifies the ID token") from None
        keys = yield from _fetch_keys(link)
        try:
            claims = _verify(link, token, compact, algorithm, keys)
        except UnknownSigner:
            raise NotIdentified("No key of the server verifies the ID token") from None
    auth_time, acr = claims.get("auth_time"), claims.get("acr")
    return Identity(
        issuer=link.issuer,
        subject=str(claims["sub"]),
        auth_time=_instant(auth_time),
        acr=acr if isinstance(acr, str) else None,
        claims=claims,
    )


def ask_userinfo(link: Link, token: Token, identity: Identity) -> Flow[Mapping[str, Any]]:
    """What the server tells about this person; what it tells about another is not taken (§5.3.2).

    Raises `ServerRefused`, `NotIdentified`, `MalformedResponse`, `DiscoveryFailed`, `Unavailable`.
    """
    metadata = yield from link.discover()
    url = metadata.userinfo_endpoint
    if url is None:
        raise DiscoveryFailed("The server has no UserInfo endpoint")
    reply = yield from send(_request(link, token, url))
    if isinstance(reply, Received) and reply.status == _UNAUTHORIZED and token.dpop_key is not None:
        nonce = answers.fresh_nonce(reply)
        if nonce is not None:
            link.nonces[origin_of(url)] = nonce
            reply = yield from send(_request(link, token, url))
    if isinstance(reply, Unanswered):
        raise Unavailable(reply.why)
    if reply.status == 429 or reply.status >= 500:
        wait = answers.retry_after(reply, link.surroundings.now())
        raise Unavailable("UserInfo cannot be had at the moment", retry_after=wait)
    told = answers.parse_members(reply.body)
    if reply.status != 200:
        error = None if told is None else told.get(names.ERROR)
        raise ServerRefused(error if isinstance(error, str) else names.INVALID_TOKEN)
    if told is None:
        raise MalformedResponse("UserInfo is not a JSON object")
    if told.get("sub") != identity.subject:
        raise NotIdentified("UserInfo is about somebody else")
    return told


def _verify(
    link: Link, token: Token, compact: str, algorithm: str, keys: KeySet
) -> Mapping[str, Any]:
    try:
        return verify_received(
            compact,
            issuer=link.issuer,
            client_id=link.client_id,
            keys=keys,
            algorithms=frozenset({algorithm}),
            access_token=token.access_token,
            nonce=None if token.nonce is None else token.nonce.reveal(),
            now=link.surroundings.now(),
        )
    except UnknownSigner:
        raise
    except BadToken as bad:
        raise NotIdentified(f"The ID token is not valid: {bad}") from None


def _fetch_keys(link: Link) -> Flow[KeySet]:
    metadata = yield from link.discover()
    if metadata.jwks_uri is None:
        raise DiscoveryFailed("The server's metadata has no jwks_uri")
    reply = yield from send(Send("GET", metadata.jwks_uri, link.common))
    if isinstance(reply, Unanswered):
        raise Unavailable(reply.why)
    if reply.status != 200:
        raise Unavailable("the server's keys cannot be had at the moment")
    try:
        link.keys = parse_jwks(parse_json_object(reply.body))
    except (BadKey, NotStrictJson):
        raise DiscoveryFailed("The server's keys cannot be used") from None
    return link.keys


def _request(link: Link, token: Token, url: str) -> Send:
    scheme = names.BEARER if token.dpop_key is None else names.DPOP
    headers = (*link.common, ("Authorization", f"{scheme} {token.access_token.reveal()}"))
    if token.dpop_key is not None:
        proof = make_proof(
            token.dpop_key,
            method="GET",
            url=url,
            now=link.surroundings.now(),
            jti=link.surroundings.identifier(),
            nonce=link.nonces.get(origin_of(url)),
            access_token=token.access_token,
        )
        headers += ((names.HEADER_DPOP, proof),)
    return Send("GET", url, headers)


def _instant(value: Any) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        return None

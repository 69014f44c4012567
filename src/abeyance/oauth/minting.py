"""Access tokens: RFC 9068 JWTs, minted in memory, and the answer that carries them.

Nothing leaves from here: the act sends the answer only after the store has
recorded the token (OAUTH-TOK-02).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from abeyance.access.access import Access
from abeyance.access.scope import render_scope
from abeyance.parties.client import Client
from abeyance.pending.change import TokenRecord
from abeyance.pending.handles import Home
from abeyance.proofs.access_token import sign_access_token
from abeyance.proofs.dpop import ProvenKey
from abeyance.proofs.jwk import KeyPair
from abeyance.wire import names
from abeyance.wire.base64url import parse_base64url, render_base64url
from abeyance.wire.strict_json import Json, JsonObject

JTI_BYTES = 32  # the home and 16 random bytes, so that a token's record is found by key


@dataclass(frozen=True, slots=True)
class Minted:
    """The token response and the record that must be stored before it is sent."""

    answer: JsonObject
    record: TokenRecord


def mint_access_token(
    *,
    client: Client,
    subject: str,
    access: Access,
    key: ProvenKey | None,
    home: Home,
    n: int,
    issuer: str,
    signing: KeyPair,
    random: bytes,
    now: datetime,
    life: timedelta,
) -> Minted:
    """Mint a token and word the success (RFC 6749 §5.1, RFC 9449 §5; OAUTH-AT, OAUTH-TOK-03).

    `random` is 16 bytes. The token never claims more than `access`; it is bound
    to `key` if one was proven, and then never called a Bearer token.
    """
    issued = int(now.timestamp())
    expires = issued + max(1, int(life.total_seconds()))
    jti = home + random
    audience = sorted(access.resources)
    claims: dict[str, Json] = {
        "iss": issuer,
        "aud": audience[0] if len(audience) == 1 else audience,
        "sub": subject,
        "client_id": client.id,
        "iat": issued,
        "exp": expires,
        "jti": render_base64url(jti),
    }
    granted: dict[str, Json] = {}
    if access.scope:
        granted[names.SCOPE] = render_scope(access.scope)
    if access.details:
        granted[names.AUTHORIZATION_DETAILS] = list(access.details)
    claims |= granted
    if key is not None:
        claims["cnf"] = {"jkt": key.jkt}
    token = sign_access_token(claims, signing)
    answer: JsonObject = {
        names.ACCESS_TOKEN: token,
        names.TOKEN_TYPE: names.DPOP if key is not None else names.BEARER,
        names.EXPIRES_IN: expires - issued,
        **granted,
    }
    record = TokenRecord(
        jti=jti,
        n=n,
        client=client.id,
        subject=subject,
        issued_at=now,
        expires_at=now + timedelta(seconds=expires - issued),
    )
    return Minted(answer, record)


def parse_jti(text: str) -> tuple[Home, bytes] | None:
    """The home and the whole identifier, or `None` for one that is not ours."""
    try:
        jti = parse_base64url(text)
    except ValueError:
        return None
    return (Home(jti[:16]), jti) if len(jti) == JTI_BYTES else None

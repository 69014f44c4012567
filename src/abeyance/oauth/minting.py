"""Access tokens: RFC 9068 JWTs, minted in memory, and the answer that carries them; ID tokens.

Nothing leaves from here: the act sends the answer only after the store has
recorded the token (OAUTH-TOK-02).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from abeyance.access.access import Access
from abeyance.access.scope import render_scope
from abeyance.parties.client import Client
from abeyance.pending.change import TokenRecord
from abeyance.pending.exchanged import Target
from abeyance.pending.handles import Home
from abeyance.pending.identity import Identity
from abeyance.proofs.access_token import sign_access_token
from abeyance.proofs.binding import confirm
from abeyance.proofs.dpop import ProvenKey
from abeyance.proofs.id_token import half_hash, sign_id_token
from abeyance.proofs.issued import sign_id_jag
from abeyance.proofs.jwk import KeyPair
from abeyance.wire import names
from abeyance.wire.base64url import parse_base64url, render_base64url
from abeyance.wire.secret import Secret
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
    auth_time: datetime | None = None,
    until: datetime | None = None,
    actor: JsonObject | None = None,
) -> Minted:
    """Mint a token and word the success (RFC 6749 §5.1, RFC 9449 §5; OAUTH-AT, OAUTH-TOK-03).

    `random` is 16 bytes. The token never claims more than `access`; it is bound
    to `key` if one was proven, and then never called a Bearer token. `auth_time`
    is when the person behind it authenticated (OAUTH-AT-02, OAUTH-DEFER-10); `actor`
    who acts for them. `until`: as in `TokenRecord`.
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
    if auth_time is not None:
        claims["auth_time"] = int(auth_time.timestamp())
    if actor is not None:
        claims["act"] = actor
    binding = confirm(key, certificate=client.certificate_bound)
    if binding is not None:
        claims["cnf"] = binding
    token = sign_access_token(claims, signing)
    answer: JsonObject = {
        names.ACCESS_TOKEN: token,
        names.TOKEN_TYPE: names.DPOP if binding is not None and "jkt" in binding else names.BEARER,
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
        until=until,
    )
    return Minted(answer, record)


def mint_id_jag(
    *,
    client: Client,
    target: Target,
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
    auth_time: datetime | None,
    actor: JsonObject | None,
) -> Minted:
    """Mint an assertion for another server, of what was granted, and word the success
    (OAUTH-IDJAG-02, -03). It is no token: it grants nothing here.
    """
    issued = int(now.timestamp())
    expires = issued + max(1, int(life.total_seconds()))
    jti = home + random
    granted: dict[str, Json] = {}
    if access.scope:
        granted[names.SCOPE] = render_scope(access.scope)
    if access.details:
        granted[names.AUTHORIZATION_DETAILS] = list(access.details)
    claims: dict[str, Json] = {
        "iss": issuer,
        "sub": subject,
        "aud": target.issuer,
        "client_id": target.client,
        "jti": render_base64url(jti),
        "iat": issued,
        "exp": expires,
        **granted,
    }
    if access.resources:
        claims[names.RESOURCE] = sorted(access.resources)
    if auth_time is not None:
        claims["auth_time"] = int(auth_time.timestamp())
    if actor is not None:
        claims["act"] = actor
    binding = confirm(key, certificate=client.certificate_bound)
    if binding is not None:
        claims["cnf"] = binding
    answer: JsonObject = {
        names.ACCESS_TOKEN: sign_id_jag(claims, signing),
        names.TOKEN_TYPE: names.NOT_A_TOKEN_TYPE,
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


def mint_id_token(
    *,
    client: Client,
    subject: str,
    identity: Identity,
    auth_time: datetime | None,
    access_token: Secret,
    issuer: str,
    signing: KeyPair,
    now: datetime,
    life: timedelta,
) -> str:
    """The ID token that goes with this access token (OpenID Connect Core §2, §12.2).

    It says when and how somebody signed in, which is long ago where a request had to wait, and
    is itself as new as the access token (OAUTH-OIDC-02, -12, -17; reading 10).
    """
    issued = int(now.timestamp())
    claims: dict[str, Json] = {
        "iss": issuer,
        "sub": subject,
        "aud": client.id,
        "exp": issued + int(life.total_seconds()),
        "iat": issued,
        "at_hash": half_hash(access_token, signing.alg),
    }
    if auth_time is not None:
        claims["auth_time"] = int(auth_time.timestamp())
    if identity.nonce is not None:
        claims["nonce"] = identity.nonce
    if identity.acr is not None:
        claims["acr"] = identity.acr
    if identity.amr:
        claims["amr"] = list(identity.amr)
    return sign_id_token(claims, signing)


def parse_jti(text: str) -> tuple[Home, bytes] | None:
    """The home and the whole identifier, or `None` for one that is not ours."""
    try:
        jti = parse_base64url(text)
    except ValueError:
        return None
    return (Home(jti[:16]), jti) if len(jti) == JTI_BYTES else None

"""ID tokens: signed, verified by the client that they are for, and known again as a hint.

Never an access token, nor the other way round: their kinds (`typ`) exclude each other.

Source: OpenID Connect Core 1.0 §2, §3.1.3.6 to .8; OAUTH-OIDC-02, -03, -08; OAUTH-JWT-06.
"""

import hashlib
import hmac
from datetime import datetime
from typing import Final

from abeyance.proofs.jwk import EDDSA, KeyPair, KeySet
from abeyance.proofs.jws import (
    FUTURE_SKEW,
    SIGNING_ALGORITHMS,
    BadToken,
    check_times,
    numeric_date,
    read_header,
    sign_jws,
    split_compact,
    verify_jws,
)
from abeyance.wire.base64url import render_base64url
from abeyance.wire.secret import Secret
from abeyance.wire.strict_json import Json, JsonObject

MAX_SUBJECT: Final = 255

_KIND: Final[frozenset[str | None]] = frozenset({"jwt", None})


def sign_id_token(claims: JsonObject, key: KeyPair) -> str:
    """Sign the claims of an ID token."""
    return sign_jws(claims, key, typ="JWT")


def half_hash(token: Secret, alg: str) -> str:
    """The left half of the hash that fits `alg`, as `at_hash` has it. Ed25519 hashes by SHA-512."""
    text = token.reveal().encode("ascii")
    digest = (hashlib.sha512 if alg in EDDSA else hashlib.sha256)(text).digest()
    return render_base64url(digest[: len(digest) // 2])


def verify_received(
    compact: str,
    *,
    issuer: str,
    client_id: str,
    keys: KeySet,
    algorithms: frozenset[str],
    access_token: Secret | None,
    nonce: str | None,
    now: datetime,
) -> JsonObject:
    """The claims of an ID token that came from the token endpoint; raises `BadToken`.

    `algorithms`: those that the client expects. `nonce`: that of the request, if there was one.
    An `at_hash` must be that of `access_token`; without one the connection vouches for it.
    """
    claims = verify_jws(compact, algorithms=algorithms, typ=_KIND, keys=keys)
    if claims.get("iss") != issuer:
        raise BadToken("the token is of another issuer")
    _check_audience(claims, client_id)
    check_times(claims, now)
    if numeric_date(claims, "exp") is None or (issued := numeric_date(claims, "iat")) is None:
        raise BadToken("the token does not say when it was made and when it ends")
    if issued > now.timestamp() + FUTURE_SKEW.total_seconds():
        raise BadToken("the token is from the future")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_SUBJECT:
        raise BadToken("the subject is not a string of 1 to 255 characters")
    if nonce is not None and claims.get("nonce") != nonce:
        raise BadToken("the nonce is not that of the request")
    if access_token is not None and "at_hash" in claims:
        alg, told = read_header(split_compact(compact).header).get("alg"), claims["at_hash"]
        expected = half_hash(access_token, str(alg))
        if not isinstance(told, str) or not hmac.compare_digest(told.encode(), expected.encode()):
            raise BadToken("the token belongs to another access token")
    return claims


def verify_hint(compact: str, *, issuer: str, client_id: str, keys: KeySet) -> str:
    """Whom an ID token of ours for this client is about, however old it is; raises `BadToken`."""
    claims = verify_jws(compact, algorithms=SIGNING_ALGORITHMS, typ=_KIND, keys=keys)
    subject = claims.get("sub")
    if (
        claims.get("iss") != issuer
        or claims.get("aud") != client_id
        or not isinstance(subject, str)
    ):
        raise BadToken("the token is not one that we made for this client")
    return subject


def _check_audience(claims: JsonObject, client_id: str) -> None:
    audience: Json = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if client_id not in named or not all(isinstance(each, str) for each in named):
        raise BadToken("the token is not for this client")
    # Others may use what is for several: the client trusts none but itself (§3.1.3.7, 3 to 5).
    if len(named) > 1:
        raise BadToken("the token is for others too")
    if claims.get("azp", client_id) != client_id:
        raise BadToken("the token was issued to another client")

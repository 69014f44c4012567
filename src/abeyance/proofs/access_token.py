"""Our own access tokens: signed, and recognised when they come back (RFC 9068 §2, §4).

What they claim is `oauth.minting`; whether one was revoked, the store knows.

Source: OAUTH-AT-01, OAUTH-JWT-06, -09.
"""

from datetime import datetime
from typing import Final

from abeyance.proofs.jwk import KeyPair, KeySet
from abeyance.proofs.jws import (
    SIGNING_ALGORITHMS,
    BadToken,
    check_times,
    numeric_date,
    sign_jws,
    verify_jws,
)
from abeyance.wire import names
from abeyance.wire.strict_json import JsonObject

_KIND: Final[frozenset[str | None]] = frozenset({names.TYP_ACCESS_TOKEN})


def sign_access_token(claims: JsonObject, key: KeyPair) -> str:
    """Sign the claims of an access token."""
    return sign_jws(claims, key, typ=names.TYP_ACCESS_TOKEN)


def verify_access_token(
    compact: str,
    *,
    keys: KeySet,
    issuer: str,
    now: datetime | None = None,
    algorithms: frozenset[str] = SIGNING_ALGORITHMS,
) -> JsonObject:
    """Return the claims of a token that `issuer` has signed with one of `keys`.

    Without `now` an expired token is recognised too, as revocation must; whoever
    grants access by a token passes `now`. Raises `BadToken`.
    """
    claims = verify_jws(compact, algorithms=algorithms, typ=_KIND, keys=keys)
    if claims.get("iss") != issuer:
        raise BadToken("the token is of another issuer")
    if now is not None:
        if numeric_date(claims, "exp") is None:
            raise BadToken("the token does not expire")
        check_times(claims, now)
    return claims

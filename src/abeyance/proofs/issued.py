"""What issuers sign about people: assertions, ID-JAGs and ID tokens, verified; ID-JAGs made.

Kinds exclude each other by `typ` and by audience (OAUTH-JWT-06): an ID token is for a
client, an assertion for us. Which keys an issuer has, and whether an assertion was
used before, others know.

Source: RFC 7523 §3; draft-ietf-oauth-identity-assertion-authz-grant; OAUTH-JWTB-02,
OAUTH-IDJAG-02, -04; OAUTH-JWT-01, -06 to -09.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from abeyance.proofs.jwk import KeyPair, KeySet
from abeyance.proofs.jws import (
    FUTURE_SKEW,
    SIGNING_ALGORITHMS,
    BadToken,
    check_times,
    is_audience,
    numeric_date,
    read_header,
    read_jti,
    read_object,
    read_typ,
    sign_jws,
    split_compact,
    verify_jws,
)
from abeyance.wire import names
from abeyance.wire.strict_json import Json, JsonObject

MAX_SUBJECT: Final = 255

_PLAIN: Final[frozenset[str | None]] = frozenset({"jwt", None})
_ID_JAG: Final[frozenset[str | None]] = frozenset({names.TYP_ID_JAG})


def claimed_issuer(compact: str) -> str:
    """Read who it says it is from, to find the keys; nothing is proven yet. Raises `BadToken`."""
    issuer = read_object(split_compact(compact).claims).get("iss")
    if not isinstance(issuer, str):
        raise BadToken("the issuer is not a string")
    return issuer


def is_id_jag(compact: str) -> bool:
    """Does it say of itself that it is an ID-JAG? Raises `BadToken`."""
    return read_typ(read_header(split_compact(compact).header)) in _ID_JAG


def verify_issued(
    compact: str,
    *,
    id_jag: bool,
    issuer: str,
    keys: KeySet,
    algorithms: frozenset[str],
    audiences: Iterable[str],
    max_life: timedelta,
    now: datetime,
) -> JsonObject:
    """The claims of an assertion of `issuer` for one of `audiences` alone; raises `BadToken`."""
    claims = verify_jws(
        compact, algorithms=algorithms, typ=_ID_JAG if id_jag else _PLAIN, keys=keys
    )
    if claims.get("iss") != issuer:
        raise BadToken("the assertion is of another issuer")
    if not is_audience(claims, audiences):
        raise BadToken("the assertion is not for this server alone")
    expires = _check_life(claims, now)
    if expires > now.timestamp() + max_life.total_seconds():
        raise BadToken("the assertion does not expire soon enough")
    _read_subject(claims)
    read_jti(claims)
    return claims


def verify_id_token(
    compact: str, *, issuer: str, client_id: str, keys: KeySet, now: datetime
) -> JsonObject:
    """The claims of an ID token that `issuer` made for this client; raises `BadToken`."""
    claims = verify_jws(compact, algorithms=SIGNING_ALGORITHMS, typ=_PLAIN, keys=keys)
    if claims.get("iss") != issuer:
        raise BadToken("the token is of another issuer")
    if not is_audience(claims, (client_id,)):
        raise BadToken("the token is not for this client")
    _check_life(claims, now)
    _read_subject(claims)
    return claims


def sign_id_jag(claims: JsonObject, key: KeyPair) -> str:
    """Sign the claims of an ID-JAG."""
    return sign_jws(claims, key, typ=names.TYP_ID_JAG)


def _check_life(claims: JsonObject, now: datetime) -> float:
    check_times(claims, now)
    expires, issued = numeric_date(claims, "exp"), numeric_date(claims, "iat")
    if expires is None:
        raise BadToken("the token does not expire")
    if issued is not None and issued > now.timestamp() + FUTURE_SKEW.total_seconds():
        raise BadToken("the token is from the future")
    return expires


def _read_subject(claims: JsonObject) -> None:
    subject: Json = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_SUBJECT:
        raise BadToken("the subject is not a string of 1 to 255 characters")

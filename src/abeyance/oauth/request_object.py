"""Request objects: authorization requests that their client has signed (RFC 9101; OAUTH-JAR).

What the object says are the parameters; nothing beside it is merged in. Never fetched,
never encrypted: a JWE has five parts, which is no token of ours (OAUTH-JWT-13).

Source: RFC 9101 §4, §6, §10.8; RFC 9396 §3; RFC 8707 §2.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from abeyance.access.canonical import canonical_json
from abeyance.oauth.parameters import KNOWN
from abeyance.parties.client import Client
from abeyance.proofs.jwk import EDDSA
from abeyance.proofs.jws import (
    EXPIRY_SKEW,
    FUTURE_SKEW,
    SIGNING_ALGORITHMS,
    BadToken,
    check_times,
    numeric_date,
    read_jti,
    verify_jws,
)
from abeyance.proofs.replay import ReplayMark, replay_mark
from abeyance.wire import names
from abeyance.wire.errors import InvalidRequest, InvalidRequestObject, RequestNotSupported
from abeyance.wire.form import JSON_VALUED, REPEATABLE, Form, form_of
from abeyance.wire.strict_json import Json, JsonObject

MAX_LIFE: Final = timedelta(hours=1)

_KINDS: Final = frozenset({names.TYP_REQUEST_OBJECT, "jwt", None})
# Claims of the token itself; `sub` is refused before.
_OF_THE_TOKEN: Final = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti"})
_NUMBERS: Final = frozenset({"max_age"})


@dataclass(frozen=True, slots=True)
class RequestObject:
    """The parameters inside. `mark`, if it has a `jti`, must be used up before it counts."""

    form: Form
    mark: ReplayMark | None


def read_request_object(
    compact: str,
    client: Client,
    *,
    issuer: str,
    now: datetime,
    algorithms: frozenset[str] = SIGNING_ALGORITHMS,
) -> RequestObject:
    """Verify an object of this client and read what it asks.

    Raises `InvalidRequestObject`, and `RequestNotSupported` for a client that has no key.
    """
    if client.keys is None:
        raise RequestNotSupported("The client has registered no key for request objects")
    if (alg := client.request_object_alg) is not None:
        algorithms &= frozenset(EDDSA if alg in EDDSA else (alg,))
    try:
        claims = verify_jws(compact, algorithms=algorithms, typ=_KINDS, keys=client.keys)
        mark = _check_claims(claims, client, issuer, now)
    except BadToken:
        raise InvalidRequestObject("The request object is not valid for this request") from None
    try:
        return RequestObject(form_of(_pairs(claims)), mark)
    except InvalidRequest:
        raise InvalidRequestObject("The request object has a malformed parameter") from None


def _check_claims(
    claims: JsonObject, client: Client, issuer: str, now: datetime
) -> ReplayMark | None:
    if claims.get("iss") != client.id or claims.get(names.CLIENT_ID) != client.id:
        raise BadToken("the object is not of this client")
    # Whoever has an object must not be able to use it as an assertion, nor the other way round.
    if "sub" in claims:
        raise BadToken("a request object has no subject")
    if not _is_for(claims.get("aud"), issuer):
        raise BadToken("the object is not for this server")
    if not {names.REQUEST, names.REQUEST_URI}.isdisjoint(claims):
        raise BadToken("an object must not hold or name another one")
    check_times(claims, now)
    present = now.timestamp()
    expires, issued = numeric_date(claims, "exp"), numeric_date(claims, "iat")
    if expires is None or expires > present + MAX_LIFE.total_seconds():
        raise BadToken("the object does not expire soon enough")
    if issued is not None and issued > present + FUTURE_SKEW.total_seconds():
        raise BadToken("the object is from the future")
    if "jti" not in claims:
        return None
    until = datetime.fromtimestamp(expires, UTC) + EXPIRY_SKEW
    return replay_mark("request_object", client.id, jti=read_jti(claims), until=until)


def _is_for(audience: Json, issuer: str) -> bool:
    """The issuer, alone or among others."""
    if isinstance(audience, list):
        return issuer in audience and all(isinstance(each, str) for each in audience)
    return audience == issuer


def _pairs(claims: JsonObject) -> Iterator[tuple[str, str]]:
    """Each claim as the parameter that it stands for; raises `InvalidRequestObject`."""
    for name, value in claims.items():
        if name in _OF_THE_TOKEN:
            continue
        match value:
            case list() | dict() if name in JSON_VALUED:
                yield name, canonical_json(value).decode("utf-8")
            case list() if name in REPEATABLE:
                for each in value:
                    yield name, _text(each)
            case bool():
                _refuse_known(name)
            case int() if name in _NUMBERS:
                yield name, str(value)
            case str() if name not in JSON_VALUED | _NUMBERS:
                yield name, value
            case _:
                _refuse_known(name)


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise InvalidRequestObject("A parameter of the request object is of the wrong type")
    return value


def _refuse_known(name: str) -> None:
    """What we know must be of its type; what we do not know is ignored, as in a query."""
    if name in KNOWN | JSON_VALUED | _NUMBERS:
        raise InvalidRequestObject("A parameter of the request object is of the wrong type")

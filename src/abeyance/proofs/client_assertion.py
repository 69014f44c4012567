"""`private_key_jwt`: a client authenticates with a signed assertion, made and verified.

Decides OAUTH-CAUTH-13 to -18. Which client, and with which keys, the caller has
looked up; whether the assertion was used before, the replay memory says
(OAUTH-CAUTH-17): it is handed the mark.

Source: RFC 7521 §4.2, RFC 7523 §3, draft-ietf-oauth-rfc7523bis (audience, typ).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from abeyance.proofs.jwk import EDDSA, KeyPair, KeySet
from abeyance.proofs.jws import (
    EXPIRY_SKEW,
    FUTURE_SKEW,
    BadToken,
    check_times,
    is_audience,
    numeric_date,
    read_jti,
    read_object,
    sign_jws,
    split_compact,
    verify_jws,
)
from abeyance.proofs.replay import ReplayMark, replay_mark
from abeyance.wire import names
from abeyance.wire.strict_json import Json

MAX_LIFE: Final = timedelta(seconds=300)
LEGACY_MAX_LIFE: Final = timedelta(seconds=3600)

_KINDS: Final = frozenset({names.TYP_CLIENT_ASSERTION, "jwt", None})


@dataclass(frozen=True, slots=True)
class VerifiedAssertion:
    """Proof that the caller is this client; `mark` must be used up before the request acts."""

    client_id: str
    mark: ReplayMark


def claimed_client_id(compact: str) -> str:
    """Read who the assertion says it is from, to find that client; nothing is proven yet.

    Raises `BadToken`.
    """
    claims = read_object(split_compact(compact).claims)
    subject = claims.get("sub")
    if not isinstance(subject, str) or claims.get("iss") != subject:
        raise BadToken("issuer and subject are not one client")
    return subject


def verify_assertion(
    compact: str,
    *,
    client_id: str,
    keys: KeySet,
    algorithms: frozenset[str],
    signing_alg: str | None,
    issuer: str,
    legacy_audience: str | None,
    now: datetime,
    string_audience: bool = False,
) -> VerifiedAssertion:
    """Verify the assertion of this client; raises `BadToken`.

    `signing_alg`: the client's registered `token_endpoint_auth_signing_alg`.
    `legacy_audience`: the token endpoint's URL, for a client that is registered
    to name it instead of the issuer and to live longer (section 1, decision 1).
    `string_audience`: no array, not even of one (FAPI 2.0, OAUTH-FAPI-03).
    """
    if signing_alg is not None:
        algorithms &= frozenset(EDDSA if signing_alg in EDDSA else (signing_alg,))
    claims = verify_jws(compact, algorithms=algorithms, typ=_KINDS, keys=keys)
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise BadToken("the assertion is not of this client")
    if not is_audience(claims, (issuer,) if legacy_audience is None else (issuer, legacy_audience)):
        raise BadToken("the assertion is not for this server alone")
    if string_audience and not isinstance(claims["aud"], str):
        raise BadToken("the audience is not a string")
    check_times(claims, now)
    present = now.timestamp()
    expires, issued = numeric_date(claims, "exp"), numeric_date(claims, "iat")
    life = MAX_LIFE if legacy_audience is None else LEGACY_MAX_LIFE
    if expires is None or expires > present + life.total_seconds():
        raise BadToken("the assertion does not expire soon enough")
    if issued is not None and issued > present + FUTURE_SKEW.total_seconds():
        raise BadToken("the assertion is from the future")
    until = datetime.fromtimestamp(expires, UTC) + EXPIRY_SKEW
    mark = replay_mark("assertion", client_id, jti=read_jti(claims), until=until)
    return VerifiedAssertion(client_id, mark)


def make_assertion(
    key: KeyPair,
    *,
    client_id: str,
    audience: str,
    now: datetime,
    jti: str,
    lifetime: timedelta = timedelta(seconds=60),
) -> str:
    """Make an assertion for one request; `audience` is the issuer of the server that is asked."""
    issued = int(now.timestamp())
    claims: dict[str, Json] = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": issued,
        "exp": issued + int(lifetime.total_seconds()),
        "jti": jti,
    }
    return sign_jws(claims, key, typ=names.TYP_CLIENT_ASSERTION)

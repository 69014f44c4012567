"""Our own access tokens, when they come back."""

from datetime import timedelta
from typing import Any

import pytest

from abeyance.proofs.access_token import sign_access_token, verify_access_token
from abeyance.proofs.jwk import KeySet, parse_jwks, render_jwks
from abeyance.proofs.jws import BadToken, sign_jws
from abeyance.wire.strict_json import Json
from tests.covers import covers
from tests.proofs.forge import (
    ASSERTION,
    ES256,
    ISSUER,
    NOW,
    OTHER_ES256,
    PAIRS,
    PROOF,
    SECONDS,
)

KEYS = KeySet(tuple(key.public for key in PAIRS))
CLAIMS: dict[str, Json] = {
    "iss": ISSUER,
    "aud": "https://api.example",
    "exp": SECONDS + 600,
    "jti": "j",
}


@pytest.mark.parametrize("key", PAIRS, ids=lambda key: key.alg)
@covers("OAUTH-AT-01")
def test_a_token_of_ours_verifies_with_the_published_keys(key: Any) -> None:
    published = parse_jwks(render_jwks(KEYS))
    assert verify_access_token(
        sign_access_token(CLAIMS, key), keys=published, issuer=ISSUER, now=NOW
    ) == dict(CLAIMS)


@covers("OAUTH-AT-01", "OAUTH-JWT-06")
def test_no_other_kind_of_token_is_an_access_token() -> None:
    for typ in ("JWT", "dpop+jwt", "client-authentication+jwt", "oauth-id-jag+jwt"):
        with pytest.raises(BadToken):
            verify_access_token(sign_jws(CLAIMS, ES256, typ=typ), keys=KEYS, issuer=ISSUER)
    for compact in (ASSERTION.token(), PROOF.token(), "", "a.b.c"):
        with pytest.raises(BadToken):
            verify_access_token(compact, keys=KEYS, issuer=ISSUER)


@covers("OAUTH-JWT-09", "OAUTH-JWT-08")
def test_a_token_of_another_issuer_or_key_is_refused() -> None:
    for claims, key in (
        (CLAIMS | {"iss": "https://other.example"}, ES256),
        (CLAIMS | {"iss": ISSUER + "/"}, ES256),
        (CLAIMS | {"iss": [ISSUER]}, ES256),
        (CLAIMS, OTHER_ES256),
    ):
        with pytest.raises(BadToken):
            verify_access_token(sign_access_token(claims, key), keys=KEYS, issuer=ISSUER)


@covers("OAUTH-AT-08")
def test_expiry_is_judged_when_the_time_is_given() -> None:
    compact = sign_access_token(CLAIMS, ES256)
    late = NOW + timedelta(seconds=606)
    verify_access_token(compact, keys=KEYS, issuer=ISSUER)
    verify_access_token(compact, keys=KEYS, issuer=ISSUER, now=NOW + timedelta(seconds=604))
    with pytest.raises(BadToken):
        verify_access_token(compact, keys=KEYS, issuer=ISSUER, now=late)
    endless = sign_access_token({"iss": ISSUER}, ES256)
    verify_access_token(endless, keys=KEYS, issuer=ISSUER)
    with pytest.raises(BadToken):
        verify_access_token(endless, keys=KEYS, issuer=ISSUER, now=NOW)

"""`private_key_jwt`: what an assertion must say, and about whom."""

from datetime import timedelta
from typing import Any

import pytest

from abeyance.proofs.client_assertion import claimed_client_id, make_assertion
from abeyance.proofs.jwk import KeySet
from abeyance.proofs.jws import BadToken
from tests.covers import covers
from tests.proofs.forge import (
    ASSERTION,
    DROP,
    ED25519,
    ES256,
    ISSUER,
    NOW,
    OTHER_ES256,
    PAIRS,
    PROOF,
    PS256,
    RS256,
    SECONDS,
    URL,
    bare_jwk,
    judge_assertion,
)


def refused(compact: str, **judge: Any) -> None:
    with pytest.raises(BadToken):
        judge_assertion(compact, **judge)


def accepted(compact: str, **judge: Any) -> None:
    judge_assertion(compact, **judge)


def token(**claims: Any) -> str:
    return ASSERTION.token(claims=claims)


@covers("SEC-JOSE-04", "OAUTH-JWT-05", "OAUTH-CAUTH-16")
def test_a_key_in_the_header_is_refused_even_if_it_is_the_right_one() -> None:
    refused(ASSERTION.token(header={"jwk": bare_jwk(ES256)}))
    refused(ASSERTION.token(key=OTHER_ES256, header={"jwk": bare_jwk(OTHER_ES256)}))


KIDS = ["../../../../dev/null", "' UNION SELECT 'x", "\x00", "k" * 1000, "two", "unknown", ""]


@pytest.mark.parametrize("kid", [*KIDS, 1, None, ["one"]])
@covers("SEC-JOSE-05", "OAUTH-JWT-12")
def test_a_kid_is_compared_and_nothing_else(kid: Any) -> None:
    accepted(ASSERTION.token(header={"kid": "one"}))
    refused(ASSERTION.token(header={"kid": kid}))


@covers("SEC-JOSE-05", "OAUTH-JWT-10")
def test_a_token_without_kid_needs_a_single_fitting_key() -> None:
    nameless = ASSERTION.token(header={"kid": DROP})
    accepted(nameless, keys=KeySet((ES256.public, ED25519.public)))
    refused(nameless, keys=KeySet((OTHER_ES256.public, ES256.public)))


@covers("SEC-JOSE-20", "OAUTH-JWT-10")
def test_both_keys_of_one_kid_are_tried() -> None:
    keys = KeySet((OTHER_ES256.public, ES256.public))
    accepted(ASSERTION.token(), keys=keys)
    accepted(ASSERTION.token(key=OTHER_ES256), keys=keys)


@covers("SEC-JOSE-32", "OAUTH-JWT-09", "OAUTH-CAUTH-16")
def test_a_key_of_somebody_else_with_the_right_kid_is_refused() -> None:
    refused(ASSERTION.token(key=OTHER_ES256))
    refused(ASSERTION.token(), keys=KeySet((OTHER_ES256.public,)))
    refused(ASSERTION.token(), keys=KeySet(()))


@pytest.mark.parametrize(
    ("header", "good"),
    [
        ({"typ": "client-authentication+jwt"}, True),
        ({"typ": "application/client-authentication+jwt"}, True),
        ({"typ": "Client-Authentication+JWT"}, True),
        ({"typ": "JWT"}, True),
        ({"typ": "jwt"}, True),
        ({"typ": DROP}, True),
        ({"typ": "dpop+jwt"}, False),
        ({"typ": "at+jwt"}, False),
        ({"typ": "application/at+jwt"}, False),
        ({"typ": "oauth-authz-req+jwt"}, False),
        ({"typ": "oauth-id-jag+jwt"}, False),
        ({"typ": "text/jwt"}, False),
        ({"typ": "application/application/jwt"}, False),
        ({"typ": ""}, False),
        ({"typ": None}, False),
        ({"typ": 1}, False),
        ({"typ": ["JWT"]}, False),
    ],
)
@covers("SEC-JOSE-21", "OAUTH-CAUTH-15", "OAUTH-JWT-06")
def test_only_its_own_kinds_authenticate(header: dict[str, Any], good: bool) -> None:
    (accepted if good else refused)(ASSERTION.token(header=header))


@covers("SEC-JOSE-21", "OAUTH-CAUTH-15")
def test_a_proof_that_says_all_that_an_assertion_says_does_not_authenticate() -> None:
    both = {**ASSERTION.claims, **PROOF.claims}
    refused(PROOF.token(claims=both))
    refused(PROOF.token(claims=both, header={"kid": "one", "jwk": DROP}))


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "c2"},
        {"sub": "c2"},
        {"iss": "c2", "sub": "c2"},
        {"iss": DROP},
        {"sub": DROP},
        {"iss": "C1", "sub": "C1"},
        {"iss": ["c1"], "sub": ["c1"]},
        {"iss": None, "sub": None},
    ],
)
@covers("SEC-JOSE-21", "OAUTH-CAUTH-13", "OAUTH-JWT-08")
def test_issuer_and_subject_are_the_client(claims: dict[str, Any]) -> None:
    refused(token(**claims))


@pytest.mark.parametrize(
    "exp",
    [
        DROP,
        SECONDS - 6,
        SECONDS + 301,
        10**18,
        2**53 + 1,
        str(SECONDS + 60),
        True,
        None,
        -1,
        0,
        [SECONDS + 60],
    ],
)
@covers("SEC-JOSE-22", "OAUTH-CAUTH-13", "OAUTH-JWT-07")
def test_an_assertion_expires_soon(exp: Any) -> None:
    refused(token(exp=exp))


@pytest.mark.parametrize("exp", [b"1e400", b"NaN", b"Infinity", b"1" + b"0" * 400, b"1e300"])
@covers("SEC-JOSE-22", "OAUTH-JWT-07")
def test_a_time_is_a_number_that_fits(exp: bytes) -> None:
    claims = b'{"iss":"c1","sub":"c1","aud":"https://as.example","jti":"a","exp":%s}'
    accepted(ASSERTION.token(claims=claims % str(SECONDS + 60).encode()))
    refused(ASSERTION.token(claims=claims % exp))


@pytest.mark.parametrize("exp", [SECONDS - 4, SECONDS + 300, SECONDS + 0.5, float(SECONDS + 1)])
@covers("SEC-JOSE-22", "OAUTH-SEC-09", "OAUTH-JWT-07")
def test_expiries_that_are_taken(exp: Any) -> None:
    accepted(token(exp=exp))


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"nbf": SECONDS + 11}, False),
        ({"nbf": SECONDS + 10}, True),
        ({"nbf": "1"}, False),
        ({"nbf": True}, False),
        ({"iat": SECONDS + 11}, False),
        ({"iat": SECONDS + 10}, True),
        ({"iat": SECONDS - 10 * 365 * 86400}, True),
        ({"iat": DROP}, True),
        ({"iat": None}, False),
        ({"iat": 10**18}, False),
        ({"iat": -1e300}, False),
        ({"nbf": -(2.0**60)}, False),
    ],
)
@covers("SEC-JOSE-23", "OAUTH-CAUTH-13", "OAUTH-SEC-09", "OAUTH-FAPI-13")
def test_the_other_times_are_checked_if_present(claims: dict[str, Any], good: bool) -> None:
    (accepted if good else refused)(token(**claims))


@pytest.mark.parametrize("jti", [DROP, "", "j" * 257, 1, {}, None, True])
@covers("SEC-JOSE-24", "OAUTH-CAUTH-13")
def test_an_assertion_has_an_identifier(jti: Any) -> None:
    accepted(token(jti="j" * 256))
    refused(token(jti=jti))


@covers("SEC-JOSE-24", "OAUTH-CAUTH-17")
def test_an_identifier_is_used_up_for_one_client() -> None:
    mine = judge_assertion(token()).mark
    again = judge_assertion(token(exp=SECONDS + 200, iat=SECONDS - 5)).mark
    other = judge_assertion(token(iss="c2", sub="c2"), client_id="c2").mark
    assert mine.digest == again.digest
    assert other.digest != mine.digest
    assert judge_assertion(token(jti="other")).mark.digest != mine.digest


@covers("OAUTH-CAUTH-17", "OAUTH-SEC-09")
def test_a_mark_outlives_its_assertion() -> None:
    for exp in (SECONDS + 60, SECONDS + 60.999999):
        compact = token(exp=exp)
        until = judge_assertion(compact).mark.until
        accepted(compact, now=NOW + timedelta(seconds=exp - SECONDS + 4.999))
        refused(compact, now=until)


@pytest.mark.parametrize(
    "aud",
    [
        URL,
        [ISSUER, "https://evil.example"],
        [ISSUER, ISSUER],
        [URL],
        [],
        [[ISSUER]],
        ISSUER + "/",
        ISSUER.upper(),
        "https://other.example",
        {},
        {ISSUER: 1},
        DROP,
        None,
        "",
        1,
    ],
)
@covers("SEC-JOSE-31", "OAUTH-CAUTH-14", "OAUTH-JWT-08")
def test_the_audience_is_the_issuer_alone(aud: Any) -> None:
    refused(token(aud=aud))


@covers("SEC-JOSE-31", "OAUTH-CAUTH-14")
def test_audiences_that_are_taken() -> None:
    accepted(token(aud=ISSUER))
    accepted(token(aud=[ISSUER]))


@covers("OAUTH-CAUTH-14")
def test_a_legacy_client_may_name_the_token_endpoint_and_live_an_hour() -> None:
    old = token(aud=URL, exp=SECONDS + 3600)
    refused(old)
    accepted(old, legacy_audience=URL)
    accepted(token(aud=[URL]), legacy_audience=URL)
    accepted(token(aud=ISSUER), legacy_audience=URL)
    refused(token(aud=[ISSUER, URL]), legacy_audience=URL)
    refused(token(aud=URL + "/"), legacy_audience=URL)
    refused(token(aud=URL, exp=SECONDS + 3601), legacy_audience=URL)


@covers("OAUTH-CAUTH-16")
def test_the_registered_algorithm_is_the_only_one() -> None:
    for key in PAIRS:
        for alg in ("ES256", "EdDSA", "Ed25519", "PS256", "RS256"):
            same = alg == key.alg or {alg, key.alg} == {"EdDSA", "Ed25519"}
            (accepted if same else refused)(ASSERTION.token(key=key), signing_alg=alg)
        refused(ASSERTION.token(key=key), signing_alg="HS256")


@covers("OAUTH-CAUTH-18")
def test_no_allowed_algorithm_means_none() -> None:
    refused(ASSERTION.token(header={"alg": "HS256"}), signing_alg="HS256")
    refused(ASSERTION.token(header={"alg": "none"}, signature=b""), signing_alg="none")


@pytest.mark.parametrize("key", [ES256, ED25519, PS256, RS256], ids=lambda key: key.alg)
@covers("OAUTH-CAUTH-12")
def test_what_we_make_we_accept(key: Any) -> None:
    made = make_assertion(
        key, client_id="c1", audience=ISSUER, now=NOW, jti="j", lifetime=timedelta(seconds=60)
    )
    assert claimed_client_id(made) == "c1"
    assert judge_assertion(made).client_id == "c1"


@pytest.mark.parametrize(
    "claims",
    [{"sub": 1, "iss": 1}, {"sub": DROP}, {"iss": DROP}, {"iss": "c2"}, {"sub": None, "iss": None}],
)
@covers("OAUTH-CAUTH-13")
def test_a_claimed_client_is_one_string(claims: dict[str, Any]) -> None:
    with pytest.raises(BadToken):
        claimed_client_id(token(**claims))
    assert claimed_client_id(token()) == "c1"

"""DPoP proofs: method, URL, freshness, nonces, and what the replay memory is told."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from abeyance.proofs.dpop import DPOP_ALGORITHMS, VerifiedProof, make_proof, verify_proof
from abeyance.proofs.htu import normal_url
from abeyance.proofs.nonce import LIFE, SLOT, Nonces
from abeyance.wire.errors import InvalidDpopProof, UseDpopNonce
from abeyance.wire.secret import Secret
from tests.covers import covers
from tests.proofs.forge import (
    ASSERTION,
    DROP,
    ES256,
    NOW,
    OTHER_ES256,
    PAIRS,
    PROOF,
    SECONDS,
    URL,
    judge_proof,
)

NONCES = Nonces(b"n" * 32)


def judge(
    fields: str | Sequence[bytes],
    *,
    method: str = "POST",
    url: str = URL,
    now: datetime = NOW,
    nonces: Nonces | None = NONCES,
    require_nonce: bool = False,
    access_token: Secret | None = None,
) -> VerifiedProof:
    return verify_proof(
        [fields.encode()] if isinstance(fields, str) else fields,
        method=method,
        url=url,
        now=now,
        nonces=nonces,
        require_nonce=require_nonce,
        access_token=access_token,
    )


def refused(fields: str | Sequence[bytes], **options: Any) -> None:
    with pytest.raises(InvalidDpopProof):
        judge(fields, **options)


def token(**claims: Any) -> str:
    return PROOF.token(claims=claims)


@covers("SEC-JOSE-28", "OAUTH-DPOP-01")
def test_there_is_exactly_one_proof() -> None:
    good = token().encode()
    judge([good])
    for fields in (
        [],
        [good, good],
        [good, token(jti="other").encode()],
        [good + b", " + good],
        [good + b"," + good],
        [b""],
        [b","],
        [good, b""],
        [b" " + good],
        [b"DPoP " + good],
        [b"\xff" + good],
        ["é".encode("latin-1") + good],
    ):
        refused(fields)


@pytest.mark.parametrize("htm", ["post", "GET", "POST ", "", DROP, None, ["POST"], 1])
@covers("SEC-JOSE-28", "OAUTH-DPOP-04", "OAUTH-DPOP-05")
def test_the_method_is_that_of_the_request(htm: Any) -> None:
    refused(token(htm=htm))


@covers("OAUTH-DPOP-05")
def test_the_method_is_compared_not_assumed() -> None:
    judge(token(htm="GET"), method="GET")
    refused(token(), method="GET")


@pytest.mark.parametrize(
    "htu",
    [
        "https://as.example/token",
        "HTTPS://AS.EXAMPLE:443/token",
        "https://as.example/token?x=1#f",
        "https://as.example/token?",
        "https://as.example/token#f?x",
        "https://as.example/%74oken",
        "https://as.example/%74%6Fken",
        "https://as.example/a/../token",
        "https://as.example/./token",
        "https://as.example/a/%2E%2e/token",
        "https://as.example/../../token",
        "https://as.example:/token",
    ],
)
@covers("SEC-JOSE-29", "OAUTH-DPOP-06")
def test_other_spellings_of_the_url_are_the_url(htu: str) -> None:
    judge(token(htu=htu))


@pytest.mark.parametrize(
    "htu",
    [
        "http://as.example/token",
        "https://as.example:8443/token",
        "https://as.example:80/token",
        "https://as.example:0443/token",
        "https://as.example/token/",
        "https://as.example/TOKEN",
        "//as.example/token",
        "/token",
        "token",
        "https://as.example@evil.example/token",
        "https://u@as.example/token",
        "https://u:p@as.example/token",
        "https://@as.example/token",
        "https://as.example./token",
        "https://as.example/revoke",
        "https://evil.example/token",
        "https://as.example.evil.example/token",
        "https://as.example/token%2f",
        "https://as.example/token%00",
        "https://as.example/token%",
        "https://as.example/token%7",
        "https://as.example%2Ftoken",
        "https://as.example//token",
        "https://as.example/token/.",
        "https://as.example/token/..",
        "https://as.example/token;x",
        "https://as.ex\u0430mple/token",
        "https://xn--as-example/token",
        "https://as.example/to\tken",
        "https://as.example/token\t",
        " https://as.example/token",
        "https://as.example/token\n",
        "https://as.example\\token",
        "https:\\\\as.example\\token",
        "https:/as.example/token",
        "https:as.example/token",
        "https://as.example",
        "https://as.example/",
        "https:///token",
        "javascript:https://as.example/token",
        "https://as.example/token?\u00e9",
        "",
        DROP,
        None,
        1,
        ["https://as.example/token"],
    ],
)
@covers("SEC-JOSE-30", "OAUTH-DPOP-04", "OAUTH-DPOP-06")
def test_another_url_is_refused(htu: Any) -> None:
    refused(token(htu=htu))


@covers("SEC-JOSE-30", "OAUTH-DPOP-06")
def test_an_endpoint_below_a_path_or_on_a_port_is_compared_too() -> None:
    below = "https://as.example:8443/tenant/token"
    judge(token(htu=below), url=below)
    judge(token(htu="https://AS.example:8443/tenant/x/../token"), url=below)
    refused(token(htu="https://as.example/tenant/token"), url=below)
    refused(token(htu="https://as.example:8443/token"), url=below)
    judge(token(htu="http://[::1]:8080/token"), url="http://[::1]:8080/token")
    judge(token(htu="http://localhost:80/token"), url="http://localhost/token")


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://a.example", "https://a.example/"),
        ("https://a.example/a/.", "https://a.example/a/"),
        ("https://a.example/a/..", "https://a.example/"),
        ("https://a.example/a/b/../c/./d", "https://a.example/a/c/d"),
        ("https://a.example/%7Euser/%2f%2F/%3a", "https://a.example/~user/%2F%2F/%3A"),
        ("https://a.example/a%2F..%2Fb", "https://a.example/a%2F..%2Fb"),
        ("http://A.example:80?x", "http://a.example/"),
        ("ftp://a.example/", None),
        ("https://a.example/ü", None),
        ("https://a.example/ ", None),
    ],
)
@covers("OAUTH-DPOP-06")
def test_the_normal_form_of_a_url(url: str, normal: str | None) -> None:
    assert normal_url(url) == normal


@covers("OAUTH-DPOP-06")
def test_the_comparison_of_urls_takes_linear_time() -> None:
    # Long enough that a pattern which tries in every way would not come back at all.
    many = 200_000
    for ending in ("?" + "#" * many, "/" * many, "/." * many, "%41" * many, "a" * many):
        assert normal_url("https://as.example" + ending + "\x00") is None


@pytest.mark.parametrize(
    "iat",
    [
        SECONDS - 61,
        SECONDS + 11,
        str(SECONDS),
        "123",
        True,
        DROP,
        None,
        1e300,
        10**18,
        -1,
        0,
        [SECONDS],
    ],
)
@covers("SEC-JOSE-33", "OAUTH-DPOP-04", "OAUTH-DPOP-09")
def test_a_proof_is_from_now(iat: Any) -> None:
    refused(token(iat=iat), nonces=None)
    with pytest.raises((InvalidDpopProof, UseDpopNonce)):
        judge(token(iat=iat))


@pytest.mark.parametrize("iat", [SECONDS - 60, SECONDS + 10, SECONDS + 0.25, float(SECONDS)])
@covers("SEC-JOSE-33", "OAUTH-DPOP-09", "OAUTH-FAPI-13", "OAUTH-JWT-07")
def test_times_of_issue_that_are_taken(iat: Any) -> None:
    judge(token(iat=iat), nonces=None)


@covers("OAUTH-DPOP-09")
def test_exp_and_nbf_are_checked_if_present() -> None:
    judge(token(exp=SECONDS + 1, nbf=SECONDS))
    judge(token(exp=SECONDS - 4, nbf=SECONDS + 10))
    for claims in (
        {"exp": SECONDS - 6},
        {"nbf": SECONDS + 11},
        {"exp": "never"},
        {"nbf": True},
        {"exp": None},
    ):
        refused(token(**claims))


@pytest.mark.parametrize("jti", [DROP, "", "j" * 257, 1, None, {}, ["j"]])
@covers("OAUTH-DPOP-04")
def test_a_proof_has_an_identifier(jti: Any) -> None:
    judge(token(jti="j" * 256))
    judge(token(jti="\x01\u00fc"))
    refused(token(jti="\x00"))
    refused(token(jti=jti))


@pytest.mark.parametrize(
    ("typ", "good"),
    [
        ("dpop+jwt", True),
        ("DPoP+JWT", True),
        ("application/dpop+jwt", True),
        ("Application/DPOP+jwt", True),
        ("JWT", False),
        ("client-authentication+jwt", False),
        ("at+jwt", False),
        ("dpop", False),
        (" dpop+jwt", False),
        ("", False),
        (DROP, False),
        (None, False),
        (["dpop+jwt"], False),
    ],
)
@covers("SEC-JOSE-21", "OAUTH-DPOP-02", "OAUTH-JWT-06")
def test_a_proof_says_that_it_is_one(typ: Any, good: bool) -> None:
    compact = PROOF.token(header={"typ": typ})
    if good:
        judge(compact)
    else:
        refused(compact)


@covers("SEC-JOSE-21", "OAUTH-DPOP-02")
def test_an_assertion_is_no_proof() -> None:
    refused(ASSERTION.token())
    jwk = PROOF.header(ES256)["jwk"]
    both = {**ASSERTION.claims, **PROOF.claims}
    refused(ASSERTION.token(header={"jwk": jwk}, claims=both))


@pytest.mark.parametrize("jwk", [DROP, None, "x", [], {}, 1])
@covers("OAUTH-DPOP-02", "OAUTH-DPOP-03")
def test_a_proof_brings_its_key(jwk: Any) -> None:
    refused(PROOF.token(header={"jwk": jwk}))


@covers("OAUTH-DPOP-07")
def test_a_proof_is_signed_by_the_key_that_it_brings() -> None:
    refused(PROOF.token(key=OTHER_ES256, header={"jwk": PROOF.header(ES256)["jwk"]}))


@covers("OAUTH-DPOP-07")
def test_a_header_that_was_seen_before_proves_nothing_by_itself() -> None:
    # The key of a header is remembered; the signature must be checked every time.
    good = token()
    judge(good)
    judge(good)
    signed, _, signature = good.rpartition(".")
    refused(f"{signed}.{'A' * len(signature)}")
    refused(f"{good.split('.')[0]}.{token(jti='other').split('.', 1)[1]}"[:-6] + "AAAAAA")
    judge(good)


@covers("OAUTH-DPOP-18")
def test_unknown_members_and_claims_are_ignored() -> None:
    judge(PROOF.token(header={"kid": 7, "x": {"y": 1}}, claims={"x": [1], "aud": 5}))


@covers("OAUTH-DPOP-02")
def test_a_long_header_is_read_but_not_kept() -> None:
    compact = PROOF.token(header={"x": "x" * 3000})
    assert judge(compact).key.jkt == ES256.public.jkt


@covers("SEC-JOSE-34", "OAUTH-DPOP-12")
def test_the_same_proof_is_the_same_mark_however_it_is_spelled() -> None:
    first = judge(token()).mark
    for htu in (
        "https://as.example/token?x",
        "https://as.example:443/token",
        "https://AS.example/%74oken#f",
    ):
        assert judge(token(htu=htu)).mark.digest == first.digest
    assert judge(token(iat=SECONDS - 5)).mark.digest == first.digest
    assert judge(token(nonce=NONCES.mint_nonce(NOW))).mark.digest == first.digest


@covers("OAUTH-DPOP-12")
def test_another_key_identifier_or_endpoint_is_another_mark() -> None:
    there = "https://as.example/revoke"
    marks = {
        judge(token()).mark.digest,
        judge(token(jti="other")).mark.digest,
        judge(PROOF.token(key=OTHER_ES256)).mark.digest,
        judge(token(htu=there), url=there).mark.digest,
        judge(token(jti="abcdefghijklmnopqrstuv\x01")).mark.digest,
    }
    assert len(marks) == 5


@pytest.mark.parametrize("iat", [SECONDS + 10, SECONDS, SECONDS - 60, SECONDS + 9.999999])
@covers("SEC-JOSE-35", "OAUTH-DPOP-12", "OAUTH-SEC-09")
def test_a_mark_outlives_its_proof(iat: float) -> None:
    compact = token(iat=iat)
    until = judge(compact, nonces=None).mark.until
    last = NOW + timedelta(seconds=iat - SECONDS + 60)
    judge(compact, nonces=None, now=last)
    assert last < until <= last + timedelta(seconds=2)
    refused(compact, nonces=None, now=until)


@covers("SEC-JOSE-35", "OAUTH-DPOP-12")
def test_a_mark_with_a_nonce_outlives_the_nonce() -> None:
    compact = token(nonce=NONCES.mint_nonce(NOW))
    until = judge(compact).mark.until
    judge(compact, now=NONCES_START + LIFE - timedelta(microseconds=1))
    with pytest.raises(UseDpopNonce):
        judge(compact, now=NONCES_START + LIFE)
    assert until > NONCES_START + LIFE


_START = NONCES.accepts(NONCES.mint_nonce(NOW), NOW)
assert _START is not None
NONCES_START = _START


@pytest.mark.parametrize(
    "nonce",
    [
        "wrong",
        "",
        NONCES.mint_nonce(NOW - 2 * SLOT),
        NONCES.mint_nonce(NOW + SLOT),
        Nonces(b"r" * 32).mint_nonce(NOW),
        "A" * len(NONCES.mint_nonce(NOW)),
        NONCES.mint_nonce(NOW) + "A",
        NONCES.mint_nonce(NOW).swapcase(),
        [NONCES.mint_nonce(NOW)],
        None,
        1,
        "\u00fc",
    ],
)
@pytest.mark.parametrize("require_nonce", [False, True])
@covers("SEC-JOSE-37", "OAUTH-DPOP-08", "OAUTH-DPOP-16")
def test_a_nonce_that_is_not_ours_is_answered_with_a_fresh_one(
    nonce: Any, require_nonce: bool
) -> None:
    with pytest.raises(UseDpopNonce) as caught:
        judge(token(nonce=nonce), require_nonce=require_nonce)
    assert caught.value.headers() == (("DPoP-Nonce", NONCES.mint_nonce(NOW)),)
    judge(token(nonce=caught.value.nonce), require_nonce=True)


@covers("SEC-JOSE-37", "OAUTH-DPOP-08")
def test_the_present_nonce_and_the_one_before_are_accepted() -> None:
    judge(token(nonce=NONCES.mint_nonce(NOW)), require_nonce=True)
    judge(token(nonce=NONCES.mint_nonce(NOW - SLOT)), require_nonce=True)


@covers("OAUTH-DPOP-08")
def test_a_required_nonce_must_be_there() -> None:
    judge(token())
    with pytest.raises(UseDpopNonce):
        judge(token(), require_nonce=True)


@covers("OAUTH-DPOP-08")
def test_a_bad_proof_is_told_nothing_about_nonces() -> None:
    refused(token(htm="GET", nonce="wrong"), require_nonce=True)
    refused(PROOF.token(claims={"nonce": "wrong"}, signature=bytes(64)), require_nonce=True)


@covers("OAUTH-DPOP-09")
def test_our_nonce_stands_in_for_a_clock_that_is_wrong() -> None:
    fresh = NONCES.mint_nonce(NOW)
    judge(token(iat=SECONDS - 86400, nonce=fresh))
    judge(token(iat=SECONDS + 86400, nonce=fresh))
    with pytest.raises(UseDpopNonce):
        judge(token(iat=SECONDS - 61), require_nonce=True)
    refused(token(iat=SECONDS - 61))
    refused(token(iat="1", nonce=fresh))


def test_nonces_cannot_be_required_without_nonces() -> None:
    with pytest.raises(ValueError, match="nonces"):
        judge(token(), nonces=None, require_nonce=True)


@covers("OAUTH-DPOP-16")
def test_a_nonce_can_stand_in_a_header_and_does_not_tell_the_next() -> None:
    made = {NONCES.mint_nonce(NOW + k * SLOT) for k in range(100)}
    assert len(made) == 100
    for nonce in made:
        assert len(nonce) >= 22
        assert nonce.replace("-", "").replace("_", "").isalnum()
    assert NONCES.mint_nonce(NOW) == Nonces(b"n" * 32).mint_nonce(NOW)
    with pytest.raises(ValueError, match="32 bytes"):
        Nonces(b"short")


TOKEN = Secret("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU")


@pytest.mark.parametrize(
    "ath",
    [
        DROP,
        None,
        "",
        "AAAA",
        "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo=",
        "7d41f23b6af66770d9e7712c36b5816f4c565e868dcb9f4888a080aa4b26404a",
        ["fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"],
    ],
)
@covers("SEC-JOSE-39", "OAUTH-DPOP-10")
def test_a_proof_beside_a_token_is_for_that_token(ath: Any) -> None:
    right = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
    judge(token(ath=right), access_token=TOKEN)
    refused(token(ath=ath), access_token=TOKEN)
    refused(token(ath=right), access_token=Secret("another"))
    judge(token(ath=right))


@pytest.mark.parametrize("key", PAIRS, ids=lambda key: key.alg)
@covers("OAUTH-DPOP-02", "OAUTH-DPOP-10")
def test_what_we_make_we_accept(key: Any) -> None:
    made = make_proof(
        key,
        method="POST",
        url=URL + "?x=1#f",
        now=NOW,
        jti="j",
        nonce=NONCES.mint_nonce(NOW),
        access_token=TOKEN,
    )
    proof = judge(made, require_nonce=True, access_token=TOKEN)
    assert proof.key.jkt == key.public.jkt
    assert key.alg in DPOP_ALGORITHMS
    assert '"d"' not in made


@covers("OAUTH-DPOP-12")
def test_proofs_of_one_second_differ_by_their_identifier() -> None:
    one, two = (make_proof(ES256, method="POST", url=URL, now=NOW, jti=jti) for jti in "ab")
    assert judge_proof(one).mark.digest != judge_proof(two).mark.digest

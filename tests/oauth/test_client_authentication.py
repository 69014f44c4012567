"""Who calls: one way, the registered one, and one answer to every failure (OAUTH-CAUTH)."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.oauth.client_authentication import (
    AssertionShown,
    AuthenticatedClient,
    SecretShown,
    challenge,
    claimed_client,
    read_credentials,
    verify_credentials,
)
from abeyance.parties.client import Client
from abeyance.proofs.client_assertion import make_assertion
from abeyance.proofs.jwk import KeySet
from abeyance.proofs.jws import SIGNING_ALGORITHMS, sign_jws
from abeyance.wire.errors import InvalidClient, InvalidRequest
from abeyance.wire.form import Form
from abeyance.wire.strict_json import Json
from tests.covers import covers
from tests.oauth.examples import ISSUER, SECRET, TOKEN_ENDPOINT, client, form, key_pair

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEY = key_pair()
SIGNER = client(name="signer", method="private_key_jwt", secrets=(), keys=KeySet((KEY.public,)))
POSTER = client(name="poster", method="client_secret_post")


def basic(identifier: str = "batch", secret: str = SECRET, scheme: str = "Basic") -> bytes:
    """The header as RFC 6749 wants it, for what needs no escapes."""
    return raw_basic(f"{identifier}:{secret}".encode(), scheme)


def raw_basic(pair: bytes, scheme: str = "Basic") -> bytes:
    return f"{scheme} {base64.b64encode(pair).decode()}".encode()


def assertion(
    key_seed: int = 1,
    *,
    issuer: str = ISSUER,
    client_id: str = "signer",
    jti: str = "j1",
    at: datetime = NOW,
) -> str:
    return make_assertion(key_pair(key_seed), client_id=client_id, audience=issuer, now=at, jti=jti)


def assertion_form(token: str, kind: str = BEARER, **more: str) -> Form:
    return form(client_assertion=token, client_assertion_type=kind, **more)


def authenticate(
    known: Client | None, *headers: bytes, body: Form | None = None
) -> AuthenticatedClient:
    """Read and verify, as every endpoint does; `known` is what the look-up found."""
    sent = form() if body is None else body
    shown = read_credentials(headers, sent, issuer=ISSUER)
    return verify_credentials(
        shown,
        known if known is not None and claimed_client(shown) == known.id else None,
        sent,
        issuer=ISSUER,
        token_endpoint=TOKEN_ENDPOINT,
        now=NOW,
    )


def refuse(known: Client | None, *headers: bytes, body: Form | None = None) -> InvalidClient:
    with pytest.raises(InvalidClient) as refused:
        authenticate(known, *headers, body=body)
    return refused.value


# --- the ways that work


@covers("OAUTH-CAUTH-07")
@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", "bAsIc"])
def test_a_secret_in_the_header_authenticates_its_client(scheme: str) -> None:
    found = authenticate(client(), basic(scheme=scheme))
    assert found == AuthenticatedClient(client(), None)


@covers("OAUTH-CAUTH-09")
def test_a_secret_in_the_body_authenticates_a_client_registered_for_that() -> None:
    body = form(client_id="poster", client_secret=SECRET)
    assert authenticate(POSTER, body=body).client == POSTER


@covers("OAUTH-CAUTH-12", "OAUTH-CAUTH-13", "OAUTH-CAUTH-17")
def test_an_assertion_authenticates_its_client_and_leaves_a_mark_to_use_up() -> None:
    found = authenticate(SIGNER, body=assertion_form(assertion()))
    assert found.client == SIGNER
    assert found.mark is not None
    assert found.mark.until > NOW
    other = authenticate(SIGNER, body=assertion_form(assertion(jti="j2")))
    assert other.mark is not None
    assert other.mark.digest != found.mark.digest


@covers("OAUTH-CAUTH-10")
def test_both_secrets_work_while_one_replaces_the_other() -> None:
    known = client(secrets=("old-secret-of-32-characters-and-more", SECRET))
    authenticate(known, basic())
    authenticate(known, basic(secret="old-secret-of-32-characters-and-more"))
    refuse(known, basic(secret="older-secret"))


@covers("OAUTH-CAUTH-06")
def test_the_same_client_id_in_the_body_is_welcome() -> None:
    authenticate(client(), basic(), body=form(client_id="batch"))
    authenticate(SIGNER, body=assertion_form(assertion(), client_id="signer"))


# --- Basic, exactly


@covers("OAUTH-CAUTH-07", "SEC-TOK-19")
def test_each_half_is_form_decoded_on_its_own() -> None:
    odd = client(name="s1:a b", secrets=("x:+%/\u00e9~ y",))
    # U+00E9 lies outside VSCHAR, so that secret can never be shown.
    refuse(odd, raw_basic(b"s1%3Aa+b:x%3A%2B%25%2F%C3%A9%7E+y"))
    plain = client(name="s1:a b", secrets=("x:+%/~ y",))
    authenticate(plain, raw_basic(b"s1%3Aa+b:x%3A%2B%25%2F%7E+y"))
    authenticate(plain, raw_basic(b"s1%3aa%20b:x%3a%2b%25/~%20y"))


@covers("SEC-TOK-19")
def test_a_colon_that_is_not_escaped_belongs_to_nobody() -> None:
    # Read one way it is client `s1`, read the other way client `s1:sec`.
    for known in (client(name="s1", secrets=("sec:ret",)), client(name="s1:sec", secrets=("ret",))):
        refuse(known, raw_basic(b"s1:sec:ret"))
    authenticate(client(name="s1", secrets=("sec:ret",)), raw_basic(b"s1:sec%3Aret"))
    authenticate(client(name="s1:sec", secrets=("ret",)), raw_basic(b"s1%3Asec:ret"))


@covers("SEC-TOK-19", "OAUTH-CAUTH-07")
@pytest.mark.parametrize(
    "header",
    [
        b"Basic",
        b"Basic ",
        b"Basic =",
        b"Basic====",
        b"Basic YmF0Y2g6eA",  # padding missing
        b"Basic YmF0Y2g6eA=",
        b"Basic YmF0Y2g6eA===",
        b"Basic YmF0Y2g6eB==",  # bits behind the end
        b"Basic YmF0Y2g6eA==, Basic YmF0Y2g6eA==",
        b"Basic YmF0Y2g6\neA==",
        b"Basic YmF0 Y2g6eA==",
        b"Basic\tYmF0Y2g6eA==",
        b"Basic YmF0Y2g6eA== ",
        b"Basic YmF0Y2g6-_8=",  # the alphabet for URLs
        b"BasicYmF0Y2g6eA==",
        b"Basic \xff\xff",
        raw_basic(b"batch"),
        raw_basic(b":x"),
        raw_basic(b"batch:"),
        raw_basic(b":"),
        raw_basic(b"batch:%"),
        raw_basic(b"batch:%4"),
        raw_basic(b"batch:%zz"),
        raw_basic(b"batch:\xff"),
        raw_basic(b"batch:%ff"),
        raw_basic(b"batch:%00"),
        raw_basic(b"batch:x%0a"),
        raw_basic(b"batch:\xc3\xa9"),
        raw_basic(b"b\xc3\xa4tch:x"),
        raw_basic(b"batch\x00:x"),
        raw_basic(b"a" * 256 + b":x"),
    ],
)
def test_only_the_exact_encoding_is_read(header: bytes) -> None:
    with pytest.raises(InvalidClient):
        read_credentials([header], form(), issuer=ISSUER)


@covers("OAUTH-CAUTH-07")
@given(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=40),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=40),
)
def test_whatever_is_encoded_as_the_rfc_says_is_read_back(identifier: str, secret: str) -> None:
    def encoded(text: str) -> str:
        return "".join(each if each.isalnum() else f"%{ord(each):02X}" for each in text)

    pair = f"{encoded(identifier)}:{encoded(secret)}".encode()
    shown = read_credentials([raw_basic(pair)], form(), issuer=ISSUER)
    assert isinstance(shown, SecretShown)
    assert (shown.client_id, shown.digest) == (identifier, hashlib.sha256(secret.encode()).digest())


@covers("OAUTH-CAUTH-07")
@given(st.binary(max_size=60))
def test_any_bytes_in_the_header_are_an_answer_and_not_a_fault(value: bytes) -> None:
    for header in (value, b"Basic " + value, raw_basic(value)):
        try:
            read_credentials([header], form(), issuer=ISSUER)
        except (InvalidClient, InvalidRequest):
            continue


# --- more than one, or none


@covers("OAUTH-CAUTH-02", "SEC-TOK-18")
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ([basic()], form(client_secret=SECRET)),
        ([basic()], form(client_id="batch", client_secret=SECRET)),
        ([basic()], form(client_secret="wrong")),
        ([basic()], assertion_form(assertion())),
        ([basic()], form(client_assertion_type=BEARER)),
        ([], assertion_form(assertion(), client_secret=SECRET)),
        ([b"Basic !"], form(client_secret=SECRET)),
        ([basic(), basic()], form()),
        ([basic(), b"Bearer x"], form()),
        ([b"", b""], form()),
    ],
)
def test_two_ways_in_one_request_are_a_bad_request(headers: list[bytes], body: Form) -> None:
    with pytest.raises(InvalidRequest):
        read_credentials(headers, body, issuer=ISSUER)


@covers("OAUTH-CAUTH-03", "OAUTH-CAUTH-04", "OAUTH-CAUTH-05")
@pytest.mark.parametrize(
    "body",
    [
        form(),
        form(client_secret=SECRET),
        form(client_id="", client_secret=SECRET),
        form(client_id="b\u00e4tch", client_secret=SECRET),
        form(client_id="b" * 256, client_secret=SECRET),
    ],
)
def test_nothing_or_half_of_something_is_a_failure(body: Form) -> None:
    with pytest.raises(InvalidClient):
        read_credentials([], body, issuer=ISSUER)


@pytest.mark.parametrize("header", [b"Bearer abc", b"DPoP abc", b"Negotiate", b""])
def test_a_header_of_another_scheme_is_no_way_of_ours(header: bytes) -> None:
    body = form(client_id="poster", client_secret=SECRET)
    authenticate(POSTER, header, body=body)
    with pytest.raises(InvalidClient):
        read_credentials([header], form(), issuer=ISSUER)
    # Without a secret it is a name, which lets in only who has none.
    with pytest.raises(InvalidClient):
        authenticate(POSTER, header, body=form(client_id="poster"))


# --- the registered way only


@covers("OAUTH-CAUTH-03", "T-105")
@pytest.mark.parametrize(
    ("known", "headers", "body"),
    [
        (client(), [], form(client_id="batch", client_secret=SECRET)),
        (POSTER, [basic("poster")], form()),
        (client(name="signer", method="private_key_jwt"), [basic("signer")], form()),
        (
            client(name="signer", keys=KeySet((KEY.public,))),
            [],
            assertion_form(assertion()),
        ),
        (client(method="none"), [basic()], form()),
    ],
)
def test_a_right_secret_shown_the_wrong_way_is_a_failure(
    known: Client, headers: list[bytes], body: Form
) -> None:
    refuse(known, *headers, body=body)


@covers("OAUTH-CAUTH-06")
@pytest.mark.parametrize("other", ["Batch", "batch ", "other"])
def test_another_client_id_in_the_body_is_a_failure(other: str) -> None:
    refuse(client(), basic(), body=form(client_id=other))
    refuse(SIGNER, body=assertion_form(assertion(), client_id=other))


@covers("OAUTH-CAUTH-01")
def test_a_disabled_client_fails_like_any_other() -> None:
    assert str(refuse(client(enabled=False), basic())) == str(refuse(None, basic()))


@covers("OAUTH-CAUTH-10")
@pytest.mark.parametrize(
    "secret", [SECRET[:-1], SECRET + "x", SECRET.upper(), "x" * len(SECRET), "x"]
)
def test_a_secret_counts_in_full(secret: str) -> None:
    refuse(client(), basic(secret=secret))


# --- assertions


@covers("OAUTH-CAUTH-12")
@pytest.mark.parametrize(
    "body",
    [
        form(client_assertion=assertion()),
        form(client_assertion_type=BEARER),
        assertion_form(assertion(), kind=BEARER.upper()),
        assertion_form(
            assertion(), kind="urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
        ),
        assertion_form("x"),
        assertion_form("a.b"),
        assertion_form("a.b.c"),
        assertion_form(assertion() + ".x"),
    ],
)
def test_what_is_not_one_compact_assertion_of_the_one_type_is_a_failure(body: Form) -> None:
    refuse(SIGNER, body=body)


@covers("OAUTH-CAUTH-13", "OAUTH-CAUTH-14", "OAUTH-CAUTH-16")
@pytest.mark.parametrize(
    "token",
    [
        assertion(key_seed=2),
        assertion(issuer=TOKEN_ENDPOINT),
        assertion(issuer=ISSUER + "/"),
        assertion(client_id="batch"),
        assertion(at=NOW - timedelta(minutes=10)),
        assertion(at=NOW + timedelta(minutes=10)),
    ],
)
def test_an_assertion_that_does_not_hold_is_a_failure(token: str) -> None:
    authenticate(SIGNER, body=assertion_form(assertion()))  # its twin that holds
    refuse(SIGNER, body=assertion_form(token))


@covers("OAUTH-CAUTH-14")
def test_the_token_endpoint_is_an_audience_for_whom_that_is_registered_only() -> None:
    old = client(
        name="signer",
        method="private_key_jwt",
        secrets=(),
        keys=KeySet((KEY.public,)),
        legacy=True,
    )
    body = assertion_form(assertion(issuer=TOKEN_ENDPOINT))
    authenticate(old, body=body)
    refuse(SIGNER, body=body)


@covers("OAUTH-CAUTH-15")
def test_another_kind_of_signed_token_never_authenticates() -> None:
    moment = int(NOW.timestamp())
    claims: dict[str, Json] = {
        "iss": "signer",
        "sub": "signer",
        "aud": ISSUER,
        "iat": moment,
        "exp": moment + 60,
        "jti": "j",
    }
    for typ, holds in [("client-authentication+jwt", True), ("dpop+jwt", False), ("at+jwt", False)]:
        body = assertion_form(sign_jws(claims, KEY, typ=typ))
        if holds:
            authenticate(SIGNER, body=body)
        else:
            refuse(SIGNER, body=body)


@covers("OAUTH-CAUTH-16", "OAUTH-META-05")
def test_the_registered_algorithm_binds() -> None:
    strict = client(
        name="signer",
        method="private_key_jwt",
        secrets=(),
        keys=KeySet((KEY.public,)),
        assertion_alg="ES256",
    )
    refuse(strict, body=assertion_form(assertion()))


@covers("OAUTH-CAUTH-18")
def test_no_symmetric_algorithm_and_no_none_is_among_the_accepted() -> None:
    assert not [alg for alg in SIGNING_ALGORITHMS if alg.startswith("HS") or alg == "none"]


@covers("OAUTH-CAUTH-13")
def test_what_an_assertion_claims_is_only_a_claim() -> None:
    shown = read_credentials([], assertion_form(assertion(key_seed=2)), issuer=ISSUER)
    assert isinstance(shown, AssertionShown)
    assert claimed_client(shown) == "signer"
    refuse(SIGNER, body=assertion_form(assertion(key_seed=2)))


# --- one answer


@covers("OAUTH-CAUTH-01", "SEC-TOK-29", "DTR-ERR-10")
def test_every_failure_has_the_same_words_and_the_issuers_challenge() -> None:
    failures = [
        refuse(None, basic()),
        refuse(client(), basic(secret="wrong")),
        refuse(client(), basic("nobody")),
        refuse(POSTER, basic("poster")),
        refuse(client(enabled=False), basic()),
        refuse(client(), basic(), body=form(client_id="evil.example")),
        refuse(SIGNER, body=assertion_form(assertion(key_seed=2))),
        refuse(None, body=assertion_form(assertion())),
    ]
    seen = {(each.status, each.error, each.description, each.headers()) for each in failures}
    assert seen == {
        (
            401,
            "invalid_client",
            "Client authentication failed",
            (("WWW-Authenticate", 'Basic realm="https://as.example", charset="UTF-8"'),),
        )
    }
    assert challenge(ISSUER) == failures[0].challenge


@covers("OAUTH-CAUTH-10")
@pytest.mark.parametrize(
    "known",
    [None, client(), client(secrets=()), POSTER, client(enabled=False), SIGNER],
    ids=["unknown", "known", "without secret", "other method", "disabled", "with keys"],
)
def test_a_client_that_is_not_known_costs_the_same_comparison(
    known: Client | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = count(monkeypatch)
    identifier = "batch" if known is None else known.id
    refuse(known, basic(identifier, secret="wrong"))
    assert compared() == 1


@covers("OAUTH-CAUTH-10")
@pytest.mark.parametrize("secret", ["first-of-two", "second-of-two", "neither"])
def test_every_valid_secret_is_compared_whichever_it_is(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = count(monkeypatch)
    known = client(secrets=("first-of-two", "second-of-two"))
    if secret == "neither":
        refuse(known, basic(secret=secret))
    else:
        authenticate(known, basic(secret=secret))
    assert compared() == 2


def count(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Count the comparisons in constant time, which go on being made."""
    calls: list[tuple[bytes, bytes]] = []

    def compare_digest(one: bytes, other: bytes) -> bool:
        calls.append((one, other))
        assert len(one) == len(other) == 32
        return real(one, other)

    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare_digest)
    return lambda: len(calls)


@covers("DTR-SEC-05", "SEC-STORE-13")
def test_what_was_shown_does_not_show_itself() -> None:
    shown = read_credentials([basic()], form(), issuer=ISSUER)
    assert SECRET not in repr(shown)
    token = assertion()
    assert token not in repr(read_credentials([], assertion_form(token), issuer=ISSUER))

"""Whatever is changed in a good token: a refusal, or the same proof, and nothing else."""

from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from abeyance.proofs.client_assertion import claimed_client_id
from abeyance.proofs.dpop import verify_proof
from abeyance.proofs.htu import normal_url
from abeyance.proofs.jwk import BadKey, parse_jwks, parse_private_jwk, parse_public_jwk
from abeyance.proofs.jws import BadToken
from abeyance.proofs.nonce import Nonces
from abeyance.wire.errors import InvalidDpopProof, UseDpopNonce
from tests.covers import covers
from tests.proofs.forge import ASSERTION, NOW, PAIRS, PROOF, URL, Entry

NONCES = Nonces(b"n" * 32)
GOOD = {
    (entry.name, key.alg): entry.token(key=key) for entry in (ASSERTION, PROOF) for key in PAIRS
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def _splice(text: str, at: int, drop: int, put: str) -> str:
    at %= len(text) + 1
    return text[:at] + put + text[at + drop :]


both = pytest.mark.parametrize("entry", [ASSERTION, PROOF], ids=lambda entry: entry.name)
alphabet = st.sampled_from("AQgwx-_.=+/ \n\x00\u00e9{")


@both
@hypothesis.given(
    key=st.sampled_from(PAIRS),
    changes=st.lists(
        st.tuples(st.integers(0, 4000), st.integers(0, 3), st.text(alphabet, max_size=3)),
        min_size=1,
        max_size=4,
    ),
)
@covers("SEC-JOSE-11", "SEC-JOSE-12", "OAUTH-JWT-02")
def test_a_changed_token_is_refused(
    entry: Entry, key: Any, changes: list[tuple[int, int, str]]
) -> None:
    good = changed = GOOD[entry.name, key.alg]
    for change in changes:
        changed = _splice(changed, *change)
    if changed == good:
        return
    # No signature scheme here lets a stranger change one: not even its last bits.
    with pytest.raises(entry.refusal):
        entry.verify(changed)
    _only(BadToken, lambda: claimed_client_id(changed))


MEMBERS = ("alg", "typ", "jwk", "kid", "crit", "iss", "sub", "aud", "exp", "nbf", "iat", "jti")


@both
@hypothesis.given(
    header=st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=3),
    claims=st.dictionaries(st.sampled_from((*MEMBERS, "htm", "htu", "nonce", "ath")), JSON),
)
@covers("SEC-JOSE-12", "OAUTH-JWT-07")
def test_a_well_signed_token_of_anything_is_judged(
    entry: Entry, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    compact = entry.token(header=header, claims=claims)
    _only(entry.refusal, lambda: entry.verify(compact))
    _only(BadToken, lambda: claimed_client_id(compact))


@hypothesis.given(fields=st.lists(st.binary(max_size=200), max_size=2), required=st.booleans())
@covers("OAUTH-DPOP-01")
def test_any_bytes_in_the_field_are_judged(fields: list[bytes], required: bool) -> None:
    with pytest.raises((InvalidDpopProof, UseDpopNonce)):
        verify_proof(fields, method="POST", url=URL, now=NOW, nonces=NONCES, require_nonce=required)


KEY_MEMBERS = ("kty", "crv", "x", "y", "n", "e", "d", "use", "key_ops", "alg", "kid", "k", "p")


@hypothesis.given(
    key=st.sampled_from(PAIRS),
    change=st.dictionaries(st.sampled_from(KEY_MEMBERS), JSON, max_size=3),
)
@covers("SEC-JOSE-19")
def test_any_key_is_judged(key: Any, change: dict[str, Any]) -> None:
    jwk = {**key.public.jwk, **change}
    _only(BadKey, lambda: parse_public_jwk(jwk))
    _only(BadKey, lambda: parse_private_jwk(jwk))
    _only(BadKey, lambda: parse_jwks({"keys": [jwk]}))


@hypothesis.given(st.text(st.sampled_from("https://a.e%20:?#@[]\\\t\u0430"), max_size=40))
@covers("OAUTH-DPOP-06")
def test_a_normal_url_is_its_own_normal_form(text: str) -> None:
    for url in (text, "https://" + text, "https://a.example/" + text):
        normal = normal_url(url)
        assert normal is None or normal_url(normal) == normal


def _only(refusal: type[Exception], judge: Callable[[], object]) -> None:
    """Any other exception escapes and fails the test."""
    try:
        judge()
    except refusal:
        return

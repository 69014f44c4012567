"""Canonical JSON: one text for one value (RFC 8785)."""

import hashlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.access.canonical import canonical_json, digest
from abeyance.wire.base64url import parse_base64url
from abeyance.wire.strict_json import Json, NotStrictJson, parse_json
from tests.covers import covers

_NUMBERS = st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1) | st.floats(
    allow_nan=False, allow_infinity=False
)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)


def test_the_published_example_is_reproduced() -> None:
    # RFC 8785 §3.2.2 and §3.2.3.
    value: Json = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    assert canonical_json(value).decode() == (
        '{"literals":[null,true,false],'
        '"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_names_are_sorted_by_their_utf16_units() -> None:
    # RFC 8785 §3.2.3: a character beyond the base plane sorts by its surrogates.
    value: Json = {"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3, "1": 4, "\r": 5}
    assert list(json.loads(canonical_json(value))) == ["\r", "1", "\u20ac", "\U0001f600", "\ufb33"]


@given(VALUES)
def test_reading_the_text_back_and_writing_it_again_changes_nothing(value: Json) -> None:
    text = canonical_json(value)
    # JSON does not tell 1e20 from an integer too large for us, so all are read as floats.
    assert canonical_json(json.loads(text, parse_int=float)) == text


@given(st.dictionaries(_TEXTS, _NUMBERS, min_size=2, max_size=6), st.randoms())
def test_the_order_of_names_does_not_matter(value: dict[str, float], random: object) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


def test_numbers_that_are_equal_are_written_alike() -> None:
    assert canonical_json([1.0, 10.0, -0.0, 1e2]) == canonical_json([1, 10, 0, 100])


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53, -(2**53), 2**64])
def test_a_number_that_other_readers_would_change_is_refused(value: float) -> None:
    with pytest.raises(ValueError):
        canonical_json({"n": value})


@covers("OAUTH-PARAM-09", "EXT-EVID-02")
@pytest.mark.parametrize("sign", [1, -1])
def test_every_whole_number_that_is_read_can_be_written(sign: int) -> None:
    largest = sign * (2**53 - 1)
    assert canonical_json(parse_json(str(largest))) == str(largest).encode()
    with pytest.raises(NotStrictJson):
        parse_json(str(largest + sign))


@covers("EXT-EVID-02")
@given(VALUES)
def test_a_digest_is_the_sha256_of_the_canonical_text(value: Json) -> None:
    prefix, _, text = digest(value).rpartition(":")
    assert prefix == "sha-256"
    assert parse_base64url(text) == hashlib.sha256(canonical_json(value)).digest()


@covers("OAUTH-PARAM-09")
@pytest.mark.parametrize("number", ["9007199254740991", "-9007199254740991", "1.7e308", "0.1"])
def test_what_strict_json_accepts_has_a_canonical_text(number: str) -> None:
    assert canonical_json(parse_json(f'{{"n":{number}}}'))

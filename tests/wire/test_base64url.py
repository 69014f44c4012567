"""Base64url: one text for one value (RFC 4648 §5, RFC 7515 §2)."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.wire.base64url import parse_base64url, render_base64url

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(st.binary(min_size=1))
def test_what_is_rendered_is_parsed(value: bytes) -> None:
    text = render_base64url(value)
    assert parse_base64url(text) == value
    assert set(text) <= set(_ALPHABET)


@given(st.text(_ALPHABET, min_size=1, max_size=12))
def test_no_value_has_two_spellings(text: str) -> None:
    try:
        value = parse_base64url(text)
    except ValueError:
        return
    assert render_base64url(value) == text


@given(st.text(max_size=12))
def test_any_text_is_parsed_or_refused_without_being_repeated(text: str) -> None:
    refused = None
    try:
        parse_base64url(text)
    except ValueError as error:
        refused = error
    assert type(refused) in (type(None), ValueError)
    assert str(refused) in ("None", "not base64url", "not canonical base64url")


@pytest.mark.parametrize(
    "text",
    [
        "", "A", "AAAAA", "AA==", "AA=", "AAA=", "=", "AB", "AAB", "A+A-", "A/AA", "AA AA", " AAAA",
        "AAAA ", "AAAA\n", "AA\nAA", "AAA\u0660", "\uff21\uff21", "AA.AA", "AAAA%", "AAAA\0",
    ],
)  # fmt: skip
def test_only_the_canonical_spelling_is_taken(text: str) -> None:
    with pytest.raises(ValueError, match=r"not (canonical )?base64url"):
        parse_base64url(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("AA", b"\0"), ("AAA", b"\0\0"), ("AAAA", b"\0\0\0"), ("-_-_", b"\xfb\xff\xbf"), ("Zg", b"f")],
)
def test_the_canonical_spelling_is_taken(text: str, value: bytes) -> None:
    assert parse_base64url(text) == value
    assert base64.urlsafe_b64encode(value).decode().rstrip("=") == text

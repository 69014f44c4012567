"""User codes: their letters, their chance, and how people's typing is read."""

import hashlib
from collections import Counter

import pytest

from abeyance.pending.user_code import (
    ALPHABET,
    DRAWN_BYTES,
    draw_user_code,
    hash_user_code,
    normalize_user_code,
    show_user_code,
)
from tests.covers import covers


@covers("DEV-T07", "DEV-UC-01")
def test_ten_thousand_codes_have_every_letter_equally_often() -> None:
    seen: Counter[str] = Counter()
    codes = set()
    for number in range(10_000):
        code = draw_user_code(hashlib.sha256(b"%d" % number).digest())
        assert code is not None
        assert len(code) == 8
        codes.add(code)
        seen.update(code)
    assert set(seen) == set(ALPHABET)
    assert len(codes) == 10_000
    mean = 80_000 / len(ALPHABET)
    chi_square = sum((count - mean) ** 2 / mean for count in seen.values())
    assert chi_square < 43.8, "0.1 % of fair draws are worse, at 19 degrees of freedom"


@covers("DEV-T07", "DEV-UC-01")
def test_bytes_that_would_favour_a_letter_are_left_out() -> None:
    assert draw_user_code(bytes([240, 255] * 12 + list(range(8)))) == ALPHABET[:8]
    assert draw_user_code(bytes([255] * DRAWN_BYTES)) is None


@covers("DEV-T08", "DEV-UC-03")
@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("WDJB-MJHT", "WDJBMJHT"),
        ("wdjb mjht", "WDJBMJHT"),
        ("WDJB\u2013MJHT\t", "WDJBMJHT"),
        ("\uff37\uff24\uff2a\uff22\uff2d\uff2a\uff28\uff34", "WDJBMJHT"),
        ("WDJB-MJH1", None),
        ("WDJB-MJH\u0131", None),
        ("WDJB-MJH\u1e9e", None),
        ("", None),
        ("W" * 1000, None),
    ],
)
def test_typing_is_folded_and_look_alikes_are_not(typed: str, read: str | None) -> None:
    assert normalize_user_code(typed) == read


@covers("DEV-UC-02")
def test_a_code_rests_under_a_key() -> None:
    assert hash_user_code("WDJBMJHT", b"a" * 32) != hash_user_code("WDJBMJHT", b"b" * 32)
    assert show_user_code("WDJBMJHT") == "WDJB-MJHT"

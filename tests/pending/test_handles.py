"""Handles: a home and a secret, without visible meaning (DTR-RESP-02, OAUTH-DEFER-07)."""

import base64
import hashlib
import json
import os
import re
import string
import uuid
from collections import Counter
from enum import StrEnum
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.pending.handles import (
    LENGTH,
    HandleKind,
    Home,
    mint_handle,
    parse_handle,
)
from tests.covers import covers
from tests.pending.examples import CODE, HANDLE, HOME, SECRET

KIND = HandleKind.DEFERRAL_CODE


class OtherKind(StrEnum):
    """Kinds that other faces will have."""

    DEVICE_CODE = "device_code"
    AUTH_REQ_ID = "auth_req_id"


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32))
def test_a_handle_that_was_given_is_recognised(home: bytes, secret: bytes) -> None:
    code, handle = mint_handle(KIND, Home(home), secret)
    assert parse_handle(KIND, code.reveal()) == handle
    assert handle.home == home


@covers("DTR-SEC-05", "SEC-STORE-15")
def test_a_handle_rests_as_a_hash_over_its_kind_and_all_of_it() -> None:
    assert HANDLE.digest == hashlib.sha256(b"deferral_code\x00" + HOME + SECRET).digest()
    assert SECRET not in repr(HANDLE).encode()
    assert CODE.reveal() not in f"{CODE} {CODE!r} {HANDLE!r}"


@covers("OAUTH-DEFER-07")
def test_no_kind_is_ever_found_where_another_is_expected() -> None:
    text = CODE.reveal()
    kinds = [KIND, *(cast(HandleKind, kind) for kind in OtherKind)]
    found = [parse_handle(kind, text) for kind in kinds]
    assert found[0] == HANDLE
    assert len({each.digest for each in found if each is not None}) == len(kinds)


@covers("OAUTH-DEFER-07")
@pytest.mark.parametrize(
    ("home", "secret"), [(15, 33), (17, 31), (17, 32), (16, 31), (0, 48), (16, 0)]
)
def test_a_handle_of_another_size_is_never_made(home: int, secret: int) -> None:
    with pytest.raises(ValueError):
        mint_handle(KIND, Home(bytes(home)), bytes(secret))


@covers("SEC-TOK-25", "T-104", "SEC-TOK-11")
@pytest.mark.parametrize(
    "text",
    [
        "",
        CODE.reveal()[:42],
        CODE.reveal() * 2,
        CODE.reveal() + " ",
        " " + CODE.reveal()[1:],
        CODE.reveal()[:-1],
        CODE.reveal()[:-1] + "=",
        CODE.reveal()[:-1] + "+",
        CODE.reveal()[:-1] + "/",
        CODE.reveal()[:-1] + "\n",
        CODE.reveal()[:-1] + "\u00e9",
        CODE.reveal()[:-1] + "\uff21",
        "%41" + CODE.reveal()[3:],
        "." * LENGTH,
    ],
)
def test_text_that_no_handle_can_have_is_no_handle(text: str) -> None:
    assert parse_handle(KIND, text) is None


@covers("SEC-TOK-25", "T-104", "OAUTH-PARAM-05")
def test_a_letter_in_the_other_case_makes_another_handle() -> None:
    text = CODE.reveal()
    letters = [place for place, letter in enumerate(text) if letter.isalpha()]
    for place in letters:
        swapped = text[:place] + text[place].swapcase() + text[place + 1 :]
        assert parse_handle(KIND, swapped) != HANDLE


@covers("DTR-RESP-02", "SEC-STORE-15", "T-078")
def test_a_thousand_handles_are_unique_even_in_one_home() -> None:
    home = Home(os.urandom(16))
    codes = {mint_handle(KIND, home, os.urandom(32))[0].reveal() for _ in range(1000)}
    assert len(codes) == 1000


@covers("DTR-RESP-02", "DTR-INV-05", "T-078")
def test_handles_look_like_chance_in_every_place() -> None:
    # Seeded, so that a test of chance is not a matter of chance.
    chance = hashlib.shake_256(b"handles").digest(1000 * 48)
    codes = [
        mint_handle(KIND, Home(chance[at : at + 16]), chance[at + 16 : at + 48])[0].reveal()
        for at in range(0, len(chance), 48)
    ]
    assert all(len(code) == LENGTH == 64 for code in codes)
    assert set("".join(codes)) == set(string.ascii_letters + string.digits + "-_")
    for place in range(LENGTH):
        seen = Counter(code[place] for code in codes)
        expected = len(codes) / 64
        chi_square = (
            sum((seen[symbol] - expected) ** 2 / expected for symbol in seen)
            + (64 - len(seen)) * expected
        )
        # 63 degrees of freedom; the mean of the worst of 64 places is about 95.
        assert chi_square < 130


@covers("DTR-RESP-02", "DTR-INV-05", "T-079")
def test_a_handle_is_no_uuid_no_jwt_and_tells_nothing_but_its_bytes() -> None:
    text = CODE.reveal()
    with pytest.raises(ValueError):
        uuid.UUID(text)
    assert "." not in text
    assert base64.urlsafe_b64decode(text) == HOME + SECRET
    with pytest.raises(ValueError):
        json.loads(base64.urlsafe_b64decode(mint_handle(KIND, HOME, b"\xff" * 32)[0].reveal()))
    assert re.fullmatch(r"[\x21-\x7e]{22,}", text)


@covers("DTR-INV-05")
def test_equal_bytes_make_equal_handles_so_nothing_else_flows_in() -> None:
    again, handle = mint_handle(KIND, HOME, SECRET)
    assert again.reveal() == CODE.reveal()
    assert handle == HANDLE

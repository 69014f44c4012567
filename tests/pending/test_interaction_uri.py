"""The address of an interaction proves that we made it, and where it belongs (DTR-IURI)."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from abeyance.pending.handles import HandleKind, Home, mint_handle, parse_handle
from abeyance.pending.interaction_uri import Place, mint_interaction, parse_interaction
from abeyance.pending.request import Key
from abeyance.wire.base64url import parse_base64url, render_base64url
from tests.covers import covers
from tests.pending.examples import CODE, HOME

SERVER_KEY = bytes(range(32))
PLACE = Place(Key(HOME, 1), 1)
PLACES = st.builds(
    lambda home, n, number: Place(Key(Home(home), n), number),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**16 - 1),
)


def text_of(place: Place, key: bytes = SERVER_KEY) -> str:
    return mint_interaction(place, key).reveal()


@covers("DTR-IURI-02", "EXT-INTERACT-14")
@given(PLACES, PLACES)
def test_each_interaction_has_one_address_and_no_two_share_it(one: Place, other: Place) -> None:
    assert parse_interaction(text_of(one), SERVER_KEY) == one
    assert (text_of(one) == text_of(other)) == (one == other)


@covers("DTR-IURI-03")
def test_the_address_is_the_same_each_time_it_is_shown() -> None:
    assert text_of(PLACE) == text_of(PLACE)


@covers("EXT-INTERACT-14", "DTR-IURI-03")
def test_a_later_interaction_of_the_request_has_another_address() -> None:
    texts = {text_of(Place(PLACE.key, number)) for number in range(1, 20)}
    assert len(texts) == 19


@covers("DTR-IURI-02", "EXT-INTERACT-03")
def test_no_bit_of_it_can_be_changed() -> None:
    raw = parse_base64url(text_of(PLACE))
    for place in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[place // 8] ^= 1 << place % 8
        assert parse_interaction(render_base64url(bytes(changed)), SERVER_KEY) is None
    for length in range(len(raw)):
        assert parse_interaction(render_base64url(raw[:length]), SERVER_KEY) is None
    assert parse_interaction(render_base64url(raw + b"\0"), SERVER_KEY) is None


@covers("DTR-IURI-02")
def test_an_address_of_another_server_is_none_of_ours() -> None:
    assert parse_interaction(text_of(PLACE, bytes(32)), SERVER_KEY) is None


@covers("DTR-IURI-02", "EXT-INTERACT-03")
@given(st.text(max_size=120))
def test_no_text_is_an_address_by_chance(text: str) -> None:
    assert parse_interaction(text, SERVER_KEY) is None


@covers("EXT-INTERACT-03", "EXT-INTERACT-07")
@given(st.integers(0, 2**64).map(lambda seed: hashlib.shake_256(b"%d" % seed).digest(48)))
def test_the_address_is_no_handle_and_shows_no_part_of_one(chance: bytes) -> None:
    home, secret = chance[:16], chance[16:]
    text = text_of(Place(Key(Home(home), 1), 1))
    for kind in HandleKind:
        code, _ = mint_handle(kind, Home(home), secret)
        assert parse_handle(kind, text) is None
        assert parse_interaction(code.reveal(), SERVER_KEY) is None
        shared = {code.reveal()[at : at + 12] for at in range(len(code.reveal()) - 11)}
        assert not any(part in text for part in shared)


@covers("EXT-INTERACT-03")
def test_the_address_is_a_secret_to_logs() -> None:
    assert text_of(PLACE) not in repr(mint_interaction(PLACE, SERVER_KEY))
    assert CODE.reveal() not in text_of(PLACE)

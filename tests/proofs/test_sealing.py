"""What is sealed opens with its key, at its place, and whole (OAUTH-SEC-05)."""

from hypothesis import given
from hypothesis import strategies as st

from abeyance.proofs.sealing import NONCE_BYTES, key_of, seal, unseal
from abeyance.wire.secret import Secret
from tests.covers import covers

KEY = bytes(range(32))
NONCE = bytes(NONCE_BYTES)
TEXTS = st.text(max_size=80).map(Secret)


def revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()


@covers("OAUTH-SEC-05")
@given(
    TEXTS,
    st.binary(min_size=32, max_size=32),
    st.binary(max_size=20),
    st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES),
)
def test_what_is_sealed_opens_where_it_belongs(
    value: Secret, key: bytes, about: bytes, nonce: bytes
) -> None:
    sealed = seal(value, key, about=about, nonce=nonce)
    assert revealed(unseal(sealed, key, about=about)) == value.reveal()


@covers("OAUTH-SEC-05")
def test_another_key_or_another_place_opens_nothing() -> None:
    sealed = seal(Secret("a handle"), KEY, about=b"here", nonce=NONCE)
    assert b"a handle" not in sealed
    assert unseal(sealed, bytes(32), about=b"here") is None
    assert unseal(sealed, KEY, about=b"there") is None
    assert unseal(sealed, KEY, about=b"") is None
    assert revealed(unseal(sealed, KEY, about=b"here")) == "a handle"


@covers("OAUTH-SEC-05")
def test_no_bit_of_it_can_be_changed_and_no_byte_left_out() -> None:
    sealed = seal(Secret("a handle"), KEY, about=b"here", nonce=NONCE)
    for place in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[place // 8] ^= 1 << place % 8
        assert unseal(bytes(changed), KEY, about=b"here") is None
    for length in range(len(sealed)):
        assert unseal(sealed[:length], KEY, about=b"here") is None


@given(TEXTS, st.sampled_from(["one", "other"]))
def test_a_derived_key_is_of_its_secret_and_its_purpose(secret: Secret, purpose: str) -> None:
    key = key_of(secret, purpose)
    assert len(key) == 32
    assert key == key_of(Secret(secret.reveal()), purpose)
    assert key != key_of(secret, purpose + " more")
    assert key != key_of(Secret(secret.reveal() + "x"), purpose)

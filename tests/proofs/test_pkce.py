"""PKCE with S256 (RFC 7636; OAUTH-PKCE-02 to -05)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.proofs.pkce import challenge_of, is_challenge, make_verifier, verifies
from abeyance.wire.secret import Secret
from tests.covers import covers

# RFC 7636, appendix B.
OCTETS = bytes(
    [116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186,
     22, 212, 37, 77, 105, 214, 191, 240, 91, 88, 5, 88, 83, 132, 141, 121]
)  # fmt: skip
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
VERIFIERS = st.text(UNRESERVED, min_size=43, max_size=128)


@covers("OAUTH-PKCE-04")
def test_the_example_of_the_specification_holds() -> None:
    assert make_verifier(OCTETS).reveal() == VERIFIER
    assert challenge_of(Secret(VERIFIER)) == CHALLENGE
    assert verifies(VERIFIER, CHALLENGE)


@covers("OAUTH-PKCE-03", "OAUTH-PKCE-04")
@given(VERIFIERS)
def test_every_verifier_opens_its_own_challenge(verifier: str) -> None:
    challenge = challenge_of(Secret(verifier))
    assert is_challenge(challenge)
    assert verifies(verifier, challenge)


@covers("OAUTH-PKCE-04", "OAUTH-PKCE-05")
@given(VERIFIERS, VERIFIERS)
def test_no_other_verifier_opens_it(one: str, other: str) -> None:
    assert verifies(other, challenge_of(Secret(one))) == (one == other)


@covers("OAUTH-PKCE-02", "OAUTH-PKCE-05")
@given(VERIFIERS)
def test_a_challenge_is_never_its_own_verifier(verifier: str) -> None:
    assert not verifies(verifier, verifier)  # which is what `plain` would be


@covers("OAUTH-PKCE-04", "OAUTH-PKCE-05")
@pytest.mark.parametrize(
    "verifier",
    [
        "",
        VERIFIER[:42],
        VERIFIER + "a" * 86,
        VERIFIER + "=",
        VERIFIER + "\n",
        VERIFIER + " ",
        " " + VERIFIER,
        VERIFIER[:-1] + "+",
        VERIFIER[:-1] + "/",
        VERIFIER[:-1] + "\u00e9",
        VERIFIER[:-1] + "\uff21",
        VERIFIER.swapcase(),
    ],
)
def test_what_is_no_verifier_is_refused_and_raises_nothing(verifier: str) -> None:
    assert not verifies(verifier, CHALLENGE)


@covers("OAUTH-PKCE-04")
@pytest.mark.parametrize("length", [43, 128])
def test_the_longest_and_the_shortest_verifier_count(length: int) -> None:
    verifier = "~" * length
    assert verifies(verifier, challenge_of(Secret(verifier)))


@covers("OAUTH-PKCE-03")
@pytest.mark.parametrize(
    "text",
    [
        "",
        CHALLENGE[:42],
        CHALLENGE + "A",
        CHALLENGE + "=",
        CHALLENGE + "\n",
        CHALLENGE[:-1] + ".",
        CHALLENGE[:-1] + "~",
        CHALLENGE[:-1] + "+",
        CHALLENGE[:-1] + "\u00e9",
        CHALLENGE[:-1] + "\u0661",
    ],
)
def test_what_s256_cannot_make_is_no_challenge(text: str) -> None:
    assert is_challenge(CHALLENGE)
    assert not is_challenge(text)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_verifier_is_made_of_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        make_verifier(bytes(length))

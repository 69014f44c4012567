"""A secret does not show itself, and is not compared where time tells (SEC-STORE-05, -13)."""

import copy
import hashlib
import json
import logging
import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.wire.secret import MASK, Secret
from tests.covers import covers

PLAIN = "0pen-sesame-0123456789"


@covers("SEC-STORE-05", "OAUTH-LOG-06")
@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        format,
        lambda secret: f"{secret}",
        lambda secret: f"{secret!r:>40}",
        lambda secret: f"{secret:>40}",
        lambda secret: f"{secret!a}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
        lambda secret: repr([secret, {"a": secret}]),
        lambda secret: str(ValueError(secret)),
    ],
)
def test_a_secret_does_not_show_itself(show: object) -> None:
    assert callable(show)
    shown = show(Secret(PLAIN))
    assert PLAIN not in shown
    assert MASK in shown


@covers("SEC-STORE-05", "OAUTH-LOG-06")
def test_a_traceback_and_a_log_line_do_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(PLAIN)
    try:
        raise KeyError(secret)
    except KeyError:
        assert PLAIN not in traceback.format_exc()
        logging.getLogger().exception("asked for %s", secret)
    assert PLAIN not in caplog.text


@covers("SEC-STORE-05")
@pytest.mark.parametrize("copying", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, vars])
def test_a_secret_is_not_copied_out(copying: object) -> None:
    assert callable(copying)
    with pytest.raises(TypeError):
        copying(Secret(PLAIN))


@covers("SEC-STORE-13", "OAUTH-SEC-04")
def test_secrets_are_not_compared_with_equality() -> None:
    secret = Secret(PLAIN)
    for other in (Secret(PLAIN), PLAIN, None, secret):
        with pytest.raises(TypeError):
            assert secret == other
        with pytest.raises(TypeError):
            assert secret != other
    with pytest.raises(TypeError):
        hash(secret)


@covers("OAUTH-SEC-02", "OAUTH-SEC-04")
@given(st.text(st.characters(codec="utf-8")), st.text("ab"))
def test_a_secret_matches_its_own_digest_alone(plain: str, other: str) -> None:
    digest = hashlib.sha256(plain.encode()).digest()
    assert Secret(plain).digest() == digest
    assert Secret(plain).matches(digest)
    assert Secret(other).matches(digest) == (other == plain)
    assert not Secret(plain).matches(digest[:-1])
    assert Secret(plain).reveal() == plain

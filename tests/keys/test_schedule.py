"""Which key signs and which are published, whatever the instants."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.keys.making import new_private_pem, parse_signing_pem
from abeyance.keys.schedule import LINGERS, KeyState, Schedule, Scheduled
from tests.covers import covers
from tests.keys.files import NOW

PAIRS = [parse_signing_pem(new_private_pem()) for _ in range(6)]
LONGEST_LIFE = timedelta(hours=1)
INSTANTS = st.integers(0, 150).map(lambda minutes: NOW + timedelta(minutes=minutes))
SCHEDULES = st.lists(INSTANTS, min_size=1, max_size=6, unique=True).map(
    lambda instants: schedule(*sorted(instants))
)


def schedule(*instants: datetime) -> Schedule:
    return Schedule(
        tuple(
            Scheduled(at, pair, Path(f"signing-{number}.pem"), bytes([number]))
            for number, (at, pair) in enumerate(zip(instants, PAIRS, strict=False))
        )
    )


@given(keys=SCHEDULES, minted=INSTANTS, later=st.sampled_from([0, 1800, 3000, 3599, 3600]))
@covers("OAUTH-META-07", "OAUTH-OIDC-16")
def test_a_token_verifies_for_as_long_as_it_may_live(
    keys: Schedule, minted: datetime, later: int
) -> None:
    signing = keys.standing(minted).signing
    published = keys.standing(minted + timedelta(seconds=later)).published
    assert signing.kid in {key.jkt for key in published.keys}


@given(keys=SCHEDULES, at=INSTANTS)
@covers("OAUTH-META-07")
def test_what_is_to_sign_is_published_before(keys: Schedule, at: datetime) -> None:
    published = {key.jkt for key in keys.standing(at).published.keys}
    assert {each.kid for each in keys.keys if each.at >= at} <= published


@given(keys=SCHEDULES, one=INSTANTS, other=INSTANTS)
def test_a_standing_holds_exactly_as_long_as_it_says(
    keys: Schedule, one: datetime, other: datetime
) -> None:
    before, after = keys.standing(one), keys.standing(other)
    if before.holds_at(other):
        assert after == before
    else:
        assert (after.since, after.until) != (before.since, before.until)


@given(keys=SCHEDULES, at=INSTANTS)
def test_one_key_signs_and_all_but_the_retired_are_published(keys: Schedule, at: datetime) -> None:
    states = {each.kid: keys.state(each, at) for each in keys.keys}
    standing = keys.standing(at)
    assert [kid for kid, state in states.items() if state is KeyState.SIGNING] == [
        standing.signing.kid
    ]
    retired = {kid for kid, state in states.items() if state is KeyState.RETIRED}
    assert {key.jkt for key in standing.published.keys} == states.keys() - retired


@pytest.mark.parametrize(
    ("after", "states"),
    [
        (timedelta(minutes=-1), ["signing", "next"]),
        (timedelta(0), ["signing", "next"]),
        (timedelta(minutes=59, seconds=59), ["signing", "next"]),
        (timedelta(hours=1), ["retiring", "signing"]),
        (timedelta(hours=2, minutes=4, seconds=59), ["retiring", "signing"]),
        (timedelta(hours=2, minutes=5), ["retired", "signing"]),
    ],
)
@covers("OAUTH-OIDC-16")
def test_a_key_waits_signs_retires_and_is_retired(after: timedelta, states: list[str]) -> None:
    keys = schedule(NOW, NOW + timedelta(hours=1))
    assert [keys.state(each, NOW + after) for each in keys.keys] == states


def test_the_last_key_never_retires() -> None:
    keys = schedule(NOW)
    assert keys.standing(NOW + timedelta(days=10_000)).until is None
    assert keys.retires_at(keys.keys[0]) is None


def test_a_key_lingers_longer_than_any_token_and_what_clocks_may_differ() -> None:
    assert LONGEST_LIFE + timedelta(minutes=1) <= LINGERS

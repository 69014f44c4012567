"""What a success consists of: a token, and a family where one belongs to it (OAUTH-RT)."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.access.details import DetailsTypes
from abeyance.access.members import Text, declare
from abeyance.oauth.success import CHANCE_BYTES, SUCCESSOR, Issuing, Lives, Succeeded, succeed
from abeyance.parties.client import Client
from abeyance.pending.change import LiveUntil, NewFamily, TokenRecord, TurnFamily
from abeyance.pending.credentials import Family, RefreshToken
from abeyance.pending.handles import HandleKind, parse_handle
from abeyance.pending.request import Success
from abeyance.proofs.dpop import ProvenKey
from abeyance.proofs.sealing import key_of, unseal
from abeyance.wire.secret import Secret
from tests.access.examples import ACCOUNT, API, PAYMENT, access, payment
from tests.covers import covers
from tests.oauth.examples import ISSUER, SIGNING, client
from tests.pending.credentials import REFRESH_TEXT, UMA, family
from tests.pending.examples import HOME, KEY, NOW

WATCH = declare("watch", title="Watch {what}", members={"what": Text()}, standing=True)
TYPES = DetailsTypes((PAYMENT, ACCOUNT, WATCH))
LIVES: Final = Lives(
    access_token=timedelta(minutes=5), refresh_idle=timedelta(days=14), refresh=timedelta(days=90)
)
CHANCE = bytes(range(CHANCE_BYTES))
OTHER_API = "https://other.example"
SECOND = timedelta(seconds=1)
APP = client()
PUBLIC = replace(APP, auth_method="none", secret_digests=())
ROTATING = replace(APP, rotate_refresh_tokens=True)


def issuing(
    by: Client = APP,
    *,
    key: ProvenKey | None = None,
    until: datetime | None = None,
    of_person: bool = True,
) -> Issuing:
    return Issuing(
        client=by,
        subject=UMA,
        access=access("read"),
        resources=frozenset({API, OTHER_API}),
        key=key,
        home=HOME,
        n=1,
        until=until,
        auth_time=NOW,
        of_person=of_person,
        issuer=ISSUER,
        signing=SIGNING,
        lives=LIVES,
        chance=CHANCE,
        now=NOW,
    )


def begun(what: Issuing) -> tuple[Succeeded, Family, RefreshToken]:
    succeeded = succeed(Success.NEW_FAMILY, what, TYPES)
    [row] = (row for row in succeeded.rows if isinstance(row, NewFamily))
    return succeeded, row.family, row.token


def refreshed(
    by: Client = APP,
    *,
    of: Family | None = None,
    presented: Secret | None = REFRESH_TEXT,
    again: Secret | None = None,
    until: datetime | None = None,
) -> Succeeded:
    return succeed(
        Success.FAMILY_HEAD,
        issuing(by, until=until),
        TYPES,
        family=of or family(generation=4),
        presented=presented,
        again=again,
    )


def turn(succeeded: Succeeded) -> TurnFamily:
    [step] = succeeded.steps
    assert isinstance(step, TurnFamily)
    return step


def life(succeeded: Succeeded) -> timedelta:
    [record] = (row for row in succeeded.rows if isinstance(row, TokenRecord))
    return record.expires_at - record.issued_at


# --- a token alone


@covers("OAUTH-TOK-06")
def test_a_token_alone_opens_no_family_and_takes_no_step() -> None:
    succeeded = succeed(Success.ACCESS_TOKEN, issuing(of_person=False), TYPES)
    assert "refresh_token" not in succeeded.answer
    assert succeeded.steps == ()
    assert [type(row) for row in succeeded.rows] == [TokenRecord]


@covers("EXT-BOUND-01", "DTR-OK-02")
def test_a_token_ends_with_the_approval_that_it_comes_from() -> None:
    for success in Success:
        bounded = issuing(until=NOW + 20 * SECOND)
        succeeded = succeed(success, bounded, TYPES, family=family())
        assert life(succeeded) == 20 * SECOND
        assert succeeded.answer["expires_in"] == 20


def test_a_persons_grant_lives_as_long_as_its_token() -> None:
    rows = succeed(Success.ACCESS_TOKEN, issuing(), TYPES).rows
    assert LiveUntil(NOW + LIVES.access_token) in rows


# --- a family that begins


@covers("OAUTH-RT-01", "OAUTH-RT-10", "OAUTH-RES-06")
def test_a_family_begins_with_its_first_token_at_rest_and_all_resources() -> None:
    succeeded, begins, token = begun(issuing())
    text = succeeded.answer["refresh_token"]
    assert isinstance(text, str)
    handle = parse_handle(HandleKind.REFRESH_TOKEN, text)
    assert handle is not None
    assert (handle.home, handle.digest) == (HOME, token.digest)
    assert text not in repr(succeeded.rows)
    assert token == RefreshToken(digest=handle.digest, generation=1, issued_at=NOW)
    assert begins == Family(
        generation=1,
        head=handle.digest,
        granted=access("read", resources=(API, OTHER_API)),
        jkt=None,
        approved=False,
        opened_at=NOW,
        idle_until=NOW + LIVES.refresh_idle,
        until=NOW + LIVES.refresh,
    )
    assert LiveUntil(NOW + LIVES.refresh) in succeeded.rows


@covers("OAUTH-RT-03")
@pytest.mark.parametrize(
    ("by", "key", "jkt"),
    [(APP, None, None), (APP, KEY, None), (PUBLIC, None, None), (PUBLIC, KEY, KEY.jkt)],
)
def test_only_a_public_clients_family_is_bound_to_its_key(
    by: Client, key: ProvenKey | None, jkt: str | None
) -> None:
    assert begun(issuing(by, key=key))[1].jkt == jkt


@covers("OAUTH-RT-13", "EXT-BOUND-02")
@given(st.timedeltas(LIVES.access_token + SECOND, timedelta(days=400)))
def test_a_family_never_outlives_the_approval_that_it_comes_from(approval: timedelta) -> None:
    _, begins, _ = begun(issuing(until=NOW + approval))
    assert begins.approved
    assert begins.idle_until <= begins.until <= NOW + approval
    assert begins.until == NOW + min(approval, LIVES.refresh)


@covers("EXT-BOUND-03", "OAUTH-TOK-06")
def test_an_approval_that_ends_with_its_token_begins_no_family() -> None:
    for until in (SECOND, LIVES.access_token):
        alone = succeed(Success.NEW_FAMILY, issuing(until=NOW + until), TYPES)
        assert "refresh_token" not in alone.answer
        assert not any(isinstance(row, NewFamily) for row in alone.rows)


@covers("EXT-BOUND-03")
def test_one_act_is_never_refreshed_and_what_stands_is() -> None:
    watch = {"type": "watch", "what": "the balance"}
    cases = [
        (access("read", payment()), False),
        (access("read", watch, payment()), False),
        (access("read", {"type": "unknown"}), False),
        (access("read", watch), True),
        (access("read"), True),
    ]
    for granted, refreshable in cases:
        what = replace(issuing(), access=granted)
        answer = succeed(Success.NEW_FAMILY, what, TYPES).answer
        assert ("refresh_token" in answer) == refreshable


# --- a family that is refreshed


@covers("OAUTH-RT-04", "OAUTH-RT-07")
def test_a_turn_follows_the_head_and_seals_it_for_who_holds_the_spent_one() -> None:
    succeeded = refreshed(ROTATING)
    text, step = succeeded.answer["refresh_token"], turn(succeeded)
    assert isinstance(text, str)
    assert step.head is not None
    assert (step.generation, step.head.generation) == (4, 5)
    handle = parse_handle(HandleKind.REFRESH_TOKEN, text)
    assert handle is not None
    assert step.head.digest == handle.digest
    assert step.successor is not None
    assert text.encode() not in step.successor
    opened = unseal(step.successor, key_of(REFRESH_TEXT, SUCCESSOR), about=HOME)
    assert opened is not None
    assert opened.reveal() == text
    assert unseal(step.successor, key_of(Secret(text), SUCCESSOR), about=HOME) is None


@covers("OAUTH-RT-11")
def test_the_answer_to_a_poll_turns_the_family_and_seals_nothing() -> None:
    step = turn(refreshed(ROTATING, presented=None))
    assert step.head is not None
    assert step.successor is None


@covers("OAUTH-RT-04")
@pytest.mark.parametrize(
    ("by", "jkt", "rotates"),
    [
        (APP, None, False),
        (ROTATING, None, True),
        (PUBLIC, None, True),
        (PUBLIC, KEY.jkt, False),
        (replace(PUBLIC, rotate_refresh_tokens=True), KEY.jkt, True),
    ],
)
def test_what_a_thief_could_use_alone_is_spent_with_each_use(
    by: Client, jkt: str | None, rotates: bool
) -> None:
    succeeded = refreshed(by, of=family(generation=4, jkt=jkt))
    assert (turn(succeeded).head is not None) == rotates
    assert ("refresh_token" in succeeded.answer) == rotates


@covers("OAUTH-RT-07")
def test_in_the_grace_the_same_successor_is_given_and_no_other_is_made() -> None:
    succeeded = refreshed(ROTATING, again=Secret("the-successor"))
    assert succeeded.answer["refresh_token"] == "the-successor"
    assert turn(succeeded) == TurnFamily(4, NOW, NOW + LIVES.refresh_idle)


@covers("OAUTH-RT-10", "OAUTH-RT-13")
@given(st.timedeltas(SECOND, timedelta(days=90)), st.booleans())
def test_no_refresh_moves_the_end_of_its_family(left: timedelta, rotates: bool) -> None:
    ends = replace(family(generation=4), until=NOW + left)
    succeeded = refreshed(ROTATING if rotates else APP, of=ends)
    assert turn(succeeded).idle_until == NOW + min(left, LIVES.refresh_idle)
    assert life(succeeded) <= min(left, LIVES.access_token)
    assert not any(isinstance(row, NewFamily) for row in succeeded.rows)

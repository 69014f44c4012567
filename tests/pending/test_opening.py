"""From a validated request to "not yet" (DTR-RESP-02 to -04, DTR-BIND-01, EXT-DECIDE-11)."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.pending.change import Advance, AuditEvent, Change, Open
from abeyance.pending.handles import HandleKind, parse_handle
from abeyance.pending.interaction import InteractionPlan
from abeyance.pending.judging import InteractionRequired, StillPending, judge
from abeyance.pending.opening import Opened, Proposal, decision_deadline, open_request
from abeyance.pending.pacing import FRESH, pace
from abeyance.pending.quota import Quota
from abeyance.pending.request import Key, Snapshot
from abeyance.pending.states import AwaitingInteraction, Event, Expired, Pending, Redeemed
from tests.covers import covers
from tests.pending.examples import (
    HOME,
    INTERVAL,
    KEY,
    LIFE,
    NOW,
    SECOND,
    SECRET,
    snapshot,
)


def opened(
    asked: Snapshot | None = None,
    *,
    interval: timedelta = INTERVAL,
    lifetime: timedelta = LIFE,
    requires: tuple[Advance, ...] = (),
) -> Opened:
    return open_request(
        Proposal(HOME, snapshot() if asked is None else asked, requires),
        interval=interval,
        lifetime=lifetime,
        at_most=Quota(client=7),
        secret=SECRET,
        now=NOW,
    )


@covers("DTR-RESP-02", "DTR-RESP-03", "DTR-RESP-04")
def test_an_opened_request_waits_for_as_long_as_it_was_given() -> None:
    request = opened().held
    assert request.key == Key(HOME, 1)
    assert request.state == Pending()
    assert (request.opened_at, request.expires_at) == (NOW, NOW + LIFE)
    assert request.interval == INTERVAL
    assert request.state_at(NOW + LIFE - SECOND) == Pending()
    assert request.state_at(NOW + LIFE) == Expired()


@covers("DTR-IURI-01", "DTR-ERR-03", "EXT-INTERACT-05")
def test_a_request_that_needs_a_step_first_awaits_it_and_says_so() -> None:
    steps = InteractionPlan("statement", ("confirm",), frozenset({"uma"}))
    request = opened(replace(snapshot(), interaction=steps)).held
    assert request.state == AwaitingInteraction(1, "statement")
    judged = judge(request, None, clock=FRESH, now=NOW, tick=0.0)
    assert judged.answer == InteractionRequired(INTERVAL, request.key, 1)
    # What a reviewer may ask later is asked by nobody yet.
    offered = opened(replace(snapshot(), interaction=replace(steps, first=None)))
    assert offered.held.state == Pending()


@covers("OAUTH-RT-11")
@pytest.mark.parametrize("holds", [True, False])
def test_a_deferred_refresh_holds_its_family_at_its_own_number(holds: bool) -> None:
    made = open_request(
        Proposal(HOME, snapshot(), n=4, holds_family=holds),
        interval=INTERVAL,
        lifetime=LIFE,
        at_most=Quota(client=7),
        secret=SECRET,
        now=NOW,
    )
    assert made.held.key == Key(HOME, 4)
    assert made.change.steps == (Open(made.held, snapshot(), Quota(client=7), holds),)
    assert [row.n for row in made.change.rows if isinstance(row, AuditEvent)] == [4]


@covers("DTR-RESP-02")
def test_the_code_that_is_shown_leads_to_this_request_alone() -> None:
    made = opened()
    assert parse_handle(HandleKind.DEFERRAL_CODE, made.code.reveal()) == made.held.handle


@covers("DTR-BIND-01", "DTR-SEC-03", "DTR-INV-03")
@pytest.mark.parametrize("bound", [True, False])
def test_the_code_is_bound_to_the_key_of_the_first_request(bound: bool) -> None:
    asked = snapshot(bound=bound)
    request = opened(asked).held
    assert request.binding == asked.binding
    assert request.binding.bound == (KEY.jkt if bound else None)
    assert request.client == asked.client


@covers("OAUTH-DEFER-01", "OAUTH-DEFER-03")
def test_the_grants_own_credential_is_spent_in_the_same_change_and_first() -> None:
    spend = Advance(9, Event.REDEEM, Redeemed(), NOW)
    asked = snapshot()
    made = opened(asked, requires=(spend,))
    assert made.change == Change(
        HOME,
        (spend, Open(made.held, asked, at_most=Quota(client=7))),
        (
            AuditEvent(
                n=1,
                at=NOW,
                event="opened",
                actor="client:batch",
                detail={"rule": "large", "policy": "1"},
            ),
        ),
    )


@covers("DTR-SEC-05")
def test_the_change_and_its_words_never_hold_the_code() -> None:
    made = opened()
    assert made.code.reveal() not in repr(made)
    assert made.code.reveal()[22:] not in repr(made.change)
    assert SECRET not in repr(made.change).encode()


@covers("DTR-RD-14", "T-108")
def test_a_poll_right_after_opening_is_answered() -> None:
    judged = judge(opened().held, None, clock=FRESH, now=NOW, tick=0.0)
    assert judged.answer == StillPending(INTERVAL)


# --- the deadline


@covers("EXT-DECIDE-11")
@pytest.mark.parametrize(
    ("lifetime", "interval", "margin"),
    [
        (timedelta(days=1), timedelta(seconds=5), timedelta(seconds=60)),
        (timedelta(days=1), timedelta(seconds=30), timedelta(seconds=60)),
        (timedelta(days=1), timedelta(seconds=31), timedelta(seconds=62)),
        (timedelta(days=1), timedelta(minutes=10), timedelta(minutes=20)),
        (timedelta(seconds=240), timedelta(seconds=5), timedelta(seconds=60)),
        (timedelta(seconds=120), timedelta(seconds=5), timedelta(seconds=30)),
        (timedelta(hours=1), timedelta(minutes=50), timedelta(minutes=15)),
    ],
)
def test_the_deadline_leaves_two_polls_or_a_minute_but_never_more_than_a_quarter(
    lifetime: timedelta, interval: timedelta, margin: timedelta
) -> None:
    request = opened(interval=interval, lifetime=lifetime).held
    assert request.expires_at - request.decide_by == margin


@covers("EXT-DECIDE-11", "T-121")
@given(st.integers(1, 600), st.integers(1, 7 * 86_400), st.floats(0, 1))
def test_what_is_approved_at_the_last_moment_is_collected_by_a_client_that_keeps_the_pace(
    interval: int, extra: int, phase: float
) -> None:
    # A quarter of the life is an interval at least: shorter lives leave less, as they say.
    pause = timedelta(seconds=interval)
    lifetime = 4 * (pause + timedelta(seconds=extra))
    request = opened(interval=pause, lifetime=lifetime).held
    decided = request.decide_by - timedelta(microseconds=1)
    # The next poll of a client that polls at `interval` comes within one interval.
    next_poll = decided + phase * pause
    assert not isinstance(request.state_at(next_poll), Expired)


@covers("EXT-DECIDE-11", "T-123")
@given(
    st.timedeltas(timedelta(seconds=1), timedelta(days=3650)),
    st.timedeltas(timedelta(seconds=1), timedelta(days=3650)),
)
def test_a_deadline_lies_between_opening_and_expiry(
    interval: timedelta, lifetime: timedelta
) -> None:
    deadline = decision_deadline(NOW + lifetime, lifetime=lifetime, interval=interval)
    assert NOW + 0.75 * lifetime - timedelta(microseconds=1) <= deadline < NOW + lifetime


# --- lives that make no sense


@covers("T-123", "DTR-RD-25")
@pytest.mark.parametrize(
    ("interval", "lifetime"),
    [
        (timedelta(0), LIFE),
        (timedelta(seconds=0.999), LIFE),
        (timedelta(seconds=-5), LIFE),
        (LIFE, LIFE),
        (LIFE + SECOND, LIFE),
        (INTERVAL, timedelta(0)),
        (INTERVAL, -LIFE),
    ],
)
def test_a_life_that_leaves_no_time_to_poll_is_refused(
    interval: timedelta, lifetime: timedelta
) -> None:
    with pytest.raises(ValueError, match="interval"):
        opened(interval=interval, lifetime=lifetime)


@covers("T-123")
@pytest.mark.parametrize(
    ("interval", "lifetime"),
    [
        (SECOND, timedelta(days=3650)),
        (SECOND, 2 * SECOND),
        (timedelta(days=1), timedelta(days=2)),
    ],
)
def test_an_odd_life_is_served_consistently(interval: timedelta, lifetime: timedelta) -> None:
    request = opened(interval=interval, lifetime=lifetime).held
    assert request.opened_at < request.decide_by < request.expires_at == NOW + lifetime
    clock = pace(FRESH, 0.0, request.interval).clock
    assert not pace(clock, interval.total_seconds(), request.interval).early

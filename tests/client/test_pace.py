"""How often, and until when (T-225, T-226, T-232, T-233, T-235, T-238, T-252)."""

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.client import Expired, Progress, StillPending, Token, Waiting
from tests.client.fakes import (
    NETWORK_FAULTS,
    Answer,
    Kit,
    answer,
    cut,
    deferred,
    error,
    granted,
    pending,
    slow_down,
)
from tests.covers import covers


@covers("T-225", "DTR-POLL-02", "DTR-POLL-06", "DTR-RD-14", "CM-01")
@pytest.mark.parametrize("seed", range(50))
def test_polls_never_come_faster_than_the_interval(kit: Kit, seed: int) -> None:
    chance = random.Random(seed)
    interval = chance.randint(1, 60)
    kit.time.jitter = chance.random()
    kit.server.latency = chance.choice([0.0, 0.2, 9.0])
    script = [chance.choice([pending(), pending(), slow_down()]) for _ in range(12)]
    held = kit.defer(interval=interval, expires_in=100_000)
    asked_at = kit.time.ticks
    kit.server.says(*script, granted())

    assert isinstance(held.wait(), Token)

    assert kit.server.polls[0].tick - asked_at >= interval
    assert len(kit.server.polls) == 13
    assert all(gap >= interval for gap in kit.server.gaps())


@covers("T-225", "DTR-PRIV-02")
def test_jitter_only_lengthens_and_by_a_tenth_at_most(kit: Kit) -> None:
    kit.time.jitter = 0.999
    held = kit.defer(interval=10, expires_in=100_000)
    kit.server.says(*[pending()] * 5, granted())
    held.wait()
    assert all(10 < gap <= 11 for gap in kit.server.gaps())


@covers("T-226", "DTR-POLL-02", "DTR-RD-13", "CM-05")
def test_each_slow_down_adds_five_seconds_for_good(kit: Kit) -> None:
    held = kit.defer(interval=5)
    kit.server.says(pending(), slow_down(), pending(), pending(), slow_down(), pending(), granted())
    held.wait()
    assert kit.server.gaps() == [5, 10, 10, 10, 15, 15]


@covers("T-244", "EXT-WAIT-08", "DTR-POLL-06")
def test_polling_alone_succeeds(kit: Kit) -> None:
    held = kit.defer(interval=5)
    kit.server.says(*[pending()] * 20, granted())
    held.wait().access_token.reveal()
    assert set(kit.server.gaps()) == {5}


@covers("DTR-RD-29")
def test_the_larger_of_retry_after_and_interval_is_the_pace(kit: Kit) -> None:
    held = kit.defer(interval=5)
    kit.server.says(
        pending(headers={"Retry-After": "12"}),
        pending(headers={"Retry-After": "1"}),
        slow_down(headers={"Retry-After": "7"}),
        pending(),
        granted(),
    )
    held.wait()
    assert kit.server.gaps() == [12, 5, 10, 10]


@covers("T-235", "DTR-RD-29")
@pytest.mark.parametrize(
    "too_many",
    [
        error("temporarily_unavailable", status=429, headers={"Retry-After": "90"}),
        error("authorization_pending", status=429, headers={"Retry-After": "90"}),
        answer(b"slow down please", status=429, headers={"Retry-After": "90"}),
        answer(
            {"message": "Too Many Requests"},
            status=429,
            headers={
                "Date": "Tue, 24 Nov 2026 10:00:00 GMT",  # the clocks differ by hours
                "Retry-After": "Tue, 24 Nov 2026 10:01:30 GMT",
            },
        ),
    ],
)
def test_a_longer_retry_after_is_obeyed(kit: Kit, too_many: Answer) -> None:
    held = kit.defer(interval=5)
    kit.server.says(too_many, pending(), granted())
    held.wait()
    assert kit.server.gaps() == [90, 5]


@covers("T-235")
def test_a_retry_after_beyond_the_life_of_the_code_yields_to_the_last_chance(kit: Kit) -> None:
    held = kit.defer(interval=5, expires_in=600)
    kit.server.says(error("temporarily_unavailable", headers={"Retry-After": "9" * 15}), granted())
    held.wait().access_token.reveal()
    assert kit.server.gaps() == [592]


@covers("T-233", "EXT-WAIT-07", "CM-08")
@pytest.mark.parametrize(
    "fault",
    [
        answer({"error": "server_error"}, status=500),
        answer(b"<html>Bad gateway</html>", status=502),
        answer({"error": "temporarily_unavailable"}, status=503),
        answer(b"", status=503),
        answer(b'{"access_token": "half', status=200),
        answer(b'{"detail": "no such route"}', status=404),
        answer(b"", status=302, headers={"Location": "https://elsewhere.test/token"}),
        cut,
    ],
)
def test_without_a_usable_answer_the_pace_doubles_up_to_a_cap(kit: Kit, fault: Answer) -> None:
    held = kit.defer(interval=5, expires_in=100_000)
    kit.server.says(*[fault] * 8, pending(), pending(), granted())
    states: list[Waiting] = []
    held.wait(on_progress=lambda progress: states.append(progress.state))
    assert kit.server.gaps() == [10, 20, 40, 80, 120, 120, 120, 120, 5, 5]
    assert states[1:9] == [Waiting.UNREACHABLE] * 8
    assert states[9:] == [Waiting.PENDING] * 2
    assert {seen.host for seen in kit.server.seen} == {"as.test"}


@covers("T-233")
def test_a_503_with_a_longer_retry_after_is_obeyed(kit: Kit) -> None:
    held = kit.defer(interval=5)
    kit.server.says(answer(b"", status=503, headers={"Retry-After": "60"}), granted())
    held.wait()
    assert kit.server.gaps() == [60]


@covers("T-233")
def test_an_outage_ends_the_wait_at_expiry_and_not_before(kit: Kit) -> None:
    held = kit.defer(interval=5, expires_in=600)
    began = kit.time.ticks
    kit.server.forever = answer(b"gone", status=502)
    with pytest.raises(Expired):
        held.wait()
    assert kit.time.ticks - began == 600
    assert kit.server.polls[-1].tick - began == 597


@covers("T-234")
@pytest.mark.parametrize("fault", NETWORK_FAULTS, ids=lambda fault: f"{fault}")
def test_faults_of_the_network_are_waited_out(kit: Kit, fault: Exception) -> None:
    held = kit.defer(interval=5)
    kit.server.says(fault, fault, granted())
    held.wait().access_token.reveal()
    assert kit.server.gaps() == [10, 20]


@covers("T-238", "DTR-POLL-05")
@pytest.mark.parametrize("expires_in", [31, 33, 34, 37, 600])
def test_one_last_poll_leaves_shortly_before_expiry(kit: Kit, expires_in: int) -> None:
    held = kit.defer(interval=5, expires_in=expires_in)
    began = kit.time.ticks
    with pytest.raises(Expired):
        held.wait()
    assert kit.server.polls[-1].tick - began == expires_in - 3
    assert all(gap >= 5 for gap in kit.server.gaps())
    assert kit.time.ticks - began == expires_in
    sent = len(kit.server.polls)
    with pytest.raises(Expired):
        held.poll()
    assert len(kit.server.polls) == sent


@covers("T-238")
@pytest.mark.parametrize("jump", [3600, -3600])
def test_a_wall_clock_that_jumps_ends_nothing(kit: Kit, jump: int) -> None:
    held = kit.defer(interval=5, expires_in=600)
    kit.time.wall += timedelta(seconds=jump)
    kit.server.says(pending(), pending(), granted())
    held.wait()
    assert kit.server.gaps() == [5, 5]


@covers("T-252")
def test_after_a_long_suspension_there_is_one_poll_and_no_burst(kit: Kit) -> None:
    held = kit.defer(interval=5, expires_in=86_400)
    kit.server.says(pending(), pending(), pending(), pending(), granted())

    def suspend(_seconds: float) -> None:
        kit.time.pass_(36_000)
        kit.time.on_sleep = None

    kit.time.on_sleep = suspend
    held.wait()
    assert kit.server.gaps() == [5, 5, 5, 5]


def test_poll_sends_nothing_before_it_is_due(kit: Kit) -> None:
    held = kit.defer(interval=5)
    early = held.poll()
    assert isinstance(early, Progress)
    assert not early.polled
    assert early.next_poll_in.total_seconds() == 5
    assert kit.server.polls == []

    kit.time.pass_(5)
    due = held.poll()

    assert isinstance(due, Progress)
    assert due.polled
    assert due.polls == 1
    assert len(kit.server.polls) == 1


def test_a_time_out_of_the_caller_ends_nothing(kit: Kit) -> None:
    held = kit.defer(interval=5)
    with pytest.raises(StillPending):
        held.wait(timeout=12)
    assert len(kit.server.polls) == 2
    kit.server.says(granted())
    held.wait(timeout=5).access_token.reveal()
    assert kit.server.gaps() == [5, 5]


def test_progress_is_told_at_the_start_and_after_each_poll(kit: Kit) -> None:
    held = kit.defer(interval=5, expires_in=600)
    kit.server.says(pending(error_description="step=in_review"), slow_down(), granted())
    told: list[Progress] = []
    held.wait(on_progress=told.append)
    assert [each.polls for each in told] == [0, 1, 2]
    assert [each.state for each in told] == [
        Waiting.PENDING,
        Waiting.PENDING,
        Waiting.SLOWED_DOWN,
    ]
    assert told[1].description == "step=in_review"
    assert told[2].next_poll_in.total_seconds() == 10
    assert told[2].expires_in is not None
    assert told[2].expires_in.total_seconds() == 590


_BAD_NUMBER = st.one_of(
    st.none(),
    st.just(0),
    st.integers(max_value=-1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.booleans(),
    st.lists(st.integers(), max_size=2),
    st.integers(min_value=10**12, max_value=10**40),
)


@covers("T-232", "DTR-RD-25", "CM-10")
@given(interval=_BAD_NUMBER, expires_in=_BAD_NUMBER)
def test_bad_numbers_never_make_a_hot_loop(interval: object, expires_in: object) -> None:
    kit = Kit("sync")
    kit.server.says(
        answer(
            {
                "error": "authorization_pending",
                "deferral_code": "code",
                "interval": interval,
                "expires_in": expires_in,
            }
        )
    )
    kit.server.forever = pending()
    held = kit.request()
    assert not isinstance(held, Token)
    with pytest.raises((StillPending, Expired)):
        held.wait(timeout=100)
    assert all(gap >= 5 for gap in kit.server.gaps())
    assert len(kit.server.polls) <= 20
    kit.close()


@covers("T-232", "DTR-RD-25")
@pytest.mark.parametrize("interval", [None, "10", 0, -1, 7.5, True, [], 0.0])
def test_a_missing_or_bad_interval_is_five_seconds(kit: Kit, interval: object) -> None:
    kit.server.says(deferred(interval=interval), pending(), pending(), granted())
    held = kit.request()
    assert not isinstance(held, Token)
    held.wait()
    assert kit.server.gaps() == [5, 5]


@covers("DTR-RD-25")
def test_a_missing_life_is_waited_for_until_a_terminal_answer(kit: Kit) -> None:
    held = kit.defer(interval=3600, expires_in=None)
    kit.server.says(*[pending()] * 48, granted())
    told: list[Progress] = []
    held.wait(on_progress=told.append).access_token.reveal()
    assert {each.expires_in for each in told} == {None}


@covers("DTR-RD-25")
def test_a_missing_life_is_waited_for_a_week_at_most(kit: Kit) -> None:
    held = kit.defer(interval=3600, expires_in=None)
    began = kit.time.ticks
    with pytest.raises(Expired):
        held.wait()
    assert kit.time.ticks - began == 7 * 86_400


def test_an_interval_longer_than_the_life_still_gets_one_poll(kit: Kit) -> None:
    held = kit.defer(interval=600, expires_in=60)
    began = kit.time.ticks
    kit.server.says(granted())
    held.wait()
    assert kit.server.polls[0].tick - began == 57

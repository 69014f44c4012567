"""What a poll is answered: key, then state, then pace (DTR-POLL-03; readings 2, 4, 6, 20)."""

from datetime import datetime

import pytest

from abeyance.parties.client import ClientId
from abeyance.pending.handles import HandleHash, HandleKind, Home, mint_handle, parse_handle
from abeyance.pending.judging import (
    Answer,
    InteractionRequired,
    Judged,
    Redeemable,
    Refused,
    StillPending,
    Why,
    answer_to,
    judge,
    owned,
)
from abeyance.pending.pacing import FRESH, PERSISTENT, PollClock
from abeyance.pending.request import Held
from abeyance.pending.states import (
    AwaitingInteraction,
    Cancelled,
    Denied,
    Outcome,
    Pending,
    Redeemed,
    State,
)
from abeyance.proofs.dpop import ProvenKey
from tests.covers import covers
from tests.pending.examples import (
    BATCH,
    CODE,
    HANDLE,
    HOME,
    INTERVAL,
    KEY,
    LIFE,
    NOW,
    OTHER_KEY,
    SECOND,
    approved,
    held,
)

ENDS: list[tuple[State, Answer]] = [
    (Denied(Outcome.DENIED), Refused(Why.DENIED)),
    (Denied(Outcome.PRECONDITION_FAILED), Refused(Why.DENIED)),
    (Cancelled(), Refused(Why.DENIED)),
    (Redeemed(), Refused(Why.REDEEMED)),
]
OPEN: list[State] = [Pending(), AwaitingInteraction(1)]
# Polled a second ago, so a poll now is early by any interval.
JUST_POLLED = PollClock(last=100.0)


def poll(
    request: Held,
    *,
    key: ProvenKey | None = None,
    clock: PollClock = FRESH,
    now: datetime = NOW,
    tick: float = 101.0,
) -> Judged:
    return judge(request, key, clock=clock, now=now, tick=tick)


@covers("DTR-ERR-02", "DTR-POLL-03")
def test_an_open_request_is_still_pending() -> None:
    assert poll(held(Pending())).answer == StillPending(INTERVAL)


@covers("DTR-ERR-03", "DTR-POLL-03")
@pytest.mark.parametrize("number", [1, 2, 7])
def test_where_somebody_must_act_first_the_interaction_is_named(number: int) -> None:
    request = held(AwaitingInteraction(number))
    assert poll(request).answer == InteractionRequired(INTERVAL, request.key, number)
    early = poll(request, clock=JUST_POLLED).answer
    assert early == poll(held(), clock=JUST_POLLED).answer


@covers("DTR-POLL-03", "DTR-OK-01")
def test_an_approval_is_redeemable_and_not_yet_redeemed() -> None:
    request = held(approved())
    assert poll(request) == Judged(Redeemable(request, approved()), None)


@covers("DTR-POLL-03", "DTR-RD-02", "DTR-CANC-05", "DTR-SEC-04")
@pytest.mark.parametrize(("state", "answer"), ENDS)
def test_an_end_is_told_as_what_it_is(state: State, answer: Answer) -> None:
    assert poll(held(state)).answer == answer


@covers("DTR-POLL-03", "DTR-RD-01", "T-094", "T-095")
@pytest.mark.parametrize("state", [*OPEN, approved()])
def test_what_is_past_its_life_has_expired(state: State) -> None:
    assert poll(held(state), now=NOW + LIFE).answer == Refused(Why.EXPIRED)


@covers("DTR-RD-03", "T-096")
@pytest.mark.parametrize(("state", "answer"), ENDS)
def test_an_end_outlives_the_code(state: State, answer: Answer) -> None:
    assert poll(held(state), now=NOW + 2 * LIFE).answer == answer


@covers("DTR-RD-02", "DTR-OK-03", "T-097")
def test_a_redeemed_code_is_refused_however_often_it_comes() -> None:
    request = held(Redeemed())
    answers = {poll(request, tick=100.0 + n / 10).answer for n in range(50)}
    assert answers == {Refused(Why.REDEEMED)}


@covers("EXT-OUTCOME-03", "SEC-TOK-23")
def test_a_remark_reaches_the_client_only_from_a_denial_that_carries_one() -> None:
    assert poll(held(Denied(Outcome.DENIED, "ask for less"))).answer == Refused(
        Why.DENIED, remark="ask for less"
    )
    assert poll(held(Denied(Outcome.DENIED))).answer == Refused(Why.DENIED)


# --- the key comes first


@covers("DTR-POLL-04", "DTR-INV-03", "DTR-RD-04", "T-125", "T-131")
@pytest.mark.parametrize("key", [None, OTHER_KEY, ProvenKey("")])
@pytest.mark.parametrize("state", [*OPEN, approved(), *(state for state, _ in ENDS)])
@pytest.mark.parametrize("now", [NOW, NOW + 2 * LIFE])
def test_without_the_bound_key_no_state_shows(
    state: State, key: ProvenKey | None, now: datetime
) -> None:
    assert poll(held(state, bound=True), key=key, now=now) == Judged(Refused(Why.KEY), None)


@covers("DTR-RD-20", "T-115")
def test_a_poll_without_the_key_does_not_touch_the_pace() -> None:
    judged = poll(held(bound=True), key=OTHER_KEY, clock=JUST_POLLED)
    assert judged.clock is None


@covers("DTR-POLL-04", "DTR-INV-03", "T-125")
def test_the_bound_key_goes_on() -> None:
    assert poll(held(bound=True), key=KEY).answer == StillPending(INTERVAL)


@covers("T-132")
def test_a_code_that_was_not_bound_is_not_bound_by_a_poll() -> None:
    request = held(bound=False)
    for key in (None, KEY, OTHER_KEY):
        assert poll(request, key=key).answer == StillPending(INTERVAL)


# --- the pace comes last


@covers("DTR-RD-06", "T-116")
@pytest.mark.parametrize(("state", "answer"), ENDS)
def test_what_has_ended_is_told_at_once_however_early_the_poll(
    state: State, answer: Answer
) -> None:
    assert poll(held(state), clock=JUST_POLLED) == Judged(answer, None)


@covers("DTR-RD-06", "T-116")
def test_an_approval_is_delivered_to_an_early_poll() -> None:
    request = held(approved())
    assert poll(request, clock=JUST_POLLED) == Judged(Redeemable(request, approved()), None)


@covers("DTR-RD-06", "T-116")
def test_an_expiry_is_told_to_an_early_poll() -> None:
    judged = poll(held(), clock=JUST_POLLED, now=NOW + LIFE)
    assert judged == Judged(Refused(Why.EXPIRED), None)


@covers("DTR-ERR-04", "DTR-RD-06", "T-109")
@pytest.mark.parametrize("state", OPEN)
def test_only_an_open_request_is_paced(state: State) -> None:
    judged = poll(held(state), clock=JUST_POLLED)
    assert judged.answer == Refused(Why.EARLY, INTERVAL + 5 * SECOND)
    assert judged.clock == PollClock(last=101.0, penalties=1, early=1)


@covers("DTR-ERR-04", "DTR-RD-13", "T-114")
def test_the_twentieth_early_poll_in_a_row_is_told_to_stop() -> None:
    clock, answers = JUST_POLLED, []
    for n in range(PERSISTENT):
        judged = poll(held(), clock=clock, tick=101.0 + n / 100)
        assert judged.clock is not None
        clock = judged.clock
        answers.append(judged.answer)
    assert answers[:19] == [Refused(Why.EARLY, INTERVAL + 5 * n * SECOND) for n in range(1, 20)]
    assert answers[19] == Refused(Why.STOP)  # and no bound: this client shall not come again


@covers("T-113", "DTR-RD-05")
def test_a_pace_never_moves_the_expiry() -> None:
    request, clock = held(), JUST_POLLED
    for n in range(PERSISTENT):
        clock = poll(request, clock=clock, tick=101.0 + n / 100).clock or clock
    assert poll(request, clock=clock, now=NOW + LIFE - SECOND).answer != Refused(Why.EXPIRED)
    assert poll(request, clock=clock, now=NOW + LIFE).answer == Refused(Why.EXPIRED)


# --- what the loser of a race is told


@covers("DTR-POLL-03", "T-153")
@pytest.mark.parametrize(("state", "answer"), [*ENDS, (Pending(), StillPending(INTERVAL))])
def test_who_lost_a_race_is_told_the_state_that_won(state: State, answer: Answer) -> None:
    assert answer_to(held(state), NOW) == answer


# --- whose it is


@covers("DTR-ERR-05", "T-092", "DTR-POLL-03")
@pytest.mark.parametrize("state", [*OPEN, approved(), *(state for state, _ in ENDS)])
def test_a_foreign_code_is_as_unknown_as_one_that_never_was(state: State) -> None:
    request = held(state)
    assert owned(request, HANDLE, BATCH) is request
    assert owned(request, HANDLE, ClientId("thief")) is owned(None, HANDLE, BATCH) is None


@covers("DTR-ERR-05", "SEC-TOK-25")
def test_a_home_alone_finds_nothing() -> None:
    wrong = mint_handle(HandleKind.DEFERRAL_CODE, HOME, bytes(32))[1]
    assert owned(held(), wrong, BATCH) is None
    elsewhere = HandleHash(Home(bytes(16)), HANDLE.digest)
    assert owned(held(), elsewhere, BATCH) is None


def test_the_code_that_was_given_finds_its_request() -> None:
    handle = parse_handle(HandleKind.DEFERRAL_CODE, CODE.reveal())
    assert handle is not None
    assert owned(held(), handle, BATCH) is not None

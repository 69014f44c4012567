"""Answers on their way: counted, told to others, and believed for half a minute (DTR-CB-03)."""

from datetime import UTC, datetime, timedelta

from abeyance.pending.handles import Home
from abeyance.pending.request import Key
from abeyance.volatile.answering import STUCK, Answering
from tests.covers import covers

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=1)
A, B = Key(Home(bytes(16)), 1), Key(Home(bytes(16)), 2)


@covers("DTR-CB-03")
def test_a_request_is_answered_when_every_answer_was_handed_over() -> None:
    answering, told = Answering(), list[Key]()
    answering.share = told.append
    answering.begin(A, NOW)
    answering.begin(A, NOW)
    answering.end(A)
    assert answering.may_be_on_its_way(A, LONG_AGO, NOW)
    assert (answering.is_out(A), told) == (False, [])
    answering.end(A)
    assert not answering.may_be_on_its_way(A, NOW, NOW)
    assert (answering.is_out(A), told) == (True, [A])
    answering.end(A)
    answering.begin(A, NOW)
    assert answering.may_be_on_its_way(A, LONG_AGO, NOW)
    assert (answering.is_out(A), told) == (False, [A])


@covers("DTR-CB-03")
def test_what_another_process_has_handed_over_does_not_end_what_is_owed_here() -> None:
    answering = Answering()
    answering.begin(A, NOW)
    answering.note_out(A)
    assert answering.may_be_on_its_way(A, LONG_AGO, NOW)
    assert not answering.is_out(A)
    answering.end(A)
    assert not answering.may_be_on_its_way(A, NOW, NOW)


@covers("DTR-CB-03")
def test_an_answer_that_is_stuck_holds_nothing_up_for_ever() -> None:
    answering, second = Answering(), NOW + timedelta(seconds=20)
    answering.begin(A, NOW)
    answering.begin(A, second)
    assert answering.may_be_on_its_way(A, NOW, NOW + STUCK)
    assert not answering.may_be_on_its_way(A, NOW, second + STUCK)
    assert answering.may_be_on_its_way(B, NOW, second), "nothing was heard of it"
    assert not answering.may_be_on_its_way(B, NOW, NOW + STUCK)


def test_those_that_are_stuck_do_not_gather() -> None:
    answering = Answering(capacity=2)
    answering.begin(A, NOW)
    answering.begin(B, NOW)
    third = Key(Home(bytes(16)), 3)
    answering.begin(third, NOW + STUCK)
    answering.end(A)
    assert not answering.is_out(A), "forgotten before it ended"
    assert answering.may_be_on_its_way(third, LONG_AGO, NOW + STUCK)

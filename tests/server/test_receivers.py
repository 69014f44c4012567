"""Places for messages: many for who answers, few for who does not, turns for who waits."""

from datetime import UTC, datetime, timedelta

from abeyance.pending.handles import Home
from abeyance.pending.message import Claimed, MessageKind
from abeyance.pending.request import Key
from abeyance.server.receivers import Receivers, Standing
from tests.covers import covers

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def message(to: str) -> Claimed:
    return Claimed(
        key=Key(Home(bytes(16)), 1),
        seq=0,
        kind=MessageKind.CALLBACK,
        to=to,
        sealed=None,
        attempt=1,
        leased_until=NOW + 60 * SECOND,
        until=NOW + 900 * SECOND,
    )


def add(receivers: Receivers, to: str, many: int = 1) -> int:
    """Add so many; how many began."""
    for _ in range(many):
        receivers.add(message(to), NOW)
    return len(list(receivers.ready()))


def known(receivers: Receivers, to: str, *, answered: bool) -> None:
    """Have one that has answered, or not."""
    add(receivers, to)
    receivers.end(to, SECOND, answered=answered)


@covers("SEC-SSRF-63", "SEC-DOS-13")
def test_who_has_not_answered_gets_one_at_a_time_and_who_has_gets_many() -> None:
    receivers = Receivers()
    assert add(receivers, "a", 20) == 1
    receivers.end("a", SECOND, answered=True)
    assert len(list(receivers.ready())) == Standing.ANSWERS.each
    for _ in range(Standing.ANSWERS.each):
        receivers.end("a", SECOND, answered=False)
    assert len(list(receivers.ready())) == 1


@covers("SEC-SSRF-63")
def test_those_that_fail_never_take_the_last_places() -> None:
    receivers = Receivers()
    known(receivers, "well", answered=True)
    for n in range(500):
        known(receivers, f"sick-{n}", answered=False)
    assert sum(add(receivers, f"sick-{n}") for n in range(500)) == Standing.FAILS.all
    new = sum(add(receivers, f"new-{n}") for n in range(500))
    assert new == Standing.NEW.all - Standing.FAILS.all
    assert add(receivers, "well", 20) == Standing.ANSWERS.each


@covers("SEC-SSRF-63")
def test_what_finds_no_room_in_the_queue_has_a_turn_of_its_own() -> None:
    receivers = Receivers()
    known(receivers, "a", answered=False)
    add(receivers, "a")
    receivers.end("a", 10 * SECOND, answered=False)
    assert add(receivers, "a") == 1
    turns = [receivers.add(message("a"), NOW) for _ in range(4)]
    assert turns == [None, NOW + 10 * SECOND, NOW + 20 * SECOND, NOW + 30 * SECOND]


@covers("SEC-SSRF-63")
def test_many_for_one_who_answers_come_again_soon_but_not_together() -> None:
    receivers = Receivers()
    known(receivers, "a", answered=True)
    assert add(receivers, "a", Standing.ANSWERS.each) == Standing.ANSWERS.each
    assert add(receivers, "a", Standing.ANSWERS.queue) == 0
    turns = [receivers.add(message("a"), NOW) for _ in range(100)]
    assert turns[0] == NOW + SECOND
    assert turns[-1] == NOW + 100 * SECOND / Standing.ANSWERS.each


def test_what_was_not_sent_says_nothing_of_its_receiver() -> None:
    receivers = Receivers()
    known(receivers, "a", answered=True)
    assert add(receivers, "a") == 1
    receivers.end("a", SECOND, answered=None)
    assert add(receivers, "a", 20) == Standing.ANSWERS.each


def test_only_so_many_are_known_and_none_that_is_under_way_is_forgotten() -> None:
    receivers = Receivers()
    assert add(receivers, "stays") == 1
    for n in range(10_100):
        known(receivers, f"r{n}", answered=True)
    assert len(receivers._known) <= 10_001
    assert add(receivers, "stays", 20) == 0

"""The checker finds what it is there to find, and agrees with its twin that tries every order."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faults.checker import check
from faults.log import Event, Log, read_log
from faults.order import Operation, explains, explains_slowly

OPENED: Final = {
    "asked": ["read", "write"], "expires": 900.0, "decides": 840.0, "skew": 10.0, "calls": True
}  # fmt: skip


class Told:
    """Writes a log by hand: one deferral, one thing after the other."""

    def __init__(self) -> None:
        self.at = 0.0
        self.log = Log(lambda: self.at)
        self.log.note("opened", deferral="d", **OPENED)

    def does(self, op: str, what: str, **more: object) -> "Told":
        self.at += 1
        given = {"scope": ["read"]} if op == "approve" else {}
        call = self.log.call("d", op, **given)
        if what == "lost":
            self.log.lost(call)
        else:
            answer = {"token": "t1", "scope": ["read"]} if what == "token" else {}
            self.log.answer(call, what, **(answer | more))
        return self

    def hears(self, *, heard: bool = True) -> "Told":
        self.log.note("callback", deferral="d", heard=heard)
        return self

    def ends(self, stage: str, *live: str, decided: bool = True) -> "Told":
        self.log.note("final", deferral="d", stage=stage, live=list(live), decided=decided)
        return self

    def breaks(self) -> set[str]:
        return {each.promise for each in check(self.log.events)}


def good() -> Told:
    return (
        Told().does("poll", "pending").does("approve", "counted").hears()
        .does("poll", "token").does("poll", "spent").ends("redeemed", "t1")
    )  # fmt: skip


def by_two(*votes: tuple[str, str, list[str]]) -> Told:
    """It takes two; who votes, what each hears, and for which scopes."""
    told = Told()
    told.log.events[0] = {**told.log.events[0], "needs": 2}
    for who, what, scope in votes:
        told.at += 1
        told.log.answer(told.log.call("d", "approve", by=who, scope=scope), what)
    return told.does("poll", "token").hears().ends("redeemed", "t1")


def test_what_takes_two_takes_two_that_allow_it() -> None:
    rita = ("rita", "noted", ["read", "write"])
    assert by_two(rita, ("omar", "counted", ["read"])).breaks() == set()
    assert by_two(rita, ("omar", "counted", ["write"])).breaks() == {"R4"}
    assert by_two(("rita", "counted", ["read"])).breaks() == {"R4"}
    assert by_two(rita, ("rita", "counted", ["read"])).breaks() == {"R4"}
    assert by_two(rita).breaks() == {"R3", "R4"}, "nobody decided"


def test_a_vote_that_was_acknowledged_is_kept() -> None:
    told = by_two(("rita", "noted", ["read"]), ("omar", "counted", ["read"]))
    final = told.log.events[-1]
    for votes, broken in ((["omar", "rita"], set()), (["omar"], {"R2"})):
        told.log.events[-1] = {**final, "votes": votes}
        assert told.breaks() == broken


def test_a_plain_story_breaks_nothing() -> None:
    assert good().breaks() == set()
    assert Told().does("deny", "counted").does("poll", "denied").hears().ends(
        "denied"
    ).breaks() == (set())


BROKEN: Final[dict[str, tuple[str, Callable[[], Told]]]] = {
    "two polls win": (
        "R1",
        lambda: good().does("poll", "token", token="t2"),
    ),
    "two sets are alive": (
        "R1",
        lambda: (
            Told()
            .does("approve", "counted")
            .hears()
            .does("poll", "token")
            .ends("redeemed", "t1", "t2")
        ),
    ),
    "an acknowledged approval is gone": (
        "R2",
        lambda: Told().does("approve", "counted").ends("denied"),
    ),
    "two decisions count": (
        "R2",
        lambda: Told().does("approve", "counted").does("deny", "counted").hears().ends("denied"),
    ),
    "no audit row": (
        "R2",
        lambda: Told().does("deny", "counted").hears().ends("denied", decided=False),
    ),
    "a token follows a denial": (
        "R3",
        lambda: Told().does("approve", "lost").does("poll", "denied").does("poll", "token"),
    ),
    "a token follows a cancellation": (
        "R3",
        lambda: Told().does("approve", "counted").does("cancel", "done").does("poll", "token"),
    ),
    "pending again": (
        "R3",
        lambda: Told().does("approve", "counted").does("poll", "token").does("poll", "pending"),
    ),
    "more than was asked": (
        "R4",
        lambda: Told().does("approve", "counted").does("poll", "token", scope=["admin"]),
    ),
    "more than was approved": (
        "R4",
        lambda: Told().does("approve", "counted").does("poll", "token", scope=["write"]),
    ),
    "nobody approved": ("R4", lambda: Told().does("poll", "token")),
    "no callback": ("R5", lambda: Told().does("deny", "counted").ends("denied")),
    "a callback that nobody heard": (
        "R5",
        lambda: Told().does("deny", "counted").hears(heard=False).ends("denied"),
    ),
    "a callback too early": ("R5", lambda: Told().hears().does("deny", "counted").ends("denied")),
    "a call without an end": ("R12", lambda: _open_call()),
    "a request that waits for ever": ("R12", lambda: Told().ends("pending")),
    "a success that is not told again": (
        "R11",
        lambda: good().does("repeat", "spent"),
    ),
    "expired too early": ("R8", lambda: Told().does("poll", "expired").ends("expired")),
}


def _open_call() -> Told:
    told = Told().does("deny", "counted").hears()
    told.log.call("d", "poll")
    return told.ends("denied")


@pytest.mark.parametrize("name", BROKEN)
def test_every_broken_promise_is_found(name: str) -> None:
    promise, story = BROKEN[name]
    assert promise in story().breaks()


def test_a_callback_long_after_the_token_is_found() -> None:
    told = good()
    told.at += 120
    assert told.hears().breaks() == {"R5"}


def test_an_answer_that_was_lost_may_have_happened_or_not() -> None:
    lost = Told().does("approve", "lost").hears()
    assert lost.does("poll", "token").ends("redeemed", "t1").breaks() == set()
    assert Told().does("approve", "lost").does("poll", "pending").ends("expired").breaks() == set()
    told = Told().does("approve", "counted").hears().does("poll", "lost").does("poll", "spent")
    assert told.ends("redeemed", "t1").breaks() == set()


def test_a_success_is_told_again_three_times_and_then_no_more() -> None:
    told = Told().does("approve", "counted").hears().does("poll", "lost")
    for number in range(3):
        told.does("repeat", "token", token=f"t{number}")
    assert told.does("repeat", "spent").ends("redeemed", "t2").breaks() == set()


def test_what_is_granted_at_once_is_granted_each_time() -> None:
    log = Log(lambda: 0.0)
    log.note("granted", deferral="at once", scope=["read"])
    broken = []
    for scope in (["read"], ["read"], ["write"]):
        log.answer(log.call("at once", "first"), "token", token=f"t{scope}", scope=scope)
        broken.append([each.promise for each in check(log.events)])
    assert broken == [[], ["R4"], ["R4", "R4"]]


def test_what_was_under_way_at_once_may_have_come_in_either_order() -> None:
    told = Told().does("approve", "counted").hears()
    poll = told.log.call("d", "poll")
    told.does("cancel", "done")
    told.log.answer(poll, "token", token="t1", scope=["read"])
    assert told.ends("redeemed", "t1").breaks() == set()


def test_a_log_is_read_as_it_was_written() -> None:
    events: list[Event] = list(good().log.events)
    text = [json.dumps(each) for each in events]
    assert read_log(text) == events
    with pytest.raises(ValueError, match="no event"):
        read_log(["[]"])


def test_the_checker_knows_nothing_of_the_server() -> None:
    code = (
        "import sys, faults.checker;"
        "sys.exit(any(m.partition('.')[0] == 'abeyance' for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


ANSWERS: Final = {
    "poll": ("pending", "token", "denied", "spent", "lost", "expired"),
    "repeat": ("pending", "token", "denied", "spent", "lost"),
    "approve": ("counted", "closed", "lost"),
    "deny": ("counted", "closed", "lost"),
    "cancel": ("done", "lost"),
    "final": ("open", "approved", "denied", "cancelled", "redeemed", "expired"),
}


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    op = draw(st.sampled_from(sorted(ANSWERS)))
    what = draw(st.sampled_from(ANSWERS[op]))
    began = draw(st.integers(0, 12))
    ended = began + 0.5 + draw(st.integers(0, 6))
    late = draw(st.booleans())
    return Operation(op, what, began, float("inf") if what == "lost" else ended, late)


@given(st.lists(operations(), max_size=6))
def test_the_search_agrees_with_trying_every_order(history: list[Operation]) -> None:
    assert explains(history) == explains_slowly(history)

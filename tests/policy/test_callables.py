"""A Python callable in the place of the rules."""

import asyncio
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from abeyance.policy.callables import CallableDecider, NotLoaded, load_decider
from abeyance.policy.decider import Deny, Issue, Question, Verdict
from abeyance.policy.rules import Rules
from tests.covers import covers
from tests.policy.questions import question

pytestmark = pytest.mark.anyio

RULES = Rules([])  # an object that is a decider already


def plain(asked: Question) -> Verdict:
    return Issue(asked.client.id)


async def awaited(asked: Question) -> Verdict:
    await asyncio.sleep(0)
    return Deny(asked.client.id)


class Judge:
    version = "7"

    async def __call__(self, asked: Question) -> Verdict:
        return Issue("judge")


judge = Judge()


@pytest.mark.parametrize(
    ("name", "verdict"),
    [("plain", Issue("agent")), ("awaited", Deny("agent")), ("judge", Issue("judge"))],
)
async def test_a_callable_is_found_by_its_name(name: str, verdict: Verdict) -> None:
    decider = load_decider(f"{__name__}:{name}")
    assert await decider.decide(question()) == verdict


def test_a_decider_is_taken_as_it_is() -> None:
    assert load_decider(f"{__name__}:RULES") is RULES


async def test_a_plain_function_does_not_run_on_the_event_loop() -> None:
    threads: list[int] = []

    def ask(asked: Question) -> Verdict:
        threads.append(threading.get_ident())
        return Issue("x")

    await CallableDecider(ask, "x").decide(question())
    assert threads != [threading.get_ident()]


async def test_an_exception_is_a_fault_and_no_verdict() -> None:
    def ask(asked: Question) -> Verdict:
        raise LookupError("no such table")

    with pytest.raises(LookupError):
        await CallableDecider(ask, "x").decide(question())


@covers("SEC-UI-10")
@pytest.mark.parametrize("answer", [None, True, "issue", Issue])
async def test_what_is_no_verdict_is_a_fault(answer: object) -> None:
    with pytest.raises(TypeError):
        await CallableDecider(lambda _: answer, "x").decide(question())


async def test_a_callable_that_never_answers_is_given_up() -> None:
    async def ask(asked: Question) -> Verdict:
        await asyncio.Event().wait()
        return Issue("x")

    with pytest.raises(TimeoutError):
        await CallableDecider(ask, "x", patience=timedelta(milliseconds=1)).decide(question())


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("tests.policy", "module:name"),
        ("tests.policy:", "module:name"),
        ("tests.nowhere:it", "tests.nowhere"),
        (f"{__name__}:nobody", "has no nobody"),
        (f"{__name__}:Judge", "neither a function nor a decider"),
        (f"{__name__}:judge.version", "neither a function nor a decider"),
    ],
)
def test_a_name_that_leads_nowhere_says_where_it_breaks(name: str, problem: str) -> None:
    with pytest.raises(NotLoaded, match=problem):
        load_decider(name)


def test_a_module_that_raises_says_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "breaks_on_import.py").write_text("raise OSError('no licence')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(NotLoaded, match="OSError when it is imported: no licence"):
        load_decider("breaks_on_import:policy")


def test_the_version_follows_the_source_or_what_the_callable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    versions = set()
    for name, body in (("first_policy", "return 1"), ("second_policy", "return 2")):
        (tmp_path / f"{name}.py").write_text(f"def policy(asked):\n    {body}\n")
        versions.add(load_decider(f"{name}:policy").version.partition("@")[2])
        sys.modules.pop(name)
    assert len(versions) == 2
    assert load_decider(f"{__name__}:judge").version == f"{__name__}:judge@7"

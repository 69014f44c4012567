"""A word from outside ends what it must, at once, and nothing else (EXT-STALE, EXT-EVENTS)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from abeyance.acts import signal
from abeyance.store.ports import OfSession
from tests.admin.office import CLIENTS, EXTRA, READ, ops
from tests.covers import covers
from tests.people.house import CONFIG, Flow, open_people, web
from tests.people.test_repeating import is_active
from tests.served import Served

# What is outside changes with the hour: then Uma and the robot would get nothing any more.
OUTSIDE: Final = """
[[rules]]
name = "outside"
when = "now >= timestamp('2026-11-23T12:30:00Z') && (person == 'uma' || client.id == 'robot')"
then = "deny"
"""
HALF_AN_HOUR: Final = 1_800


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_people(tmp_path, config=CONFIG + CLIENTS, extra=OUTSIDE + EXTRA) as running:
        yield running
        for path, answer in running.answers:
            assert answer.status < 500, f"{path} answered {answer.status}"


async def three(served: Served) -> tuple[str, str, str]:
    """Something that waits of Uma, of Vic, and of a robot."""
    uma, vic = Flow(web(served)), Flow(web(served), "vic")
    return await uma.deferred(), await vic.deferred(), await web(served, "robot").defer()


async def ends(served: Served, codes: tuple[str, str, str]) -> list[str | None]:
    served.clock.move(6)
    web_, robot = web(served), web(served, "robot")
    return [
        (await caller.poll(code)).error
        for caller, code in zip((web_, web_, robot), codes, strict=True)
    ]


WAITS, NO = "authorization_pending", "access_denied"
UMA, ROBOT = {"person_id": "uma"}, {"client_id": "robot"}


@covers("EXT-STALE-01", "EXT-STALE-04", "EXT-STALE-05", "EXT-EVENTS-01")
@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (UMA, [NO, WAITS, WAITS]),
        (ROBOT, [WAITS, WAITS, NO]),
        ({"client_id": "web"}, [NO, NO, WAITS]),
        (UMA | {"client_id": "web"}, [NO, WAITS, WAITS]),
        (UMA | {"client_id": "robot"}, [WAITS, WAITS, WAITS]),
        ({"person_id": "nobody"}, [WAITS, WAITS, WAITS]),
    ],
)
async def test_what_rests_on_a_ground_is_closed_when_somebody_says_so(
    served: Served, told: dict[str, str], expected: list[str]
) -> None:
    codes = await three(served)
    answer = await (await ops(served)).post("/signals", told | {"action": "close"})
    assert answer.json == {"closed": expected.count(NO)}
    assert await ends(served, codes) == expected


@covers("EXT-STALE-01", "EXT-EVENTS-01")
@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (UMA, [NO, WAITS, WAITS]),
        (ROBOT, [WAITS, WAITS, NO]),
        ({"client_id": "web"}, [NO, WAITS, WAITS]),
        ({"person_id": "vic"}, [WAITS, WAITS, WAITS]),
    ],
)
async def test_what_the_policy_would_deny_by_now_is_closed_and_the_rest_goes_on(
    served: Served, told: dict[str, str], expected: list[str]
) -> None:
    codes = await three(served)
    caller = await ops(served)
    check = told | {"action": "recheck"}
    assert (await caller.post("/signals", check)).json == {"closed": 0}, "nothing has changed yet"
    served.clock.move(HALF_AN_HOUR)
    assert await ends(served, codes) == [WAITS] * 3, "nobody has said so"
    caller = await ops(served)
    answer = await caller.post("/signals", check | {"reason": "lost\nphone"})
    assert answer.json == {"closed": expected.count(NO)}
    assert await ends(served, codes) == expected
    [said] = [
        event.detail
        for event in await served.house.store.list_security_events(50)
        if event.event == signal.SIGNAL and "lost" in event.detail
    ]
    assert said.endswith("(lost phone)")


@covers("EXT-STALE-01", "EXT-STALE-04")
async def test_a_signal_ends_what_was_approved_and_what_came_of_it(served: Served) -> None:
    flow = Flow(web(served))
    collected, approved = await flow.deferred(), await flow.deferred()
    await served.approve(collected)
    token = (await flow.client.poll(collected)).json["access_token"]
    await served.approve(approved)
    assert await served.app.ground_changed(person="uma", close=True) == 2
    assert (await flow.client.poll(approved)).error == NO
    assert not await is_active(served, token)


@covers("EXT-STALE-01")
async def test_of_a_session_only_what_was_granted_in_it_is_checked(served: Served) -> None:
    here, there = Flow(web(served)), Flow(web(served))
    codes = await here.deferred(), await there.deferred()
    loaded = await served.house.store.find_loaded(await served.key_of(codes[0]))
    assert loaded is not None
    assert loaded.snapshot.session is not None
    served.clock.move(HALF_AN_HOUR)
    ground = OfSession(loaded.snapshot.session)
    assert await signal.ground_changed(served.house, ground, end=False, by="test") == 1
    assert [(await here.client.poll(code)).error for code in codes] == [NO, WAITS]


@covers("EXT-EVENTS-01")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"session": "s"},
        {"client_id": "web", "session": "s"},
        UMA | {"client_id": "web", "session": "s"},
        UMA | {"action": "grant"},
        UMA | {"reason": "x" * 201},
        {"person_id": ""},
    ],
)
async def test_a_signal_about_nobody_in_particular_is_refused(
    served: Served, body: dict[str, Any]
) -> None:
    codes = await three(served)
    answer = await (await ops(served)).post("/signals", {"action": "close"} | body)
    assert answer.status == 422, answer.body
    assert await ends(served, codes) == [WAITS] * 3


@covers("EXT-EVENTS-01")
async def test_a_signal_that_no_store_can_hold_cannot_be_read(served: Served) -> None:
    codes = await three(served)
    told = {"action": "close", "client_id": "a\u0000b"}
    assert (await (await ops(served)).post("/signals", told)).status == 400
    assert await ends(served, codes) == [WAITS] * 3


@covers("OAUTH-AT-08", "EXT-EVENTS-01")
async def test_a_signal_needs_the_scope_to_end_requests(served: Served) -> None:
    codes = await three(served)
    less = await ops(served, READ)
    assert (await less.post("/signals", UMA | {"action": "close"})).status == 403
    assert await ends(served, codes) == [WAITS] * 3


@covers("EXT-EVENTS-01")
async def test_a_host_application_must_say_whom_it_means(served: Served) -> None:
    nobody: tuple[dict[str, Any], ...] = (
        {},
        {"session": "s"},
        {"client": "web", "session": "s"},
    )
    for told in nobody:
        with pytest.raises(ValueError, match="name a person"):
            await served.app.ground_changed(**told)
    assert await served.app.ground_changed(person="uma", session="unknown", close=True) == 0

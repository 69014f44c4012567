"""The fence alone: whoever was killed between writing it and sweeping has still ended all of it.

Here the fence is written and no sweep follows, so that only those who look at it can know.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.change import Open, OpenGrant
from tests.covers import covers
from tests.people.house import Flow, back_at_client
from tests.people.racing import overtake
from tests.served import Served

Fence = Callable[[Served], Awaitable[None]]
UMA = PersonId("uma")


async def forget(served: Served) -> None:
    assert await served.house.store.drop_consent(UMA, ClientId("web"))


async def lock(served: Served) -> None:
    person = await served.house.store.find_person(UMA)
    assert person is not None
    await served.house.store.put_person(replace(person, enabled=False))


async def throw_out(served: Served) -> None:
    assert await served.house.store.end_sessions_of(UMA)


FENCES = pytest.mark.parametrize("fence", [forget, lock, throw_out])


@covers("EXT-STALE-01", "OAUTH-TOK-08", "OAUTH-DEFER-06", "DTR-SEC-04", "SEC-RACE-09")
@FENCES
async def test_behind_a_fence_nothing_is_issued_deferred_or_collected(
    served: Served, flow: Flow, fence: Fence
) -> None:
    token = (await flow.token(scope="now read")).json["refresh_token"]
    at_once, to_wait = await flow.code(scope="now"), await flow.code(scope="read")
    approved = await flow.deferred()
    await served.approve(approved)
    await fence(served)
    assert (await flow.redeem(at_once)).error == "invalid_grant"
    assert (await flow.redeem(to_wait, defer=True)).error == "invalid_grant"
    assert (await flow.refresh(token)).error == "invalid_grant"
    assert (await flow.refresh(token, defer=True, scope="read")).error == "invalid_grant"
    for _ in range(2):
        assert (await flow.client.poll(approved)).error == "access_denied"


@covers("EXT-STALE-04", "OAUTH-DEFER-09", "SEC-RACE-09")
@FENCES
async def test_whoever_defers_looks_at_the_fence_after_writing(
    served: Served, flow: Flow, monkeypatch: pytest.MonkeyPatch, fence: Fence
) -> None:
    shown = await flow.code()
    late, _ = await overtake(
        served,
        monkeypatch,
        Open,
        slow=lambda: flow.redeem(shown, defer=True),
        fast=lambda: fence(served),
    )
    assert late.error == "invalid_grant"
    now, rita = served.clock.now(), PersonId("rita")
    assert await served.house.store.count_waiting(rita, now=now, at_most=9) == 0


@covers("EXT-STALE-04", "OAUTH-CODE-03", "SEC-RACE-09")
@pytest.mark.parametrize("fence", [lock, throw_out])
async def test_whoever_grants_looks_at_the_fence_after_writing(
    served: Served, flow: Flow, monkeypatch: pytest.MonkeyPatch, fence: Fence
) -> None:
    page = await flow.visit(scope="now")
    late, _ = await overtake(
        served,
        monkeypatch,
        OpenGrant,
        slow=lambda: flow.answer(page),
        fast=lambda: fence(served),
    )
    assert (late.status, late.answer.header("location")) == (410, None)


@covers("EXT-STALE-04", "OAUTH-CODE-03", "OAUTH-CLI-06")
async def test_a_remembered_yes_that_is_taken_back_meanwhile_yields_nothing(
    served: Served, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await flow.code(scope="now")
    assert (await flow.redeem(first)).status == 200
    late, _ = await overtake(
        served,
        monkeypatch,
        OpenGrant,
        slow=lambda: flow.visit(scope="now"),
        fast=lambda: forget(served),
    )
    assert late.status == 410
    page = await flow.visit(scope="now")
    assert page.status == 200, "and the person is asked again"
    assert "code" in back_at_client(await flow.answer(page))

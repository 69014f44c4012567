"""Races at the endpoints: one winner, and every loser learns the state that won (section I).

The store's own suite races its changes; here whole requests race. `paused` opens
the window on purpose: it holds the first change back until another has been applied.

`RACES` sets how often each is run.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from abeyance.acts.decide import Counted
from abeyance.acts.dispose import close_client
from abeyance.parties.client import ClientId
from abeyance.pending.change import Advance, Change
from abeyance.pending.quota import Quota
from abeyance.pending.states import Event
from abeyance.pending.votes import Verdict
from tests.answer import Answer, check_not_stored
from tests.config import PAYMENT
from tests.covers import covers
from tests.served import Served

ROUNDS: Final = int(os.environ.get("RACES", "1"))

Act = Callable[[], Awaitable[Any]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if ROUNDS > 1:
        metafunc.fixturenames.append("again")
        metafunc.parametrize("again", range(ROUNDS))


class Paused:
    """Holds back the first change that has `event` until `go` is set."""

    def __init__(self, served: Served, event: Event) -> None:
        self.reached, self.go = asyncio.Event(), asyncio.Event()
        apply, held_back = served.house.store.apply, False

        async def held(change: Change) -> Any:
            nonlocal held_back
            is_it = any(isinstance(each, Advance) and each.event is event for each in change.steps)
            if is_it and not held_back:
                held_back = True
                self.reached.set()
                await self.go.wait()
            return await apply(change)

        served.house.store.apply = held  # type: ignore[method-assign]


async def overtake(served: Served, event: Event, slow: Act, fast: Act) -> tuple[Any, Any]:
    """Run `slow` up to its change by `event`, then all of `fast`, then the rest of `slow`."""
    pause = Paused(served, event)
    late = asyncio.ensure_future(slow())
    await pause.reached.wait()
    first = await fast()
    pause.go.set()
    return await late, first


@covers("T-151", "T-152", "SEC-RACE-01", "DTR-OK-03", "EXT-NOTE-02")
async def test_fifty_polls_of_an_approval_give_one_token(served: Served) -> None:
    for _ in range(20):
        code = await served.s1.defer()
        await served.approve(code)
        answers = await asyncio.gather(*(served.s1.poll(code) for _ in range(50)))
        errors = [each.error for each in answers if each.status != 200]
        assert len(errors) == 49
        assert set(errors) <= {"invalid_grant", "slow_down"}
        events = await served.house.store.find_events(await served.key_of(code))
        assert [each.event for each in events].count("redeemed") == 1
        served.clock.move(5)


@covers("T-151", "SEC-RACE-01", "DTR-OK-03")
async def test_of_two_redemptions_that_read_the_same_one_loses(served: Served) -> None:
    code = await served.s1.defer()
    await served.approve(code)
    late, first = await overtake(
        served, Event.REDEEM, lambda: served.s1.poll(code), lambda: served.s1.poll(code)
    )
    assert first.status == 200
    assert late.error == "invalid_grant"


@covers("T-155", "SEC-RACE-02", "SEC-RACE-03", "DTR-CANC-05")
async def test_no_token_after_an_acknowledged_cancellation(served: Served) -> None:
    code = await served.s1.defer()
    await served.approve(code)
    late, first = await overtake(
        served, Event.REDEEM, lambda: served.s1.poll(code), lambda: served.s1.revoke(code)
    )
    assert first.status == 200
    assert late.error == "access_denied"
    assert "access_token" not in late.json


@covers("T-155", "DTR-CANC-04")
async def test_a_cancellation_that_comes_after_the_token_changes_nothing(served: Served) -> None:
    code = await served.s1.defer()
    await served.approve(code)
    late, first = await overtake(
        served, Event.CANCEL, lambda: served.s1.revoke(code), lambda: served.s1.poll(code)
    )
    assert first.status == 200
    assert late.status == 200
    assert (await served.s1.poll(code)).error == "invalid_grant"


@covers("T-156", "SEC-RACE-02")
async def test_cancelling_against_approving_ends_in_no_token(served: Served) -> None:
    for event, slow_is_cancel in ((Event.CANCEL, True), (Event.APPROVE, False)):
        code = await served.s1.defer()

        async def cancel(code: str = code) -> Answer:
            return await served.s1.revoke(code)

        async def approve(code: str = code) -> object:
            return await served.vote(code)

        slow, fast = (cancel, approve) if slow_is_cancel else (approve, cancel)
        await overtake(served, event, slow, fast)
        assert (await served.s1.poll(code)).error == "access_denied"


@covers("T-161", "DTR-CANC-06")
async def test_two_cancellations_at_once_are_one_transition(served: Served) -> None:
    code = await served.s1.defer()
    late, first = await overtake(
        served, Event.CANCEL, lambda: served.s1.revoke(code), lambda: served.s1.revoke(code)
    )
    assert (first.status, first.body) == (late.status, late.body) == (200, b"{}")
    events = await served.house.store.find_events(await served.key_of(code))
    assert [each.event for each in events] == ["opened", "cancelled"]


@covers("T-157", "SEC-RACE-06")
async def test_of_two_reviewers_the_second_is_told(served: Served) -> None:
    code = await served.s1.defer()
    late, first = await overtake(
        served,
        Event.APPROVE,
        lambda: served.vote(code, by="rita"),
        lambda: served.vote(code, Verdict.DENY, by="omar"),
    )
    assert isinstance(first, Counted)
    assert getattr(late, "obstacle", None) is not None
    assert (await served.s1.poll(code)).error == "access_denied"


@covers("T-153", "T-154", "SEC-RACE-05")
@pytest.mark.parametrize("verdict", list(Verdict))
async def test_a_poll_beside_a_decision_is_pending_or_has_it(
    served: Served, verdict: Verdict
) -> None:
    for number in range(20):
        # Each is about something else, or a reviewer who denies would be left in peace.
        amount = {"amount": f"{number}.00", "currency": "EUR"}
        code = await served.s1.defer(authorization_details=[PAYMENT | {"amount": amount}])
        beside, _ = await asyncio.gather(served.s1.poll(code), served.vote(code, verdict))
        assert beside.status == 200 or beside.error in ("authorization_pending", "access_denied")
        if beside.status != 200:
            later = await served.s1.poll(code)
            assert (later.status == 200) == (verdict is Verdict.APPROVE)
        served.clock.move(5)


@covers("T-160", "SEC-RACE-08", "EXT-STALE-04", "OAUTH-DEFER-09")
async def test_closing_a_client_overtakes_a_redemption(served: Served) -> None:
    code = await served.s1.defer()
    await served.approve(code)
    late, closed = await overtake(
        served,
        Event.REDEEM,
        lambda: served.s1.poll(code),
        lambda: close_client(served.house, ClientId("s1")),
    )
    assert closed == 1
    assert late.error == "access_denied"


@covers("T-159", "SEC-RACE-04")
async def test_an_approval_that_loses_against_the_deadline_is_refused(served: Served) -> None:
    code = await served.s1.defer()
    held = await served.held(code)
    served.clock.move((held.decide_by - served.clock.now()).total_seconds() - 1)

    async def run_out() -> None:
        served.clock.move(1)
        await close_client(served.house, ClientId("nobody"))

    late, _ = await overtake(served, Event.APPROVE, lambda: served.vote(code), run_out)
    assert isinstance(late, Counted)  # it was cast in time: the instant is the vote's
    assert (await served.s1.poll(code)).status == 200


@covers("T-165", "DTR-RD-12", "EXT-NOTE-10")
async def test_a_lost_success_is_not_given_twice(served: Served) -> None:
    code = await served.s1.defer()
    await served.approve(code)
    assert (await served.s1.poll(code)).status == 200  # and the connection was cut
    again = await served.s1.poll(code)
    assert again.error == "invalid_grant"
    events = await served.house.store.find_events(await served.key_of(code))
    assert "redeemed" in [each.event for each in events]


@covers("T-167", "T-164", "T-211", "OAUTH-REVO-06", "T-195", "OAUTH-HTTP-07", "SEC-STORE-11")
async def test_a_store_that_is_away_changes_nothing(served: Served) -> None:
    from abeyance.store.ports import StoreAway

    approved, waiting = await served.s1.defer(), await served.s1.defer()
    await served.approve(approved)
    apply = served.house.store.apply

    async def away(change: Change) -> Any:
        raise StoreAway("gone")

    served.house.store.apply = away  # type: ignore[method-assign]
    answers = [
        await served.s1.poll(approved),
        await served.s1.revoke(waiting),
        await served.s1.ask(scope="read"),
        await served.s1.ask(scope="now"),
    ]
    for answer in answers:
        assert (answer.status, answer.error) == (503, "temporarily_unavailable")
        check_not_stored(answer)
        assert answer.header("retry-after") == "5"
    served.answers.clear()  # 503 is what this test is about
    served.house.store.apply = apply  # type: ignore[method-assign]
    assert (await served.s1.poll(approved)).status == 200
    assert (await served.s1.poll(waiting)).error == "authorization_pending"


@covers("SEC-RACE-17", "SEC-DOS-06")
async def test_fifty_requests_at_the_limit_open_exactly_one(served: Served) -> None:
    import dataclasses

    house = dataclasses.replace(
        served.house, terms=dataclasses.replace(served.house.terms, open_requests=Quota(client=3))
    )
    from abeyance.server.backchannel.token import token_endpoint

    served.app._endpoints = {**served.app._endpoints, "/token": token_endpoint(house)}
    served.house.limits.creations._burst = 100
    for _ in range(2):
        await served.s1.defer()
    answers = await asyncio.gather(*(served.s1.ask(scope="read") for _ in range(50)))
    assert [each.error for each in answers].count("authorization_pending") == 1
    refused = [each for each in answers if each.error != "authorization_pending"]
    assert {(each.status, each.error) for each in refused} == {(429, "temporarily_unavailable")}
    assert all(each.header("retry-after") for each in refused)
    assert (await served.c1.ask(scope="read")).error == "authorization_pending"

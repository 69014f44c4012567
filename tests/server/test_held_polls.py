"""Polls that would wait for their answer (EXT-WAIT): held, woken, let go."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from abeyance.acts import dispose
from abeyance.parties.client import ClientId
from tests.answer import Answer
from tests.config import CONFIG
from tests.covers import covers
from tests.served import Caller, Served, serve


@asynccontextmanager
async def held(
    caller: Caller, code: str, seconds: int | str = 25
) -> AsyncIterator[asyncio.Task[Answer]]:
    """A poll that is being held; whoever leaves the block waits for its answer."""
    seats = caller.served.house.limits.held
    before = seats.taken
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(caller.hold(code, seconds))
        await until(caller.served, before + 1)
        yield task


async def until(served: Served, taken: int) -> None:
    async with asyncio.timeout(10):
        while served.house.limits.held.taken != taken:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.001)


def nothing_is_held(served: Served) -> bool:
    return served.house.limits.held.taken == 0 and len(served.house.waiters) == 0


@covers("T-124", "EXT-WAIT-01", "EXT-WAIT-02", "EXT-WAIT-05")
async def test_a_held_poll_is_answered_when_somebody_decides_and_not_before(served: Served) -> None:
    code = await served.s1.defer()
    threads = threading.active_count()
    async with held(served.s1, code) as poll:
        served.clock.move(24)
        await asyncio.sleep(0)
        assert not poll.done()
        assert threading.active_count() == threads
        await served.approve(code)
    token = poll.result()
    assert token.status == 200
    assert token.json["scope"] == "read"
    assert token.header("preference-applied") == "wait=25"
    assert nothing_is_held(served)
    assert (await served.s1.poll(code)).error == "invalid_grant"


@covers("EXT-WAIT-01", "EXT-WAIT-02")
@pytest.mark.parametrize(("asked", "applied"), [("10", 10), ("25", 25), ("900", 25), ("1", 1)])
async def test_without_a_decision_it_is_pending_in_the_end_and_never_later_than_the_cap(
    served: Served, asked: str, applied: int
) -> None:
    code = await served.s1.defer()
    async with held(served.s1, code, asked) as poll:
        served.clock.move(applied - 0.5)
        await asyncio.sleep(0)
        assert not poll.done()
        served.clock.move(0.5)
    answer = poll.result()
    assert (answer.status, answer.error) == (400, "authorization_pending")
    assert answer.header("preference-applied") == f"wait={applied}"
    assert answer.header("retry-after") == "5"
    assert "deferral_code" not in answer.json
    assert nothing_is_held(served)


@covers("EXT-WAIT-02", "EXT-OUTCOME-01")
async def test_every_end_answers_it(served: Served) -> None:
    denied, cancelled = await served.s1.defer(), await served.s1.defer()
    async with held(served.s1, denied) as poll:
        await served.deny(denied)
    assert poll.result().error == "access_denied"
    async with held(served.s1, cancelled) as poll:
        assert (await served.s1.revoke(cancelled)).status == 200
    assert poll.result().error == "access_denied"
    brief = await served.s1.defer(scope="brief")
    served.clock.move(50)
    async with held(served.s1, brief) as poll:
        served.clock.move(10)
    assert poll.result().error == "expired_token"
    assert nothing_is_held(served)


@covers("T-124", "EXT-WAIT-03")
async def test_the_interval_counts_from_the_end_of_the_held_answer(served: Served) -> None:
    code = await served.s1.defer()
    async with held(served.s1, code):
        served.clock.move(25)
    served.clock.move(4)
    early = await served.s1.poll(code)
    assert (early.error, early.header("retry-after")) == ("slow_down", "10")
    served.clock.move(10)
    assert (await served.s1.poll(code)).error == "authorization_pending"


@covers("T-124", "EXT-WAIT-03")
async def test_a_second_poll_beside_a_held_one_comes_too_early(served: Served) -> None:
    code, other = await served.s1.defer(), await served.s1.defer()
    async with held(served.s1, code) as poll:
        served.clock.move(20)
        assert (await served.s1.poll(code)).error == "slow_down"
        assert (await served.s1.hold(code)).error == "slow_down", "nor is it held"
        assert (await served.s1.poll(other)).error == "authorization_pending"
        assert not poll.done()
        await served.approve(code)
    assert poll.result().status == 200


@covers("EXT-WAIT-04", "DTR-SEC-04", "SEC-TOK-27")
async def test_what_was_lost_while_it_was_held_yields_no_token(served: Served) -> None:
    code = await served.s1.defer()
    client = await served.house.store.find_client(ClientId("s1"))
    assert client is not None
    async with held(served.s1, code) as poll:
        await served.house.store.put_client(replace(client, scope=frozenset({"now"})))
        await served.approve(code)
    assert poll.result().error == "access_denied"
    await served.house.store.put_client(client)
    code = await served.s1.defer()
    async with held(served.s1, code) as poll:
        await dispose.disable_client(served.house, client, by="test")
    assert poll.result().error == "access_denied"
    await dispose.set_client(served.house, client.id, enabled=True)


@covers("EXT-WAIT-04", "DTR-POLL-04", "DTR-ERR-05")
async def test_who_may_not_poll_is_not_held(served: Served) -> None:
    code = await served.c1.defer()
    other = served.c1.with_dpop(served.keys["d2"])
    assert (await other.hold(code)).error == "invalid_dpop_proof"
    assert (await served.s1.hold(code)).error == "invalid_grant"
    assert nothing_is_held(served)
    async with held(served.c1, code) as poll:
        await served.approve(code)
    assert poll.result().json["token_type"] == "DPoP"


@covers("SEC-DOS-14", "EXT-WAIT-05")
async def test_a_client_that_vanishes_leaves_its_place_and_its_token(served: Served) -> None:
    code = await served.s1.defer()
    leaves = asyncio.Event()
    poll = asyncio.create_task(served.s1.hold(code, leaves=leaves))
    await until(served, 1)
    leaves.set()
    async with asyncio.timeout(15):  # its time would have been 25
        await poll
    assert nothing_is_held(served)
    served.clock.move(5)
    await served.approve(code)
    assert (await served.s1.poll(code)).status == 200


@covers("SEC-DOS-14")
async def test_a_client_that_vanishes_as_the_decision_comes_has_lost_nothing(
    served: Served,
) -> None:
    code = await served.s1.defer()
    leaves = asyncio.Event()
    poll = asyncio.create_task(served.s1.hold(code, leaves=leaves))
    await until(served, 1)
    leaves.set()
    await served.approve(code)
    assert (await poll).error == "authorization_pending", "to nobody"
    served.clock.move(5)
    assert (await served.s1.poll(code)).status == 200


@covers("EXT-WAIT-05")
async def test_a_house_that_closes_answers_pending(served: Served) -> None:
    code = await served.s1.defer()
    async with held(served.s1, code) as poll:
        served.house.waiters.close()
    assert poll.result().error == "authorization_pending"
    served.clock.move(5)
    assert (await served.s1.hold(code)).error == "authorization_pending", "at once"
    assert nothing_is_held(served)


@covers("T-199", "OAUTH-CLI-05", "EXT-WAIT-04")
async def test_a_client_that_was_disabled_meanwhile_gets_nothing(served: Served) -> None:
    code = await served.s1.defer()
    async with held(served.s1, code) as poll:
        client = await served.house.store.find_client(ClientId("s1"))
        assert client is not None
        # The fence alone: whoever disables it has not swept yet.
        await served.house.store.put_client(replace(client, enabled=False))
        await served.approve(code)
    assert poll.result().error == "access_denied"
    await served.house.store.put_client(client)


@covers("SEC-DOS-14", "EXT-WAIT-05")
async def test_beyond_the_bounds_polls_are_answered_at_once(tmp_path: Path) -> None:
    bounds = "limits.held_polls = 3\nlimits.held_polls_per_client = 2\n"
    async with serve(tmp_path, config=bounds + CONFIG) as served:
        codes = [await served.s1.defer() for _ in range(3)]
        others = [await served.p1.defer(resource="https://rs.example") for _ in range(2)]
        async with (
            held(served.s1, codes[0]),
            held(served.s1, codes[1]),
            held(served.p1, others[0]),
        ):
            for caller, code in ((served.s1, codes[2]), (served.p1, others[1])):
                answer = await caller.hold(code)
                assert answer.error == "authorization_pending"
                assert answer.header("preference-applied") is None
            served.clock.move(25)
        assert nothing_is_held(served)
        served.clock.move(5)
        async with held(served.s1, codes[2]):
            served.clock.move(25)


@covers("EXT-WAIT-01", "EXT-META-01")
async def test_where_none_is_held_the_metadata_does_not_say_so(tmp_path: Path) -> None:
    async with serve(tmp_path, config="limits.held_polls = 0\n" + CONFIG) as served:
        told = (await served.get("/.well-known/oauth-authorization-server")).json
        assert "wait" not in told["deferred_token_response_profiles_supported"]
        answer = await served.s1.hold(await served.s1.defer())
        assert (answer.error, answer.header("preference-applied")) == (
            "authorization_pending",
            None,
        )


@covers("EXT-WAIT-01")
@pytest.mark.parametrize(
    "field",
    ["respond-async", "wait", "wait=", "wait=-1", "wait=1.5", "wait=x", "waits=9", "wait=0",
     "await=9", "wait=99999999999999999999", "return=minimal; wait=9", "x" * 300 + ",wait=9"],
)  # fmt: skip
async def test_what_is_no_wish_to_wait_is_ignored(served: Served, field: str) -> None:
    code = await served.s1.defer()
    form = [("grant_type", "urn:ietf:params:oauth:grant-type:deferred"), ("deferral_code", code)]
    answer = await served.s1.post("/token", form, headers=[("prefer", field)])
    assert answer.error == "authorization_pending"
    assert answer.header("preference-applied") is None


@covers("EXT-WAIT-01")
@pytest.mark.parametrize("field", ['respond-async, WAIT="9"; x=y', "wait=9, wait=20"])
async def test_the_wish_may_stand_among_others(served: Served, field: str) -> None:
    code = await served.s1.defer()
    form = [("grant_type", "urn:ietf:params:oauth:grant-type:deferred"), ("deferral_code", code)]
    poll = asyncio.create_task(served.s1.post("/token", form, headers=[("prefer", field)]))
    await until(served, 1)
    served.clock.move(9)
    assert (await poll).header("preference-applied") == "wait=9"


@covers("EXT-WAIT-02", "EXT-META-04")
async def test_a_client_that_registered_other_profiles_is_not_held(tmp_path: Path) -> None:
    config = CONFIG.replace(
        'name = "Ledger agent"', 'name = "Ledger agent"\ndeferred_token_response_profiles = []'
    )
    async with serve(tmp_path, config=config) as served:
        answer = await served.s1.hold(await served.s1.defer())
        assert answer.error == "authorization_pending"
        assert answer.header("preference-applied") is None


@covers("EXT-WAIT-02")
async def test_one_decision_wakes_one_of_many(served: Served) -> None:
    codes = [await served.s1.defer() for _ in range(40)]
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        polls = [group.create_task(served.s1.hold(code)) for code in codes]
        await until(served, len(codes))
        await served.approve(codes[7])
        assert (await polls[7]).status == 200
        for _ in range(20):
            await asyncio.sleep(0)
        assert [number for number, poll in enumerate(polls) if poll.done()] == [7]
        served.clock.move(25)

"""Requests beside whatever ends their ground, in every order (T-159, T-160; SEC-RACE-08 to -10)."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from abeyance.acts import dispose
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.states import stage_of
from abeyance.store.ports import OfClient
from tests.covers import covers
from tests.isolation.ground import Ground, word_of
from tests.people.house import Flow, web
from tests.served import Served

LOUD = ClientId("loud")
UMA = PersonId("uma")
RITA = PersonId("rita")


async def end_of(at: Served, code: str) -> str:
    """How it stands, and whether a token of it is alive."""
    held = await at.held(code)
    loaded = await at.house.store.find_open_homes(
        OfClient(held.client), now=at.clock.now(), limit=10
    )
    return f"{stage_of(held.state)}, {'alive' if held.key.home in loaded else 'over'}"


@covers("T-159", "SEC-RACE-04")
async def test_a_vote_beside_its_deadline_counts_or_comes_too_late(ground: Ground) -> None:
    async def passes(at: Served, code: str) -> str:
        held = await at.held(code)
        at.clock.move((held.decide_by - at.clock.now()).total_seconds())
        return "passed"

    async def later(at: Served, code: str) -> str:
        """What its client hears just before it ends, and then."""
        heard = []
        for before in (1, 0):
            left = (await at.held(code)).expires_at - at.clock.now()
            at.clock.move(left.total_seconds() - before)
            heard.append(word_of(await ground.loud(at).poll(code)))
        return " ".join(heard)

    await ground.explore(
        ground.waiting,
        {"rita": ground.votes("rita"), "clock": passes},
        {("counted", "passed", "token spent"), ("closed", "passed", "pending expired")},
        ends=later,
        judged=False,
    )


@covers("T-160", "SEC-RACE-08", "OAUTH-CLI-05")
async def test_a_poll_beside_the_end_of_its_client_leaves_no_token_behind(ground: Ground) -> None:
    async def prepare() -> str:
        ground.here.clock.move(60)  # nobody is slowed down for what failed before
        await dispose.set_client(ground.here.house, LOUD, enabled=True)
        return await ground.approved()

    async def disable(at: Served, _: str) -> str:
        client = await at.house.store.find_client(LOUD)
        assert client is not None
        await dispose.disable_client(at.house, client, by="ada")
        return "disabled"

    await ground.explore(
        prepare,
        {"poll": ground.poll, "ada": disable},
        {
            ("token", "disabled", "redeemed, over"),
            ("denied", "disabled", "denied, over"),
            ("no client", "disabled", "denied, over"),
        },
        ends=end_of,
        judged=False,
        clients=True,
    )


async def withdraw(at: Served) -> None:
    await dispose.withdraw_consent(at.house, UMA, ClientId("web"), by="uma")


async def lock(at: Served) -> None:
    person = await at.house.store.find_person(UMA)
    assert person is not None
    await dispose.disable_person(at.house, person, by="ada")


async def throw_out(at: Served) -> None:
    await dispose.end_sessions(at.house, UMA, by="ada")


@covers("T-160", "SEC-RACE-09", "EXT-STALE-04", "OAUTH-DEFER-09")
@pytest.mark.parametrize("end", [withdraw, lock, throw_out])
async def test_a_poll_beside_the_end_of_its_ground_leaves_no_token_behind(
    ground: Ground, end: Callable[[Served], Awaitable[None]]
) -> None:
    async def prepare() -> str:
        await dispose.set_person(ground.here.house, UMA, enabled=True)
        code = await Flow(web(ground.here)).deferred()
        await ground.here.approve(code)
        return code

    async def poll(at: Served, code: str) -> str:
        return word_of(await web(at).poll(code))

    async def ends(at: Served, _: str) -> str:
        await end(at)
        return "ended"

    await ground.explore(
        prepare,
        {"poll": poll, "end": ends},
        {("token", "ended", "redeemed, over"), ("denied", "ended", "denied, over")},
        ends=end_of,
        judged=False,
    )


@covers("SEC-RACE-10")
async def test_a_vote_beside_the_end_of_its_reviewer_counts_or_never_will(ground: Ground) -> None:
    async def prepare() -> str:
        rita = await ground.here.house.store.find_person(RITA)
        assert rita is not None
        await ground.here.house.store.put_person(replace(rita, enabled=True, barred=False))
        return await ground.waiting()

    async def bar(at: Served, _: str) -> str:
        rita = await at.house.store.find_person(RITA)
        assert rita is not None
        await dispose.disable_person(at.house, rita, by="ada")
        return "barred"

    await ground.explore(
        prepare,
        {"rita": ground.votes("rita"), "ada": bar},
        {("counted", "barred", "approved"), ("unknown", "barred", "pending")},
        judged=False,
    )

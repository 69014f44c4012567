"""First requests beside each other, in every order (T-163; SEC-RACE-13 to -15, -17)."""

import itertools
from dataclasses import replace

from abeyance.parties.person import PersonId
from abeyance.pending.quota import Quota
from abeyance.server.backchannel.token import token_endpoint
from tests.answer import Answer
from tests.covers import covers
from tests.isolation.ground import Ground, word_of
from tests.people.house import Flow, web
from tests.people.test_refreshing import family, refresh_of
from tests.people.test_refreshing import found as found_refresh
from tests.served import Served


@covers("T-163", "SEC-RACE-13", "OAUTH-CODE-04")
async def test_a_code_that_is_shown_at_two_servers_is_one_deferral_which_ends(
    ground: Ground,
) -> None:
    opened: list[str] = []

    async def show(at: Served, code: str) -> str:
        answer = await Flow(web(at)).redeem(code, defer=True)
        if "deferral_code" in answer.json:
            opened.append(answer.code)
            return "deferred"
        return word_of(answer)

    async def left(at: Served, _: str) -> str:
        codes, opened[:] = opened[:], []
        return " ".join([word_of(await web(at).poll(code)) for code in codes])

    await ground.explore(
        Flow(web(ground.here)).code,
        {"one": show, "other": show},
        {("deferred", "spent", "denied"), ("spent", "deferred", "denied")},
        ends=left,
        judged=False,
    )


@covers("SEC-RACE-14", "OAUTH-RT-09", "EXT-GRANT-02")
async def test_a_refresh_beside_a_deferred_one_that_is_collected_leaves_one_live_token(
    ground: Ground,
) -> None:
    given: list[str] = []

    async def prepare() -> tuple[str, str]:
        flow = Flow(web(ground.here, "many"))
        token = refresh_of(await family(flow))
        answer = await flow.refresh(token, defer=True, scope="read")
        await ground.here.approve(answer.code)
        given[:] = [token]
        return token, answer.code

    def kept(answer: Answer) -> str:
        if answer.status == 200:
            given.append(refresh_of(answer))
        return word_of(answer)

    async def refresh(at: Served, held: tuple[str, str]) -> str:
        return kept(await Flow(web(at, "many")).refresh(held[0]))

    async def collect(at: Served, held: tuple[str, str]) -> str:
        return kept(await web(at, "many").poll(held[1]))

    async def live(at: Served, _: tuple[str, str]) -> str:
        found = [await found_refresh(at, token) for token in set(given)]
        return " ".join("live" for each in found if each.token.spent_at is None)

    await ground.explore(
        prepare,
        {"refresh": refresh, "collect": collect},
        {("token", "token", "live"), ("spent", "token", "live")},
        ends=live,
        judged=False,
    )


@covers("SEC-RACE-14", "OAUTH-RT-11")
async def test_a_refresh_beside_one_that_is_deferred_costs_neither(ground: Ground) -> None:
    codes: list[str] = []

    async def prepare() -> str:
        return refresh_of(await family(Flow(web(ground.here, "many"))))

    async def refresh(at: Served, token: str) -> str:
        return word_of(await Flow(web(at, "many")).refresh(token))

    async def defer(at: Served, token: str) -> str:
        answer = await Flow(web(at, "many")).refresh(token, defer=True, scope="read")
        codes.append(answer.code)
        return word_of(answer)

    async def live(at: Served, token: str) -> str:
        # One client may not have any number of them open.
        assert (await web(at, "many").revoke(codes.pop())).status == 200
        return "over" if (await found_refresh(at, token)).family.ended_at else "live"

    await ground.explore(
        prepare,
        {"refresh": refresh, "defer": defer},
        {("token", "pending", "live")},
        ends=live,
        judged=False,
    )


@covers("SEC-RACE-15", "EXT-IDEMP-03")
async def test_one_name_at_two_servers_is_one_code_and_one_thing_to_review(ground: Ground) -> None:
    names = (f"name-{number}-0123456789abcdef" for number in itertools.count())
    codes: set[str] = set()

    async def prepare() -> str:
        codes.clear()
        return next(names)

    async def ask(at: Served, name: str) -> str:
        answer = await ground.loud(at).ask(deferral_request_id=name)
        codes.add(answer.code)
        return word_of(answer)

    async def left(at: Served, _: str) -> str:
        waits = await at.house.store.count_waiting(
            PersonId("rita"), now=at.clock.now(), at_most=100
        )
        for code in codes:
            assert (await ground.loud(at).revoke(code)).status == 200
        return f"{len(codes)} code, {waits} to review"

    await ground.explore(
        prepare,
        {"one": ask, "other": ask},
        {("pending", "pending", "1 code, 1 to review")},
        ends=left,
        judged=False,
    )


@covers("SEC-RACE-17", "SEC-DOS-06")
async def test_of_two_requests_at_the_limit_less_one_one_opens(ground: Ground) -> None:
    quota = Quota(client=1)
    for served in ground.servers:
        house = replace(served.house, terms=replace(served.house.terms, open_requests=quota))
        served.app._endpoints = {**served.app._endpoints, "/token": token_endpoint(house)}
    opened: list[str] = []

    async def prepare() -> None:
        for code in opened:
            assert (await ground.loud().revoke(code)).status == 200
        opened.clear()

    async def ask(at: Served, _: None) -> str:
        answer = await ground.loud(at).ask()
        opened.extend([answer.code] if "deferral_code" in answer.json else [])
        return word_of(answer)

    async def many(_: Served, __: None) -> str:
        return f"{len(opened)} open"

    full = "temporarily_unavailable"
    await ground.explore(
        prepare,
        {"one": ask, "other": ask},
        {("pending", full, "1 open"), (full, "pending", "1 open")},
        ends=many,
        judged=False,
        fine=True,
    )

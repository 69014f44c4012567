"""What holds over several processes, and what each keeps for itself: then two allow twice as much,
and no more (the table of docs/operations.md).
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from abeyance.outbound.mail import Mailer
from tests.config import CONFIG
from tests.console.house import HASH, Tab
from tests.covers import covers
from tests.devices.house import CLIENTS, Viewer
from tests.exchange.house import CONFIG as EXCHANGE
from tests.exchange.house import Agent, publish_idp
from tests.people.house import CONFIG as PEOPLE
from tests.people.house import Flow, web
from tests.postgres.databases import Database
from tests.served import Served, keeping_in, serve
from tests.server.test_held_polls import held
from tests.server.test_notices import WAITS, WITH_MAIL, Post, nothing_more, settle, subjects

Ask: TypeAlias = Callable[[Served], Awaitable[int]]
_HOUSE: Final = (
    (PEOPLE.replace("{issuer}", "https://as.example") + CLIENTS)
    .replace("{approval}", "24h")
    .replace("{extra}", "device_authorization = true\n{extra}")
    .replace("{password}", HASH)
)


@asynccontextmanager
async def two(
    database: Database,
    folder: Path,
    config: str = CONFIG,
    mailers: tuple[Mailer | None, Mailer | None] = (None, None),
) -> AsyncIterator[tuple[Served, Served]]:
    """Two servers with the same keys and one clock; `mailers` are theirs."""
    first, second = mailers
    async with AsyncExitStack() as stack:
        stack.enter_context(keeping_in(database.url))
        here = await stack.enter_async_context(serve(folder, config=config, mailer=first))
        yield (
            here,
            await stack.enter_async_context(
                serve(folder, config=config, mailer=second, clock=here.clock)
            ),
        )


async def _signs_in_wrongly(served: Served) -> int:
    return (await Tab(served).sign_in("rita", "not the password")).status


async def _guesses_a_user_code(served: Served) -> int:
    return (await Viewer(served).type("BCDF-GHJK")).status


async def _begins_an_authorization(served: Served) -> int:
    answer = await served.get("/authorize?response_type=code&client_id=web")
    return answer.status


@covers("SEC-DOS-16", "SEC-DOS-08", "DEV-UC-04")
@pytest.mark.parametrize(
    ("ask", "each", "free"),
    [
        (_signs_in_wrongly, 6, 401),
        (_guesses_a_user_code, 10, 400),
        (_begins_an_authorization, 100, 400),
    ],
)
async def test_what_each_process_counts_two_allow_twice_and_no_more(
    database: Database, tmp_path: Path, ask: Ask, each: int, free: int
) -> None:
    async with two(database, tmp_path, _HOUSE) as pair:
        answers = [await ask(served) for _ in range(each) for served in pair]
        assert Counter(answers) == {free: 2 * each}
        assert [await ask(served) for served in pair] == [429, 429]


@covers("SEC-DOS-10")
async def test_each_process_sends_a_reviewer_five_notices_and_then_only_what_is_for_all(
    database: Database, tmp_path: Path
) -> None:
    posts = Post(), Post()
    async with two(database, tmp_path, WITH_MAIL, posts) as pair:
        for _ in range(20):
            for served in pair:
                await served.s1.defer()
                await nothing_more()
        await settle(lambda: all(len(post.to("rita")) >= 5 for post in posts))
        await nothing_more()
        assert [subjects(post.to("rita")) for post in posts] == [[WAITS] * 5] * 2
        for _ in range(10):
            pair[0].clock.move(13)
            await nothing_more()
        await settle(lambda: any(len(post.to("rita")) > 5 for post in posts))
        beyond = [each for post in posts for each in subjects(post.to("rita"))[5:]]
        assert set(beyond) == {"40 requests wait for your decision"}


@covers("SEC-DOS-14")
async def test_each_process_has_seats_of_its_own_for_polls_that_are_held(
    database: Database, tmp_path: Path
) -> None:
    bound = "limits.held_polls_per_client = 1\n"
    async with two(database, tmp_path, bound + CONFIG) as (here, there):
        one, other, third = [await here.s1.defer() for _ in range(3)]
        async with held(here.s1, one), held(there.s1, other):
            for served in (here, there):
                answer = await served.s1.hold(third)
                assert answer.header("preference-applied") is None
                here.clock.move(5)
            here.clock.move(20)


@covers("SEC-DOS-06")
async def test_open_requests_are_counted_over_all_processes(
    database: Database, tmp_path: Path
) -> None:
    bound = "limits.open_requests_per_client = 5\n"
    async with two(database, tmp_path, bound + CONFIG) as (here, there):
        answers = [await served.s1.ask() for _ in range(4) for served in (here, there)]
        assert [each.status for each in answers] == [400] * 5 + [429] * 3
        assert (await there.s1.revoke(answers[0].code)).status == 200
        assert (await here.s1.ask()).status == 400
        assert (await there.s1.ask()).status == 429


@covers("OAUTH-JWTB-02")
async def test_an_assertion_of_a_person_is_used_once_over_all_processes(
    database: Database, tmp_path: Path
) -> None:
    publish_idp(tmp_path)
    async with two(database, tmp_path, EXCHANGE.replace("{password}", HASH)) as (here, there):
        assertion = Agent.of(here).idp.assertion()
        assert (await Agent.of(here).bring(assertion, scope="now")).status == 200
        for served in (there, here):
            again = await Agent.of(served).bring(assertion, scope="now")
            assert (again.status, again.error) == (400, "invalid_grant")


@covers("EXT-GRANT-02")
async def test_a_code_and_a_session_of_one_process_are_known_to_the_other(
    database: Database, tmp_path: Path
) -> None:
    async with two(database, tmp_path, _HOUSE) as (here, there):
        flow = Flow(web(here))
        code = await flow.code(scope="now")
        flow.tab.served, flow.client.served = there, there
        assert (await flow.redeem(code)).status == 200
        assert (await flow.tab.get("/account/")).status == 200
        flow.client.served = here
        assert (await flow.redeem(code)).error == "invalid_grant"

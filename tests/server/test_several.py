"""Two servers over one database: who decides at one is heard at the other."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from abeyance.acts import dispose
from abeyance.acts.deliver import LEASE
from abeyance.keys.rotating import lay_down
from abeyance.parties.client import ClientId
from abeyance.pending.message import Claimed
from abeyance.server.clock import SharedClock
from abeyance.server.key_events import CHANGED
from abeyance.store.postgres.store import PostgresStore
from tests.config import CONFIG
from tests.covers import covers
from tests.outside import Network
from tests.postgres.databases import Database, Databases
from tests.postgres.server import PostgresServer, find_programs
from tests.served import Served, keeping_in, serve
from tests.server.test_callbacks import nothing_more
from tests.server.test_held_polls import held

Pair = tuple[Served, Served]
CALLED_BACK: Final = CONFIG.replace(
    'id = "s1"', 'id = "s1"\ndeferred_client_notification_endpoint = "https://cb.example/"', 1
)


@pytest.fixture
async def pair(database: Database, tmp_path: Path) -> AsyncIterator[Pair]:
    """Two servers with the same keys, and one clock."""
    async with AsyncExitStack() as stack:
        stack.enter_context(keeping_in(database.url))
        here = await stack.enter_async_context(serve(tmp_path))
        yield here, await stack.enter_async_context(serve(tmp_path, clock=here.clock))


@covers("T-120", "EXT-WAIT-01")
async def test_a_poll_that_is_held_at_one_is_woken_by_a_decision_at_the_other(pair: Pair) -> None:
    here, there = pair
    code = await here.s1.defer()
    async with held(there.s1, code) as poll:
        await here.approve(code)
        assert (await poll).status == 200
    assert (await here.s1.poll(code)).error == "invalid_grant"


@covers("T-120", "DTR-OK-03")
async def test_of_polls_at_both_one_redeems(pair: Pair) -> None:
    for _ in range(10):
        code = await pair[0].s1.defer()
        await pair[1].approve(code)
        answers = await asyncio.gather(*(each.s1.poll(code) for each in pair * 3))
        assert sorted(answer.status for answer in answers) == [200, 400, 400, 400, 400, 400]


@covers("SEC-JOSE-25", "SEC-JOSE-26", "OAUTH-DPOP-12")
async def test_a_proof_that_was_used_at_one_is_refused_at_the_other(pair: Pair) -> None:
    for first, second in (pair, pair[::-1]):
        proof = first.c1.proof("https://as.example/token")
        answers = []
        for each in (first, second, first):
            caller = each.c1.without_proof()
            form = [("grant_type", "client_credentials"), ("scope", "now")]
            answers.append(await caller.post("/token", form, headers=[("dpop", proof)]))
        assert [answer.status for answer in answers] == [200, 400, 400]
        assert {answer.error for answer in answers[1:]} == {"invalid_dpop_proof"}


@covers("SEC-JOSE-25", "OAUTH-CAUTH-17")
async def test_an_assertion_that_was_used_at_one_is_refused_at_the_other(pair: Pair) -> None:
    here, there = pair
    credentials, _ = here.c2.credentials()
    form = [("grant_type", "client_credentials"), ("scope", "now"), *credentials]
    answers = [await each.post("/token", form) for each in (here, there)]
    assert [(answer.status, answer.json.get("error")) for answer in answers] == [
        (200, None),
        (401, "invalid_client"),
    ]


@covers("SEC-JOSE-26", "OAUTH-CAUTH-17")
async def test_of_many_uses_of_one_assertion_at_both_at_once_one_counts(pair: Pair) -> None:
    credentials, _ = pair[0].c2.credentials()
    form = [("grant_type", "client_credentials"), ("scope", "now"), *credentials]
    answers = await asyncio.gather(*(each.post("/token", form) for each in pair * 10))
    assert [answer.status for answer in answers].count(200) == 1
    refused = {answer.error for answer in answers if answer.status != 200}
    assert refused <= {"invalid_client", "temporarily_unavailable"}


@covers("OAUTH-CLI-05", "EXT-STALE-01")
async def test_a_client_that_was_disabled_at_one_gets_nothing_at_the_other(pair: Pair) -> None:
    here, there = pair
    waits, approved = await there.s1.defer(), await there.s1.defer(scope="write")
    await there.approve(approved)
    client = await here.house.store.find_client(ClientId("s1"))
    assert client is not None
    assert await here.house.store.replace_client(client, replace(client, enabled=False))
    await dispose.close_client(here.house, client.id)
    there.clock.move(5)
    for code in (waits, approved):
        assert (await there.s1.poll(code)).error == "invalid_client"
    assert (await there.s1.ask(scope="now")).error == "invalid_client"


@covers("T-107", "DTR-ERR-04")
async def test_the_pace_is_kept_by_each_so_two_take_a_poll_each_in_an_interval(pair: Pair) -> None:
    """The bound is weaker by the number of processes, and no weaker."""
    here, there = pair
    code = await here.s1.defer()
    here.clock.move(5)
    polls = [await each.s1.poll(code) for each in (here, there, here, there)]
    assert [poll.error for poll in polls] == ["authorization_pending"] * 2 + ["slow_down"] * 2


@covers("EXT-WAIT-06")
async def test_a_poll_that_was_earned_at_one_counts_at_the_other(pair: Pair) -> None:
    here, there = pair
    code = await here.s1.defer()
    digest = (await here.held(code)).handle.digest
    here.clock.move(5)
    assert (await there.s1.poll(code)).error == "authorization_pending"
    here.house.clocks.earn(digest)
    before = there.house.clocks.get(digest)
    await until(lambda: there.house.clocks.get(digest) is not before)
    assert (await there.s1.poll(code)).error == "authorization_pending"
    assert (await there.s1.poll(code)).error == "slow_down"


@covers("SEC-DOS-20", "OAUTH-REVO-06")
async def test_while_the_database_is_away_nothing_is_half_done_and_it_recovers_by_itself(
    tmp_path: Path,
) -> None:
    with PostgresServer(find_programs()) as server:
        async with Databases(server).fresh() as database:
            with keeping_in(database.url):
                async with serve(tmp_path) as served:
                    code, other = await served.s1.defer(), await served.s1.defer(scope="write")
                    await served.approve(code)
                    server.crash()
                    served.clock.move(5)
                    for answer in (
                        await served.s1.poll(code),
                        await served.s1.poll(other),
                        await served.s1.ask(),
                        await served.s1.revoke(other),
                        await served.get("/readyz"),
                    ):
                        assert answer.status == 503
                        assert answer.header("retry-after") or answer.json["store"] == "away"
                    server.start()
                    async with asyncio.timeout(30):
                        while (await served.get("/readyz")).status != 200:  # noqa: ASYNC110
                            await asyncio.sleep(0.05)
                    served.clock.move(5)
                    assert (await served.s1.poll(code)).status == 200
                    assert (await served.s1.poll(other)).error == "authorization_pending"
                    served.clock.move(5)
                    async with held(served.s1, other) as poll:
                        await served.approve(other)
                        assert (await poll).status == 200


@covers("DTR-CB-03", "T-176")
async def test_nobody_is_called_by_another_before_the_first_answer_is_known_to_be_out(
    database: Database, tmp_path: Path
) -> None:
    network = Network()
    async with AsyncExitStack() as stack:
        stack.enter_context(keeping_in(database.url))
        serving = partial(serve, tmp_path, config=CALLED_BACK, outside=network)
        here = await stack.enter_async_context(serving())
        there = await stack.enter_async_context(serving(clock=here.clock))
        code = await here.s1.defer()
        await until(partial(there.house.answering.is_out, await here.key_of(code)))
        await there.approve(code)
        here.clock.move(1)
        await until(lambda: len(network.posts) == 1)
        here.house.answering.share = lambda _: None  # its word is lost, or the answer not out
        late = await here.s1.defer()
        here.house.answering.begin(await here.key_of(late), here.clock.now())
        await there.approve(late)
        for _ in range(29):
            here.clock.move(1)
            await nothing_more()
        assert len(network.posts) == 1
        here.clock.move(1)
        await until(lambda: len(network.posts) == 2)


@covers("DTR-CB-01", "EXT-NOTIFY-03")
async def test_of_two_that_empty_the_outbox_one_sends_each_message(
    database: Database, tmp_path: Path
) -> None:
    network = Network()
    async with AsyncExitStack() as stack:
        stack.enter_context(keeping_in(database.url))
        serving = partial(serve, tmp_path, config=CALLED_BACK, outside=network)
        here = await stack.enter_async_context(serving())
        there = await stack.enter_async_context(serving(clock=here.clock))
        codes = [await each.s1.defer() for each in (here, there) * 6]
        keys = [await here.key_of(code) for code in codes]
        for each in (here, there):
            await until(lambda: all(map(each.house.answering.is_out, keys)))  # noqa: B023
        for code, each in zip(codes, (here, there) * 6, strict=True):
            await each.approve(code)  # both look, and both will when all fall due
        here.clock.move(1)
        await until(lambda: len(network.posts) >= 12)
        await nothing_more()
        here.clock.move(30)
        await nothing_more()
        assert sorted(post.body["deferral_code"] for post in network.posts) == sorted(codes)


@covers("EXT-NOTIFY-03")
async def test_what_a_process_was_sending_when_it_fell_silent_is_sent_by_another(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent, network = Network(gate=asyncio.Event()), Network()
    async with AsyncExitStack() as stack:
        stack.enter_context(keeping_in(database.url))
        here = await stack.enter_async_context(serve(tmp_path, config=CALLED_BACK, outside=silent))
        await here.approve(await here.s1.defer())
        here.clock.move(1)
        await until(lambda: len(silent.posts) == 1)
        monkeypatch.setattr(here.house.store, "claim_messages", _nothing)
        await stack.enter_async_context(
            serve(tmp_path, config=CALLED_BACK, outside=network, clock=here.clock)
        )
        over = await here.house.store.next_message()
        assert over is not None
        left = over - here.clock.now()
        assert LEASE - timedelta(seconds=1) <= left <= LEASE
        here.clock.move(left.total_seconds() - 1)
        await nothing_more()
        assert network.posts == []
        here.clock.move(1)
        await until(lambda: network.posts == silent.posts)


@covers("OAUTH-CAUTH-11", "SEC-DOS-08")
async def test_limits_are_kept_by_each_so_two_allow_twice_as_much_and_no_more(pair: Pair) -> None:
    wrong = [("grant_type", "x"), ("client_id", "s1"), ("client_secret", "x" * 40)]
    refused = [(await each.post("/token", wrong)).status for each in pair * 7]
    assert refused == [401] * 12 + [429] * 2
    pair[0].clock.move(31)
    asked = []
    for each in pair * 51:
        answer = await each.s1.ask()
        asked.append(answer.status)
        if answer.status != 429:
            await each.s1.revoke(answer.code)
    assert asked == [400] * 100 + [429] * 2


async def _nothing(**_: object) -> Sequence[Claimed]:
    return ()


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not so():  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.001)


@covers("SEC-STORE-07")
async def test_a_change_of_the_signing_key_stands_once_in_the_log(
    database: Database, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        stack.enter_context(keeping_in(database.url))
        here = await stack.enter_async_context(serve(tmp_path))
        there = await stack.enter_async_context(serve(tmp_path, clock=here.clock))
        now = here.clock.now()
        lay_down(tmp_path / "keys", at=now + timedelta(seconds=30), alg="ES256", now=now)
        for _ in range(7):
            here.clock.move(5)
            signed = [(await each.s1.ask(scope="now")).claims() for each in (here, there)]
            assert len(signed) == 2
    store = await PostgresStore.open(database.url)
    events = [each for each in await store.list_security_events(99) if each.event == CHANGED]
    await store.close()
    assert len({each.detail for each in events}) == 2
    assert len(events) == 2


@pytest.fixture
def wrong() -> list[timedelta]:
    """By how much this machine's clock is wrong; a test changes it."""
    return [timedelta(hours=-3)]


@covers("OAUTH-SEC-08")
async def test_time_is_the_databases_wherever_a_machine_thinks_it_is(
    database: Database, wrong: list[timedelta]
) -> None:
    store = await PostgresStore.open(database.url)
    try:
        ours = lambda: datetime.now(UTC) + wrong[0]  # noqa: E731
        async with SharedClock.following(store.find_time, ours) as clock:
            assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
            wrong[0] = timedelta(hours=3)
            await clock.measure()
            assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    finally:
        await store.close()

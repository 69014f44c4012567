"""Callbacks: who is called, when, with what, and what is left behind (DTR-CB, EXT-NOTIFY)."""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import apsw
import pytest

from abeyance.acts import cancel, dispose
from abeyance.acts.deliver import LEASE
from abeyance.outbound.caller import Unreachable
from abeyance.outbound.targets import Forbidden
from abeyance.parties.client import ClientId
from abeyance.server.settings import ConfigurationError
from abeyance.volatile.answering import STUCK
from tests.config import CONFIG, without
from tests.covers import covers
from tests.outside import Network, Post
from tests.served import Caller, Served, count_rows, serve

URL: Final = "https://cb.example/hook?tenant=1"
TOKEN: Final = "notify-0123456789abcdefghij-~+/=="
_WITH: Final = CONFIG.replace(
    'id = "s1"', f'id = "s1"\ndeferred_client_notification_endpoint = "{URL}"', 1
)


@asynccontextmanager
async def world(
    folder: Path, network: Network | None = None
) -> AsyncIterator[tuple[Served, Network]]:
    network = network or Network()
    async with serve(folder, config=_WITH, outside=network) as served:
        yield served, network


async def settle(until: Callable[[], bool]) -> None:
    """Let the server go on until this is so."""
    async with asyncio.timeout(30):
        while not until():  # noqa: ASYNC110  # the file and the network tell nobody
            await asyncio.sleep(0.001)


async def nothing_more() -> None:
    """Let the server do what it still can at this instant."""
    for _ in range(20):
        await asyncio.sleep(0.001)


async def settled(served: Served) -> None:
    """Until what came of this attempt is kept: its lease would have been another time."""
    async with asyncio.timeout(10):
        while True:
            due = await served.house.store.next_message()
            if due is None or due - served.clock.now() != LEASE:
                return
            await asyncio.sleep(0.001)


def _are(network: Network, posts: int) -> bool:
    return len(network.posts) == posts


def sealed(folder: Path) -> int:
    """How many messages wait in the store."""
    return count_rows(folder, "outbox")


async def deferred(served: Served, **more: Any) -> str:
    code = await served.s1.defer(**more)
    served.clock.move(2)
    return code


@covers(
    "DTR-CB-01", "DTR-CB-02", "DTR-CB-07", "T-173", "T-175", "T-184", "T-185", "DTR-INIT-03",
    "SEC-STORE-03",
)  # fmt: skip
@pytest.mark.parametrize("end", ["approve", "deny", "operator"])
async def test_the_client_hears_that_it_has_ended_and_nothing_else(
    tmp_path: Path, end: str
) -> None:
    async with world(tmp_path) as (served, network):
        code = await deferred(served, client_notification_token=TOKEN)
        await nothing_more()
        assert (network.posts, sealed(tmp_path)) == ([], 1)
        if end == "approve":
            await served.approve(code)
        elif end == "deny":
            await served.deny(code, reason="Not from this account", shareable=True)
        else:
            assert await cancel.withdraw(served.house, await served.key_of(code), by="person:ada")
        await settle(lambda: bool(network.posts))
        assert network.posts == [
            Post(
                URL,
                {"deferral_code": code},
                {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"},
            )
        ]
        await settle(lambda: sealed(tmp_path) == 0)
        expected = {"approve": None, "deny": "access_denied", "operator": "access_denied"}
        assert (await served.s1.poll(code)).json.get("error") == expected[end]


@covers("T-142", "DTR-INIT-03", "SEC-TOK-07")
async def test_a_poll_does_not_change_the_token_that_a_callback_brings(tmp_path: Path) -> None:
    async with world(tmp_path) as (served, network):
        code = await deferred(served, client_notification_token=TOKEN)
        other = await served.s1.poll(code, client_notification_token="another-" + "n" * 22)
        assert other.error == "authorization_pending"
        await served.approve(code)
        await settle(lambda: bool(network.posts))
        assert network.posts[0].headers["Authorization"] == f"Bearer {TOKEN}"


@covers("T-072", "DTR-RD-19")
@pytest.mark.parametrize("asked", [{"scope": "now"}, {"scope": "read", "defer": False}])
async def test_a_token_that_no_callback_will_need_is_not_kept(
    tmp_path: Path, asked: dict[str, Any]
) -> None:
    async with world(tmp_path) as (served, _):
        await served.s1.ask(client_notification_token=TOKEN, **asked)
        assert sealed(tmp_path) == 0
        assert TOKEN.encode() not in (tmp_path / "abeyance.db-wal").read_bytes()


@covers("DTR-CB-02", "T-175")
async def test_without_a_token_there_is_no_authorization_field(tmp_path: Path) -> None:
    async with world(tmp_path) as (served, network):
        code = await deferred(served)
        await served.approve(code)
        await settle(lambda: bool(network.posts))
        assert network.posts[0].headers == {"Content-Type": "application/json"}


@covers("DTR-INIT-03", "T-069")
async def test_each_request_has_its_own_token(tmp_path: Path) -> None:
    async with world(tmp_path) as (served, network):
        codes = [
            await served.s1.defer(client_notification_token=f"{TOKEN[:-2]}{number}")
            for number in range(2)
        ]
        served.clock.move(2)
        for code in codes:
            await served.deny(code)
        await settle(lambda: len(network.posts) == 2)
        assert {
            post.body["deferral_code"]: post.headers["Authorization"] for post in network.posts
        } == {code: f"Bearer {TOKEN[:-2]}{number}" for number, code in enumerate(codes)}


@covers("DTR-CANC-02", "EXT-NOTIFY-06", "T-162", "T-174", "SEC-SSRF-69", "SEC-RACE-16")
async def test_who_withdraws_is_not_called(tmp_path: Path) -> None:
    async with world(tmp_path) as (served, network):
        code = await deferred(served, client_notification_token=TOKEN)
        assert (await served.s1.revoke(code)).status == 200
        assert (await served.s1.poll(code)).error == "access_denied"
        await nothing_more()
        assert (network.posts, sealed(tmp_path)) == ([], 0)
        approved = await deferred(served)
        network.answers = [503, 204]
        await served.approve(approved)
        await settle(lambda: len(network.posts) == 1)
        assert (await served.s1.revoke(approved)).status == 200
        served.clock.move(60)
        await settle(lambda: not sealed(tmp_path))
        await nothing_more()
        assert (len(network.posts), sealed(tmp_path)) == (1, 0), "not begun again"


@covers("DTR-RD-22", "T-187")
async def test_who_has_collected_already_is_not_called(tmp_path: Path) -> None:
    async with world(tmp_path, Network([503, 204])) as (served, network):
        code = await deferred(served)
        await served.approve(code)
        await settle(lambda: len(network.posts) == 1)
        served.clock.move(4)
        assert (await served.s1.poll(code)).status == 200
        served.clock.move(60)
        await settle(lambda: not sealed(tmp_path))
        await nothing_more()
        assert (len(network.posts), sealed(tmp_path)) == (1, 0)


@covers("DTR-CB-03", "T-174", "T-177", "SEC-SSRF-69", "DTR-CB-08", "T-185")
async def test_nobody_is_called_about_what_has_expired(tmp_path: Path) -> None:
    async with world(tmp_path, Network([503])) as (served, network):
        silent, late = await served.s1.defer(), await deferred(served, scope="brief")
        served.clock.move(50)
        assert sealed(tmp_path) == 2
        await served.vote(late)
        served.clock.move(60)
        await nothing_more()
        assert network.posts == []
        served.clock.move(3_600)
        await settle(lambda: sealed(tmp_path) == 0)
        assert network.posts == []
        assert (await served.s1.poll(silent)).error == "expired_token"


@covers("DTR-CB-03", "T-176", "SEC-SSRF-69")
async def test_nobody_is_called_before_the_deferred_response_is_written(tmp_path: Path) -> None:
    async with world(tmp_path) as (served, network):
        code = await served.s1.defer()
        await served.approve(code)
        await nothing_more()
        assert network.posts == [], "nor a breath later"
        key = await served.key_of(code)
        served.house.answering.begin(key, served.clock.now())
        for _ in range(3):
            served.clock.move(2)
            await nothing_more()
        assert network.posts == [], "its answer is still on the way"
        served.house.answering.end(key)
        served.clock.move(2)
        await settle(lambda: len(network.posts) == 1)


@covers("DTR-CB-03")
async def test_what_was_answered_is_on_its_way_no_more(tmp_path: Path) -> None:
    async with world(tmp_path) as (served, _):
        key = await served.key_of(await served.s1.defer())
        assert served.house.answering.is_out(key)


@covers("DTR-CB-02", "DTR-CB-03", "EXT-IDEMP-05")
@pytest.mark.parametrize("token", ["second-token-of-the-client", None])
async def test_of_a_request_that_is_sent_again_the_token_that_came_last_counts(
    tmp_path: Path, token: str | None
) -> None:
    async with world(tmp_path) as (served, network):
        named = {"deferral_request_id": "a-name-of-the-clients-own-8481", "scope": "read"}
        code = await deferred(served, **named, client_notification_token=TOKEN)
        again: dict[str, Any] = dict(named)
        if token is not None:
            again["client_notification_token"] = token
        assert (await served.s1.ask(**again)).code == code
        key = await served.key_of(code)
        assert served.house.answering.is_out(key)
        await served.approve(code)
        await settle(lambda: len(network.posts) == 1)
        assert network.posts[0].headers["Authorization"] == f"Bearer {token or TOKEN}"
        assert network.posts[0].body == {"deferral_code": code}


@covers("EXT-NOTIFY-03", "T-180", "T-185", "DTR-INV-06", "T-188", "T-106")
@pytest.mark.parametrize(
    "answer", [500, 503, 404, 302, Unreachable("refused"), Forbidden("x"), RuntimeError("a bug")]
)
async def test_it_is_tried_again_for_a_quarter_of_an_hour_and_then_given_up(
    tmp_path: Path, answer: int | Exception
) -> None:
    async with world(tmp_path, Network([answer])) as (served, network):
        code = await deferred(served, client_notification_token=TOKEN)
        await served.approve(code)
        waits: list[float] = []
        for tried in range(1, 7):
            await settle(partial(_are, network, tried))
            if tried == 6:
                break
            await settled(served)
            due = await served.house.store.next_message()
            assert due is not None
            waits.append((due - served.clock.now()).total_seconds())
            assert network.posts[-1].headers["Authorization"] == f"Bearer {TOKEN}"
            served.clock.move(waits[-1] - 1)
            await nothing_more()
            assert len(network.posts) == tried, "not before its time"
            served.clock.move(1)
        await settle(lambda: not sealed(tmp_path))
        assert 600 <= sum(waits) <= 1_200
        assert sorted(waits) == waits, "ever later"
        assert (await served.s1.poll(code)).status == 200, "and polling had it all along"


@covers("EXT-NOTIFY-03", "T-180", "SEC-SSRF-67")
@pytest.mark.parametrize("answer", [200, 204, 401, 410])
async def test_some_answers_are_the_last_word(tmp_path: Path, answer: int) -> None:
    async with world(tmp_path, Network([answer])) as (served, network):
        code = await deferred(served)
        await served.approve(code)
        await settle(lambda: bool(network.posts) and not sealed(tmp_path))
        served.clock.move(3_000)
        await nothing_more()
        assert len(network.posts) == 1
        events = [each.event for each in await served.house.store.list_security_events(10)]
        assert events.count("callback_refused") == (answer == 401)


@covers("EXT-NOTIFY-03", "SEC-RACE-12", "SEC-RACE-16")
async def test_what_was_not_sent_before_a_crash_is_sent_after_it(tmp_path: Path) -> None:
    blocked, here, there = Network(gate=asyncio.Event()), tmp_path / "here", tmp_path / "there"
    async with world(here, blocked) as (served, network):
        code = await deferred(served, client_notification_token=TOKEN)
        await served.approve(code)
        await settle(lambda: len(network.posts) == 1)
        ahead = served.clock.now()
        shutil.copytree(here, there)  # what a crash would leave
    assert sealed(there) == 1, "begun, and not known to have arrived"
    async with world(there) as (served, network):
        served.clock.move((ahead - served.clock.now()).total_seconds())
        await nothing_more()
        assert network.posts == [], "the lease of whoever began it stands"
        served.clock.move(LEASE.total_seconds() + 1)
        await settle(lambda: len(network.posts) == 1)
        assert network.posts[0].headers["Authorization"] == f"Bearer {TOKEN}"


@covers("EXT-NOTIFY-03")
async def test_what_a_server_leaves_behind_when_it_is_stopped_is_sent_at_once(
    tmp_path: Path,
) -> None:
    blocked = Network(gate=asyncio.Event())
    async with world(tmp_path, blocked) as (served, network):
        codes = [await served.s1.defer() for _ in range(30)]
        served.clock.move(STUCK.total_seconds())  # for all know then that they were answered
        for code in codes:
            await served.approve(code)
        await settle(lambda: len(network.posts) == 1)
        ahead = served.clock.now()
    assert len(network.posts) == 1, "nothing more was begun when it stopped"
    async with world(tmp_path) as (served, network):
        served.clock.move((ahead - served.clock.now()).total_seconds())
        # One was under way, the others waited for their turn.
        await settle(lambda: not sealed(tmp_path))
        assert sorted(post.body["deferral_code"] for post in network.posts) == sorted(codes)


@covers("DTR-RD-22", "T-187", "SEC-SSRF-68")
async def test_the_address_is_the_one_that_is_registered_when_it_is_called(tmp_path: Path) -> None:
    async with world(tmp_path) as (served, network):
        moved, removed = await served.s1.defer(), await deferred(served)
        store = served.house.store
        client = await store.find_client(ClientId("s1"))
        assert client is not None
        await store.put_client(replace(client, notification_endpoint="https://new.example/"))
        await served.approve(moved)
        await settle(lambda: len(network.posts) == 1)
        assert network.posts[0].url == "https://new.example/"
        await store.put_client(replace(client, notification_endpoint=None))
        await served.approve(removed)
        await settle(lambda: not sealed(tmp_path))
        assert len(network.posts) == 1


@covers("OAUTH-SSRF-09")
async def test_no_request_says_where_to(tmp_path: Path) -> None:
    async with world(tmp_path) as (served, network):
        code = await deferred(
            served,
            deferred_client_notification_endpoint="https://evil.example/",
            client_notification_endpoint="https://evil.example/",
        )
        await served.deny(code)
        await settle(lambda: bool(network.posts))
        assert network.posts[0].url == URL


@covers("DTR-RD-19", "DTR-CB-08")
@pytest.mark.parametrize("how", ["no endpoint", "no opt-in", "at once"])
async def test_a_token_that_nobody_will_need_is_not_kept(tmp_path: Path, how: str) -> None:
    async with world(tmp_path) as (served, _):
        if how == "no endpoint":
            await served.p1.defer(resource="https://rs.example", client_notification_token=TOKEN)
        else:
            scope = "now" if how == "at once" else "read"
            await served.s1.ask(
                scope=scope, defer=how == "at once", client_notification_token=TOKEN
            )
        assert sealed(tmp_path) == 0


@covers("DTR-CB-08", "T-186", "SEC-STORE-04", "T-185")
async def test_code_and_token_rest_sealed_and_never_reach_a_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with world(tmp_path, Network([410])) as (served, network):
        code = await deferred(served, client_notification_token=TOKEN)
        for file in (tmp_path / "abeyance.db", tmp_path / "abeyance.db-wal"):
            assert TOKEN.encode() not in file.read_bytes()
            assert code.encode() not in file.read_bytes()
        await served.approve(code)
        await settle(lambda: bool(network.posts) and not sealed(tmp_path))
    told = capsys.readouterr()
    for text in (caplog.text, told.out, told.err):
        assert TOKEN not in text
        assert code not in text


@covers("SEC-STORE-04", "DTR-CB-08")
async def test_a_sealed_message_opens_at_its_own_place_alone(tmp_path: Path) -> None:
    async with world(tmp_path) as (served, network):
        codes = [await served.s1.defer(client_notification_token=TOKEN) for _ in range(2)]
        served.clock.move(2)
        first, second = [(await served.held(code)).key for code in codes]
        db = apsw.Connection(str(tmp_path / "abeyance.db"))
        db.execute(
            """UPDATE outbox SET sealed = (SELECT sealed FROM outbox WHERE home = ?)
                WHERE home = ?""",
            (first.home, second.home),
        )
        db.close()
        await served.approve(codes[1])
        await settle(lambda: sealed(tmp_path) == 1)
        assert network.posts == []
        events = [each.event for each in await served.house.store.list_security_events(10)]
        assert "callback_unreadable" in events


@covers("EXT-WAIT-06", "T-117")
async def test_a_callback_earns_one_poll(tmp_path: Path) -> None:
    async with world(tmp_path, Network([503])) as (served, network):
        code = await deferred(served)
        assert (await served.s1.poll(code)).error == "authorization_pending"
        await served.deny(code)
        await settle(lambda: len(network.posts) == 1)
        assert (await served.s1.poll(code)).error == "access_denied"
        digest = (await served.held(code)).handle.digest
        assert served.house.clocks.get(digest).credits == 0


@covers("OAUTH-DEFER-09", "DTR-CB-01")
async def test_a_request_that_ends_with_its_ground_is_told_too_but_not_to_who_is_gone(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as (served, network):
        code = await deferred(served)
        await dispose.close_home(served.house, (await served.key_of(code)).home, why="stale")
        await settle(lambda: len(network.posts) == 1)
        await deferred(served)
        client = await served.house.store.find_client(ClientId("s1"))
        assert client is not None
        await dispose.disable_client(served.house, client, by="person:ada")
        await settle(lambda: not sealed(tmp_path))
        assert len(network.posts) == 1


@covers("SEC-SSRF-63", "T-179", "SEC-DOS-13")
async def test_a_hundred_that_hang_delay_nobody_who_answers(tmp_path: Path) -> None:
    network = Network(gate=asyncio.Event(), behind_gate="sick")
    sick = "".join(_receiver(f"sick-{n}") for n in range(100))
    config = without(_WITH, 'id = "p1"') + sick + _receiver("well")
    async with serve(tmp_path, config=config, outside=network) as served:
        for n in range(100):
            caller = Caller(served, f"sick-{n}")
            for _ in range(3):
                await served.approve(await caller.defer())
        well = [await Caller(served, "well").defer() for _ in range(20)]
        served.clock.move(2)
        await settle(lambda: len(network.posts) == 100)
        for code in well:
            await served.approve(code)
        # The first is sent at once, and shows that the others may go together.
        await settle(lambda: bool(_to(network, "well")))
        for _ in range(20):
            served.clock.move(0.05)
            await nothing_more()
        assert len(_to(network, "well")) == 20, "within a second"
        assert len(_to(network, "sick")) == 100, "one each"
        assert (await Caller(served, "well").poll(well[0])).status == 200
        assert network.gate is not None
        network.gate.set()
        async with asyncio.timeout(30):
            while sealed(tmp_path):
                served.clock.move(1)
                await nothing_more()
        assert len(_to(network, "sick")) == 300


def _to(network: Network, name: str) -> list[Post]:
    return [post for post in network.posts if name in post.url]


def _receiver(name: str) -> str:
    return f"""
[[clients]]
id = "{name}"
name = "{name}"
secret_file = "{{data}}/s1.secret"
scope = ["read"]
resources = ["https://rs.example"]
deferred_client_notification_endpoint = "https://{name}.example/"
"""


@covers("DTR-CB-06", "T-181", "OAUTH-SSRF-08")
@pytest.mark.parametrize("url", ["http://cb.example/", "https://127.0.0.1/", "https://as.example"])
async def test_an_address_is_judged_when_it_is_declared(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        async with serve(tmp_path, config=_WITH.replace(URL, url)):
            pass
    assert wrong.value.key == "clients[s1].deferred_client_notification_endpoint"

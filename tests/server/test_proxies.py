"""Who calls, behind proxies that are trusted and behind those that are not."""

import itertools
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from abeyance.server.proxies import behind, find_caller, is_proxy
from abeyance.volatile.customers import find_customer
from tests.answer import Answer
from tests.console.house import PASSWORD, PageSeen, Tab
from tests.covers import covers
from tests.devices.house import CLIENTS
from tests.people.house import CONFIG as PEOPLE
from tests.people.house import Flow, open_people, public
from tests.served import Served, serve

PEER = "192.0.2.1"  # of every request that a test sends
TRUSTED = tuple(map(ip_network, ("10.0.0.0/8", "192.0.2.1", "fd00::/8", "::1")))
PROXIES = f'trusted_proxies = ["{PEER}", "10.0.0.0/8"]'
WRONG = [("grant_type", "x"), ("client_id", "s1"), ("client_secret", "x" * 40)]


@covers("OAUTH-HTTP-01", "SEC-OPS-07")
@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        # Nobody speaks for another address but a trusted proxy.
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", [b"198.51.100.1"], "203.0.113.9"),
        ("203.0.113.9", [b"10.0.0.1"], "203.0.113.9"),
        ("11.0.0.1", [b"198.51.100.1"], "11.0.0.1"),
        ("", [b"198.51.100.1"], ""),
        ("unix:", [b"198.51.100.1"], "unix:"),
        # The right-most that is not itself a proxy; the caller wrote what stands left of it.
        ("10.0.0.1", [b"198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"1.2.3.4, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"1.2.3.4,198.51.100.1,10.0.0.2 ,\t10.255.255.255"], "198.51.100.1"),
        ("10.0.0.1", [b"1.2.3.4", b"198.51.100.1", b"10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", [b"unknown, <script>, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        # IPv6, in one spelling; IPv4 inside it is IPv4.
        ("::1", [b"2001:DB8:0:0::1"], "2001:db8::1"),
        ("fd00::1", [b"2001:db8::1, fd00::2"], "2001:db8::1"),
        ("::ffff:10.0.0.1", [b"198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"198.51.100.1, ::ffff:10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", [b"::ffff:198.51.100.1"], "198.51.100.1"),
        # What cannot be read says nothing.
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [b""], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.1,"], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.1, nonsense, 10.0.0.2"], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.1:4711"], "10.0.0.1"),
        ("10.0.0.1", [b"[2001:db8::1]"], "10.0.0.1"),
        ("10.0.0.1", [b"fe80::1%eth0"], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100"], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.01"], "10.0.0.1"),
        ("10.0.0.1", [b"3325256705"], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.1/32"], "10.0.0.1"),
        ("10.0.0.1", ["\u0661.2.3.4".encode()], "10.0.0.1"),
        ("10.0.0.1", [b"\xff"], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.1 198.51.100.2"], "10.0.0.1"),
    ],
)
def test_the_caller_is_who_the_last_trusted_proxy_saw(
    peer: str, forwarded: list[bytes], caller: str
) -> None:
    assert find_caller(peer, forwarded, TRUSTED) == caller


@covers("OAUTH-HTTP-01", "SEC-OPS-07")
@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "10.0.0.1", ""])
def test_without_trusted_proxies_the_peer_calls(peer: str) -> None:
    assert find_caller(peer, [b"198.51.100.1"], ()) == peer


@pytest.mark.parametrize(
    ("address", "customer"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
@covers("SEC-DOS-16")
def test_one_customer_is_counted_once(address: str, customer: str) -> None:
    assert find_customer(address) == customer


def test_a_proxy_is_known_in_either_spelling() -> None:
    assert is_proxy("10.1.2.3", TRUSTED)
    assert is_proxy("::ffff:10.1.2.3", TRUSTED)
    assert not is_proxy("11.1.2.3", TRUSTED)
    assert not is_proxy("", TRUSTED)


@covers("SEC-OPS-07")
async def test_an_endpoint_is_told_the_caller_and_all_else_as_it_came() -> None:
    seen: list[dict[str, Any]] = []

    async def endpoint(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    assert behind(endpoint, ()) is endpoint  # no proxies, no cost
    headers = [
        (b"host", b"a"),
        (b"x-forwarded-for", b"198.51.100.1"),
        (b"forwarded", b"for=1.1.1.1"),
    ]
    told: Any = behind(endpoint, TRUSTED)
    scope = {"type": "http", "path": "/", "scheme": "http", "headers": headers}
    for client in (("10.0.0.1", 5), ("203.0.113.9", 5), None):
        await told({**scope, "client": client}, None, None)
    assert [each["client"] for each in seen] == [("198.51.100.1", 0), ("203.0.113.9", 5), None]
    assert all({**each, "client": None} == {**scope, "client": None} for each in seen)


# --- what is counted by address


def from_(address: str) -> list[tuple[str, str]]:
    return [("x-forwarded-for", address)]


async def fail(served: Served, address: str, times: int = 1) -> Answer:
    answers = [await served.post("/token", WRONG, headers=from_(address)) for _ in range(times)]
    return answers[-1]


@covers("OAUTH-CAUTH-11", "SEC-OPS-07", "T-219")
async def test_failures_are_counted_by_the_address_behind_the_proxy(tmp_path: Path) -> None:
    async with serve(tmp_path, extra=PROXIES) as served:
        assert (await fail(served, "198.51.100.1", 7)).status == 429
        assert (await fail(served, "198.51.100.2")).status == 401
        # What the caller writes itself stands left of what the proxy adds.
        assert (await fail(served, "198.51.100.3, 198.51.100.1, 10.0.0.2")).status == 429


@covers("OAUTH-CAUTH-11", "SEC-OPS-07", "OAUTH-HTTP-01", "T-219")
@pytest.mark.parametrize("extra", ["", 'trusted_proxies = ["10.0.0.0/8"]'])
async def test_nobody_escapes_the_count_by_writing_addresses(tmp_path: Path, extra: str) -> None:
    async with serve(tmp_path, extra=extra) as served:
        answers = [await fail(served, f"198.51.100.{number}") for number in range(7)]
        assert [each.status for each in answers] == [401] * 6 + [429]


@covers("OAUTH-HTTP-01", "SEC-OPS-07", "SEC-TOK-29", "T-215")
async def test_even_a_trusted_proxy_changes_no_url(tmp_path: Path) -> None:
    forged = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-prefix", "/evil"),
        ("x-forwarded-port", "666"),
        ("forwarded", "for=198.51.100.1;host=evil.example;proto=http"),
        ("x-real-ip", "198.51.100.1"),
        ("x-forwarded-for", "198.51.100.1"),
    ]
    async with serve(tmp_path, extra=PROXIES) as served:
        plain = await serve_all(served, [])
        assert await serve_all(served, forged) == plain


async def serve_all(served: Served, headers: list[tuple[str, str]]) -> list[Any]:
    metadata = await served.get("/.well-known/oauth-authorization-server", headers=headers)
    refused = await served.post("/token", [("grant_type", "x")], headers=headers)
    console = await served.get("/console/", headers=headers)
    return [
        metadata.json,
        refused.header("www-authenticate"),
        console.header("location"),
        console.header("strict-transport-security"),
    ]


def with_proxies(line: str) -> str:
    return PEOPLE.replace("[server]\n", f"[server]\n{line}\n")


def sign_in_from(served: Served, address: str) -> Any:
    """Sign in with a browser behind a proxy, or, without an address, at the proxy."""

    async def sign_in(name: str, password: str) -> PageSeen:
        tab = Tab(served)
        form = (await tab.get("/sign-in")).form("/sign-in")
        headers = {"sec-fetch-site": "same-origin"}
        if address:
            headers["x-forwarded-for"] = address
        fields = form.fields | {"name": name, "password": password}
        return await tab.post("/sign-in", fields, headers=headers)

    return sign_in


@covers("OAUTH-SESS-07", "SEC-DOS-16", "SEC-OPS-07")
async def test_guesses_at_many_accounts_from_one_address_are_slowed(tmp_path: Path) -> None:
    async with open_people(tmp_path, config=with_proxies(PROXIES)) as served:
        guesser = sign_in_from(served, "2001:db8:1:2::1")
        for number in range(6):
            assert (await guesser(f"nobody{number}", "wrong")).status == 401
        neighbour = sign_in_from(served, "2001:db8:1:2:ffff::9")  # of the same customer
        assert (await neighbour("uma", PASSWORD)).status == 429
        assert (await sign_in_from(served, "2001:db8:1:3::1")("uma", PASSWORD)).status == 303


@covers("OAUTH-SESS-07", "SEC-DOS-16")
async def test_an_account_of_ones_own_buys_no_more_guesses_at_others(tmp_path: Path) -> None:
    async with open_people(tmp_path, config=with_proxies(PROXIES)) as served:
        guesser = sign_in_from(served, "2001:db8:1:2::1")
        guesses = []
        for number in range(12):
            if number % 2:
                await guesser("vic", PASSWORD)
            guesses.append((await guesser(f"nobody{number}", "wrong")).status)
        assert guesses == [401] * 6 + [429] * 6


@covers("OAUTH-SESS-07", "SEC-DOS-16")
async def test_whoever_mistypes_and_then_gets_in_keeps_nobody_out(tmp_path: Path) -> None:
    async with open_people(tmp_path, config=with_proxies(PROXIES)) as served:
        office = sign_in_from(served, "2001:db8:1:2::1")
        for _ in range(5):
            for _ in range(4):
                assert (await office("uma", "mistyped")).status == 401
            assert (await office("uma", PASSWORD)).status == 303
        assert (await office("vic", PASSWORD)).status == 303


@covers("OAUTH-SESS-07", "SEC-DOS-16")
@pytest.mark.parametrize("extra", ["", PROXIES], ids=["unknown", "silent"])
async def test_a_proxy_that_says_nothing_keeps_nobody_out(tmp_path: Path, extra: str) -> None:
    async with open_people(tmp_path, config=with_proxies(extra)) as served:
        for number in range(8):
            assert (await sign_in_from(served, "")(f"nobody{number}", "wrong")).status == 401
        assert (await sign_in_from(served, "")("uma", PASSWORD)).status == 303


OPEN = """
[registration]
enabled = true
open = true
scope = ["read"]
resources = ["https://ledger.example"]
"""


async def push(served: Served, headers: list[tuple[str, str]]) -> int:
    form = list(Flow(public(served)).parameters().items())
    return (await served.post("/par", form, headers=headers)).status


async def register(served: Served, headers: list[tuple[str, str]]) -> int:
    kind = [("content-type", "application/json")]
    return (await served.send("POST", "/register", body=b"{}", headers=kind + headers)).status


async def authorize(served: Served, headers: list[tuple[str, str]]) -> int:
    return (await served.get("/authorize?client_id=app", headers=headers)).status


async def fail_once(served: Served, headers: list[tuple[str, str]]) -> int:
    form = [("client_id", f"nobody{next(_NUMBERS)}"), ("client_secret", "x" * 40)]
    return (await served.post("/token", form, headers=headers)).status


async def device(served: Served, headers: list[tuple[str, str]]) -> int:
    form = [("client_id", "tv"), ("scope", "now")]
    return (await served.post("/device_authorization", form, headers=headers)).status


_NUMBERS = itertools.count()


@covers("SEC-DOS-08", "SEC-DOS-06", "OAUTH-CAUTH-11", "OAUTH-DCR-01", "DEV-REQ-05")
@pytest.mark.parametrize("call", [push, register, authorize, fail_once, device])
async def test_more_addresses_of_one_customer_buy_no_more_of_anything(
    tmp_path: Path, call: Callable[[Served, list[tuple[str, str]]], Awaitable[int]]
) -> None:
    config = with_proxies(PROXIES) + CLIENTS
    extra = f"device_authorization = true\n{OPEN}"
    async with open_people(tmp_path, config=config, extra=extra) as served:

        async def from_address(address: str) -> int:
            return await call(served, [("x-forwarded-for", address)])

        statuses = [await from_address(f"2001:db8:1:2::{n:x}") for n in range(130)]
        assert statuses[0] != 429
        assert statuses[-1] == 429
        assert await from_address("2001:db8:1:3::1") == statuses[0], "others are not held back"

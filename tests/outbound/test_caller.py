"""One guarded request, against receivers that mean no good."""

import asyncio
import gzip
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from abeyance.outbound import caller
from abeyance.outbound.caller import Fetched, GuardedCaller, Unreachable
from abeyance.outbound.targets import Forbidden, Reach
from tests.covers import covers
from tests.outbound.receiver import NO_CONTENT, Authority, Receiver, caller_to, receiving, say
from tests.outbound.test_targets import NEVER, PRIVATE


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def post(authority: Authority, receiver: Receiver) -> Fetched:
    return await caller_to(authority, receiver).post(
        receiver.url, b'{"a":1}', [(b"Content-Type", b"application/json")], at_most=4_096
    )


async def get(authority: Authority, receiver: Receiver, *, at_most: int = 65_536) -> Fetched:
    told = caller_to(authority, receiver)
    return await told.get(receiver.url, at_most=at_most, accept="application/json")


@covers("OAUTH-SSRF-02", "OAUTH-SSRF-04", "OAUTH-SSRF-05", "EXT-NOTIFY-04")
async def test_a_request_says_what_it_must_and_no_more(authority: Authority) -> None:
    async with receiving(authority.context(), say(NO_CONTENT)) as receiver:
        assert (await post(authority, receiver)).status == 204
    [request] = receiver.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /cb HTTP/1.1",
        f"Host: cb.example:{receiver.port}".encode(),
        b"User-Agent: abeyance",
        b"Accept-Encoding: identity",
        b"Connection: close",
        b"Content-Type: application/json",
        b"Content-Length: 7",
    ]
    assert body == b'{"a":1}'


@covers("OAUTH-SSRF-04", "SEC-SSRF-61", "T-178", "DTR-CB-04")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(authority: Authority, status: int) -> None:
    async with (
        receiving(authority.context(), say(NO_CONTENT)) as canary,
        receiving(
            authority.context(),
            say(
                f"HTTP/1.1 {status} Gone\r\nLocation: {canary.url}\r\n"
                f"Refresh: 0; url={canary.url}\r\nContent-Length: 0\r\n\r\n".encode()
            ),
        ) as receiver,
        receiving(
            authority.context(),
            say(f"HTTP/1.1 {status} Gone\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n".encode()),
        ) as same,
    ):
        for each in (receiver, same):
            assert (await post(authority, each)).status == status
            assert (await get(authority, each)).status == status
    assert (receiver.connections, same.connections, canary.connections) == (2, 2, 0)


@covers("OAUTH-SSRF-05", "SEC-SSRF-62", "T-179")
async def test_no_more_is_read_than_allowed(authority: Authority) -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        del reader
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        for _ in range(10_000):
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    async with receiving(authority.context(), endless) as receiver:
        assert len((await post(authority, receiver)).body) == 4_097
        with pytest.raises(Unreachable):
            await get(authority, receiver)
    assert sent < 100_000_000


@covers("OAUTH-SSRF-05", "SEC-SSRF-62")
async def test_nothing_is_unpacked(authority: Authority) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    async with receiving(authority.context(), say(head.encode() + bomb)) as receiver:
        assert (await get(authority, receiver)).body == bomb


@covers("OAUTH-SSRF-05", "SEC-SSRF-63", "T-179")
@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
async def test_who_does_not_answer_is_left(
    authority: Authority, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "TOTAL_SECONDS", 0.2)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(begun)
        await reader.read()

    async with receiving(authority.context(), silent) as receiver:
        with pytest.raises(Unreachable):
            await post(authority, receiver)


@covers("SEC-SSRF-63")
async def test_who_lets_us_in_and_says_nothing_is_left(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a certificate."""
    monkeypatch.setattr(caller, "TOTAL_SECONDS", 0.2)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"")
        await reader.read()

    async with receiving(None, silent) as receiver:
        with pytest.raises(Unreachable):
            await post(authority, receiver)
    assert receiver.requests == []


@covers("SEC-SSRF-63")
async def test_whoever_has_answered_may_leave_the_connection_open(authority: Authority) -> None:
    """Waiting for its end would make a failure of what was taken."""

    async def stays(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await reader.read()

    async with receiving(authority.context(), stays) as receiver:
        assert (await post(authority, receiver)).status == 200


@covers("SEC-SSRF-62", "SEC-SSRF-64")
@pytest.mark.parametrize(
    "again",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    ],
)
async def test_what_comes_before_an_answer_has_a_bound_too(
    authority: Authority, again: bytes
) -> None:
    """Each costs us more to read than its sender to write."""
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        del reader
        while sent < 1_000_000_000:
            writer.write(again * 100)
            await writer.drain()
            sent += len(again) * 100

    async with receiving(authority.context(), endless) as receiver:
        with pytest.raises(Unreachable, match="too long"):
            await post(authority, receiver)
        with pytest.raises(Unreachable, match="too long"):
            await get(authority, receiver)


@covers("SEC-SSRF-67")
async def test_no_cookie_is_kept_and_no_challenge_is_answered(authority: Authority) -> None:
    asks = (
        b"HTTP/1.1 401 Unauthorized\r\nSet-Cookie: a=b; Path=/\r\n"
        b'WWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'
    )
    async with receiving(authority.context(), say(asks)) as receiver:
        guarded = caller_to(authority, receiver)
        for _ in range(2):
            assert (await guarded.post(receiver.url, b"", [], at_most=10)).status == 401
    assert receiver.connections == 2
    for request in receiver.requests:
        assert b"cookie" not in request.lower()
        assert b"authorization" not in request.lower()


@covers("SEC-SSRF-64")
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000 + NO_CONTENT,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\n Folded: first\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX\x00: y\r\n\r\n",
        b"\x00" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"<html>HTTP/0.9</html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        b"",
    ],
)
async def test_no_answer_breaks_more_than_its_own_request(
    authority: Authority, answer: bytes
) -> None:
    async with receiving(authority.context(), say(answer)) as receiver:
        with pytest.raises(Unreachable):
            await post(authority, receiver)


@covers("OAUTH-SSRF-06", "SEC-SSRF-65", "T-180")
@pytest.mark.parametrize(
    "wrong",
    [
        {"days": -1},
        {"name": "other.example"},
        {"name": "*.other.example"},
        {"name": "*.example"},
        {"alternative": False},
        {"old": True},
    ],
    ids=str,
)
async def test_without_a_good_certificate_nothing_is_sent(
    authority: Authority, wrong: dict[str, Any]
) -> None:
    async with receiving(authority.context(**wrong), say(NO_CONTENT)) as receiver:
        with pytest.raises(Unreachable):
            await post(authority, receiver)
    assert receiver.requests == []


@covers("OAUTH-SSRF-06", "SEC-SSRF-65")
async def test_a_certificate_of_somebody_elses_authority_is_none(
    authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path)
    async with receiving(stranger.context(), say(NO_CONTENT)) as receiver:
        with pytest.raises(Unreachable):
            await post(authority, receiver)
    assert receiver.requests == []


@covers("OAUTH-SSRF-06", "SEC-SSRF-65", "SEC-SSRF-66")
async def test_an_authority_counts_by_configuration_and_not_by_environment(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    for name in ("HTTPS_PROXY", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine cb.example login a password b\n")
    async with receiving(authority.context(), say(NO_CONTENT)) as receiver:
        stranger = GuardedCaller(
            Reach(exceptions=frozenset({f"cb.example:{receiver.port}"})), resolve=loopback
        )
        with pytest.raises(Unreachable):
            await stranger.post(receiver.url, b"", [], at_most=10)
        assert receiver.requests == []
        assert (await post(authority, receiver)).status == 204
    assert b"authorization" not in receiver.requests[0].lower()


async def loopback(host: str, port: int) -> Sequence[str]:
    del host, port
    return ["127.0.0.1"]


# --- names that move


def leads_to(*answers: Sequence[str]) -> tuple[GuardedCaller, list[str]]:
    """A caller whose resolver gives these answers one after the other, and what it was asked."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        del port
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return GuardedCaller(Reach(), resolve=resolve), asked


@covers(
    "OAUTH-SSRF-02", "OAUTH-SSRF-03", "OAUTH-SSRF-08", "SEC-SSRF-57", "SEC-SSRF-58",
    "SEC-SSRF-59", "SEC-SSRF-60", "T-182", "DTR-CB-06",
)  # fmt: skip
@pytest.mark.parametrize(
    "found",
    [
        ["93.184.216.34", "10.0.0.1"],
        ["::ffff:10.0.0.1", "93.184.216.34"],
        ["127.0.0.1"],
        ["93.184.216.34"] * 33,
    ],
)
async def test_a_name_with_one_private_address_is_not_called(
    found: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", _never)
    guarded, asked = leads_to(found)
    with pytest.raises(Forbidden):
        await guarded.check_now("https://cb.example/")
    with pytest.raises(Forbidden):
        await guarded.post("https://cb.example/", b"", [], at_most=10)
    assert asked == ["cb.example", "cb.example"]


@covers("OAUTH-SSRF-01", "OAUTH-SSRF-08", "T-181")
async def test_what_stands_in_the_store_is_judged_again_before_anything_is_looked_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket.socket, "connect", _never)
    guarded, asked = leads_to(["93.184.216.34"])
    for url in NEVER:
        if url == "https://as.example/" or url.startswith("https://AS."):
            continue  # whose own name that is, this caller does not know
        with pytest.raises(Forbidden):
            await guarded.post(url, b"", [], at_most=10)
        with pytest.raises(Forbidden):
            await guarded.get(url, at_most=10, accept="application/json")
        with pytest.raises(Forbidden):
            await guarded.check_now(url)
    assert asked == []


@covers("OAUTH-SSRF-03", "SEC-SSRF-58")
@pytest.mark.parametrize("address", PRIVATE)
async def test_no_name_leads_to_a_private_address(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", _never)
    for found in ([address], ["93.184.216.34", address], [address, "93.184.216.34"]):
        guarded, _ = leads_to(found)
        with pytest.raises(Forbidden):
            await guarded.get("https://cb.example/", at_most=10, accept="application/json")


@covers("SEC-SSRF-60")
async def test_an_answer_of_the_resolver_that_is_no_address_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket.socket, "connect", _never)
    for found in ([""], ["localhost"], ["127.1"], ["0x7f.1"], []):
        guarded, _ = leads_to(found)
        with pytest.raises(Unreachable):
            await guarded.post("https://cb.example/", b"", [], at_most=10)


@covers("OAUTH-SSRF-02", "SEC-SSRF-59", "T-182")
async def test_a_name_is_looked_up_once_and_its_address_is_the_one_that_was_judged(
    authority: Authority,
) -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    async with receiving(authority.context(), say(NO_CONTENT)) as receiver:
        guarded = GuardedCaller(
            Reach(exceptions=frozenset({f"cb.example:{receiver.port}"})),
            ca_file=authority.file,
            resolve=resolve,
        )
        assert (await guarded.post(receiver.url, b"", [], at_most=10)).status == 204
    assert asked == ["cb.example"]


@covers("OAUTH-SSRF-08", "SEC-SSRF-60")
async def test_a_name_that_is_not_known_yet_is_looked_up_when_it_is_called() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        del host, port
        raise OSError

    guarded = GuardedCaller(Reach(), resolve=resolve)
    await guarded.check_now("https://cb.example/")
    with pytest.raises(Unreachable):
        await guarded.post("https://cb.example/", b"", [], at_most=10)


@covers("SEC-SSRF-60")
async def test_a_slow_resolver_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "CONNECT_SECONDS", 0.05)

    async def resolve(host: str, port: int) -> Sequence[str]:
        del host, port
        await asyncio.Event().wait()
        return []

    with pytest.raises(Unreachable):
        await GuardedCaller(Reach(), resolve=resolve).post(
            "https://cb.example/", b"", [], at_most=10
        )


def _never(*_: object) -> None:
    raise AssertionError("a connection was begun")

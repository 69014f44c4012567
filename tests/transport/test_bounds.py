"""How much a caller may send before somebody stops reading (SEC-DOS-01, -02, OAUTH-HTTP-06)."""

import asyncio
from contextlib import suppress

import pytest

from abeyance.server import heads, protocol
from abeyance.server.http import MAX_BODY, Receive, Scope, Send
from tests.covers import covers
from tests.transport.wire import POLL, Peer, Wire, check_refusal, chunk, chunked, request

_KIB = 1024
_READ_AT_ONCE = 256 * _KIB  # what the event loop hands over at most
_FILLED = POLL + b"&x="


def _fields(count: int, size: int) -> tuple[bytes, ...]:
    return tuple(b"X-%03d: " % each + b"y" * size for each in range(count))


def _target(size: int) -> bytes:
    return b"POST /token?" + b"x" * (size - len(b"/token?")) + b" HTTP/1.1"


TOO_LARGE = {
    "a header block of 33 KiB": (request(POLL, *_fields(33, _KIB)), 431),
    "101 fields": (request(POLL, *_fields(98, 1)), 431),
    "a field of 17 KiB": (request(POLL, *_fields(1, 17 * _KIB)), 431),
    "a target of 17 KiB": (request(start=_target(17 * _KIB)), 414),
}
LARGE = {
    "a header block of 31 KiB": request(POLL, *_fields(30, _KIB)),
    "100 fields": request(POLL, *_fields(97, 1)),
    "a field of 15 KiB": request(POLL, *_fields(1, 15 * _KIB)),
    "a target of 15 KiB": request(start=_target(15 * _KIB)),
}


@covers("SEC-DOS-02")
@pytest.mark.parametrize(("data", "status"), TOO_LARGE.values(), ids=TOO_LARGE.keys())
async def test_a_head_beyond_its_bounds_is_refused(wire: Wire, data: bytes, status: int) -> None:
    await (await wire.peer(data)).refused(status)
    for at in (200, len(data) // 2, len(data) - 200):
        await (await wire.in_two(data, at)).refused(status)
    assert wire.seen == []


@covers("SEC-DOS-02")
@pytest.mark.parametrize("data", LARGE.values(), ids=LARGE.keys())
async def test_a_large_head_is_taken(wire: Wire, data: bytes) -> None:
    assert (await wire.ask(data)).status == 200
    assert (await (await wire.in_two(data, 200)).answer()).status == 200
    pipelined = await wire.peer(request() + data)
    assert (await pipelined.answer()).status == 200
    assert (await pipelined.answer()).status == 200


@covers("SEC-DOS-02")
@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"POST /token?", 414),
        (b"POST /token HTTP/1.1\r\nX-", 431),
        (b"POST /token HTTP/1.1\r\nX: ", 431),
    ],
    ids=["target", "name", "value"],
)
async def test_an_endless_head_is_refused_before_it_ends(
    wire: Wire, start: bytes, status: int
) -> None:
    peer = await wire.peer(start)
    sent = len(start)
    while sent <= heads.MAX_HEAD + 4 * _KIB:
        await peer.send(b"a" * 4 * _KIB)
        sent += 4 * _KIB
        await wire.took(sent)
    await peer.refused(status)


@covers("SEC-DOS-02")
async def test_the_bound_of_a_head_counts_it_alone(wire: Wire) -> None:
    # Half of the second head shares a packet with a first request that is as large as may be.
    first, second = LARGE["a header block of 31 KiB"], LARGE["a header block of 31 KiB"]
    peer = await wire.in_two(first + second, len(first) + 20 * _KIB)
    assert (await peer.answer()).status == 200
    assert (await peer.answer()).status == 200


@covers("SEC-DOS-01", "OAUTH-HTTP-06", "T-214")
@pytest.mark.parametrize("size", [MAX_BODY + 1, 1_000_000])
async def test_a_body_that_says_it_is_too_large_is_not_read(wire: Wire, size: int) -> None:
    data = request(_FILLED + b"y" * (size - len(_FILLED)))
    peer = await wire.peer(data[: data.index(b"\r\n\r\n") + 4])
    answer = await peer.answer()
    check_refusal(answer, 413)
    # A caller who sends first and reads then finds the answer nevertheless.
    other = await wire.peer(data)
    await other.refused(413)
    assert wire.seen == []


@covers("SEC-DOS-01")
async def test_whoever_goes_on_sending_can_still_read_why_not(wire: Wire) -> None:
    head = request(b"", b"Content-Length: 1000000", length=False)
    peer = await wire.peer(head)
    await wire.took(len(head))
    await asyncio.gather(*wire.state.tasks)
    await peer.send(bytes(300_000))
    await wire.took(len(head) + 300_000)
    await peer.refused(413)


@covers("SEC-DOS-01", "OAUTH-HTTP-06")
async def test_a_body_of_64_kib_is_read(wire: Wire) -> None:
    body = _FILLED + b"y" * (MAX_BODY - len(_FILLED))
    assert (await wire.ask(request(body))).status == 200
    pieces = [chunk(body[at : at + 5_000]) for at in range(0, len(body), 5_000)]
    assert (await wire.ask(chunked(*pieces, b"0\r\n\r\n"))).status == 200


async def _pour(peer: Peer, piece: bytes) -> None:
    """Send without end, until the server has had enough."""
    async with asyncio.timeout(10):
        with suppress(ConnectionError):
            while not peer.writer.is_closing():
                await peer.send(piece)


@covers("SEC-DOS-01", "OAUTH-HTTP-06")
async def test_of_an_endless_body_no_more_is_held_than_the_bound_and_one_chunk(wire: Wire) -> None:
    held = most = 0
    token = wire.endpoint

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def counted() -> object:
            nonlocal held, most
            message = await receive()
            held += len(message.get("body", b""))
            most = max(most, held)
            return message

        await token(scope, counted, send)  # type: ignore[arg-type]

    wire.endpoint = watched
    peer = await wire.peer(request(b"", b"Transfer-Encoding: chunked", length=False))
    pouring = asyncio.ensure_future(_pour(peer, chunk(b"x" * 32 * _KIB)))
    check_refusal(await peer.answer(), 413)
    await pouring
    await wire.gone()
    assert MAX_BODY < most <= MAX_BODY + wire.held
    assert wire.held <= 16 * _KIB + _READ_AT_ONCE
    assert wire.taken <= MAX_BODY + protocol.MAX_DISCARDED + 4 * _READ_AT_ONCE
    assert wire.seen == []


@covers("SEC-DOS-01")
async def test_what_nobody_has_asked_for_yet_stays_with_the_sender(wire: Wire) -> None:
    token = wire.endpoint

    async def busy(scope: Scope, receive: Receive, send: Send) -> None:
        await wire.may_answer.wait()
        await token(scope, receive, send)

    wire.endpoint = busy
    wire.may_answer.clear()
    peer = await wire.peer(request(b"", b"Transfer-Encoding: chunked", length=False))
    pouring = asyncio.ensure_future(_pour(peer, chunk(b"x" * 32 * _KIB)))
    async with asyncio.timeout(10):
        while not any(each.flow.read_paused for each in wire.state.connections):  # type: ignore[union-attr]
            wire.arrived.clear()
            await wire.arrived.wait()
    wire.may_answer.set()
    check_refusal(await peer.answer(), 413)
    await pouring
    assert wire.held <= 16 * _KIB + _READ_AT_ONCE


@covers("SEC-DOS-01")
async def test_a_length_of_ten_means_ten(wire: Wire) -> None:
    peer = await wire.peer(request(b"a=1&b=2&c=").replace(b"c=", b"c=" + b"y" * 1_000_000))
    assert (await peer.answer()).json == {"form": {"a": "1", "b": "2"}}
    await peer.refused(400)
    assert len(wire.seen) == 1


async def _answer_unread(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"content-length", b"2"), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


@covers("SEC-DOS-01")
async def test_a_body_that_nobody_reads_ends_the_connection(wire: Wire) -> None:
    wire.endpoint = _answer_unread
    head = request(b"", b"Transfer-Encoding: chunked", length=False)
    peer = await wire.peer(head)
    assert (await peer.answer()).json == {}
    await _pour(peer, chunk(b"x" * 32 * _KIB))
    await wire.gone()
    assert wire.held == 0
    assert wire.taken <= protocol.MAX_IGNORED + protocol.MAX_DISCARDED + 4 * _READ_AT_ONCE


@covers("SEC-DOS-01")
async def test_a_small_body_that_nobody_reads_disturbs_nobody(wire: Wire) -> None:
    wire.endpoint = _answer_unread
    peer = await wire.in_two(request() + request(), len(request()) - 1)
    assert (await peer.answer()).json == {}
    assert (await peer.answer()).json == {}


@covers("SEC-DOS-01")
@pytest.mark.parametrize(
    "framing", [b"1;", b"1\r\nx\r\n0\r\nX: "], ids=["a chunk extension", "a trailer"]
)
async def test_framing_without_end_is_refused(wire: Wire, framing: bytes) -> None:
    head = request(framing, b"Transfer-Encoding: chunked", length=False)
    peer = await wire.peer(head)
    sent = len(head)
    while sent < 96 * _KIB:
        await peer.send(b"a" * 8 * _KIB)
        sent += 8 * _KIB
        await wire.took(sent)
    await peer.refused()
    assert wire.seen == []


async def _fail(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("secret of the house")


@covers("OAUTH-HTTP-07", "SEC-OPS-09")
async def test_an_application_that_fails_is_answered_for(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.endpoint = _fail
    answer = await wire.ask(request())
    assert answer.status == 500
    assert answer.json["error"] == "server_error"
    assert "secret" not in answer.body.decode()
    assert answer.headers["cache-control"] == "no-store"

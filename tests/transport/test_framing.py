"""Where a request begins and ends: one reading of the bytes, whoever reads (SEC-TOK-17, T-216)."""

import asyncio

import pytest

from abeyance.server import protocol
from abeyance.server.http import Receive, Scope, Send
from tests.covers import covers
from tests.transport.wire import (
    POLL,
    Wire,
    check_refusal,
    chunk,
    chunked,
    next_request,
    request,
)

_N = str(len(POLL)).encode()


def _raw(*lines: bytes, body: bytes = POLL, end: bytes = b"\r\n") -> bytes:
    head = (
        b"POST /token HTTP/1.1",
        b"Host: as.example",
        b"Content-Type: " + b"application/x-www-form-urlencoded",
    )
    return end.join([*head, *lines, b"", body])


SMUGGLED = {
    "two lengths": _raw(b"Content-Length: " + _N, b"Content-Length: 3"),
    "two equal lengths": _raw(b"Content-Length: " + _N, b"Content-Length: " + _N),
    "a list of lengths": _raw(b"Content-Length: %s, %s" % (_N, _N)),
    "a signed length": _raw(b"Content-Length: +" + _N),
    "a negative length": _raw(b"Content-Length: -1"),
    "a length in hex": _raw(b"Content-Length: 0x10"),
    "an empty length": _raw(b"Content-Length: "),
    "an endless length": _raw(b"Content-Length: 99999999999999999999"),
    "length and coding": _raw(
        b"Content-Length: 3", b"Transfer-Encoding: chunked", body=chunk(POLL) + b"0\r\n\r\n"
    ),
    "coding and length": _raw(
        b"Transfer-Encoding: chunked", b"Content-Length: 3", body=chunk(POLL) + b"0\r\n\r\n"
    ),
    "xchunked": _raw(b"Transfer-Encoding: xchunked", body=chunk(POLL) + b"0\r\n\r\n"),
    "xchunked with length": _raw(b"Transfer-Encoding: xchunked", b"Content-Length: " + _N),
    "identity": _raw(b"Transfer-Encoding: identity", body=chunk(POLL) + b"0\r\n\r\n"),
    "a second coding": _raw(b"Transfer-Encoding: gzip, chunked", body=chunk(POLL) + b"0\r\n\r\n"),
    "chunked twice": _raw(
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: chunked",
        body=chunk(POLL) + b"0\r\n\r\n",
    ),
    "chunked, then identity": _raw(
        b"Transfer-Encoding: chunked, identity", body=chunk(POLL) + b"0\r\n\r\n"
    ),
    "a coding with a parameter": _raw(
        b"Transfer-Encoding: chunked;q=1", body=chunk(POLL) + b"0\r\n\r\n"
    ),
    "a coding behind a tab control": _raw(
        b"Transfer-Encoding: \x0bchunked", body=chunk(POLL) + b"0\r\n\r\n"
    ),
    "a coding in HTTP/1.0": chunked(chunk(POLL), b"0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "line feeds alone": _raw(b"Content-Length: " + _N, end=b"\n"),
    "one line feed alone": _raw(b"X: y\nContent-Length: " + _N),
    "a line feed behind the start line": request().replace(b"1.1\r\n", b"1.1\n"),
    "a line feed for the empty line": request().replace(b"\r\n\r\n", b"\r\n\n"),
    "a carriage return alone": _raw(b"X: y\rZ: z", b"Content-Length: " + _N),
    "a space before the colon": _raw(b"Content-Length : " + _N),
    "a space before the colon of a field": _raw(b"X : y", b"Content-Length: " + _N),
    "a space before the first field": request().replace(b"\r\nHost", b"\r\n Host"),
    "a folded field": _raw(b"X: a\r\n b", b"Content-Length: " + _N),
    "a folded coding": _raw(b"Transfer-Encoding:\r\n chunked", body=chunk(POLL) + b"0\r\n\r\n"),
    "NUL in a value": _raw(b"X: a\0b", b"Content-Length: " + _N),
    "NUL in a name": _raw(b"X\0: a", b"Content-Length: " + _N),
    "a control in a value": _raw(b"X: a\x01b", b"Content-Length: " + _N),
    "NUL in the target": request(start=b"POST /to\0ken HTTP/1.1"),
    "no name": _raw(b": a", b"Content-Length: " + _N),
    "no colon": _raw(b"Xyz", b"Content-Length: " + _N),
    "no host": request(host=None),
    "two hosts": request(POLL, b"Host: evil.example"),
    "a fragment": request(start=b"POST /token#/../x HTTP/1.1"),
    "a proxy's method": request(start=b"CONNECT as.example:443 HTTP/1.1"),
    "HTTP/0.9": b"GET /token\r\n\r\n",
    "HTTP/1.2": request(start=b"POST /token HTTP/1.2"),
    "HTTP/2.0": request(start=b"POST /token HTTP/2.0"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x00\xf8\x01\x00\x00\xf4\x03\x03",
    "a method in lower case": request(start=b"post /token HTTP/1.1"),
    "chunk size 0x10": chunked(b"0x10\r\n" + POLL[:16] + b"\r\n0\r\n\r\n"),
    "chunk size +5": chunked(b"+5\r\n" + POLL[:5] + b"\r\n0\r\n\r\n"),
    "chunk size -5": chunked(b"-5\r\n" + POLL[:5] + b"\r\n0\r\n\r\n"),
    "chunk size of 17 digits": chunked(b"10000000000000005\r\n" + POLL[:5] + b"\r\n0\r\n\r\n"),
    "a chunk size that is none": chunked(b"\r\n" + POLL[:5] + b"\r\n0\r\n\r\n"),
    "a space behind the chunk size": chunked(b"5 \r\n" + POLL[:5] + b"\r\n0\r\n\r\n"),
    "a space before the chunk size": chunked(b" 5\r\n" + POLL[:5] + b"\r\n0\r\n\r\n"),
    "line feeds alone in chunks": chunked(b"5\n" + POLL[:5] + b"\n0\n\n"),
    "a line feed in a chunk extension": chunked(b"5;a\nb\r\n" + POLL[:5] + b"\r\n0\r\n\r\n"),
    "no line end behind a chunk": chunked(b"5\r\n" + POLL[:5] + b"XX0\r\n\r\n"),
    "a length in the trailers": chunked(chunk(POLL), b"0\r\nContent-Length: 5\r\n\r\n"),
}

HARMLESS = {
    "a length": request(),
    "blanks around the length": _raw(b"Content-Length:  %s  " % _N),
    "chunks": chunked(chunk(POLL), b"0\r\n\r\n"),
    "chunks of one byte": chunked(*[chunk(bytes([each])) for each in POLL], b"0\r\n\r\n"),
    "CHUNKED": chunked(chunk(POLL), b"0\r\n\r\n").replace(b": chunked", b": CHUNKED "),
    "a chunk extension": chunked(b"%x;a=b\r\n" % len(POLL), POLL, b"\r\n0\r\n\r\n"),
    "zeros before the chunk size": chunked(b"0000%x\r\n" % len(POLL), POLL, b"\r\n0\r\n\r\n"),
    "an empty line first": b"\r\n" + request(),
    "bytes beyond ASCII in a value": request(POLL, b"X: \xe9"),
    "an absolute target": request(start=b"POST http://as.example/token HTTP/1.1"),
    "HTTP/1.0": request(start=b"POST /token HTTP/1.0"),
    "an end that is announced": request(POLL, b"Connection: close"),
}


@covers("SEC-TOK-17", "T-216")
@pytest.mark.parametrize("bad", SMUGGLED.values(), ids=SMUGGLED.keys())
async def test_what_two_readers_could_read_in_two_ways_ends_the_connection(
    wire: Wire, bad: bytes
) -> None:
    peer = await wire.peer(bad + next_request())
    await peer.refused()
    assert wire.seen == []


@covers("SEC-TOK-17")
@pytest.mark.parametrize("bad", SMUGGLED.values(), ids=SMUGGLED.keys())
async def test_a_refusal_does_not_depend_on_packets(wire: Wire, bad: bytes) -> None:
    peer = await wire.in_two(bad + next_request(), len(bad) // 2)
    await peer.refused()
    assert wire.seen == []


@covers("SEC-TOK-17", "T-216")
@pytest.mark.parametrize("good", HARMLESS.values(), ids=HARMLESS.keys())
async def test_what_has_one_meaning_is_answered(wire: Wire, good: bytes) -> None:
    answer = await wire.ask(good)
    assert answer.json["form"]["deferral_code"] == "D"
    assert len(wire.seen) == 1


@covers("SEC-TOK-17")
@pytest.mark.parametrize("bad", SMUGGLED.values(), ids=SMUGGLED.keys())
async def test_a_poll_before_garbage_is_answered_before_the_garbage(wire: Wire, bad: bytes) -> None:
    wire.may_answer.clear()
    peer = await wire.peer(request() + bad + next_request())
    await wire.took(len(request() + bad + next_request()))
    wire.may_answer.set()
    first = await peer.answer()
    assert first.json["form"]["deferral_code"] == "D"
    await peer.refused()
    assert len(wire.seen) == 1


@covers("SEC-TOK-17")
async def test_nothing_runs_behind_an_announced_end(wire: Wire) -> None:
    peer = await wire.peer(request(POLL, b"Connection: close") + next_request())
    assert (await peer.answer()).status == 200
    assert await peer.rest() == b""
    assert len(wire.seen) == 1


@covers("SEC-TOK-17")
async def test_trailers_are_no_header_fields(wire: Wire) -> None:
    smuggled = b"0\r\nAuthorization: Basic x\r\nDPoP: y\r\nX-Forwarded-For: z\r\n\r\n"
    peer = await wire.peer(chunked(chunk(POLL), smuggled))
    assert (await peer.answer()).status == 200
    assert wire.seen[0].authorization == ()
    assert wire.seen[0].dpop == ()
    await peer.send(request(POLL, b"Authorization: Basic x"))
    assert (await peer.answer()).status == 200
    assert wire.seen[1].authorization == (b"Basic x",)


@covers("T-216")
async def test_pipelined_polls_are_answered_in_turn(wire: Wire) -> None:
    polls = [POLL + b"%d" % each for each in range(5)]
    peer = await wire.peer(b"".join(request(poll) for poll in polls))
    for each in range(5):
        assert (await peer.answer()).json["form"]["deferral_code"] == f"D{each}"


@covers("T-216")
async def test_a_pipeline_has_an_end(wire: Wire) -> None:
    wire.may_answer.clear()
    many = request() * (protocol.MAX_PIPELINED + 1)
    peer = await wire.peer(many + next_request())
    await wire.took(len(many + next_request()))
    wire.may_answer.set()
    for _ in range(protocol.MAX_PIPELINED + 1):
        assert (await peer.answer()).status == 200
    await peer.refused()


@covers("T-216")
async def test_a_body_is_sent_for_when_the_caller_waits_for_that(wire: Wire) -> None:
    whole = request(POLL, b"Expect: 100-continue")
    peer = await wire.peer(whole[: -len(POLL)])
    assert (await peer.answer()).status == 100
    await peer.send(POLL)
    assert (await peer.answer()).json["form"]["deferral_code"] == "D"


@covers("T-216", "SEC-DOS-01")
async def test_a_body_that_is_too_large_is_not_sent_for(wire: Wire) -> None:
    whole = request(bytes(65_537), b"Expect: 100-continue")
    peer = await wire.peer(whole[:-65_537])
    await peer.refused(413)
    assert wire.seen == []


OFFERS = {
    "h2c": (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAA"),
    "websocket": (b"Connection: upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
    "TLS": (b"Upgrade: TLS/1.0", b"Connection: Upgrade"),
}


@covers("T-216")
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())
async def test_an_offer_to_upgrade_is_ignored(wire: Wire, offer: tuple[bytes, ...]) -> None:
    # Java's client offers h2c with every cleartext request; uvicorn then loses the body.
    peer = await wire.peer(request(POLL, *offer))
    answer = await peer.answer()
    assert answer.json["form"]["deferral_code"] == "D"
    await peer.send(request(POLL + b"2"))
    assert (await peer.answer()).json["form"]["deferral_code"] == "D2"


@covers("T-216")
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())
async def test_an_offer_to_upgrade_may_be_cut_anywhere(
    wire: Wire, offer: tuple[bytes, ...]
) -> None:
    data = request(POLL, *offer)
    head = len(data) - len(POLL)
    for at in (30, data.index(b"pgrade") + 1, head - 2, head - 1, head, head + 1, len(data) - 1):
        peer = await wire.in_two(data, at)
        assert (await peer.answer()).json["form"]["deferral_code"] == "D"


@covers("T-216")
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())
async def test_an_offer_to_upgrade_changes_nothing_else(
    wire: Wire, offer: tuple[bytes, ...]
) -> None:
    in_chunks = request(
        chunk(POLL) + b"0\r\n\r\n", b"Transfer-Encoding: chunked", *offer, length=False
    )
    peer = await wire.peer(in_chunks + request(POLL + b"2", *offer) + request(POLL + b"3"))
    for code in ("D", "D2", "D3"):
        assert (await peer.answer()).json["form"]["deferral_code"] == code
    both = request(POLL, b"Transfer-Encoding: chunked", *offer)
    await (await wire.peer(both + next_request())).refused()
    last = await wire.peer(request(POLL, b"Connection: close", *offer) + next_request())
    assert (await last.answer()).status == 200
    assert await last.rest() == b""


@covers("SEC-TOK-17")
async def test_nothing_is_said_after_a_refusal(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    async def answer_unread(scope: Scope, receive: Receive, send: Send) -> None:
        await wire.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"late"})

    wire.endpoint = answer_unread
    wire.may_answer.clear()
    peer = await wire.peer(chunked(b"5\r\nabcdeXX0\r\n\r\n"))
    check_refusal(await peer.answer(), 400)
    wire.may_answer.set()
    await asyncio.gather(*wire.state.tasks)
    assert await peer.rest() == b""
    assert caplog.records == []


@covers("SEC-TOK-17")
async def test_no_refusal_is_put_into_an_answer_that_has_begun(wire: Wire) -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await wire.may_answer.wait()

    wire.endpoint = stream
    wire.may_answer.clear()
    peer = await wire.peer(request(b"", b"Transfer-Encoding: chunked", length=False))
    begun = await peer.reader.readuntil(b"begun")
    await peer.send(b"nonsense\r\n")
    assert begun + await peer.rest() == (b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbegun")


async def test_whoever_waits_learns_that_the_caller_has_gone(wire: Wire) -> None:
    told: list[object] = []
    waiting = asyncio.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        waiting.set()
        told.append((await receive())["type"])

    wire.endpoint = wait
    peer = await wire.peer(request() + request())
    async with asyncio.timeout(10):
        await waiting.wait()
        tasks = asyncio.gather(*wire.state.tasks)
        await peer.close()
        await tasks
    assert told == ["http.disconnect"]


@covers("SEC-TOK-17")
async def test_a_caller_who_goes_away_in_the_middle_is_not_answered(wire: Wire) -> None:
    peer = await wire.peer(request()[:-1])
    await wire.took(len(request()) - 1)
    await peer.close()
    await wire.gone()
    assert wire.seen == []

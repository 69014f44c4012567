"""Callers who take their time (SEC-DOS-03). Seconds pass when a test says so."""

import asyncio
import itertools
from contextlib import suppress

import pytest

from abeyance.server import deadlines
from abeyance.server.deadlines import LIMITS, Patience, Stage
from abeyance.server.http import Receive, Scope, Send
from tests.covers import covers
from tests.transport.wire import (
    POLL,
    Wire,
    check_refusal,
    chunk,
    next_request,
    on_a_wire,
    request,
)

HEAD, BODY = 10, 20


@covers("SEC-DOS-03")
async def test_a_head_has_ten_seconds_however_it_trickles(wire: Wire) -> None:
    peer = await wire.peer()
    for second, byte in enumerate(b"POST /tok"):
        await peer.send(bytes([byte]))
        await wire.took(second + 1)
        wire.pass_seconds(1)
    assert wire.state.connections
    wire.pass_seconds(1)
    await peer.refused(408)


@covers("SEC-DOS-03")
async def test_a_body_has_twenty_seconds_however_it_trickles(wire: Wire) -> None:
    head, body = request()[: -len(POLL)], POLL
    peer = await wire.peer(head)
    for second in range(BODY - 1):
        await peer.send(body[second : second + 1])
        await wire.took(len(head) + second + 1)
        wire.pass_seconds(1)
    assert wire.state.connections
    wire.pass_seconds(1)
    await peer.refused(408)
    assert wire.seen == []


@covers("SEC-DOS-03")
async def test_a_body_in_chunks_has_twenty_seconds_too(wire: Wire) -> None:
    data = request(chunk(POLL), b"Transfer-Encoding: chunked", length=False)
    peer = await wire.peer(data)
    await wire.took(len(data))
    wire.pass_seconds(BODY)
    await peer.refused(408)


@covers("SEC-DOS-03")
async def test_a_slow_but_honest_caller_is_answered(wire: Wire) -> None:
    data = request()
    peer, sent = await wire.peer(), 0
    cuts = [0, 10, 40, len(data) - len(POLL) + 3, len(data) - 2, len(data)]
    for start, end in itertools.pairwise(cuts):
        await peer.send(data[start:end])
        sent += end - start
        await wire.took(sent)
        wire.pass_seconds(4 if end < len(data) else 0)
    assert (await peer.answer()).status == 200


@covers("SEC-DOS-03")
async def test_whoever_sends_nothing_is_left(wire: Wire) -> None:
    peer = await wire.peer()
    await wire.met()
    wire.pass_seconds(HEAD - 1)
    assert wire.state.connections
    wire.pass_seconds(1)
    assert await peer.rest() == b""


@covers("SEC-DOS-03")
async def test_empty_lines_are_no_request(wire: Wire) -> None:
    peer = await wire.peer()
    for second in range(HEAD):
        await peer.send(b"\r\n")
        await wire.took(2 * (second + 1))
        wire.pass_seconds(1)
    assert await peer.rest() == b""


@covers("SEC-DOS-03")
async def test_two_hundred_slow_callers_end_together(wire: Wire) -> None:
    peers = [await wire.peer(b"POST /token HT") for _ in range(200)]
    await wire.took(200 * 14)
    wire.pass_seconds(HEAD)
    for peer in peers:
        check_refusal(await peer.answer(), 408)


async def test_between_two_requests_the_connection_is_kept_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deadlines, "LOOK_EVERY", 3600.0)
    async with on_a_wire(keep_alive=30) as wire:
        peer = await wire.peer(request())
        assert (await peer.answer()).status == 200
        wire.pass_seconds(29)
        await peer.send(request())
        assert (await peer.answer()).status == 200
        wire.pass_seconds(29)
        assert wire.state.connections
        wire.pass_seconds(1)
        assert await peer.rest() == b""


@covers("SEC-DOS-03")
async def test_the_next_request_has_its_own_time(wire: Wire) -> None:
    peer = await wire.peer(request() + b"POST /token")
    assert (await peer.answer()).status == 200
    wire.pass_seconds(HEAD - 1)
    await peer.send(request().removeprefix(b"POST /token"))
    assert (await peer.answer()).status == 200
    wire.pass_seconds(HEAD - 1)
    await peer.send(b"POST")
    await wire.took(2 * len(request()) + 4)
    wire.pass_seconds(HEAD - 1)
    assert wire.state.connections
    wire.pass_seconds(1)
    await peer.refused(408)


async def test_a_long_wait_of_ours_is_not_held_against_the_caller(wire: Wire) -> None:
    wire.may_answer.clear()
    peer = await wire.peer(request() + request())
    await wire.took(2 * len(request()))
    wire.pass_seconds(1_000)
    wire.may_answer.set()
    assert (await peer.answer()).status == 200
    assert (await peer.answer()).status == 200


async def test_a_body_that_we_do_not_read_yet_is_not_late(wire: Wire) -> None:
    token = wire.endpoint

    async def busy(scope: Scope, receive: Receive, send: Send) -> None:
        await wire.may_answer.wait()
        await token(scope, receive, send)

    wire.endpoint = busy
    wire.may_answer.clear()
    data = request(POLL + b"&x=" + b"y" * 40_000)
    peer = await wire.peer(data[:20_000])
    await wire.took(20_000)
    wire.pass_seconds(1_000)
    wire.may_answer.set()
    await peer.send(data[20_000:])
    assert (await peer.answer()).status == 200


async def test_an_answer_that_is_due_comes_before_the_end_of_a_slow_successor(wire: Wire) -> None:
    wire.may_answer.clear()
    data = request() + b"POST /tok"
    peer = await wire.peer(data)
    await wire.took(len(data))
    wire.pass_seconds(HEAD)
    wire.may_answer.set()
    assert (await peer.answer()).status == 200
    await peer.refused(408)


@covers("SEC-DOS-03")
async def test_an_answer_that_is_not_taken_is_dropped(wire: Wire) -> None:
    flowing = asyncio.Event()

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1_000):
            await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
            if any(each.flow.write_paused for each in wire.state.connections):  # type: ignore[union-attr]
                flowing.set()

    wire.endpoint = large
    peer = await wire.peer()
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await peer.send(request())
    async with asyncio.timeout(10):
        await flowing.wait()
    wire.pass_seconds(LIMITS[Stage.UNTAKEN] - 1)
    assert wire.state.connections
    wire.pass_seconds(1)
    await wire.gone()
    async with asyncio.timeout(10):
        await asyncio.gather(*wire.state.tasks)


@covers("SEC-DOS-01", "SEC-DOS-03")
async def test_whoever_does_not_hang_up_after_a_refusal_is_cut_off(wire: Wire) -> None:
    peer = await wire.peer(b"nonsense\r\n\r\n")
    check_refusal(await peer.answer(), 400)
    with suppress(ConnectionError):
        await peer.send(next_request())
    wire.pass_seconds(LIMITS[Stage.LINGERING])
    await wire.gone()
    assert wire.seen == []


async def test_the_timer_runs_while_there_are_connections(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeper = deadlines.sweeper_of(wire.state, wire.loop)
    monkeypatch.setattr(deadlines, "LOOK_EVERY", 0.0)
    peer = await wire.peer(b"POST")
    await wire.took(4)
    sweeper._look()  # in place of the hour that `wire` has set
    await peer.refused(408)
    await peer.close()
    await wire.gone()
    sweeper._look()
    assert sweeper._timer is None


@pytest.mark.parametrize("stage", LIMITS)
def test_patience_begins_anew_when_something_moves(stage: Stage) -> None:
    patience, limit = Patience(idle=7), LIMITS[stage]
    assert not any(patience.is_over(1, stage) for _ in range(limit - 1))
    assert not patience.is_over(1, Stage.WORKING)
    assert [patience.is_over(1, stage) for _ in range(limit)][-2:] == [False, True]


def test_nobody_hides_an_answer_that_is_not_taken_behind_new_requests() -> None:
    patience = Patience(idle=7)
    looks = [patience.is_over(serial, Stage.UNTAKEN) for serial in range(LIMITS[Stage.UNTAKEN])]
    assert looks[-1]

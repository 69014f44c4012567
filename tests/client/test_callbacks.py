"""Callbacks, on the client's side: a hint that is believed only with its token, and then asked."""

import json
import os
import re
from collections.abc import Callable
from typing import Any

import pytest

from abeyance.client import Callbacks, Progress, SealingKey, Token
from abeyance.client.callbacks import MAX_BODY
from abeyance.wire.secret import Secret
from tests.client.fakes import ACCESS_TOKEN, CODE, Handle, Kit, deferred, error, granted
from tests.covers import covers

PENDING = "authorization_pending"


def body(code: str = CODE, **more: Any) -> bytes:
    return json.dumps({"deferral_code": code, **more}).encode()


def bearer(token: str) -> str:
    return f"Bearer {token}"


def asked(kit: Kit, callbacks: Callbacks, **more: Any) -> tuple[Handle, str]:
    """A deferred request, and the token that it took along."""
    handle = kit.request(client=kit.client(callbacks=callbacks), **more)
    assert isinstance(handle, Handle)
    return handle, tokens(kit)[-1]


def tokens(kit: Kit) -> list[str]:
    named = [dict(seen.form).get("client_notification_token") for seen in kit.server.token_requests]
    return [each for each in named if each is not None]


def offer(kit: Kit) -> None:
    kit.server.metadata |= {"deferred_token_response_profiles_supported": ["wait"]}


@covers("DTR-INIT-02", "DTR-INIT-05", "T-251")
def test_each_request_that_may_be_deferred_takes_a_token_of_its_own(kit: Kit) -> None:
    callbacks = Callbacks()
    kit.server.says(deferred(), deferred(), granted())
    asked(kit, callbacks)
    asked(kit, callbacks)
    kit.request(client=kit.client(callbacks=callbacks), defer=False)
    kit.server.says(deferred())
    kit.request()
    found = tokens(kit)
    assert len(found) == len(set(found)) == 2, "none without opt-in, none without callbacks"
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in found)


@covers("DTR-CB-05", "T-241", "EXT-WAIT-06", "T-242")
def test_a_callback_with_the_right_token_brings_a_poll_and_the_poll_the_outcome(kit: Kit) -> None:
    offer(kit)
    callbacks = Callbacks()
    kit.server.says(deferred(interval=5), error(PENDING), granted())
    handle, token = asked(kit, callbacks)
    kit.time.pass_(5)
    handle.poll()
    kit.time.pass_(1)
    forged = body(access_token="forged", error="access_denied", unknown=1)
    assert callbacks.take(bearer(token), forged) == 204
    granted_ = handle.poll()
    assert isinstance(granted_, Token)
    assert granted_.access_token.reveal() == ACCESS_TOKEN, "what the poll brought, not the callback"
    assert len(kit.server.polls) == 2


@covers("DTR-CB-05", "T-241", "SEC-SSRF-71", "DTR-CB-09", "T-242")
@pytest.mark.parametrize(
    ("shown", "told", "status"),
    [
        (lambda _: None, body(), 401),
        (lambda _: "", body(), 401),
        (lambda _: bearer("wrong"), body(), 401),
        (lambda token: token, body(), 401),
        (lambda token: f"Basic {token}", body(), 401),
        (bearer, body("another-code"), 401),
        (bearer, b"{}", 400),
        (bearer, b'{"deferral_code": 1}', 400),
        (bearer, b"[]", 400),
        (bearer, b"\xff", 400),
        (bearer, b'{"deferral_code": "a", "deferral_code": "b"}', 400),
        (bearer, b" " * (MAX_BODY + 1), 413),
    ],
)
def test_what_is_no_callback_for_this_request_does_nothing(
    kit: Kit, shown: Callable[[str], str | None], told: bytes, status: int
) -> None:
    offer(kit)
    callbacks = Callbacks()
    kit.server.says(deferred(interval=5), error(PENDING))
    handle, token = asked(kit, callbacks)
    kit.time.pass_(5)
    handle.poll()
    kit.time.pass_(1)
    assert callbacks.take(shown(token), told) == status
    handle.poll()
    assert len(kit.server.polls) == 1


@covers("DTR-CB-05", "T-241")
def test_the_token_of_another_request_is_no_token(kit: Kit) -> None:
    callbacks = Callbacks()
    kit.server.says(deferred(), deferred(deferral_code="the-other-code-" + "d" * 40))
    first, _ = asked(kit, callbacks)
    _, second = asked(kit, callbacks)
    assert callbacks.take(bearer(second), body(CODE)) == 401
    del first


@covers("T-242", "EXT-WAIT-06")
def test_however_many_come_there_is_one_poll_an_interval(kit: Kit) -> None:
    offer(kit)
    callbacks = Callbacks()
    kit.server.says(deferred(interval=5))
    kit.server.forever = error(PENDING)
    handle, token = asked(kit, callbacks)
    for _ in range(50):
        kit.time.pass_(0.5)
        assert callbacks.take(bearer(token), body()) == 204
        assert isinstance(handle.poll(), Progress), "however often it is said"
    assert 25 / 5 <= len(kit.server.polls) <= 2 * 25 / 5, "one by the pace, one by a callback"


@covers("T-243")
def test_a_callback_that_is_faster_than_the_answer_is_kept() -> None:
    callbacks, told = Callbacks(), []

    class Waiting:
        def notified(self) -> None:
            told.append(self)

    token, waiting = callbacks.expect(lambda count: b"r" * count), Waiting()
    assert callbacks.take(bearer(token.reveal()), body()) == 204
    callbacks.attach(token, Secret(CODE), waiting.notified)
    assert told == [waiting]
    other, second = callbacks.expect(lambda count: b"s" * count), Waiting()
    assert callbacks.take(bearer(other.reveal()), body("another")) == 204
    callbacks.attach(other, Secret(CODE), second.notified)
    assert told == [waiting], "that was about something else"


@covers("DTR-CB-08", "T-241")
def test_what_has_ended_takes_no_callbacks(kit: Kit) -> None:
    callbacks = Callbacks()
    kit.server.says(deferred(interval=5), granted(), granted())
    handle, token = asked(kit, callbacks)
    assert isinstance(handle.wait(), Token)
    assert callbacks.take(bearer(token), body()) == 401
    assert isinstance(kit.request(client=kit.client(callbacks=callbacks)), Token)
    assert callbacks.take(bearer(tokens(kit)[-1]), body()) == 401, "and what never waited, neither"


@covers("DTR-INIT-02", "T-236")
def test_a_request_that_another_process_goes_on_with_is_still_called_back(
    kit: Kit, tmp_path: Any
) -> None:
    offer(kit)
    kit.server.says(deferred(interval=5), error(PENDING), granted())
    handle, token = asked(kit, Callbacks())
    seal = SealingKey(b"k" * 32)
    handle.save(tmp_path / "state", seal=seal)
    assert token.encode() not in (tmp_path / "state").read_bytes()
    callbacks = Callbacks()
    client = kit.client(callbacks=callbacks)
    kit.run(client.metadata())
    resumed = kit.resume(tmp_path / "state", seal=seal, client=client)
    kit.time.pass_(6)
    resumed.poll()
    kit.time.pass_(1)
    assert callbacks.take(bearer(token), body()) == 204
    assert isinstance(resumed.poll(), Token)


@covers("DTR-CB-08")
def test_no_token_is_shown(kit: Kit) -> None:
    callbacks = Callbacks()
    kit.server.says(deferred())
    handle, token = asked(kit, callbacks)
    for shown in (repr(callbacks), repr(handle.inner), repr(handle.inner._pursuit.held)):
        assert token not in shown


@covers("SEC-SSRF-71", "DTR-CB-05")
def test_only_so_many_are_remembered() -> None:
    callbacks = Callbacks(capacity=10)
    first, *_ = [callbacks.expect(os.urandom) for _ in range(11)]
    assert callbacks.take(bearer(first.reveal()), body()) == 401


@covers("SEC-SSRF-71", "T-241", "DTR-CB-05")
@pytest.mark.parametrize(
    ("method", "headers", "content", "status"),
    [
        ("POST", 1, body(), 204),
        ("POST", 0, body(), 401),
        ("POST", 2, body(), 401),
        ("POST", 1, b"x" * 1_000_000, 413),
        ("GET", 1, b"", 405),
        ("HEAD", 1, b"", 405),
    ],
)
async def test_as_an_application_it_answers_the_same_and_never_leads_elsewhere(
    method: str, headers: int, content: bytes, status: int
) -> None:
    callbacks = Callbacks()
    token = callbacks.expect(lambda count: b"r" * count)
    sent: list[Any] = []
    pieces = [content[at : at + 1_000] for at in range(0, max(1, len(content)), 1_000)]
    taken = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return {
            "type": "http.request", "body": pieces[taken - 1], "more_body": taken < len(pieces),
        }  # fmt: skip

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": "/anywhere",
        "headers": [(b"authorization", bearer(token.reveal()).encode())] * headers,
    }
    await callbacks(scope, receive, send)
    assert sent[0]["status"] == status
    assert taken <= 6, "no more is read than is looked at"

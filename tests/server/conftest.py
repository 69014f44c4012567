"""`served`, and what holds after every test (G1, G3, G4 and G7 of the security catalogue)."""

import io
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from abeyance.server import logs
from tests.answer import Answer
from tests.config import SECRET
from tests.served import Served, serve

_PUBLIC = ("/.well-known/oauth-authorization-server", "/jwks")


@pytest.fixture
async def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    log = io.StringIO()
    monkeypatch.setattr("sys.stderr", log)
    before = logging.getLogger().handlers[:]
    logs.configure_logs("DEBUG")
    try:
        async with serve(tmp_path) as running:
            yield running
            _check_answers(running)
            _check_log(running, log.getvalue())
            assert (await running.s1.ask(scope="now")).status in (200, 429)
    finally:
        logging.getLogger().handlers[:] = before


def _check_answers(served: Served) -> None:
    for path, answer in served.answers:
        assert answer.status < 500, f"{path} answered {answer.status}: {answer.body!r}"
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("server") is None
        if path not in _PUBLIC:
            assert answer.header("cache-control") == "no-store", path
        if answer.header("content-type") == "application/json" and answer.body:
            _check_error(answer)


def _check_error(answer: Answer) -> None:
    body = answer.json
    assert None not in body.values()
    if "error" in body:
        assert "access_token" not in body
        for text in (body["error"], body.get("error_description", "")):
            assert all(c == "!" or (" " <= c <= "~" and c not in '"\\') for c in text), text
        assert (answer.header("www-authenticate") is not None) == (answer.status == 401)


def _check_log(served: Served, log: str) -> None:
    planted = [SECRET]
    for _, answer in served.answers:
        if answer.body.startswith(b"{"):
            body = answer.json
            planted += [body[each] for each in ("deferral_code", "access_token") if each in body]
    for secret in planted:
        assert secret not in log
        assert secret[:16] not in log

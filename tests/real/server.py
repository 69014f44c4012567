"""A process that serves: the real server, on a wall clock that a test may set, with reviewers.

Behind `/vote` a reviewer's vote is cast in this process by the act behind every page; a browser
would only be slower.
"""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import structlog

from abeyance.acts.decide import Counted, NotCounted, Obstacle, Vote, decide, review
from abeyance.acts.house import House
from abeyance.parties.person import PersonId
from abeyance.pending.choosing import Choice
from abeyance.pending.handles import Home
from abeyance.pending.request import Key
from abeyance.pending.votes import Verdict
from abeyance.server import clock
from abeyance.server.app import Abeyance
from abeyance.server.launch import running_server
from abeyance.server.settings import load_settings
from abeyance.store.ports import StoreAway

_LOOK_EVERY: Final = 0.1  # seconds


def serve(config: Path, ahead: Any) -> None:
    """Serve until killed. `ahead.value`: seconds by which this machine's clock is wrong."""
    diary = config.with_suffix(".log").open("a", buffering=1)
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(diary))
    logging.disable()

    def now(_: object) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=ahead.value)

    def after(_: object, seconds: float, call: Callable[[], None]) -> _Timer:
        return _Timer(ahead, seconds, call)

    clock.SystemClock.now = now  # type: ignore[assignment, method-assign]
    clock.SystemClock.after = after  # type: ignore[assignment, method-assign]
    with running_server(load_settings(config, environ={}), wrap=_with_reviewers):
        threading.Event().wait()


class _Timer:
    """Goes off after so many seconds, and before that if the clock is set to when they are over."""

    def __init__(self, ahead: Any, seconds: float, call: Callable[[], None]) -> None:
        self._ahead, self._call = ahead, call
        self._began, self._over = ahead.value, time.monotonic() + seconds
        self._look()

    def cancel(self) -> None:
        self._handle.cancel()

    def _look(self) -> None:
        left = self._over - time.monotonic() - max(self._ahead.value - self._began, 0.0)
        # A loop's timer may go off a little early.
        soon = max(min(left, _LOOK_EVERY), 0.0)
        then = self._call if left <= _LOOK_EVERY else self._look
        self._handle = asyncio.get_running_loop().call_later(soon, then)


def _with_reviewers(app: Abeyance) -> Callable[[Any, Any, Any], Awaitable[None]]:
    async def endpoint(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] not in ("/vote", "/waiting"):
            await app(scope, receive, send)
            return
        asked = dict(parse_qsl(scope["query_string"].decode()))
        try:
            assert app.house is not None
            act = _vote if scope["path"] == "/vote" else _waiting
            status, said = 200, await act(app.house, asked)
        except StoreAway:
            status, said = 503, None
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(said).encode()})

    return endpoint


async def _waiting(house: House, asked: dict[str, str]) -> list[dict[str, Any]]:
    page = await house.store.list_waiting(PersonId(asked["by"]), now=house.clock.now(), limit=50)
    return [
        {"home": each.held.key.home.hex(), "asked": sorted(each.snapshot.asked.scope)}
        for each in page.items
    ]


async def _vote(house: House, asked: dict[str, str]) -> str:
    """`counted`, `closed` or `refused`."""
    key = Key(Home(bytes.fromhex(asked["home"])), 1)
    person = await house.store.find_person(PersonId(asked["by"]))
    assert person is not None
    seen = await review(house, person, key)
    if seen is None:
        return "refused"
    choice = None
    if "scope" in asked:
        choice = Choice(
            items=frozenset(f"scope:{each}" for each in asked["scope"].split()),
            parts={},
            limits={},
            lifetime=seen.loaded.snapshot.asked.lifetime,
        )
    vote = Vote(
        verdict=Verdict(asked["verdict"]),
        seen=seen.disclosure.digest,
        version=seen.loaded.held.version,
        choice=choice,
    )
    match await decide(house, person, key, vote):
        case Counted():
            return "counted"
        case NotCounted(Obstacle.CLOSED):
            return "closed"
        case _:
            return "refused"

"""Is it alive, is it ready? Nothing else is told to those who reach the public listener
(SEC-OPS-10); `management.py` has its own.
"""

from typing import Final

from abeyance.acts.house import House
from abeyance.faces import render_error
from abeyance.server.http import Receive, Scope, Send, json_fields, send_reply
from abeyance.store.ports import StoreAway
from abeyance.wire.errors import WrongMethod
from abeyance.wire.reply import Reply, render_json

_AGE: Final = 1.0  # seconds for which a check that went well holds


class Check:
    """The store can be read and written. Raises `StoreAway`."""

    __slots__ = ("_checked", "_house")

    def __init__(self, house: House) -> None:
        self._house = house
        self._checked = -_AGE  # the tick of the last check that went well

    async def __call__(self) -> None:
        tick = self._house.clock.tick()
        # The check writes to the disk, and anybody may ask: once in a while is enough.
        if tick - self._checked >= _AGE:
            await self._house.store.check()
            self._checked = tick


class Live:
    """The process answers."""

    __slots__ = ("_fixed",)

    def __init__(self, *, https: bool) -> None:
        self._fixed = json_fields(https=https)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_reply(scope, send, _word(scope, 200, {"status": "ok"}), self._fixed)


class Ready:
    """The store can be read and written."""

    __slots__ = ("_check", "_fixed")

    def __init__(self, house: House, *, https: bool) -> None:
        self._check = Check(house)
        self._fixed = json_fields(https=https)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._check()
        except StoreAway:
            reply = _word(scope, 503, {"status": "unavailable", "store": "away"})
        else:
            reply = _word(scope, 200, {"status": "ok", "store": "ok"})
        await send_reply(scope, send, reply, self._fixed)


def _word(scope: Scope, status: int, body: dict[str, str]) -> Reply:
    if scope["method"] not in ("GET", "HEAD"):
        return render_error(WrongMethod("GET, HEAD"))
    return Reply(status, render_json(body))

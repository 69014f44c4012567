"""Is it alive, is it ready? Nothing else is told (SEC-OPS-10)."""

from abeyance.acts.house import House
from abeyance.server.http import JSON, NEVER_STORED, Receive, Scope, Send, send_reply
from abeyance.store.ports import StoreAway
from abeyance.wire.reply import Reply, render_json


class Live:
    """The process answers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _send(scope, send, 200, {"status": "ok"})


class Ready:
    """The store can be read and written."""

    __slots__ = ("_house",)

    def __init__(self, house: House) -> None:
        self._house = house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._house.store.check()
        except StoreAway:
            await _send(scope, send, 503, {"status": "unavailable", "store": "away"})
        else:
            await _send(scope, send, 200, {"status": "ok", "store": "ok"})


async def _send(scope: Scope, send: Send, status: int, body: dict[str, str]) -> None:
    if scope["method"] not in ("GET", "HEAD"):
        status, body = 405, {"status": "use GET"}
    await send_reply(scope, send, Reply(status, render_json(body)), (JSON, *NEVER_STORED))

"""The ASGI application: served alone, or mounted into another one.

    abeyance = Abeyance(settings)

    # alone: any ASGI server runs `abeyance`, which opens and closes itself (lifespan)

    # mounted: the host application opens and closes it
    @asynccontextmanager
    async def lifespan(host):
        async with abeyance.running():
            yield

    Starlette(routes=[Mount("/as", abeyance)], lifespan=lifespan)

The issuer's path and the mount point must agree; the metadata document is also
served below the mount point, and belongs at `endpoints.well_known` of the host.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from abeyance.acts.house import Clock, House
from abeyance.server.http import Endpoint, Receive, Scope, Send, json_fields, send_reply
from abeyance.server.settings import Settings
from abeyance.server.wiring import open_house, open_routes
from abeyance.wire.reply import Reply

_NOT_FOUND = Reply(404, b'{"error":"not_found"}')
_CLOSED = Reply(503, b'{"error":"temporarily_unavailable"}', ((b"retry-after", b"5"),))


class Abeyance:
    """The authorization server as one ASGI callable."""

    __slots__ = ("_clock", "_console", "_endpoints", "_settings", "house")

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._endpoints: Mapping[str, Endpoint] = {}
        self._console: Endpoint | None = None
        self.house: House | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[House]:
        """Open the store and answer requests until the block ends."""
        async with (
            open_house(self._settings, clock=self._clock) as house,
            open_routes(house, self._settings) as routes,
        ):
            self.house, self._endpoints, self._console = house, routes.endpoints, routes.console
            try:
                yield house
            finally:
                self.house, self._endpoints, self._console = None, {}, None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, root = scope["path"], scope.get("root_path", "")
        if root and path.startswith(root + "/"):
            path = path[len(root) :]
        endpoint = self._endpoints.get(path)
        if endpoint is not None:
            await endpoint(scope, receive, send)
            return
        if self.house is not None and self._console is not None:
            for prefix in (self.house.endpoints.path + "/console", "/console"):
                if path == prefix or path.startswith(prefix + "/"):
                    await self._console({**scope, "root_path": root + prefix}, receive, send)
                    return
        reply = _CLOSED if self.house is None else _NOT_FOUND
        https = self._settings.issuer.startswith("https:")
        await send_reply(scope, send, reply, json_fields(https=https))

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        started = False
        try:
            async with self.running():
                started = True
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except Exception as fault:
            if started:
                raise
            await send({"type": "lifespan.startup.failed", "message": str(fault)})
            return
        await send({"type": "lifespan.shutdown.complete"})

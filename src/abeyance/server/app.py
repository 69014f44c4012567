"""The ASGI application: served alone, or mounted into another one.

    abeyance = Abeyance(settings)

    # alone: any ASGI server runs `abeyance`, which opens and closes itself (lifespan)

    # mounted: the host application opens and closes it
    @asynccontextmanager
    async def lifespan(host):
        async with abeyance.running():
            yield

    Starlette(routes=[Mount("/as", abeyance)], lifespan=lifespan)

With `people` the host application says who is signed in (`pages.host`); with `outside`
callbacks and whatever else leaves the house take its way, such as an egress proxy; with
`mailer` notices go by it. The
issuer's path and the mount point must agree; the metadata document is also
served below the mount point, and belongs at `endpoints.well_known` of the host.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from abeyance.acts import dispose, signal
from abeyance.acts.house import Clock, House
from abeyance.outbound.caller import Outside
from abeyance.outbound.mail import Mailer
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.server.http import (
    CURRENT,
    Endpoint,
    Receive,
    Scope,
    Send,
    json_fields,
    send_reply,
)
from abeyance.server.pages.app import SEGMENTS
from abeyance.server.pages.host import HostPeople, session_digest
from abeyance.server.settings import Settings
from abeyance.server.tracing import Tracing, open_tracing
from abeyance.server.wiring import open_house, open_routes
from abeyance.store.ports import Ground, OfClient, OfConsent, OfPerson, OfSession
from abeyance.wire.reply import Reply

ADMIN = "admin"
_NOT_FOUND = Reply(404, b'{"error":"not_found"}')
_CLOSED = Reply(503, b'{"error":"temporarily_unavailable"}', ((b"retry-after", b"5"),))


class Abeyance:
    """The authorization server as one ASGI callable."""

    __slots__ = (
        "_admin",
        "_clock",
        "_endpoints",
        "_mailer",
        "_outside",
        "_pages",
        "_people",
        "_settings",
        "_tracing",
        "house",
    )

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        people: HostPeople | None = None,
        outside: Outside | None = None,
        mailer: Mailer | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._people = people
        self._outside = outside
        self._mailer = mailer
        self._tracing: Tracing | None = None
        self._endpoints: Mapping[str, Endpoint] = {}
        self._pages: Endpoint | None = None
        self._admin: Endpoint | None = None
        self.house: House | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[House]:
        """Open the store and answer requests until the block ends."""
        async with (
            self._traced() as self._tracing,
            open_house(
                self._settings,
                clock=self._clock,
                hosted=self._people is not None,
                outside=self._outside,
                mailer=self._mailer,
                traces=self._tracing,
            ) as house,
            open_routes(house, self._settings, self._people) as routes,
        ):
            self.house, self._endpoints = house, routes.endpoints
            self._pages, self._admin = routes.pages, routes.admin
            try:
                yield house
            finally:
                self.house, self._endpoints = None, {}
                self._pages = self._admin = self._tracing = None

    @asynccontextmanager
    async def _traced(self) -> AsyncIterator[Tracing | None]:
        if not self._settings.tracing:
            yield None
            return
        tracing = open_tracing(self._settings.trusted_proxies)
        try:
            yield tracing
        finally:
            await asyncio.to_thread(tracing.close)

    async def sign_out(self, person: str, session: str) -> None:
        """Tell that a person has signed out of the host application (`HostPerson`'s names).

        What they granted in that session ends with it only under `stale_session = "any"`.
        """
        if self.house is not None:
            await dispose.sign_out(self.house, session_digest(person, session))

    async def ground_changed(
        self,
        *,
        person: str | None = None,
        client: str | None = None,
        session: str | None = None,
        close: bool = False,
        reason: str | None = None,
    ) -> int:
        """Tell that something outside has changed about a person, a client, what the person lets
        the client do (both), or a session of your application (with its `person`).

        What rests on it is checked against the policy once more and closed if that would deny
        it by now; or closed in any case, with `close`. It is done when this returns the number
        of grants and requests that ended. Raises `ValueError` if nobody is named.
        """
        ground: Ground
        if person is not None and session is not None and client is None:
            ground = OfSession(session_digest(person, session))
        elif person is not None and client is not None and session is None:
            ground = OfConsent(PersonId(person), ClientId(client))
        elif person is not None and session is None:
            ground = OfPerson(PersonId(person))
        elif client is not None and session is None:
            ground = OfClient(ClientId(client))
        else:
            raise ValueError("name a person, a client, both, or a person and a session")
        if self.house is None:
            return 0
        return await signal.ground_changed(
            self.house, ground, end=close, by="operator", reason=reason
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if self._tracing is None:
                await self._answer(scope, receive, send)
            else:
                route = self._route(scope)
                await self._tracing.answer(self._answer, route, scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        CURRENT.set(scope)
        path, root = _path(scope), scope.get("root_path", "")
        endpoint = self._endpoints.get(path)
        if endpoint is not None:
            await endpoint(scope, receive, send)
            return
        if self.house is not None and self._pages is not None and self._admin is not None:
            # With the issuer's path, as browsers send it, and without, as a host
            # application or a proxy that has taken it off hands it over.
            for prefix in dict.fromkeys((self.house.endpoints.path, "")):
                segment = _segment(path, prefix)
                if segment == ADMIN and path != f"{prefix}/{ADMIN}":
                    below = path.removeprefix(f"{prefix}/{ADMIN}")
                    await self._admin({**scope, "path": below}, receive, send)
                    return
                if segment in SEGMENTS:
                    await self._pages({**scope, "root_path": root + prefix}, receive, send)
                    return
        reply = _CLOSED if self.house is None else _NOT_FOUND
        https = self._settings.issuer.startswith("https:")
        await send_reply(scope, send, reply, json_fields(https=https))

    def _route(self, scope: Scope) -> str | None:
        """Where it goes, in words of ours alone; of pages the first segment."""
        path = _path(scope)
        if path in self._endpoints:
            return path
        for prefix in ("", urlsplit(self._settings.issuer).path):
            segment = _segment(path, prefix)
            if segment == ADMIN or segment in SEGMENTS:
                return f"{prefix}/{segment}"
        return None

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


def _path(scope: Scope) -> str:
    """The path below the place where we are mounted."""
    path: str = scope["path"]
    root = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(root + "/") else path


def _segment(path: str, prefix: str) -> str:
    """The first segment behind the prefix."""
    if not path.startswith(prefix + "/"):
        return ""
    return path.removeprefix(prefix + "/").partition("/")[0]

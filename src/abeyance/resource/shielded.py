"""An ASGI application behind a guard: only requests with a good token reach it.

It also serves the metadata of the resource, to anybody and from any page (RFC 9728 §3).
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from abeyance.resource.admission import NOTHING_MORE, Guard, Needs, Shown
from abeyance.resource.refusals import Refused
from abeyance.resource.verified import VerifiedAccess
from abeyance.wire import names
from abeyance.wire.reply import header, render_json

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_KEY: Final = "abeyance.access"


def access_of(scope: Scope) -> VerifiedAccess:
    """The access with which this request came through `ShieldedApp`."""
    access = scope[_KEY]
    if not isinstance(access, VerifiedAccess):
        raise TypeError("another has written to the scope in our name")
    return access


class ShieldedApp:
    """`needs` says what a request takes. `certificate` finds the client's in the scope, in DER,
    as the host's server or proxy has verified it.
    """

    def __init__(
        self,
        app: App,
        guard: Guard,
        *,
        needs: Callable[[Scope], Needs] = lambda _scope: NOTHING_MORE,
        certificate: Callable[[Scope], bytes | None] = lambda _scope: None,
    ) -> None:
        self._app = app
        self._guard = guard
        self._needs = needs
        self._certificate = certificate
        self._described = render_json(guard.resource.document())
        self._place, _, self._query = guard.resource.metadata_path.partition("?")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            # A web socket has no answer in which to ask for a token: it is closed unopened.
            await send({"type": "websocket.close", "code": 1008})
        elif scope["path"] == self._place and scope["query_string"].decode() == self._query:
            await self._describe(scope, send)
        else:
            await self._shield(scope, receive, send)

    async def _shield(self, scope: Scope, receive: Receive, send: Send) -> None:
        fields: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            fields.setdefault(name.lower(), []).append(value)
        shown = Shown(
            method=scope["method"],
            url=self._guard.resource.origin + _spelled(scope),
            authorization=fields.get(b"authorization", ()),
            dpop=fields.get(b"dpop", ()),
            certificate=self._certificate(scope),
        )
        try:
            access = await self._guard.admit(shown, self._needs(scope))
        except Refused as refused:
            body = {} if refused.error is None else {names.ERROR: refused.error}
            told = [header(*each) for each in self._guard.headers(refused)]
            await _answer(send, refused.status, render_json(body), [*told, _NO_STORE])
            return
        await self._app({**scope, _KEY: access}, receive, send)

    async def _describe(self, scope: Scope, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, b"{}", [header("Allow", "GET, HEAD")])
            return
        body = self._described if scope["method"] == "GET" else b""
        await _answer(
            send,
            200,
            body,
            [header("Cache-Control", "max-age=3600"), header("Access-Control-Allow-Origin", "*")],
        )


_NO_STORE: Final = header("Cache-Control", "no-store")


def _spelled(scope: Scope) -> str:
    """The path as it was sent, since a proof names that spelling; never `Host` (OAUTH-DPOP-06)."""
    raw: bytes | None = scope.get("raw_path")
    if raw is None:
        return quote(str(scope["path"]))
    return raw.partition(b"?")[0].decode("ascii", "replace")


async def _answer(send: Send, status: int, body: bytes, told: list[tuple[bytes, bytes]]) -> None:
    headers = [header("Content-Type", "application/json"), *told]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

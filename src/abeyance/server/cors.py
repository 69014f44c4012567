"""Pages in a browser that are clients themselves may call the back channel (OAUTH-CORS-02 to -04).

Allowed are the origins of clients: those that they name, and those of their https
redirect URIs. A preflight does not say which client asks, so it is answered for all of
them; being allowed to ask grants nothing. Nothing here is for pages of ours.
"""

import asyncio
from collections.abc import Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

from abeyance.acts.house import House
from abeyance.parties.client import Client
from abeyance.server.http import (
    HSTS,
    NEVER_STORED,
    Endpoint,
    Receive,
    Scope,
    Send,
    json_fields,
    request_id,
    send_reply,
)
from abeyance.store.ports import StoreAway
from abeyance.wire.reply import Reply

KNOWN_FOR: Final = 5.0  # seconds for which the origins of all clients are remembered
_VARY: Final = (b"vary", b"Origin")
_EXPOSED: Final = (
    b"access-control-expose-headers",
    b"DPoP-Nonce, WWW-Authenticate, Retry-After, Preference-Applied",
)
_PREFLIGHT: Final = (
    (b"access-control-allow-headers", b"Authorization, Content-Type, DPoP, Prefer"),
    (b"access-control-max-age", b"600"),
    _VARY,
)
_FOREIGN: Final = Reply(403, b'{"error":"origin_not_allowed"}', (_VARY,))


class Origins:
    """The origins of all clients that are enabled, looked up now and then."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._known: frozenset[bytes] = frozenset()
        self._until = float("-inf")
        self._reading = asyncio.Lock()

    async def has(self, origin: bytes) -> bool:
        if self._is_old():
            # Any page can send an Origin: however many come, one of them reads.
            async with self._reading:
                if self._is_old():
                    await self._read()
        return origin in self._known

    def _is_old(self) -> bool:
        return self._house.clock.tick() >= self._until

    async def _read(self) -> None:
        try:
            clients = await self._house.store.list_clients()
        except StoreAway:
            return  # the endpoint says so, to the pages that were known before
        self._known = frozenset(
            each.encode() for client in clients if client.enabled for each in origins_of(client)
        )
        self._until = self._house.clock.tick() + KNOWN_FOR


def origins_of(client: Client) -> frozenset[str]:
    """Where this client's pages run, as browsers name it."""
    web = [urlsplit(uri) for uri in client.redirect_uris if uri.startswith("https://")]
    named = client.allowed_origins | {f"https://{parts.netloc}" for parts in web}
    return frozenset(_without_default_port(origin) for origin in named)


def _without_default_port(origin: str) -> str:
    return origin.removesuffix(":443" if origin.startswith("https:") else ":80")


def across(
    endpoint: Endpoint, origins: Origins, *, https: bool, methods: bytes = b"POST"
) -> Endpoint:
    """The endpoint, for pages of clients too. Without `Origin` it is the endpoint itself."""
    refusal = json_fields(https=https)
    allowed_methods = (b"access-control-allow-methods", methods)
    preflight = (*NEVER_STORED, *((HSTS,) if https else ()), allowed_methods, *_PREFLIGHT)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        origin = None
        for name, value in scope["headers"]:
            if name == b"origin":
                # Two are none: a browser sends one.
                origin = value if origin is None else b""
        if origin is None:
            await endpoint(scope, receive, send)
            return
        allowed = await origins.has(origin)
        permission = (b"access-control-allow-origin", origin)
        if scope["method"] == "OPTIONS" and not allowed:
            await send_reply(scope, send, _FOREIGN, refusal)
            return
        if scope["method"] == "OPTIONS":
            headers = [*preflight, permission, (b"x-request-id", request_id(scope))]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        told = (permission, _EXPOSED) if allowed else ()

        async def send_with_origin(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *told, _VARY]
            await send(message)

        await endpoint(scope, receive, send_with_origin)

    return answer


def across_all(
    endpoints: Mapping[str, Endpoint], origins: Origins, *, https: bool
) -> dict[str, Endpoint]:
    return {path: across(endpoint, origins, https=https) for path, endpoint in endpoints.items()}

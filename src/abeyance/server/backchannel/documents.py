"""Documents that are read before anything is asked: metadata and keys (RFC 8414, RFC 7517)."""

import hashlib
from typing import Final

from abeyance.acts.house import House
from abeyance.faces import render_error
from abeyance.proofs.jwk import render_jwks
from abeyance.server.http import HSTS, JSON, Receive, Scope, Send, json_fields, send_reply
from abeyance.wire.errors import WrongMethod
from abeyance.wire.reply import Reply, render_json
from abeyance.wire.strict_json import JsonObject

MAX_AGE: Final = 300  # seconds; `keys.rotating` counts on it (OAUTH-META-08)


class Document:
    """A public JSON document that only changes with the configuration: bytes made once."""

    __slots__ = ("_body", "_etag", "_fixed", "_refusal")

    def __init__(self, value: JsonObject, *, https: bool) -> None:
        self._body = render_json(value)
        self._etag = b'"' + hashlib.sha256(self._body).hexdigest()[:32].encode() + b'"'
        hsts = (HSTS,) if https else ()
        self._fixed = (
            JSON,
            (b"cache-control", b"public, max-age=%d" % MAX_AGE),
            (b"etag", self._etag),
            (b"access-control-allow-origin", b"*"),
            (b"x-content-type-options", b"nosniff"),
            *hsts,
        )
        self._refusal = json_fields(https=https)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            await send_reply(scope, send, render_error(WrongMethod("GET, HEAD")), self._refusal)
        elif (b"if-none-match", self._etag) in scope["headers"]:
            await send_reply(scope, send, Reply(304, b""), self._fixed)
        else:
            # The server drops the body of an answer to HEAD and keeps its length.
            await send_reply(scope, send, Reply(200, self._body), self._fixed)


class KeySetDocument:
    """The published keys: as above, made anew when they change (OAUTH-META-06 to -08)."""

    __slots__ = ("_document", "_house", "_https", "_keys")

    def __init__(self, house: House, *, https: bool) -> None:
        self._house = house
        self._https = https
        self._keys = house.keys.published
        self._document = Document(render_jwks(self._keys), https=https)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        keys = self._house.keys.published
        if keys is not self._keys:
            self._keys, self._document = keys, Document(render_jwks(keys), https=self._https)
        await self._document(scope, receive, send)

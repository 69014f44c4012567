"""An `auth` object for the HTTP client: obtains, waits, refreshes, proves, by itself.

    http = httpx2.Client(auth=TokenAuth(source, origins=["https://ledger.example"]))
    http.get("https://ledger.example/balance")

The token goes to the named origins only; a request to any other leaves as it is.
At most one repetition for a nonce (RFC 9449 §9) and one for a token that was
rejected, never more. Where the HTTP client follows a redirect to elsewhere, it leaves
the token behind; the proof, of no use without it, goes along.
"""

from collections.abc import AsyncGenerator, Generator, Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httpx2

from abeyance.client import answers
from abeyance.client.addresses import BadAddress, check_issuer
from abeyance.client.async_source import AsyncTokenSource
from abeyance.client.errors import Misconfigured
from abeyance.client.link import Link
from abeyance.client.sync_source import TokenSource
from abeyance.client.token import Token
from abeyance.proofs.dpop import make_proof
from abeyance.wire import names

_UNAUTHORIZED: Final = 401


class TokenAuth(httpx2.Auth):
    """For `httpx2.Client` with a `TokenSource`, for `httpx2.AsyncClient` with an
    `AsyncTokenSource`. Raises `Misconfigured` for what is not an origin.
    """

    requires_request_body = True  # it may have to be sent again

    def __init__(self, source: TokenSource | AsyncTokenSource, *, origins: Iterable[str]) -> None:
        self._source = source
        self._origins: Final = frozenset(map(_checked_origin, origins))
        self._nonces: dict[str, str] = {}

    def sync_auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        origin = _origin(request.url)
        if origin not in self._origins:
            yield request
            return
        if not isinstance(self._source, TokenSource):
            raise Misconfigured("An AsyncTokenSource belongs to an AsyncClient")
        request.read()
        attempt = self._attempt(origin, request, self._source.token())
        while True:
            response = yield request
            if response.request is not request or not attempt.may_repeat(response):
                # Whoever a redirect led to has no say about the token or its nonce.
                return
            response.read()
            token = attempt.token
            if attempt.rejects_token:
                token = self._source.token(instead_of=token)
            attempt.apply(request, token)

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        origin = _origin(request.url)
        if origin not in self._origins:
            yield request
            return
        if not isinstance(self._source, AsyncTokenSource):
            raise Misconfigured("A TokenSource belongs to a Client")
        await request.aread()
        attempt = self._attempt(origin, request, await self._source.token())
        while True:
            response = yield request
            if response.request is not request or not attempt.may_repeat(response):
                # Whoever a redirect led to has no say about the token or its nonce.
                return
            await response.aread()
            token = attempt.token
            if attempt.rejects_token:
                token = await self._source.token(instead_of=token)
            attempt.apply(request, token)

    def _attempt(self, origin: str, request: httpx2.Request, token: Token) -> "_Attempt":
        attempt = _Attempt(self._source.client.link, self._nonces, origin, token)
        attempt.apply(request, token)
        return attempt


@dataclass(slots=True)
class _Attempt:
    """One request on its way: which token it carries, and what may still be tried."""

    link: Link
    nonces: dict[str, str] = field(repr=False)
    origin: str
    token: Token
    rejects_token: bool = False
    tried_nonce: bool = False
    tried_token: bool = False

    def apply(self, request: httpx2.Request, token: Token) -> None:
        """Put the token, and a fresh proof where it is bound, into the request."""
        self.token = token
        value = token.access_token
        if token.dpop_key is None:
            request.headers["Authorization"] = f"{names.BEARER} {value.reveal()}"
            request.headers.pop(names.HEADER_DPOP, None)
            return
        request.headers["Authorization"] = f"{names.DPOP} {value.reveal()}"
        request.headers[names.HEADER_DPOP] = make_proof(
            token.dpop_key,
            method=request.method,
            url=str(request.url),
            now=self.link.surroundings.now(),
            jti=self.link.surroundings.identifier(),
            nonce=self.nonces.get(self.origin),
            access_token=value,
        )

    def may_repeat(self, response: httpx2.Response) -> bool:
        """Is it worth another try? Each reason counts once."""
        nonce = response.headers.get(names.HEADER_DPOP_NONCE)
        fresh = nonce is not None and answers.legible(nonce) == nonce and len(nonce) <= 1024
        if nonce is not None and fresh:
            self.nonces[self.origin] = nonce
        if response.status_code != _UNAUTHORIZED:
            return False
        challenge = response.headers.get("WWW-Authenticate", "")
        if names.USE_DPOP_NONCE in challenge:
            self.rejects_token = False
            first, self.tried_nonce = not self.tried_nonce, True
            return fresh and first and self.token.dpop_key is not None
        self.rejects_token = True
        first, self.tried_token = not self.tried_token, True
        return first


def _checked_origin(origin: str) -> str:
    try:
        check_issuer(origin)
    except BadAddress as bad:
        raise Misconfigured(f"An origin cannot be used: {bad}") from None
    parts = urlsplit(origin)
    if parts.path not in ("", "/"):
        raise Misconfigured("An origin has a scheme, a host and a port, and no path")
    return _origin(httpx2.URL(origin))


def _origin(url: httpx2.URL) -> str:
    port = f":{url.port}" if url.port else ""
    return f"{url.scheme}://{url.host}{port}"

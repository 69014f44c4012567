"""One HTTP request, bounded: no redirect, no cookie, 1 MiB, a minute for the body.

The request is built here and sent as it stands, so that nothing of the caller's
HTTP client (header fields, cookies, `auth`) gets into it; its connections,
proxies, time-outs and TLS settings are used.
"""

import ssl
import time
from collections.abc import Callable
from typing import Final

import httpx2

from abeyance.client.certificate import ClientCertificate
from abeyance.client.exchange import Received, Send, Unanswered

TIMEOUT: Final = httpx2.Timeout(30.0, connect=10.0)
MAX_BODY: Final = 1 << 20
BODY_TIME: Final = 60.0
HOLD_GRACE: Final = 5.0  # beyond what the server may take (EXT-WAIT-07)

_FAULTS: Final = (httpx2.RequestError, httpx2.StreamError, httpx2.InvalidURL, ssl.SSLError, OSError)


def make_client(*, cleartext: bool, certificate: ClientCertificate | None = None) -> httpx2.Client:
    """A client of our own. What goes to loopback in clear text must not meet a proxy."""
    verify = True if certificate is None else certificate.context()
    return httpx2.Client(timeout=TIMEOUT, trust_env=not cleartext, verify=verify)


def make_async_client(
    *, cleartext: bool, certificate: ClientCertificate | None = None
) -> httpx2.AsyncClient:
    verify = True if certificate is None else certificate.context()
    return httpx2.AsyncClient(timeout=TIMEOUT, trust_env=not cleartext, verify=verify)


def perform(http: httpx2.Client, step: Send) -> Received | Unanswered:
    """Send and read to the end; faults of the network are an answer, not an exception."""
    try:
        response = http.send(
            _request(step, http.timeout), stream=True, auth=None, follow_redirects=False
        )
        try:
            body = _Body(response)
            for chunk in response.iter_bytes():
                body.take(chunk)
            return body.received()
        finally:
            response.close()
    except _FAULTS as fault:
        return Unanswered(_word(fault))


async def perform_async(http: httpx2.AsyncClient, step: Send) -> Received | Unanswered:
    """As `perform`."""
    try:
        response = await http.send(
            _request(step, http.timeout), stream=True, auth=None, follow_redirects=False
        )
        try:
            body = _Body(response)
            async for chunk in response.aiter_bytes():
                body.take(chunk)
            return body.received()
        finally:
            await response.aclose()
    except _FAULTS as fault:
        return Unanswered(_word(fault))


class _Body:
    """Collects a body, and stops when it is too large or too slow."""

    def __init__(self, response: httpx2.Response, tick: Callable[[], float] = time.monotonic):
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise httpx2.DecodingError("a content encoding that was not asked for")
        self._response = response
        self._tick = tick
        self._until = tick() + BODY_TIME
        self._chunks: list[bytes] = []
        self._size = 0

    def take(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > MAX_BODY:
            raise httpx2.DecodingError("the body is too large")
        if self._tick() > self._until:
            raise httpx2.ReadTimeout("the body is too slow")
        self._chunks.append(chunk)

    def received(self) -> Received:
        return Received(
            status=self._response.status_code,
            headers={name.lower(): value for name, value in self._response.headers.items()},
            body=b"".join(self._chunks),
        )


def _request(step: Send, timeout: httpx2.Timeout) -> httpx2.Request:
    if step.hold and timeout.read is not None:
        read = max(timeout.read, step.hold + HOLD_GRACE)
        timeout = httpx2.Timeout(
            connect=timeout.connect, read=read, write=timeout.write, pool=timeout.pool
        )
    return httpx2.Request(
        step.method,
        step.url,
        headers=list(step.headers),
        content=step.body or None,
        extensions={"timeout": timeout.as_dict()},
    )


def _word(fault: Exception) -> str:
    # Our own words: the text of an exception may hold addresses or what the server sent.
    if isinstance(fault, httpx2.TimeoutException):
        return "time-out"
    if isinstance(fault, httpx2.ConnectError):
        return "no connection"
    return "the connection failed"

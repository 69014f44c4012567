"""Transport checks and header fields that every back-channel endpoint shares (OAUTH-HTTP, -PARAM).

Plain ASGI, because the token endpoint is polled: a framework in front of it
costs more than the answer.
"""

import itertools
import os
import re
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import unquote_to_bytes

import structlog
from prometheus_client import Counter

from abeyance.acts.house import ClientRequest, Wait
from abeyance.faces.render import render_error
from abeyance.store.ports import StoreAway
from abeyance.wire import names
from abeyance.wire.errors import (
    BodyTooLarge,
    EncodedBody,
    InvalidRequest,
    OAuthError,
    ServerError,
    Unavailable,
    WrongMethod,
)
from abeyance.wire.form import parse_form
from abeyance.wire.prefer import parse_wait
from abeyance.wire.reply import Reply

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Endpoint: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

CERTIFICATE: Final = "abeyance.certificate"  # in the scope; see `certificates.py`
MAX_BODY: Final = 64 * 1024
_FRAMES: Final = 12  # of a fault that is logged, the innermost
_FORM: Final = b"application/x-www-form-urlencoded"
_FORM_WITH_CHARSET = re.compile(
    rb"application/x-www-form-urlencoded[ \t]*;[ \t]*charset=\"?utf-8\"?[ \t]*", re.IGNORECASE
)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9-]{1,64}")
# A name for the log, not a secret: drawing one for each answer would cost a system call.
_PROCESS = os.urandom(4).hex().encode()
_ANSWERS = itertools.count()
_REQUEST_ID_KEY: Final = "abeyance.request_id"  # in the scope, once one of ours has been drawn
TRACE_ID: Final = "abeyance.trace_id"  # in the scope of a request that is traced
# The scope as it came, so that the log names a request as its answer does.
CURRENT: Final[ContextVar[Scope | None]] = ContextVar("abeyance.scope", default=None)
# No parameter of ours is ever read from a query; one that stands there is told
# off, since queries end in logs (OAUTH-PARAM-06).
_NAMES: Final = frozenset(
    value
    for name, value in vars(names).items()
    if name.isupper() and isinstance(value, str) and re.fullmatch(r"[a-z_]+", value)
) | {"code", "refresh_token"}  # secrets, though no grant of ours reads them yet

# Of this process, whichever endpoint it was; whoever looks after us is not counted as turned away.
UNAVAILABLE: Final = Counter(
    "abeyance_unavailable", "Answers 503, but those of probes", registry=None
)
_PROBES: Final = frozenset({"/livez", "/readyz", "/healthz", "/startupz", "/metrics"})

JSON: Final = (b"content-type", b"application/json")
NEVER_STORED: Final = (
    (b"cache-control", b"no-store"),
    (b"pragma", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
)
HSTS: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


def json_fields(*, https: bool) -> tuple[tuple[bytes, bytes], ...]:
    """The fields of every JSON answer that is not a public document (OAUTH-HTTP-05, -10)."""
    return (JSON, *NEVER_STORED, *((HSTS,) if https else ()))


_log = structlog.get_logger("abeyance.http")


class Disconnected(Exception):
    """The caller went away while its body was read: nobody to answer."""


async def read_request(scope: Scope, receive: Receive, url: str) -> ClientRequest:
    """Check method, type, query and size, and decode the form.

    Raises `InvalidRequest` or one of its kinds, `Disconnected`.
    """
    if scope["method"] != "POST":
        raise WrongMethod("POST")
    authorization: tuple[bytes, ...] = ()
    dpop: tuple[bytes, ...] = ()
    prefer: tuple[bytes, ...] = ()
    content_types = 0
    content_type = b""
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = value
            content_types += 1
        elif name == b"authorization":
            authorization += (value,)
        elif name == b"dpop":
            dpop += (value,)
        elif name == b"prefer":
            prefer += (value,)
        elif name == b"content-encoding":
            raise EncodedBody("The body must not be encoded")
        elif name == b"content-length" and value.isdigit() and int(value) > MAX_BODY:
            raise BodyTooLarge("The body is too large")
    if content_types != 1 or (
        content_type != _FORM
        and content_type.lower() != _FORM
        and not _FORM_WITH_CHARSET.fullmatch(content_type)
    ):
        raise InvalidRequest("The body must be application/x-www-form-urlencoded")
    if scope["query_string"]:
        _check_query(scope["query_string"])
    client = scope.get("client")
    seconds = parse_wait(prefer) if prefer else None
    return ClientRequest(
        url=url,
        authorization=authorization,
        dpop=dpop,
        form=parse_form(await read_body(receive)),
        address="" if client is None else client[0],
        certificate=scope.get(CERTIFICATE),
        wait=None if seconds is None else Wait(seconds, partial(until_gone, receive)),
    )


async def until_gone(receive: Receive) -> None:
    """Return when the caller has gone away. The body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_body(receive: Receive) -> bytes:
    """The whole body, bounded. Raises `BodyTooLarge`, `Disconnected`."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        chunk: bytes = message.get("body", b"")
        body += chunk
        if len(body) > MAX_BODY:
            raise BodyTooLarge("The body is too large")
        if not message.get("more_body", False):
            return body


def _check_query(query: bytes) -> None:
    for pair in query.split(b"&"):
        name = unquote_to_bytes(pair.partition(b"=")[0]).decode("utf-8", "replace")
        if name in _NAMES:
            raise InvalidRequest("Parameters must not be sent in the query")


class BackChannel:
    """A form endpoint: checks, an act, an answer, whatever happens in between.

    `answer` gets the request and returns a reply; what it raises is worded here.
    """

    __slots__ = ("_answer", "_fixed", "_url")

    def __init__(self, url: str, answer: Callable[[ClientRequest], Awaitable[Reply]]) -> None:
        self._url = url
        self._answer = answer
        self._fixed = json_fields(https=url.startswith("https:"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request: ClientRequest | None = None
        try:
            request = await read_request(scope, receive, self._url)
            reply = await self._answer(request)
        except OAuthError as error:
            reply = render_error(error)
        except StoreAway:
            reply = render_error(Unavailable())
        except Disconnected:
            return
        except Exception as fault:
            log_fault(fault)
            reply = render_error(ServerError())
        try:
            await send_reply(scope, send, reply, self._fixed)
        finally:
            if request is not None and request.sent is not None:
                request.sent()


async def send_reply(
    scope: Scope, send: Send, reply: Reply, fixed: tuple[tuple[bytes, bytes], ...]
) -> None:
    """Send a reply with the fields of its endpoint, its length and a request id."""
    headers = [
        *fixed,
        (b"content-length", str(len(reply.body)).encode()),
        (b"x-request-id", request_id(scope)),
        *reply.headers,
    ]
    note_status(scope, reply.status)
    if reply.status == 413:
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def note_status(scope: Scope, status: int) -> None:
    """Count who is turned away because something that the answer needs is not there."""
    if status == 503 and scope["path"] not in _PROBES:
        UNAVAILABLE.inc()


def request_id(scope: Scope) -> bytes:
    """The caller's request id if it is harmless, else one of ours (OAUTH-HTTP-09)."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    scope = CURRENT.get() or scope
    drawn = scope.get(_REQUEST_ID_KEY)
    if drawn is None:
        drawn = scope[_REQUEST_ID_KEY] = b"%s%08x" % (_PROCESS, next(_ANSWERS))
    return bytes(drawn)


def log_fault(fault: Exception) -> None:
    """Log a bug of ours: where it happened, not what it said, which might be a secret."""
    where = [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(fault.__traceback__, limit=-_FRAMES)
    ]
    _log.error("unexpected fault", kind=type(fault).__name__, where=where)

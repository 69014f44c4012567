"""Being called back: where the server tells that a request has ended (DTR-CB-05, -09).

    callbacks = Callbacks()                     # one for a program; also an ASGI application
    client = Client(issuer, "agent", secret, callbacks=callbacks)

    # in a web framework of one's own, at the registered address
    status = callbacks.take(request.headers.get("Authorization"), request.body)

Each request that may be deferred takes a fresh token with it. A callback is a hint and no more:
if its token is that of a request of ours, and the code is that request's, the request is polled
soon; what came of it, the poll says.
"""

import hmac
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from weakref import WeakMethod

from abeyance.wire import names
from abeyance.wire.base64url import render_base64url
from abeyance.wire.secret import Secret
from abeyance.wire.strict_json import parse_json_object

MAX_BODY: Final = 4_096
CAPACITY: Final = 10_000
_TOKEN_BYTES: Final = 32

Notified: TypeAlias = Callable[[], None]
_Message: TypeAlias = MutableMapping[str, Any]


@dataclass(slots=True)
class _Expected:
    """What is known of a token's request; `early` came before its code was known to us."""

    code: bytes | None = None
    notified: WeakMethod[Notified] | None = None
    early: bytes | None = None


class Callbacks:
    """The tokens of what waits, at most `capacity`; may be shared by clients and threads.

    An `AsyncClient`'s handle must be told on its own event loop: use this as the ASGI
    application, or call `take` there.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._expected: OrderedDict[bytes, _Expected] = OrderedDict()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Callbacks for {len(self._expected)} requests>"

    def expect(self, random: Callable[[int], bytes]) -> Secret:
        """A token for one request: 256 bits, as a header takes it (DTR-INIT-05)."""
        token = Secret(render_base64url(random(_TOKEN_BYTES)))
        with self._lock:
            self._expected[token.digest()] = _Expected()
            if len(self._expected) > self._capacity:
                self._expected.popitem(last=False)
        return token

    def attach(self, token: Secret, code: Secret, notified: Notified) -> None:
        """Whom to tell: the request with this code. A callback that was faster counts (T-243)."""
        with self._lock:
            expected = self._expected.setdefault(token.digest(), _Expected())
            expected.code = code.digest()
            expected.notified = WeakMethod(notified)
            early = expected.early is not None and expected.early == expected.code
        if early:
            notified()

    def forget(self, token: Secret) -> None:
        """It has ended, or was never deferred."""
        with self._lock:
            self._expected.pop(token.digest(), None)

    def take(self, authorization: str | bytes | None, body: bytes) -> int:
        """Take one callback; return the status to answer: 204, or 400, 401, 413, without a body.

        `authorization` is the value of that field. Members that are not known mean nothing.
        """
        if len(body) > MAX_BODY:
            return 413
        shown = _bearer(authorization)
        expected = None if shown is None else self._expected.get(shown.digest())
        if expected is None:
            return 401
        try:
            told = parse_json_object(body).get(names.DEFERRAL_CODE)
        except ValueError:
            return 400
        if not isinstance(told, str):
            return 400
        code = Secret(told).digest()
        if expected.code is None:
            expected.early = code
            return 204
        if not hmac.compare_digest(code, expected.code):
            return 401  # the token of another request
        notified = None if expected.notified is None else expected.notified()
        if notified is not None:
            notified()
        return 204

    async def __call__(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        """The same as an ASGI application, at whatever path it is mounted."""
        if scope["type"] != "http":
            return
        if scope["method"] != "POST":
            await _answer(send, 405, (b"allow", b"POST"))
            return
        shown = [value for name, value in scope["headers"] if name == b"authorization"]
        body = b""
        while len(body) <= MAX_BODY:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        await _answer(send, self.take(shown[0] if len(shown) == 1 else None, body))


def _bearer(authorization: str | bytes | None) -> Secret | None:
    if authorization is None:
        return None
    if isinstance(authorization, bytes):
        authorization = authorization.decode("latin-1")
    scheme, _, token = authorization.partition(" ")
    return Secret(token) if scheme.lower() == "bearer" and token else None


async def _answer(
    send: Callable[[_Message], Awaitable[None]], status: int, *fields: tuple[bytes, bytes]
) -> None:
    headers = [(b"content-length", b"0"), (b"cache-control", b"no-store"), *fields]
    if status == 413:
        headers.append((b"connection", b"close"))
    if status == 204:
        headers = headers[1:]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})

"""HTTP/1.1 as we accept it: one meaning, bounded, in time (SEC-TOK-17, SEC-DOS-01 to -03, T-216).

uvicorn's protocol over llhttp, with what it leaves open:

- llhttp stays strict (uvicorn loosens it), and what it lets through although two
  readers could differ is refused here: transfer codings other than `chunked`,
  any coding in HTTP/1.0, no `Host` or two, a fragment in the target. Trailers
  are dropped; they would have become header fields of a request that runs.
- An offer to upgrade is ignored, body and all (uvicorn loses the body).
- Heads are bounded in size, pipelines in length, framing in its share of the body.
- Peers that take their time to send or to read are cut off. One timer a server,
  once a second, counts how long each connection has stood where it stands; a
  request only moves marks.
- A refusal is JSON, comes after the answers that are due, and is followed by the
  end of the connection: whatever the peer sent behind it is thrown away unread.

What a head may be is in `heads`. Bounds of the body are the endpoint's (`http.py`): it knows
what it reads.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from abeyance.faces.render import render_error
from abeyance.server.deadlines import Patience, Stage, sweeper_of
from abeyance.server.heads import (
    LARGE,
    MALFORMED,
    MAX_FIELD,
    MAX_FIELDS,
    MAX_HEAD,
    MAX_TARGET,
    Refused,
    check_sizes,
    parse_short_target,
    parse_target,
)
from abeyance.server.http import JSON, NEVER_STORED, log_fault
from abeyance.wire.errors import ServerError

MAX_PIPELINED: Final = 32  # requests that wait for the one that runs
MAX_IGNORED: Final = 64 * 1024  # of a body that nobody reads, before the connection ends
MAX_DISCARDED: Final = 4 * 1024 * 1024  # behind a refusal
_PAUSE_AT: Final = 16 * 1024  # of a body that nobody has taken yet
# Chunks of one byte take six; chunk extensions and trailers beyond that serve nobody.
_FRAMING_SHARE: Final = 8
_FRAMING_FREE: Final = 64 * 1024

# How far the newest request has come. Plain numbers, since every request moves them.
_NOTHING, _HEAD, _BODY, _WHOLE = range(4)

_WATCHED: Final = frozenset({b"host", b"expect", b"transfer-encoding"})


class Exchange(RequestResponseCycle):
    """One request and its answer."""

    async def send_500_response(self) -> None:
        """Answer for an application that did not; every endpoint of ours does."""
        reply = render_error(ServerError())
        fields = [
            JSON,
            *NEVER_STORED,
            (b"content-length", b"%d" % len(reply.body)),
            (b"connection", b"close"),
        ]
        await self.send({"type": "http.response.start", "status": reply.status, "headers": fields})
        await self.send({"type": "http.response.body", "body": reply.body, "more_body": False})


class _Gate:
    """The transport as an exchange sees it: to close it is the connection's business."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class StrictHttp(HttpToolsProtocol):
    """One connection. For `uvicorn.Config(http=StrictHttp)`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # A fresh one: uvicorn's reads on behind `Connection: close`.
        self.parser = httptools.HttpRequestParser(self)
        self._asgi = {"version": self.asgi_version, "spec_version": "2.3"}
        self._running: RequestResponseCycle | None = None
        self._last_words: bytes | None = None  # a refusal that waits for answers before it
        self._deaf = False  # nothing more is parsed
        self._closing = False
        self._last = False  # what is under way is answered, then the connection ends
        # Of the newest request:
        self._part = _NOTHING
        self._serial = 0
        self._careful = False  # it may be too large: look at the sizes
        self._hosts = 0
        self._head = 0
        self._body = 0
        self._on_the_wire = 0
        self._discarded = 0
        self._patience = Patience(self.timeout_keep_alive)

    def connection_made(  # type: ignore[override]  # as in uvicorn
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self._gate = _Gate(transport, self._close)
        sweeper_of(self.server_state, self.loop).start()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.pipeline.clear()
        running = self._running
        if running is not None and not running.response_complete:
            running.disconnected = True
            running.message_event.set()

    # --- what arrives

    def data_received(self, data: bytes) -> None:
        size = len(data)
        if self._deaf:
            self._discard(size)
            return
        part, serial = self._part, self._serial
        # A head that came in one small packet cannot break a bound of size.
        self._careful = size > MAX_FIELD or part == _HEAD
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._replay(data[offer.args[0] :])
            return
        except httptools.HttpParserError as error:
            self._refuse(_reason(error))
            return
        if self._part == _HEAD:
            self._check_open_head(part, serial, size)
        elif self._part == _BODY:
            self._on_the_wire += size
            if self._on_the_wire > _FRAMING_FREE + _FRAMING_SHARE * self._body:
                self._refuse(Refused(400, "The body is mostly framing"))

    def _check_open_head(self, part: int, serial: int, size: int) -> None:
        # Fields are told when they are complete, so an endless one shows only here.
        if self._serial == serial:
            self._head += size
        else:
            # What else was in the packet, if it began inside another request, is not known.
            alone = self._serial == serial + 1 and part in (_NOTHING, _WHOLE)
            self._head = size if alone else 0
        if len(self.url) > MAX_TARGET:
            self._refuse(Refused(414, "The target is too long"))
        elif self._head > MAX_HEAD:
            self._refuse(Refused(431, LARGE))

    def _replay(self, rest: bytes) -> None:
        """Parse the head again without its offer to upgrade, then what came behind it.

        llhttp stops behind such a head and takes the body for another protocol's.
        """
        lines = [b"%s %s HTTP/1.1" % (self.parser.get_method(), self.url)]
        lines += [b"%s: %s" % field for field in self.headers if field[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self._part = _NOTHING
        self.data_received(b"\r\n".join([*lines, b"", rest]))

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > MAX_DISCARDED:
            self.transport.abort()

    # --- what the parser tells

    def on_message_begin(self) -> None:
        self._serial += 1
        self._part = _HEAD
        self._hosts = 0
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in _WATCHED:
            if name == b"host":
                self._hosts += 1
            elif name == b"expect":
                self.expect_100_continue = value.lower() == b"100-continue"
            elif value.strip().lower() != b"chunked":
                raise Refused(400, "The transfer coding is not supported")
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        headers = self.headers
        if self._careful:
            check_sizes(self.url, headers)
        if len(headers) > MAX_FIELDS:
            raise Refused(431, "There are too many header fields")
        parser = self.parser
        method = parser.get_method().decode("ascii")
        if parser.should_upgrade():
            if method == "CONNECT":
                raise Refused(400, "This server is no proxy")
            return  # the parser stops here: `_replay`
        version = parser.get_http_version()
        if version == "1.1":
            keep_alive = parser.should_keep_alive() and not self._last
            if self._hosts != 1:
                raise Refused(400, "There must be exactly one Host")
        else:
            keep_alive = False
            if version != "1.0" or any(name == b"transfer-encoding" for name, _ in headers):
                raise Refused(400, MALFORMED)
        target = self.url
        # Longer ones may hold a secret, which a cache would keep.
        path, raw_path, query = (
            parse_short_target(target) if len(target) <= 40 else parse_target(target)
        )
        running = self._running
        waits = running is not None and not running.response_complete
        if waits and len(self.pipeline) >= MAX_PIPELINED:
            raise Refused(400, "Too many requests wait on this connection")
        self._part = _BODY
        self._body = self._on_the_wire = 0
        self.headers = []  # for trailers, which nobody reads
        self.scope = {
            "type": "http",
            "asgi": self._asgi,  # type: ignore[typeddict-item]
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "method": method,
            "root_path": self.root_path,
            "path": self.root_path + path,
            "raw_path": self.root_path.encode("ascii") + raw_path,
            "query_string": query,
            "headers": headers,
            "state": self.app_state.copy(),
        }
        self.cycle = cycle = Exchange(
            scope=self.scope,
            transport=cast(asyncio.Transport, self._gate),
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )
        if waits:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))
        else:
            self._running = cycle
            self._start_asgi_task(cycle, self.app)

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        self._body += len(body)
        if cycle.response_complete:
            if self._body > MAX_IGNORED:
                raise Refused(413, "The body is too large")
            return
        cycle.body += body
        if len(cycle.body) > _PAUSE_AT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self._part != _BODY:
            return  # of a head that offers to upgrade
        self._part = _WHOLE
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()

    # --- answers, and the end

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self._closing or self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._running = cycle
            self._start_asgi_task(cycle, app)
        elif self._last_words is not None:
            self.transport.write(self._last_words)
            self._close()

    def _refuse(self, refused: Refused) -> None:
        """Take nothing more, let what came whole be answered, say why, and close."""
        self._deaf = True
        running = self._running
        if self._part == _BODY and self.cycle is running:
            # The one that runs will never be whole: it must not wait, nor speak.
            if not running.response_started:
                self.transport.write(refused.render())
            running.disconnected = True
            running.message_event.set()
            self._close()
            return
        if self._part == _BODY:
            self.pipeline.popleft()  # the newest, which has not begun
        if running is None or running.response_complete:
            self.transport.write(refused.render())
            self._close()
        else:
            self._last_words = refused.render()
            self.flow.pause_reading()

    def _close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._part == _WHOLE and not self._deaf:
            self.transport.close()
            return
        # To close with bytes unread would reset the connection, and the peer
        # might lose the answer that tells it why.
        self._deaf = True
        if self.transport.can_write_eof():
            self.flow.resume_reading()
            self.transport.write_eof()
        else:
            self.transport.close()

    def end_soon(self) -> None:
        """Answer what is under way, which may be a request that we have not seen yet, and say
        that there is no more. To close at once would drop it.
        """
        self._last = True
        if self._running is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False

    def is_arriving(self) -> bool:
        """Has the peer sent a part of a request?"""
        return self._stage() in (Stage.IN_HEAD, Stage.IN_BODY)

    # --- time

    def grow_older(self) -> None:
        """Called once a second: end this connection if it stood at one point for too long."""
        stage = Stage.UNTAKEN if self.transport.get_write_buffer_size() else self._stage()
        if not self._patience.is_over(self._serial, stage):
            return
        match stage:
            case Stage.FRESH | Stage.IDLE:
                self.transport.close()
            case Stage.IN_HEAD | Stage.IN_BODY:
                self._refuse(Refused(408, "The request took too long to arrive"))
            case Stage.UNTAKEN | Stage.LINGERING | Stage.WORKING:
                self.transport.abort()

    def _stage(self) -> Stage:
        if self._closing:
            return Stage.LINGERING
        if self._deaf or self.flow.read_paused:
            return Stage.WORKING  # whatever is missing, it is not the peer's fault
        if self._part == _HEAD:
            return Stage.IN_HEAD
        if self._part == _BODY:
            return Stage.IN_BODY
        if self._running is None:
            return Stage.FRESH
        return Stage.IDLE if self._running.response_complete else Stage.WORKING


def _reason(error: httptools.HttpParserError) -> Refused:
    cause = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else None
    if isinstance(cause, Refused):
        return cause
    if isinstance(cause, Exception) and not isinstance(cause, httptools.HttpParserError):
        log_fault(cause)
    return Refused(400, MALFORMED)

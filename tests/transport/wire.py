"""Our protocol on a loopback socket, before an endpoint that tells what it understood."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.server import ServerState

from abeyance.acts.house import ClientRequest
from abeyance.server import deadlines
from abeyance.server.http import BackChannel, Endpoint, Receive, Scope, Send
from abeyance.server.protocol import StrictHttp
from abeyance.wire.reply import Reply, render_json

FORM: Final = b"application/x-www-form-urlencoded"
POLL: Final = b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adeferred&deferral_code=D"
HIDDEN: Final = b"grant_type=hidden"


def request(
    body: bytes = POLL,
    *fields: bytes,
    start: bytes = b"POST /token HTTP/1.1",
    length: bool = True,
    type_: bytes | None = FORM,
    host: bytes | None = b"as.example",
) -> bytes:
    """A well-formed poll, unless told otherwise."""
    lines = [start]
    if host is not None:
        lines.append(b"Host: " + host)
    if type_ is not None:
        lines.append(b"Content-Type: " + type_)
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, *fields, b"", body])


def chunked(*pieces: bytes) -> bytes:
    """A poll in chunks; `pieces` is the body as it travels."""
    return request(b"".join(pieces), b"Transfer-Encoding: chunked", length=False)


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


def next_request() -> bytes:
    """What an attacker hides behind a request: must never run."""
    return request(HIDDEN)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Peer:
    """A client that sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, to_head: bool = False) -> Answer:
        """Read one answer; without a body if it answers a HEAD."""
        async with asyncio.timeout(10):
            head = await self.reader.readuntil(b"\r\n\r\n")
            start, *lines = head.decode("latin-1").split("\r\n")[:-2]
            headers: dict[str, str] = {}
            for line in lines:
                name, _, value = line.partition(": ")
                assert name not in headers, f"{name} was sent twice"
                headers[name] = value
            size = 0 if to_head else int(headers.get("content-length", "0"))
            return Answer(int(start.split()[1]), headers, await self.reader.readexactly(size))

    async def rest(self) -> bytes:
        """Everything until the server ends the connection."""
        async with asyncio.timeout(10):
            return await self.reader.read()

    async def refused(self, status: int = 400) -> Answer:
        """One answer that refuses, and the end."""
        answer = await self.answer()
        check_refusal(answer, status)
        assert await self.rest() == b""
        return answer

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


def check_refusal(answer: Answer, status: int) -> None:
    assert answer.status == status, answer
    assert answer.headers["connection"] == "close"
    assert answer.json["error"] == "invalid_request"
    check_fields(answer)


def check_fields(answer: Answer) -> None:
    """What every answer of an endpoint has (OAUTH-HTTP-05, T-211, T-213)."""
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    assert not {"etag", "age", "server", "date"} & set(answer.headers)
    described = answer.json.get("error_description", "")
    assert all(" " <= each <= "~" and each not in '"\\' for each in described)


@dataclass(slots=True)
class Wire:
    """The server's side; `seen` are the requests that reached the endpoint's act."""

    port: int
    state: ServerState
    loop: asyncio.AbstractEventLoop
    endpoint: Endpoint
    seen: list[ClientRequest] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)
    taken: int = 0
    held: int = 0  # the most that the protocol held of one body
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def peer(self, data: bytes = b"") -> Peer:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self.port))
        self.peers.append(peer)
        if data:
            await peer.send(data)
        return peer

    async def in_two(self, data: bytes, at: int) -> Peer:
        """Send in two packets: the second only when the first was taken."""
        peer = await self.peer()
        before = self.taken
        await peer.send(data[:at])
        await self.took(before + at)
        await peer.send(data[at:])
        return peer

    async def took(self, size: int) -> None:
        """Wait until the protocol was handed this many bytes in all."""
        async with asyncio.timeout(10):
            while self.taken < size:
                self.arrived.clear()
                await self.arrived.wait()

    async def met(self) -> None:
        """Wait until there is a connection."""
        async with asyncio.timeout(10):
            while not self.state.connections:
                self.arrived.clear()
                await self.arrived.wait()

    async def ask(self, data: bytes) -> Answer:
        peer = await self.peer(data)
        answer = await peer.answer()
        await peer.close()
        return answer

    def forms(self) -> list[dict[str, str]]:
        return [dict(each.form) for each in self.seen]

    def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds):
            deadlines.sweeper_of(self.state, self.loop).sweep()

    async def gone(self) -> None:
        """Wait until the server has no connection left."""
        async with asyncio.timeout(10):
            while self.state.connections:
                self.arrived.clear()
                await self.arrived.wait()


@asynccontextmanager
async def on_a_wire(
    endpoint: Endpoint | None = None, *, keep_alive: int = 75
) -> AsyncIterator[Wire]:
    """Serve; afterwards a good poll on a connection of its own must still succeed (G7)."""
    loop = asyncio.get_running_loop()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await wire.endpoint(scope, receive, send)

    class Watched(StrictHttp):
        def connection_made(  # type: ignore[override]  # as in uvicorn
            self, transport: asyncio.Transport
        ) -> None:
            super().connection_made(transport)
            wire.arrived.set()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None:
                wire.held = max(wire.held, len(self.cycle.body))
            wire.taken += len(data)
            wire.arrived.set()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            wire.arrived.set()

    async def answer(request: ClientRequest) -> Reply:
        wire.seen.append(request)
        await wire.may_answer.wait()
        return Reply(200, render_json({"form": dict(request.form)}))

    config = Config(
        application,
        http=Watched,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=keep_alive,
    )
    config.load()
    state = ServerState()
    server = await loop.create_server(lambda: Watched(config, state, {}, loop), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    token = BackChannel("https://as.example/token", answer)
    wire = Wire(port, state, loop, endpoint or token)
    wire.may_answer.set()
    try:
        yield wire
        assert HIDDEN.partition(b"=")[2].decode() not in {
            form.get("grant_type") for form in wire.forms()
        }
        wire.endpoint = token
        wire.may_answer.set()
        assert (await wire.ask(request())).status == 200
    finally:
        for peer in wire.peers:
            await peer.close()
        server.close()
        for connection in tuple(state.connections):
            connection.transport.abort()
        await wire.gone()
        await server.wait_closed()

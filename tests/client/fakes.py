"""A fake authorization server and a fake clock; nothing here waits or leaves the process.

The server answers the token endpoint from a script, and keeps what it was sent
with the tick at which it arrived. It judges nothing: what is right to send is
for the tests to say.
"""

import asyncio
import inspect
import itertools
import json
import ssl
from base64 import urlsafe_b64decode
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx2

from abeyance.client import (
    AsyncClient,
    AsyncPendingToken,
    Authentication,
    Callbacks,
    Client,
    ClientCertificate,
    ClientSecretBasic,
    PendingToken,
    Progress,
    Seal,
    ServerMetadata,
    Surroundings,
    Token,
)
from abeyance.proofs.jwk import KeyPair
from abeyance.wire import names

ISSUER = "https://as.test"
CLIENT_ID = "agent"
CLIENT_SECRET = "planted-client-secret-0123456789abcdef"
HOT = 50
CODE = "planted-deferral-code-" + "c" * 43
ACCESS_TOKEN = "planted-access-token-" + "t" * 43


class FakeTime:
    """Wall clock, monotonic clock and sleep in one; `sleep` only moves them."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 11, 24, 12, tzinfo=UTC)
        self.ticks = 1000.0
        self.slept: list[float] = []
        self.jitter = 0.0
        self.identifiers = 0
        self.on_sleep: Callable[[float], None] | None = None

    def pass_(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.ticks += seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_(seconds)
        if self.on_sleep is not None:
            self.on_sleep(seconds)

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)
        await asyncio.sleep(0)

    def identifier(self) -> str:
        self.identifiers += 1
        return f"identifier-{self.identifiers:08d}"

    def surroundings(self) -> Surroundings:
        return Surroundings(
            now=lambda: self.wall,
            tick=lambda: self.ticks,
            jitter=lambda: self.jitter,
            identifier=self.identifier,
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    host: str
    form: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes
    tick: float

    def __getitem__(self, name: str) -> str:
        (value,) = (value for each, value in self.form if each == name)
        return value

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.form}

    @property
    def is_poll(self) -> bool:
        return (names.GRANT_TYPE, names.GRANT_DEFERRED) in self.form

    @property
    def proof(self) -> dict[str, Any]:
        """The claims of the DPoP proof, unverified."""
        return decode(self.headers["dpop"].split(".")[1])

    @property
    def proof_key(self) -> dict[str, Any]:
        key: dict[str, Any] = decode(self.headers["dpop"].split(".")[0])["jwk"]
        return key


def decode(part: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return value


Answer = httpx2.Response | Exception | Callable[[Seen], "httpx2.Response | Exception"]


def answer(
    body: Any = None, *, status: int = 400, headers: Mapping[str, str] | None = None
) -> Callable[[Seen], httpx2.Response]:
    """A response made anew each time; `body` is JSON unless it is bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = {"Content-Type": "application/json", "Cache-Control": "no-store"} | dict(headers or {})
    return lambda _seen: httpx2.Response(status, headers=head, content=content)


def error(
    code: str, *, status: int = 400, headers: Mapping[str, str] | None = None, **members: Any
) -> Callable[[Seen], httpx2.Response]:
    return answer({"error": code} | members, status=status, headers=headers)


def deferred(interval: Any = 5, expires_in: Any = 600, **members: Any) -> Answer:
    told = {"deferral_code": CODE, "interval": interval, "expires_in": expires_in} | members
    return answer(
        {"error": "authorization_pending"} | {k: v for k, v in told.items() if v is not None}
    )


def pending(**members: Any) -> Answer:
    return error("authorization_pending", **members)


def slow_down(**members: Any) -> Answer:
    return error("slow_down", **members)


def granted(token_type: str = "Bearer", **members: Any) -> Answer:
    body = {"access_token": ACCESS_TOKEN, "token_type": token_type, "expires_in": 300} | members
    return answer({k: v for k, v in body.items() if v is not None}, status=200)


def cut(_seen: Seen) -> Exception:
    return httpx2.ReadError("cut")


@dataclass
class FakeServer:
    """Answers from `script` (then `forever`), from `revoking` (then 200), and from `pushing`;
    `documents` by their paths before all.
    """

    time: FakeTime
    issuer: str = ISSUER
    script: deque[Answer] = field(default_factory=deque)
    forever: Answer = field(default_factory=pending)
    revoking: deque[Answer] = field(default_factory=deque)
    pushing: deque[Answer] = field(default_factory=deque)
    seen: list[Seen] = field(default_factory=list)
    latency: float = 0.0
    metadata: dict[str, Any] = field(default_factory=dict)
    metadata_answer: Answer | None = None
    documents: dict[str, Answer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.metadata = {
            "issuer": self.issuer,
            "token_endpoint": f"{self.issuer}/token",
            "revocation_endpoint": f"{self.issuer}/revoke",
            "deferred_token_response_supported": True,
            "revocation_endpoint_token_type_values_supported": [
                "access_token",
                names.TOKEN_TYPE_DEFERRAL_CODE,
            ],
        } | self.metadata

    def says(self, *answers: Answer) -> "FakeServer":
        self.script.extend(answers)
        return self

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        seen = Seen(
            method=request.method,
            path=request.url.path,
            host=request.url.host,
            form=parse_qsl(request.content.decode(), keep_blank_values=True, strict_parsing=False),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=request.content,
            tick=self.time.ticks,
        )
        self.seen.append(seen)
        # A client that spins must fail, not hang: its clock moves only when it sleeps.
        if len(self.seen) > HOT and self.seen[-HOT].tick == seen.tick:
            raise AssertionError("the client is in a hot loop")
        self.time.pass_(self.latency)
        given: Answer
        match seen.path:
            case path if path in self.documents:
                given = self.documents[path]
            case path if path.startswith("/.well-known/oauth-authorization-server"):
                given = self.metadata_answer or answer(self.metadata, status=200)
            case "/token":
                given = self.script.popleft() if self.script else self.forever
            case "/revoke":
                given = self.revoking.popleft() if self.revoking else answer(b"", status=200)
            case "/par" if self.pushing:
                given = self.pushing.popleft()
            case _:
                given = answer({"error": "not_found"}, status=404)
        result = given(seen) if callable(given) else given
        if isinstance(result, Exception):
            raise result
        return result

    @property
    def token_requests(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == "/token"]

    @property
    def polls(self) -> list[Seen]:
        return [seen for seen in self.token_requests if seen.is_poll]

    @property
    def revocations(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == "/revoke"]

    def gaps(self) -> list[float]:
        """Seconds between polls that follow each other."""
        ticks = [seen.tick for seen in self.polls]
        return [later - earlier for earlier, later in itertools.pairwise(ticks)]


class Handle:
    """A pending handle of either client, with blocking methods."""

    def __init__(self, kit: "Kit", inner: PendingToken | AsyncPendingToken) -> None:
        self.kit = kit
        self.inner = inner

    def poll(self) -> Token | Progress:
        result: Token | Progress = self.kit.run(self.inner.poll())
        return result

    def wait(
        self, on_progress: Callable[[Progress], None] | None = None, timeout: float | None = None
    ) -> Token:
        limit = None if timeout is None else timedelta(seconds=timeout)
        hook: Any = on_progress
        if isinstance(self.inner, AsyncPendingToken) and on_progress is not None:
            plain = on_progress

            async def hook(progress: Progress) -> None:
                await asyncio.sleep(0)
                plain(progress)

        token: Token = self.kit.run(self.inner.wait(on_progress=hook, timeout=limit))
        return token

    def cancel(self) -> None:
        self.kit.run(self.inner.cancel())

    def save(self, path: Path, seal: Seal | None = None) -> None:
        self.kit.run(self.inner.save(path, seal=seal))


class Kit:
    """A fake server, a fake clock and a client of either kind, with blocking methods."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.time = FakeTime()
        self.server = FakeServer(self.time)
        self.runner = asyncio.Runner()

    def close(self) -> None:
        self.runner.close()

    def run(self, value: Any) -> Any:
        return self.runner.run(value) if inspect.iscoroutine(value) else value

    def client(
        self,
        server: str | ServerMetadata = ISSUER,
        *,
        client_id: str = CLIENT_ID,
        authentication: Authentication | None = None,
        dpop_key: KeyPair | None = None,
        callbacks: Callbacks | None = None,
        certificate: ClientCertificate | None = None,
    ) -> Client | AsyncClient:
        how = authentication or ClientSecretBasic(CLIENT_SECRET)
        transport = httpx2.MockTransport(self.server)
        if self.kind == "sync":
            return Client(
                server,
                client_id,
                how,
                dpop_key=dpop_key,
                callbacks=callbacks,
                certificate=certificate,
                http=httpx2.Client(transport=transport),
                surroundings=self.time.surroundings(),
                sleep=self.time.sleep,
            )
        return AsyncClient(
            server,
            client_id,
            how,
            dpop_key=dpop_key,
            callbacks=callbacks,
            certificate=certificate,
            http=httpx2.AsyncClient(transport=transport),
            surroundings=self.time.surroundings(),
            sleep=self.time.sleep_async,
        )

    def request(
        self, *, client: Client | AsyncClient | None = None, **arguments: Any
    ) -> Token | Handle:
        client = client or self.client()
        result: Any = self.run(client.request_token(**arguments))
        return result if isinstance(result, Token) else Handle(self, result)

    def defer(
        self,
        *,
        client: Client | AsyncClient | None = None,
        interval: Any = 5,
        expires_in: Any = 600,
        **arguments: Any,
    ) -> Handle:
        """A request that is answered "not yet"; what the server says next is the test's."""
        self.server.script.appendleft(deferred(interval, expires_in))
        result = self.request(client=client, **arguments)
        assert isinstance(result, Handle)
        return result

    def resume(
        self, path: Path, *, client: Client | AsyncClient | None = None, seal: Seal | None = None
    ) -> Handle:
        return Handle(self, self.run((client or self.client()).resume(path, seal=seal)))


NETWORK_FAULTS: tuple[Exception, ...] = (
    httpx2.ConnectError("name resolution failed"),
    httpx2.ConnectError("connection refused"),
    httpx2.ConnectTimeout("time-out"),
    httpx2.ReadTimeout("time-out"),
    httpx2.RemoteProtocolError("cut"),
    ssl.SSLCertVerificationError("certificate verify failed"),
)

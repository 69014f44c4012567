"""One request to an address that somebody else has chosen, under guard (OAUTH-SSRF).

The name is resolved once; every address that it has is judged; the connection goes to one
that was judged, with the name in SNI and `Host`. A connection serves one request. No
redirect is followed, nothing is decoded, no cookie kept; of the environment nothing is heard.
"""

import asyncio
import ipaddress
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self, TypeAlias

import httpcore2

from abeyance.outbound.addresses import Address, is_public
from abeyance.outbound.names import SystemResolver
from abeyance.outbound.targets import Forbidden, Reach, Target, parse_target

CONNECT_SECONDS: Final = 3.0
TOTAL_SECONDS: Final = 10.0
MOST_ADDRESSES: Final = 32
MOST_AROUND: Final = 16 * 1024  # bytes of an answer that are not its body
_USER_AGENT: Final = b"abeyance"

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]


class Unreachable(Exception):
    """No answer: nobody there, too slow, too much, or not what a certificate says."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. `headers` have lower-case names; `body` is at most what was allowed."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The one value of this header field; `None` also if it stands twice."""
        found = [value for key, value in self.headers if key == name.encode()]
        return found[0].decode("latin-1") if len(found) == 1 else None


class Outside(Protocol):
    """The way out."""

    def check(self, url: str) -> None:
        """Raise `Forbidden` unless the URL is one that may be called, as far as it says so."""
        ...

    async def check_now(self, url: str) -> None:
        """As `check`, and look up where it leads at present. A name that is not known (yet)
        is let through: it is judged anew when it is called.
        """
        ...

    async def get(self, url: str, *, at_most: int, accept: str) -> Fetched:
        """Raises `Forbidden`, `Unreachable` (also for a body above `at_most` bytes)."""
        ...

    async def post(self, url: str, body: bytes, headers: Headers, *, at_most: int) -> Fetched:
        """Post, and read at most so many bytes of the answer. Raises as `get`, but for a long
        answer: what is behind the bound is not read.
        """
        ...


class GuardedCaller:
    """`Outside`, over real connections. `resolve` is the system's resolver."""

    def __init__(
        self,
        reach: Reach,
        *,
        ca_file: Path | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._reach = reach
        self._resolve = resolve or SystemResolver()
        self._tls = tls_context(ca_file)

    def check(self, url: str) -> None:
        parse_target(url, self._reach)

    async def check_now(self, url: str) -> None:
        target = parse_target(url, self._reach)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._addresses(target)
        except (Unreachable, TimeoutError):
            return

    async def get(self, url: str, *, at_most: int, accept: str) -> Fetched:
        fetched = await self._call("GET", url, None, [(b"Accept", accept.encode())], at_most)
        if len(fetched.body) > at_most:
            raise Unreachable("the answer is too long")
        return fetched

    async def post(self, url: str, body: bytes, headers: Headers, *, at_most: int) -> Fetched:
        return await self._call("POST", url, body, headers, at_most)

    async def _call(
        self, method: str, url: str, body: bytes | None, headers: Headers, at_most: int
    ) -> Fetched:
        target = parse_target(url, self._reach)
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                return await self._exchange(method, target, body, headers, at_most)
        except TimeoutError:
            raise Unreachable("no answer in time") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException) as why:
            raise Unreachable(type(why).__name__) from None
        except (OSError, ssl.SSLError, ValueError) as why:
            raise Unreachable(type(why).__name__) from None

    async def _exchange(
        self, method: str, target: Target, body: bytes | None, headers: Headers, at_most: int
    ) -> Fetched:
        pinned = _Pinned(await self._addresses(target), at_most + MOST_AROUND)
        sent = [
            (b"Host", target.authority.encode()),
            (b"User-Agent", _USER_AGENT),
            (b"Accept-Encoding", b"identity"),
            (b"Connection", b"close"),
            *headers,
        ]
        if body is not None:
            sent.append((b"Content-Length", str(len(body)).encode()))
        async with (
            pinned,
            httpcore2.AsyncHTTPConnection(
                origin=httpcore2.Origin(b"https", target.host.encode(), target.port),
                ssl_context=self._tls,
                network_backend=pinned,
            ) as connection,
        ):
            request = httpcore2.Request(
                method,
                httpcore2.URL(
                    scheme=b"https",
                    host=target.host.encode(),
                    port=target.port,
                    target=target.path.encode(),
                ),
                headers=sent,
                content=body,
                extensions={"timeout": {"connect": CONNECT_SECONDS}},
            )
            response = await connection.handle_async_request(request)
            try:
                taken = await _take(response, at_most)
            finally:
                await response.aclose()
        named = tuple((name.lower(), value) for name, value in response.headers)
        return Fetched(response.status, named, taken)

    async def _addresses(self, target: Target) -> Sequence[str]:
        """What the name stands for now. Raises `Forbidden` unless all of it may be called."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                found = await self._resolve(target.host, target.port)
        except OSError:
            raise Unreachable("the name is not known") from None
        if not found:
            raise Unreachable("the name is not known")
        if len(found) > MOST_ADDRESSES:
            raise Forbidden("a name with too many addresses")
        if not target.excepted and not all(is_public(_address(each)) for each in found):
            raise Forbidden("a name that leads into a private network")
        return found


class _Pinned(httpcore2.AsyncNetworkBackend):
    """Connects to these addresses alone, whatever name it is given. When the block ends, so does
    the connection: the library forgets one that is cancelled in the middle of its handshake.
    """

    def __init__(self, addresses: Sequence[str], at_most: int) -> None:
        self._addresses = addresses
        self._at_most = at_most
        self._network = httpcore2.AnyIOBackend()
        self._stream: httpcore2.AsyncNetworkStream | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._stream is not None:
            await self._stream.aclose()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the library's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        del host, local_address, socket_options
        fault: Exception | None = None
        for address in self._addresses[:2]:
            try:
                stream = await self._network.connect_tcp(address, port, timeout=timeout)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failed:
                fault = failed
                continue
            peer = stream.get_extra_info("server_addr")
            if peer is None or _address(peer[0]) != _address(address):
                await stream.aclose()
                raise Unreachable("connected to another address than was judged")
            self._stream = stream
            return _Bounded(stream, self._at_most)
        raise fault or httpcore2.ConnectError("no address")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


class _Bounded(httpcore2.AsyncNetworkStream):
    """Gives no more than so many bytes: what comes before an answer may be without an end."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream, left: int) -> None:
        self._stream = stream
        self._left = left

    # `timeout` is the library's signature, here as above.
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        if self._left <= 0:
            raise Unreachable("the answer is too long")
        taken = await self._stream.read(min(max_bytes, self._left), timeout)
        self._left -= len(taken)
        return taken

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore2.AsyncNetworkStream:
        stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        return _Bounded(stream, self._left)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


async def _take(response: httpcore2.Response, at_most: int) -> bytes:
    """Read one byte more than is allowed, at most, so that whoever asked can tell."""
    taken = bytearray()
    async for piece in response.aiter_stream():
        taken += piece
        if len(taken) > at_most:
            return bytes(taken[: at_most + 1])
    return bytes(taken)


def _address(text: str) -> Address:
    return ipaddress.ip_address(text)


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Certificates are judged by the authorities of the operating system and those of `ca_file`,
    whatever the environment names (SEC-SSRF-66).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    system = ssl.get_default_verify_paths()
    if Path(system.openssl_cafile).is_file():
        context.load_verify_locations(cafile=system.openssl_cafile)
    if Path(system.openssl_capath).is_dir():
        context.load_verify_locations(capath=system.openssl_capath)
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context

"""Callbacks: how many a second one process sends, and how soon after a decision.

Run alone as `python -m bench.callbacks [HOW MANY]`. Beside it stands the guarded caller alone:
the same posts to the same receiver, from a process on the server's core that does nothing else.
"""

import asyncio
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from statistics import median, quantiles
from typing import Final, TypeVar

import msgspec
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from abeyance.outbound.caller import GuardedCaller
from abeyance.outbound.targets import Reach
from abeyance.wire import names
from bench import machine, messages
from bench.load import LoadFailed
from bench.machine import Cores
from bench.population import CalledBack, Caller, make_callers, write_configuration
from bench.process import Process
from bench.talking import Connection

_T = TypeVar("_T")
_AT_ONCE: Final = 32
_CLIENTS: Final = 100
_ROUNDS: Final = 3
_BREATH: Final = 1.2  # seconds; before that nobody is called (DTR-CB-03)
_PATIENCE: Final = 60.0  # seconds, for a round
_TOKEN: Final = "dG9rZW4tb2YtdGhlLWJlbmNobWFyaw"
_NO_CONTENT: Final = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """`per_second`: from the first of `sent` decisions, made as fast as the server takes them, to
    the last callback; `bare_per_second`: of the guarded caller alone. `delay_ms`: from
    sending a decision to its callback's arrival, one at a time.
    """

    sent: int
    per_second: float
    bare_per_second: float
    ratio: float
    delay_ms_median: float
    delay_ms_p99: float


class Receiver:
    """A client's endpoint, on TLS and loopback, with a certificate of its own."""

    def __init__(self, folder: Path) -> None:
        self.ca_file = folder / "receiver.pem"
        _write_certificate(self.ca_file)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self._expected: dict[str, asyncio.Future[float]] = {}

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/callback"

    def expect(self, code: str) -> "asyncio.Future[float]":
        """When the callback for this code will have come."""
        return self._expected.setdefault(code, asyncio.get_running_loop().create_future())

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca_file)
        server = await asyncio.start_server(self._take, sock=self._listener, ssl=context)
        try:
            yield
        finally:
            server.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
            body = await reader.readexactly(int(length))
            arrived = time.perf_counter()
            if f"Authorization: Bearer {_TOKEN}".encode() not in head:
                raise LoadFailed("a callback without its token")
            writer.write(_NO_CONTENT)
            await writer.drain()
        finally:
            writer.close()
        expected = self._expected.pop(msgspec.json.decode(body)[names.DEFERRAL_CODE], None)
        if expected is not None:
            expected.set_result(arrived)


def measure(
    cores: Cores, open_server: Callable[[CalledBack], Process], receiver: Receiver,
    callers: Sequence[Caller], many: int,
) -> Callbacks:  # fmt: skip
    """Raises `LoadFailed` if a callback does not come."""
    server = open_server(CalledBack(receiver.url, receiver.port, receiver.ca_file))
    return asyncio.run(_measure(cores, server, receiver, callers, many))


async def _measure(
    cores: Cores, server: Process, receiver: Receiver, callers: Sequence[Caller], many: int
) -> Callbacks:
    async with receiver.listening():
        pairs = []
        for _ in range(_ROUNDS):
            bare = await _bare(cores, receiver, many)
            pairs.append((bare, await _round(server, receiver, callers, many)))
        delays = await _delays(server, receiver, callers, max(20, many // 10))
    return Callbacks(
        sent=many,
        per_second=round(median(ours for _, ours in pairs), 1),
        bare_per_second=round(median(bare for bare, _ in pairs), 1),
        ratio=round(median(ours / bare for bare, ours in pairs), 4),
        delay_ms_median=round(median(delays) * 1e3, 2),
        delay_ms_p99=round(quantiles(delays, n=100)[98] * 1e3, 2),
    )


async def _round(
    server: Process, receiver: Receiver, callers: Sequence[Caller], many: int
) -> float:
    codes = await _open(server, callers, many)
    expected = [receiver.expect(code) for code in codes]
    began, decision = time.perf_counter(), messages.decide_without_code()

    async def decide(connection: Connection, code: str) -> None:
        await connection.exchange(decision + code.encode())

    await _spread(server.port, codes, decide)
    return many / (max(await _all(expected)) - began)


async def _delays(
    server: Process, receiver: Receiver, callers: Sequence[Caller], many: int
) -> list[float]:
    codes, delays = await _open(server, callers, many), []
    reviewer, decision = await Connection.open(server.port), messages.decide_without_code()
    for code in codes:
        expected, began = receiver.expect(code), time.perf_counter()
        await reviewer.exchange(decision + code.encode())
        delays.append((await _all([expected]))[0] - began)
    reviewer.close()
    return delays


async def _all(expected: Sequence["asyncio.Future[float]"]) -> list[float]:
    try:
        async with asyncio.timeout(_PATIENCE):
            return list(await asyncio.gather(*expected))
    except TimeoutError:
        raise LoadFailed("not every callback came") from None


async def _open(server: Process, callers: Sequence[Caller], many: int) -> list[str]:
    codes: list[str] = []
    owners = [callers[number % len(callers)] for number in range(many)]

    async def ask(connection: Connection, caller: Caller) -> None:
        codes.append(await connection.open_request(messages.first_request(caller, token=_TOKEN)))

    await _spread(server.port, owners, ask)
    await asyncio.sleep(_BREATH)
    return codes


async def _spread(
    port: int, items: Sequence[_T], work: Callable[[Connection, _T], Awaitable[None]]
) -> None:
    """Do all of it over some connections at once."""
    waiting = iter(items)

    async def take() -> None:
        connection = await Connection.open(port)
        for item in waiting:
            await work(connection, item)
        connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(take())


async def _bare(cores: Cores, receiver: Receiver, many: int) -> float:
    core = "-" if cores.server is None else str(cores.server)
    told = [core, receiver.url, str(receiver.port), str(receiver.ca_file), str(many)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.callbacks", "bare", *told, stdout=subprocess.PIPE
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise LoadFailed("the guarded caller alone did not get through")
    return many / float(said)


async def _post(url: str, port: int, ca_file: Path, many: int) -> float:
    caller = GuardedCaller(Reach(exceptions=frozenset({f"127.0.0.1:{port}"})), ca_file=ca_file)
    body = msgspec.json.encode({names.DEFERRAL_CODE: "c" * 64})
    headers = [
        (b"Content-Type", b"application/json"),
        (b"Authorization", f"Bearer {_TOKEN}".encode()),
    ]
    waiting = iter(range(many))

    async def work() -> None:
        for _ in waiting:
            await caller.post(url, body, headers, at_most=4_096)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(work())
    return time.perf_counter() - began


def _write_certificate(file: Path) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A receiver of the benchmark")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def main() -> None:
    if sys.argv[1:2] == ["bare"]:
        core, url, port, ca_file, count = sys.argv[2:]
        machine.pin(None if core == "-" else int(core))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(runner.run(_post(url, int(port), Path(ca_file), int(count))))
        return
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    cores, callers = machine.choose_cores(), make_callers(names.CLIENT_SECRET_BASIC, _CLIENTS)
    machine.pin(cores.load)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="abeyance-bench-")))

        def open_server(called_back: CalledBack) -> Process:
            configuration = write_configuration(folder, callers, called_back)
            return stack.enter_context(Process.shipped(cores.server, configuration, decisions=True))

        print(measure(cores, open_server, Receiver(folder), callers, many))


if __name__ == "__main__":
    main()

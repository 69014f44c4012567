"""A server that is told to stop while it is busy: nothing that was begun is dropped."""

import asyncio
import base64
import hashlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlencode

import pytest

from abeyance.cli import main
from abeyance.server import serving
from abeyance.server.http import Receive, Scope, Send, read_body, send_reply
from abeyance.server.launch import address_of, reserve
from abeyance.server.protocol import StrictHttp
from abeyance.server.serving import Server, make_config
from abeyance.server.settings import Listen
from abeyance.wire.reply import Reply
from tests.covers import covers
from tests.transport.wire import request

_SECRET: Final = "never-in-a-log-0123456789-0123456789-01234567"
_BASIC: Final = "Basic " + base64.b64encode(f"c:{_SECRET}".encode()).decode()
_GRANT: Final = "urn:ietf:params:oauth:grant-type:deferred"
_ASK: Final = urlencode(
    {"grant_type": "client_credentials", "scope": "read", "completion_mode": "deferred"}
).encode()
_COMMAND: Final = "import sys; from abeyance.cli import main; sys.exit(main())"
_CONFIG: Final = """
issuer = "http://{address}"
data = "{data}"
server.listen = "{address}"
management.listen = "{management}"
limits.creations_per_second = 100000
limits.creations_burst = 100000
limits.open_requests_per_client = 100000
limits.open_requests_per_reviewer = 100000

[scopes]
read = "Read"

[resources]
"https://rs.example" = "A"

[[reviewers]]
id = "rita"

[[rules]]
name = "review"
then = "defer"
reviewers = ["rita"]

[[clients]]
id = "c"
name = "C"
secret_sha256 = "{digest}"
scope = ["read"]
resources = ["https://rs.example"]
"""


@dataclass(slots=True)
class Running:
    process: "subprocess.Popen[str]"
    address: str
    management: str


@contextmanager
def _serving(folder: Path) -> Iterator[Running]:
    """`abeyance serve` as a process; it is killed if it has not stopped."""
    with reserve(Listen("127.0.0.1", 0)) as one, reserve(Listen("127.0.0.1", 0)) as other:
        address, management = address_of(one), address_of(other)
    file = folder / "abeyance.toml"
    file.write_text(
        _CONFIG.replace("{address}", address)
        .replace("{management}", management)
        .replace("{data}", str(folder / "data"))
        .replace("{digest}", hashlib.sha256(_SECRET.encode()).hexdigest())
    )
    with subprocess.Popen(
        [sys.executable, "-c", _COMMAND, "serve", "--config", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "probes" in line:
                    assert f"http://{management}" in line
                    break
            yield Running(process, address, management)
        finally:
            process.kill()


def _connect(address: str) -> http.client.HTTPConnection:
    host, _, port = address.rpartition(":")
    return http.client.HTTPConnection(host, int(port), timeout=30)


def _post(connection: http.client.HTTPConnection, form: bytes, **fields: str) -> None:
    kind = "application/x-www-form-urlencoded"
    headers = {"Authorization": _BASIC, "Content-Type": kind, **fields}
    connection.request("POST", "/token", form, headers)


def _poll(code: str) -> bytes:
    return urlencode({"grant_type": _GRANT, "deferral_code": code}).encode()


def _answer(connection: http.client.HTTPConnection) -> dict[str, object]:
    """The whole answer; a torn one raises."""
    answer: dict[str, object] = json.loads(connection.getresponse().read())
    return answer


def _ask(connection: http.client.HTTPConnection) -> str:
    _post(connection, _ASK)
    return str(_answer(connection)["deferral_code"])


def _held(running: Running) -> int:
    connection = _connect(running.management)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    [value] = [line.split()[1] for line in lines if line.startswith("abeyance_polls_held ")]
    return int(float(value))


@dataclass(slots=True)
class Load:
    """Clients that ask, each time over a fresh connection, until nobody is there any more."""

    address: str
    met: "Counter[str]" = field(default_factory=Counter)
    codes: list[str] = field(default_factory=list)
    busy: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        while True:
            connection = _connect(self.address)
            try:
                connection.connect()
                self.codes.append(_ask(connection))
                self.met["answered"] += 1
                self.busy.set()
            except ConnectionRefusedError:
                self.met["refused"] += 1
                return
            except (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected):
                self.met["not taken"] += 1  # not one byte was answered
                return
            except Exception as fault:
                self.met[f"torn: {fault!r}"] += 1
                return
            finally:
                connection.close()


@covers("SEC-OPS-15", "EXT-WAIT-05")
def test_what_was_begun_is_answered_whole_by_a_server_that_stops(tmp_path: Path) -> None:
    with ExitStack() as stack:
        running = stack.enter_context(_serving(tmp_path))
        opened = [_connect(running.address) for _ in range(16)]
        for each in opened:
            stack.callback(each.close)
        codes = [_ask(each) for each in opened]
        polls, bodies, heads = opened[:8], opened[8:12], opened[12:]
        for connection, code in zip(polls, codes, strict=False):
            _post(connection, _poll(code), Prefer="wait=25")
        whole = request(_ASK, b"Authorization: " + _BASIC.encode())
        for connection in bodies:
            _socket(connection).sendall(whole[:-7])
        for connection in heads:
            _socket(connection).sendall(whole[:40])
        load = Load(running.address)
        threads = [threading.Thread(target=load.work) for _ in range(4)]
        for thread in threads:
            thread.start()
        assert load.busy.wait(30)
        assert any(_held(running) == len(polls) for _ in range(10_000))

        running.process.send_signal(signal.SIGTERM)
        for connection in polls:
            assert _answer(connection)["error"] == "authorization_pending"
        for connection, sent in [(each, -7) for each in bodies] + [(each, 40) for each in heads]:
            _socket(connection).sendall(whole[sent:])
        for connection in (*bodies, *heads):
            with http.client.HTTPResponse(_socket(connection), method="POST") as response:
                response.begin()
                assert response.headers["connection"] == "close"
                codes.append(str(json.loads(response.read())["deferral_code"]))
        for thread in threads:
            thread.join()
        said, log = running.process.communicate(timeout=30)
    assert running.process.returncode == 0
    assert said.endswith("Stopped.\n")
    assert "Traceback" not in log
    assert set(load.met) <= {"answered", "refused", "not taken"}, load.met
    assert sum(load.met.values()) == load.met["answered"] + len(threads)
    _check_nothing_is_lost(tmp_path, [*codes, *load.codes])


def _check_nothing_is_lost(folder: Path, codes: list[str]) -> None:
    assert len(set(codes)) == len(codes)
    with _serving(folder) as running:
        connection = _connect(running.address)
        for code in codes:
            _post(connection, _poll(code))
            assert _answer(connection)["error"] == "authorization_pending"
        connection.close()


def _socket(connection: http.client.HTTPConnection) -> socket.socket:
    found = connection.sock
    assert isinstance(found, socket.socket)
    return found


async def _hello(scope: Scope, receive: Receive, send: Send) -> None:
    await read_body(receive)
    await send_reply(scope, send, Reply(200, b"{}"), ())


@asynccontextmanager
async def _answering(listener: socket.socket) -> AsyncIterator[Server]:
    """Our server in this loop, which runs only while the test waits."""
    server = Server(make_config(_hello), lambda: None, lambda: None)
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup([listener])
    yield server


@covers("SEC-OPS-15")
async def test_whoever_was_let_in_by_the_kernel_is_answered() -> None:
    with reserve(Listen("127.0.0.1", 0)) as listener, ExitStack() as stack:
        async with _answering(listener) as server:
            # The loop does not run meanwhile, so all of them stand before the door.
            peers = [
                stack.enter_context(socket.create_connection(listener.getsockname(), timeout=30))
                for _ in range(8)
            ]
            for peer in peers:
                peer.sendall(request(b"a=b"))
            await server.shutdown([listener])
        for peer in peers:
            assert peer.recv(65_536).startswith(b"HTTP/1.1 200 ")


@covers("SEC-OPS-15")
async def test_a_request_that_comes_slowly_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "UNDER_WAY_SECONDS", 0)
    whole = request(b"a=b")
    with reserve(Listen("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        async with _answering(listener) as server:
            reader, writer = await asyncio.open_connection(*address[:2])
            writer.write(whole[:30])
            there = server.server_state.connections
            while not any(cast(StrictHttp, each).is_arriving() for each in there):  # noqa: ASYNC110
                await asyncio.sleep(0)
            stopping = asyncio.create_task(server.shutdown([listener]))
            for _ in range(1_000):  # as far as it gets
                await asyncio.sleep(0)
            writer.write(whole[30:])
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            await stopping
            writer.close()


@covers("SEC-OPS-15", "SEC-OPS-14")
def test_an_idle_connection_does_not_keep_a_server_from_stopping(tmp_path: Path) -> None:
    health = ["healthcheck", "--config", str(tmp_path / "abeyance.toml")]
    with _serving(tmp_path) as running:
        assert main(health) == 0
        idle, fresh = _connect(running.address), _connect(running.address)
        _ask(idle)
        fresh.connect()
        running.process.send_signal(signal.SIGTERM)
        running.process.communicate(timeout=30)
        assert running.process.returncode == 0
        assert _socket(idle).recv(1) == b""
        assert _socket(fresh).recv(1) == b""
        idle.close()
        fresh.close()
    assert main(health) == 1

"""Held polls over real connections: a peer that hangs up, and a server that stops (EXT-WAIT-05)."""

import base64
import hashlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from abeyance.server.launch import Running, address_of, reserve, running_server
from abeyance.server.settings import Listen, load_settings
from tests.covers import covers
from tests.transport.wire import request

_SECRET: Final = "never-in-a-log-0123456789-0123456789-01234567"
_CONFIG: Final = """
issuer = "http://{address}"
data = "{data}"

[server]
listen = "{address}"

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


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with reserve(Listen("127.0.0.1", 0)) as listener:
        file = tmp_path / "abeyance.toml"
        file.write_text(
            _CONFIG.replace("{address}", address_of(listener))
            .replace("{data}", str(tmp_path / "data"))
            .replace("{digest}", hashlib.sha256(_SECRET.encode()).hexdigest())
        )
        with running_server(load_settings(file, environ={}), listener=listener) as running:
            yield running


def _connect(running: Running) -> socket.socket:
    host, _, port = running.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def _post(peer: socket.socket, form: bytes, *fields: bytes) -> None:
    basic = b"Authorization: Basic " + base64.b64encode(f"c:{_SECRET}".encode())
    peer.sendall(request(form, basic, *fields))


def _body(peer: socket.socket) -> dict[str, object]:
    received = b""
    while b"\r\n\r\n" not in received or not received.endswith(b"}"):
        piece = peer.recv(65_536)
        assert piece, received
        received += piece
    answer: dict[str, object] = json.loads(received.partition(b"\r\n\r\n")[2])
    return answer


def _held_poll(running: Running) -> socket.socket:
    peer = _connect(running)
    _post(peer, b"grant_type=client_credentials&scope=read&completion_mode=deferred")
    code = str(_body(peer)["deferral_code"])
    grant = b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adeferred&deferral_code="
    _post(peer, grant + code.encode(), b"Prefer: wait=25")
    _until_taken(running, 1)
    return peer


def _until_taken(running: Running, taken: int) -> None:
    # The row says one second. A machine that is busy gets more: far less than the poll is held for.
    until = time.monotonic() + 15
    while running.house.limits.held.taken != taken:
        assert time.monotonic() < until
        time.sleep(0.01)


@covers("SEC-DOS-14", "EXT-WAIT-05")
def test_a_peer_that_hangs_up_is_let_go_long_before_its_time(running: Running) -> None:
    peer = _held_poll(running)
    peer.close()
    _until_taken(running, 0)


@covers("EXT-WAIT-05")
def test_a_server_that_stops_answers_pending_at_once(running: Running) -> None:
    with _held_poll(running) as peer:
        began = time.monotonic()
        running.stop()
        assert _body(peer)["error"] == "authorization_pending"
        assert time.monotonic() - began < 15, "its time would have been 25"

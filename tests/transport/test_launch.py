"""The server as it is launched: the command, its words, its refusals, and what it ships with."""

import logging
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import abeyance
from abeyance.server import deadlines, launch
from abeyance.server.launch import Running, address_of, make_config, reserve, running_server, serve
from abeyance.server.protocol import StrictHttp
from abeyance.server.settings import ConfigurationError, Listen, Settings, load_settings
from tests.covers import covers
from tests.transport.wire import request

LOOPBACK = Listen("127.0.0.1", 0)
_COMMAND = "import sys; from abeyance.cli import main; sys.exit(main())"


def _settings(data: Path, address: str) -> Settings:
    flags = {"server.listen": address, "issuer": f"http://{address}", "data": str(data)}
    return load_settings(environ={}, flags=flags)


@pytest.fixture
def unchanged() -> Iterator[None]:
    """`serve` owns its process; here it is a guest."""
    umask, handlers = os.umask(0o022), logging.getLogger().handlers[:]
    os.umask(umask)
    yield
    os.umask(umask)
    logging.getLogger().handlers[:] = handlers


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with reserve(LOOPBACK) as listener:
        settings = _settings(tmp_path_factory.mktemp("launch") / "data", address_of(listener))
        with running_server(settings, listener=listener) as running:
            yield running


def _talk(address: str, data: bytes) -> bytes:
    """Send, and read until the server ends the connection."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as peer:
        peer.sendall(data)
        received = b""
        while piece := peer.recv(65_536):
            received += piece
        return received


def _last(start: bytes, body: bytes = b"") -> bytes:
    return request(body, b"Connection: close", start=start + b" HTTP/1.1")


@covers("SEC-OPS-03", "SEC-OPS-04", "SEC-TOK-14", "SEC-OPS-09")
def test_the_command_serves_says_where_and_ends_when_told(tmp_path: Path) -> None:
    with reserve(LOOPBACK) as listener:
        address = address_of(listener)
    data = tmp_path / "data"
    with subprocess.Popen(
        [sys.executable, "-c", _COMMAND, "serve", "--data", str(data), "--listen", address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        umask=0,
    ) as server:
        assert server.stdout is not None
        said = ""
        while not said.endswith("\n\n") or "welcome" not in said:
            line = server.stdout.readline()
            assert line, said
            said += line
        answer = _talk(address, _last(b"GET /token?client_secret=hunter22"))
        server.send_signal(signal.SIGTERM)
        rest, log = server.communicate(timeout=20)
    assert server.returncode == 0
    assert rest == "Stopped.\n"
    for told in (f"http://{address}", f"http://{address}/console", str(data)):
        assert told in said
    links = re.findall(r"http\S+/welcome/\S+", said)
    assert len(links) == 1
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"server:" not in answer.lower()
    assert "Traceback" not in log
    assert "hunter22" not in log
    assert links[0].rpartition("/")[2] not in log
    for place in (data, *data.rglob("*")):
        assert not place.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), place


def test_a_server_that_has_stopped_leaves_folder_and_address_to_the_next(tmp_path: Path) -> None:
    with reserve(LOOPBACK) as listener:
        settings = _settings(tmp_path / "data", address_of(listener))
        with running_server(settings, listener=listener) as first:
            assert _talk(first.address, _last(b"GET /livez")).startswith(b"HTTP/1.1 200 ")
    with running_server(settings) as second:
        assert second.address == first.address
        assert _talk(second.address, _last(b"GET /readyz")).startswith(b"HTTP/1.1 200 ")


@covers("SEC-OPS-04")
def test_two_servers_do_not_share_a_folder(
    running: Running, unchanged: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with reserve(LOOPBACK) as free:
        other = _settings(running.settings.data, address_of(free))
    assert serve(other) == launch.WRONG
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("abeyance: ")
    assert f"in use by process {os.getpid()}" in line


def test_an_address_that_is_taken_is_named(
    running: Running, tmp_path: Path, unchanged: None, capsys: pytest.CaptureFixture[str]
) -> None:
    other = _settings(tmp_path / "other", running.address)
    assert serve(other) == launch.WRONG
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"abeyance: server.listen: {running.address} cannot be had (")
    assert not (tmp_path / "other").exists()


def test_keys_that_others_could_read_stop_the_start_in_one_line(
    tmp_path: Path, unchanged: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keys").mkdir(mode=0o755)
    (tmp_path / "keys").chmod(0o755)
    with reserve(LOOPBACK) as free:
        settings = _settings(tmp_path, address_of(free))
    assert serve(settings) == launch.WRONG
    (line,) = capsys.readouterr().err.splitlines()
    assert "chmod 700" in line


def _public(data: Path) -> Settings:
    flags = {
        "server.listen": "127.0.0.1:0",
        "issuer": "https://as.example.com",
        "data": str(data),
    }
    return load_settings(environ={}, flags=flags)


@covers("SEC-OPS-04")
def test_root_serves_this_machine_only(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unchanged: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert serve(_public(tmp_path / "data")) == launch.WRONG
    (line,) = capsys.readouterr().err.splitlines()
    assert "as root" in line
    assert not (tmp_path / "data").exists()
    launch.check_place(_settings(tmp_path / "data", "127.0.0.1:1"))
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    monkeypatch.setattr(abeyance, "__file__", str(tmp_path / "__init__.py"))
    launch.check_place(_public(tmp_path / "data"))


@covers("SEC-OPS-04")
def test_code_that_everybody_may_change_is_not_served_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "abeyance"
    code.mkdir(mode=0o755)
    (code / "act.py").touch()
    (code / "act.py").chmod(0o646)
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    monkeypatch.setattr(abeyance, "__file__", str(code / "__init__.py"))
    with pytest.raises(ConfigurationError, match="everybody may change"):
        launch.check_place(_public(tmp_path / "data"))
    launch.check_place(_settings(tmp_path / "data", "127.0.0.1:1"))


@covers("SEC-OPS-09", "SEC-OPS-10", "OAUTH-HTTP-05", "SEC-TOK-14")
@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"POST /token", 401),
        (b"POST /revoke", 401),
        (b"GET /token", 405),
        (b"PUT /revoke", 405),
        (b"GET /jwks", 200),
        (b"GET /.well-known/oauth-authorization-server", 200),
        (b"GET /livez", 200),
        (b"GET /readyz", 200),
        (b"GET /docs", 404),
        (b"GET /openapi.json", 404),
        (b"GET /metrics", 404),
        (b"GET /.git/config", 404),
        (b"GET /", 404),
        (b"OPTIONS *", 404),
        (b"GET /token#x", 400),
    ],
)
def test_every_answer_has_its_fields(running: Running, start: bytes, status: int) -> None:
    head, _, body = _talk(running.address, _last(start)).partition(b"\r\n\r\n")
    first, *fields = head.decode().lower().split("\r\n")
    assert first.startswith(f"http/1.1 {status} ")
    assert "x-content-type-options: nosniff" in fields
    assert "content-type: application/json" in fields
    assert body.startswith(b"{")
    if b"jwks" not in start and b"well-known" not in start:
        assert "cache-control: no-store" in fields
    assert not [each for each in fields if each.startswith(("server:", "date:", "x-powered-by:"))]


@covers("SEC-DOS-03")
def test_the_launched_server_cuts_slow_callers_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "LOOK_EVERY", 0.01)  # a second passes faster
    with reserve(LOOPBACK) as listener:
        settings = _settings(tmp_path / "data", address_of(listener))
        with running_server(settings, listener=listener) as running:
            assert _talk(running.address, b"").startswith(b"")
            assert _talk(running.address, b"POST /to").startswith(b"HTTP/1.1 408 ")
            half = request(b"grant_type=x")[:-1]
            assert _talk(running.address, half).startswith(b"HTTP/1.1 408 ")


@covers("SEC-DOS-02", "SEC-TOK-17", "SEC-OPS-07")
def test_nothing_is_left_to_the_defaults_of_uvicorn() -> None:
    async def application(scope: object, receive: object, send: object) -> None: ...

    config = make_config(application)
    config.load()
    assert config.http_protocol_class is StrictHttp
    assert config.loaded_app is application  # nothing is wrapped around it
    assert config.ws_protocol_class is None
    assert config.encoded_headers == []
    assert (config.access_log, config.date_header, config.server_header) == (False,) * 3


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_port_is_reserved_for_us_alone(host: str) -> None:
    if host == "::1" and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with reserve(Listen(host, 0)) as listener:
        port = listener.getsockname()[1]
        assert port
        assert address_of(listener).endswith(f":{port}")
        with pytest.raises(ConfigurationError, match="cannot be had"):
            reserve(Listen(host, port))


def test_a_host_that_is_none_of_ours_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(ConfigurationError, match=r"nowhere\.example:0 cannot be had \(Name"):
        reserve(Listen("nowhere.example", 0))

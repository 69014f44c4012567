"""The real transport on loopback: TLS is verified, bodies are bounded (T-234, OAUTH-SEC)."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from abeyance.client import Client, ClientSecretBasic, Unavailable
from abeyance.client.exchange import Received, Send, Unanswered
from abeyance.client.transport import (
    MAX_BODY,
    make_async_client,
    make_client,
    perform,
    perform_async,
)
from tests.covers import covers

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@contextmanager
def listening(
    talk: Callable[[socket.socket], None], context: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Serve connections on loopback, one after the other, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                try:
                    if context is not None:
                        connection = context.wrap_socket(connection, server_side=True)
                    talk(connection)
                except OSError:
                    pass
                finally:
                    connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    assert not thread.is_alive()


def says(*parts: bytes) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        connection.recv(65_536)
        for part in parts:
            connection.sendall(part)

    return talk


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@covers("T-234")
def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        heard.append(connection.recv(65_536))

    with listening(talk, context) as port:
        client = Client(f"https://127.0.0.1:{port}", "agent", ClientSecretBasic("secret"))
        with client, pytest.raises(Unavailable):
            client.request_token()
    assert heard == []


@covers("T-234")
def test_nobody_listening_is_an_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with make_client(cleartext=True) as http:
        assert perform(http, Send("GET", f"http://127.0.0.1:{port}/")) == Unanswered(
            "no connection"
        )


@covers("T-233", "T-234")
@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"],
        [b"nonsense\r\n\r\n"],
        [b""],
        [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"],
        [
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
            *[b" " * 65_536] * (MAX_BODY // 65_536 + 1),
        ],
    ],
    ids=["cut", "chunks", "nonsense", "silence", "gzip", "large"],
)
async def test_what_is_cut_or_too_large_is_no_answer(parts: list[bytes]) -> None:
    with listening(says(*parts)) as port:
        step = Send("GET", f"http://127.0.0.1:{port}/")
        with make_client(cleartext=True) as http:
            assert isinstance(perform(http, step), Unanswered)
        async with make_async_client(cleartext=True) as http_async:
            assert isinstance(await perform_async(http_async, step), Unanswered)


async def test_a_response_is_read_to_its_end() -> None:
    with listening(says(OK)) as port:
        step = Send("POST", f"http://127.0.0.1:{port}/", (("A", "b"),), b"x=1")
        with make_client(cleartext=True) as http:
            received = perform(http, step)
        async with make_async_client(cleartext=True) as http_async:
            assert await perform_async(http_async, step) == received
    assert isinstance(received, Received)
    assert received.body == b"{}"


def test_a_body_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abeyance.client.transport.BODY_TIME", 0.0)
    drip = httpx2.MockTransport(lambda _request: httpx2.Response(200, content=iter([b"{", b"}"])))
    with httpx2.Client(transport=drip) as http:
        assert perform(http, Send("GET", "https://as.test/")) == Unanswered("time-out")


def test_clear_text_to_loopback_never_meets_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(says(OK)) as port, socket.create_server(("127.0.0.1", 0)) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        with make_client(cleartext=True) as http:
            assert isinstance(perform(http, Send("GET", f"http://127.0.0.1:{port}/")), Received)
        proxy.settimeout(0)
        with pytest.raises(BlockingIOError):
            proxy.accept()

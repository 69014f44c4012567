"""A receiver on loopback that behaves as it is told, with a certificate of an authority of ours."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from abeyance.outbound.caller import GuardedCaller
from abeyance.outbound.targets import Reach

NAME: Final = "cb.example"
NO_CONTENT: Final = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"

Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Authority:
    """Issues certificates; `file` is its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("A test authority")
        certificate = self._sign(self._name, self._key, None, ca=True)
        self.file = folder / "authority.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def context(
        self, name: str = NAME, *, days: int = 1, alternative: bool = True, old: bool = False
    ) -> ssl.SSLContext:
        """A server's context; `alternative`: the name stands where clients look for it. `old`:
        it speaks TLS 1.1 alone.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName(name)] if alternative else [x509.DNSName("other.example")]
        certificate = self._sign(_named(name), key, names, days=days)
        file = self._folder / f"{name}-{days}-{alternative}.pem"
        file.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        if old:
            context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        return context

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        names: Sequence[x509.GeneralName] | None,
        *,
        ca: bool = False,
        days: int = 1,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@dataclass(slots=True)
class Receiver:
    """What came: connections, and the bytes of each request."""

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self.port}/cb"


def say(answer: bytes) -> Behave:
    """Answer so, and close."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.write(answer)
        await writer.drain()

    return behave


@asynccontextmanager
async def receiving(
    context: ssl.SSLContext | None, behave: Behave, *, address: str = "127.0.0.1"
) -> AsyncIterator[Receiver]:
    """Listen until the block ends; without a `context` no TLS is spoken."""
    receiver, serving = Receiver(), set[asyncio.Task[Any]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        receiver.connections += 1
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line.partition(b":")[2])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                ),
                0,
            )
            receiver.requests.append(head + await reader.readexactly(length))
            await behave(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, address, 0, ssl=context)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        if serving:
            _, held = await asyncio.wait(serving, timeout=30)
            assert not held, "whoever has called holds a connection open"


def caller_to(authority: Authority, receiver: Receiver) -> GuardedCaller:
    """A caller for whom the receiver's name is an exception, and leads to loopback."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        del host, port
        return ["127.0.0.1"]

    reach = Reach(exceptions=frozenset({f"{NAME}:{receiver.port}"}))
    return GuardedCaller(reach, ca_file=authority.file, resolve=resolve)

"""A proxy that ends TLS before a server of `tests.served`, as one of an operator would.

It asks for certificates at one of its two addresses alone, and hands on what was shown in a
header field of its own, beside its secret. What callers write into those fields it takes away.
"""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import IPAddress
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.certificates import Made, make_certificate
from tests.served import Served

SECRET: Final = "secret-of-the-proxy-0123456789-0123456789"
HOST: Final = "127.0.0.1"
_OWN: Final = ("client-cert", "proxy-secret")


def make_lasting(subject: str, **more: Any) -> Made:
    """As `make_certificate`: TLS goes by the clock of the machine, whatever a test's own says."""
    since, until = datetime(2020, 1, 1, tzinfo=UTC), datetime(2049, 1, 1, tzinfo=UTC)
    return make_certificate(subject, since=since, until=until, **more)


AUTHORITY: Final = make_lasting("CN=Servers", authority=True)
_HOST: Final = make_lasting(
    f"CN={HOST}",
    by=AUTHORITY,
    others=[IPAddress(ip_address(HOST))],
    usage=ExtendedKeyUsageOID.SERVER_AUTH,
)


@dataclass(frozen=True, slots=True)
class Passed:
    """A request that came through; `shown`: the certificate of its handshake, in DER."""

    asked: bool
    path: str
    shown: bytes | None


@dataclass(slots=True)
class Front:
    """`served` stands behind; at `usual` nobody is asked for a certificate, at `asking` all are."""

    usual: str = ""
    asking: str = ""
    served: Served | None = None
    passed: list[Passed] = field(default_factory=list)

    async def handle(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, asked: bool
    ) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            layer: ssl.SSLObject = writer.get_extra_info("ssl_object")
            shown = layer.getpeercert(binary_form=True) if asked else None
            start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
            fields = [(name.lower(), value) for name, _, value in (
                line.partition(": ") for line in lines if line
            )]  # fmt: skip
            body = await reader.readexactly(int(dict(fields).get("content-length", 0)))
            writer.write(await self._pass(start, fields, body, shown, asked=asked))
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def _pass(
        self,
        start: str,
        fields: Sequence[tuple[str, str]],
        body: bytes,
        shown: bytes | None,
        *,
        asked: bool,
    ) -> bytes:
        assert self.served is not None
        method, path, _ = start.split(" ")
        self.passed.append(Passed(asked, path, shown))
        own = [(name, value) for name, value in fields if name not in _OWN]
        own.append(("proxy-secret", SECRET))
        if shown is not None:
            own.append(("client-cert", f":{base64.b64encode(shown).decode()}:"))
        answer = await self.served.send(method, path, body=body, headers=own)
        head = [f"HTTP/1.1 {answer.status} -", *(f"{n}: {v}" for n, v in answer.headers)]
        head += ["connection: close", "", ""]
        return "\r\n".join(head).encode("latin-1") + answer.body


def write_pem(made: Made, folder: Path, name: str) -> tuple[Path, Path]:
    """The certificate and its key, each in a file; the key is its owner's."""
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_text(made.pem)
    key.touch(mode=0o600)
    key.write_bytes(made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return chain, key


@asynccontextmanager
async def in_front(folder: Path, believed: Sequence[Made]) -> AsyncIterator[Front]:
    """`believed`: who may have issued a certificate, and self-made ones that are let through.

    Python's TLS has no way to ask for a certificate without judging it, as nginx has.
    """
    front = Front()
    chain, key = write_pem(_HOST, folder, "front")
    async with contextlib.AsyncExitStack() as closing:
        for asked in (False, True):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(chain, key)
            if asked:
                context.verify_mode = ssl.CERT_OPTIONAL
                context.load_verify_locations(cadata="".join(each.pem for each in believed))

            async def handle(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: bool = asked
            ) -> None:
                await front.handle(reader, writer, asked=asked)

            server = await asyncio.start_server(handle, HOST, 0, ssl=context)
            await closing.enter_async_context(server)
            origin = f"https://{HOST}:{server.sockets[0].getsockname()[1]}"
            if asked:
                front.asking = origin
            else:
                front.usual = origin
        yield front

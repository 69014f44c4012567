"""Where a client's certificate comes from: the TLS layer, or a trusted proxy (RFC 9440, RFC 8705).

One place alone is looked at, which the settings name. A field of anybody but a trusted
proxy is taken away unread; one that is there twice, cannot be read, or comes beside a
certificate of the TLS layer is none that anybody may use (OAUTH-CAUTH-22, -23, -25). Where
the proxy has a secret, it must come beside the certificate: an address alone is also that of
whatever else runs on the proxy's machine (OAUTH-CAUTH-24).
"""

import binascii
import hashlib
import hmac
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import structlog

from abeyance.server.http import CERTIFICATE, Endpoint, Receive, Scope, Send
from abeyance.server.proxies import Network, is_proxy

RFC9440: Final = "rfc9440"
PEM: Final = "pem"  # with percent escapes, as nginx writes it
UNUSABLE: Final = b""
_BYTES = re.compile(rb":([A-Za-z0-9+/]+={0,2}):")

_log = structlog.get_logger("abeyance.certificates")


@dataclass(frozen=True, slots=True)
class CertificateSource:
    """`header`: its lower-case name; `None`: the TLS layer, by the ASGI extension.

    `secrets`: SHA-256 of what the proxy writes into `secret_header`; none: it has no secret.
    """

    header: bytes | None
    format: str = RFC9440
    secret_header: bytes | None = None
    secrets: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def own_fields(self) -> frozenset[bytes | None]:
        """What nobody behind this file is to see."""
        return frozenset({self.header, self.secret_header} - {None})


def showing(
    endpoint: Endpoint, source: CertificateSource | None, proxies: Sequence[Network]
) -> Endpoint:
    """The endpoint, told which certificate its caller has shown. It must see the real peer."""
    if source is None:
        return endpoint
    own_fields = source.own_fields

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        shown = _find(scope, source, proxies)
        scope = {**scope, CERTIFICATE: shown}
        if own_fields:
            scope["headers"] = [each for each in scope["headers"] if each[0] not in own_fields]
        await endpoint(scope, receive, send)

    return told


def _find(scope: Scope, source: CertificateSource, proxies: Sequence[Network]) -> bytes | None:
    chain = _chain(scope)
    if source.header is None:
        return _of_pem(chain[0].encode()) if chain else None
    client = scope.get("client")
    if client is None or not is_proxy(client[0], proxies):
        return None
    fields = [value for name, value in scope["headers"] if name == source.header]
    if not any(fields):
        return None  # nginx leaves the field empty where no certificate was shown
    if len(fields) > 1 or chain:
        return UNUSABLE
    if source.secrets and not _is_of_proxy(scope, source):
        _log.warning("a certificate came without the secret of the proxy", address=client[0])
        return UNUSABLE
    if source.format == PEM:
        return _of_pem(unquote_to_bytes(fields[0]))
    found = _BYTES.fullmatch(fields[0].strip(b" "))
    try:
        return UNUSABLE if found is None else binascii.a2b_base64(found[1], strict_mode=True)
    except binascii.Error:
        return UNUSABLE


def _is_of_proxy(scope: Scope, source: CertificateSource) -> bool:
    shown = [value for name, value in scope["headers"] if name == source.secret_header]
    if len(shown) != 1:
        return False
    digest, found = hashlib.sha256(shown[0]).digest(), False
    for each in source.secrets:
        found |= hmac.compare_digest(digest, each)
    return found


def _chain(scope: Scope) -> Sequence[Any]:
    layer = (scope.get("extensions") or {}).get("tls") or {}
    return tuple(layer.get("client_cert_chain") or ())


def _of_pem(text: bytes) -> bytes:
    if text.count(b"-----BEGIN") != 1:
        return UNUSABLE
    try:
        return ssl.PEM_cert_to_DER_cert(text.decode("ascii").strip())
    except ValueError:  # of which broken base64 and other characters are kinds
        return UNUSABLE

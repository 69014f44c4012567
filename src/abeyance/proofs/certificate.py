"""Certificates of clients (RFC 8705): read once, compared as what they are (OAUTH-CAUTH-19, -20).

Only the leaf is ever compared. The thumbprint is over its DER as it was received.
"""

import hashlib
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from abeyance.proofs.jwk import KeySet
from abeyance.wire.base64url import render_base64url

MAX_CERTIFICATE: Final = 16 * 1024  # bytes of DER


class BadCertificate(ValueError):
    """It is none that can be read."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One that was read, which proves nothing of who made it. `x5t`: SHA-256 of the DER."""

    x5t: str
    read: x509.Certificate = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class CertificateSubject:
    """Who a certificate must name: one of the five members of RFC 8705 §2.1.2."""

    member: str
    value: str


@lru_cache(maxsize=1024)  # of DER: a client that polls shows the same one each time
def parse_certificate(der: bytes) -> Certificate:
    """Read a leaf; raises `BadCertificate`."""
    if not 0 < len(der) <= MAX_CERTIFICATE:
        raise BadCertificate("not of a certificate's size")
    try:
        read = x509.load_der_x509_certificate(der)
        read.public_key()
        read.extensions  # noqa: B018  # read lazily, so here is where it fails
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension):
        raise BadCertificate("not a certificate that can be read") from None
    return Certificate(thumbprint(der), read)


def thumbprint(der: bytes) -> str:
    """The `x5t#S256` of a certificate (RFC 8705 §3.1)."""
    return render_base64url(hashlib.sha256(der).digest())


def has_key_of(certificate: Certificate, keys: KeySet | None) -> bool:
    """Is its public key one that the client registered (RFC 8705 §2.2)?"""
    shown = _spki(certificate.read)
    return keys is not None and any(
        key.material.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == shown
        for key in keys.keys
    )


def is_trusted(
    certificate: Certificate, authorities: Sequence[x509.Certificate], now: datetime
) -> bool:
    """Did one of these issue it, for clients, and does it stand now? Nobody: no.

    Whether it was revoked is not asked; what ends it is its time, or the client's registration.
    """
    if not authorities:
        return False
    leaf = (
        ExtensionPolicy.webpki_defaults_ee()
        .may_be_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
        .require_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _is_for_clients)
    )
    verifier = (
        PolicyBuilder()
        .store(Store(list(authorities)))
        .time(now)
        .extension_policies(ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=leaf)
        .build_client_verifier()
    )
    try:
        verifier.verify(certificate.read, [])
    except (VerificationError, ValueError, UnsupportedAlgorithm):
        return False
    return True


def names_subject(certificate: Certificate, subject: CertificateSubject) -> bool:
    """Does the leaf name exactly this one?"""
    return _NAMES[subject.member](certificate.read, subject.value)


def check_subject(subject: CertificateSubject) -> None:
    """Is it a value that a certificate can name? Raises `ValueError`."""
    if not subject.value.strip() or len(subject.value) > 1024:
        raise ValueError("it is empty or too long")
    if subject.member == "tls_client_auth_subject_dn":
        if not _fold(x509.Name.from_rfc4514_string(subject.value)):
            raise ValueError("it names nobody")
    elif subject.member == "tls_client_auth_san_ip":
        ipaddress.ip_address(subject.value)
    elif not subject.value.isascii() or " " in subject.value or "*" in subject.value:
        raise ValueError("it has characters that no name has")


def _is_for_clients(
    _policy: Policy, _certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None
) -> None:
    if usage is None or ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        raise ValueError("the certificate is not for clients")


def _spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _fold(name: x509.Name) -> list[frozenset[tuple[str, str]]]:
    """As names are compared: no matter which case, nor how many spaces (RFC 4518)."""
    return [
        frozenset(
            (part.oid.dotted_string, " ".join(str(part.value).split()).casefold()) for part in rdn
        )
        for rdn in name.rdns
    ]


def _is_named(certificate: x509.Certificate, value: str) -> bool:
    return _fold(certificate.subject) == _fold(x509.Name.from_rfc4514_string(value))


def _alternative(
    kind: type[x509.DNSName] | type[x509.UniformResourceIdentifier] | type[x509.RFC822Name],
    fold: Callable[[str], str],
) -> Callable[[x509.Certificate, str], bool]:
    def named(certificate: x509.Certificate, value: str) -> bool:
        return fold(value) in {
            fold(str(each.value)) for each in _others(certificate) if isinstance(each, kind)
        }

    return named


def _has_address(certificate: x509.Certificate, value: str) -> bool:
    address = ipaddress.ip_address(value)
    return any(
        isinstance(each, x509.IPAddress) and each.value == address for each in _others(certificate)
    )


def _others(certificate: x509.Certificate) -> Sequence[x509.GeneralName]:
    try:
        return list(
            certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        )
    except x509.ExtensionNotFound:
        return ()


def _mailbox(text: str) -> str:
    local, at, domain = text.rpartition("@")
    return local + at + domain.lower()


_NAMES: Final[Mapping[str, Callable[[x509.Certificate, str], bool]]] = MappingProxyType(
    {
        "tls_client_auth_subject_dn": _is_named,
        "tls_client_auth_san_dns": _alternative(x509.DNSName, str.lower),
        "tls_client_auth_san_uri": _alternative(x509.UniformResourceIdentifier, str),
        "tls_client_auth_san_ip": _has_address,
        "tls_client_auth_san_email": _alternative(x509.RFC822Name, _mailbox),
    }
)
SUBJECT_MEMBERS: Final = tuple(_NAMES)

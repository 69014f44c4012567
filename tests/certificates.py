"""Certificates of clients, made for one test."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Made:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()


def names_of_all_kinds(name: str) -> list[x509.GeneralName]:
    return [
        x509.DNSName(name),
        x509.UniformResourceIdentifier(f"spiffe://{name}/agent"),
        x509.IPAddress(ipaddress.ip_address("192.0.2.77")),
        x509.RFC822Name(f"agent@{name}"),
    ]


def make_certificate(
    subject: str = "CN=agent,O=Example",
    *,
    by: Made | None = None,
    authority: bool = False,
    others: Sequence[x509.GeneralName] = (),
    usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CLIENT_AUTH,
    since: datetime = NOW - timedelta(days=1),
    until: datetime = NOW + timedelta(days=30),
    key: ec.EllipticCurvePrivateKey | None = None,
) -> Made:
    """Issued `by` somebody, or by itself."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name.from_rfc4514_string(subject)
    signer = key if by is None else by.key
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if by is None else by.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if authority:
        made = made.add_extension(
            x509.KeyUsage(
                digital_signature=False, content_commitment=False, key_encipherment=False,
                data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
                encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )  # fmt: skip
    elif usage is not None:
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if others:
        made = made.add_extension(x509.SubjectAlternativeName(others), critical=False)
    return Made(made.sign(signer, hashes.SHA256()), key)

"""`[mtls]`, and what a client says of its certificate (RFC 8705; OAUTH-CAUTH-19 to -25)."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509

from abeyance.proofs.certificate import SUBJECT_MEMBERS, CertificateSubject, check_subject
from abeyance.server.certificates import CertificateSource
from abeyance.server.settings_file import ClientTable, File, MtlsTable
from abeyance.server.settings_sources import Sources
from abeyance.server.settings_values import (
    MAX_SECRETS,
    Caution,
    ConfigurationError,
    is_loopback,
    parse_issuer,
    read_file,
    read_strong_secret,
    several,
)
from abeyance.wire import names

_FIELD = re.compile(r"[a-z][a-z0-9-]{2,63}", re.ASCII)
# Fields that callers or this server give another meaning.
_TAKEN = frozenset({"authorization", "dpop", "cookie", "host", "x-forwarded-for", "origin"})


@dataclass(frozen=True, slots=True)
class Mtls:
    """`authorities`: who may vouch for clients with `tls_client_auth`. `origin`: where callers
    are asked for a certificate, if not everywhere.
    """

    source: CertificateSource
    authorities: tuple[x509.Certificate, ...]
    origin: str | None


def read_mtls(told: File, sources: Sources, issuer: str, warnings: list[Caution]) -> Mtls | None:
    """What is switched on, or `None`. Raises `ConfigurationError`."""
    table = told.mtls
    if not table.enabled:
        return None
    header = table.certificate_header
    if header is None:
        warnings.append(
            Caution(
                "mtls.enabled",
                "certificates are taken from the ASGI server's TLS extension, "
                "which `abeyance serve` does not have",
            )
        )
    else:
        _check_field("mtls.certificate_header", header, "Client-Cert")
        if not told.server.trusted_proxies:
            raise ConfigurationError(
                "mtls.certificate_header",
                "is read from trusted proxies only, and there are none",
                "Name the proxy in server.trusted_proxies.",
            )
    secrets = _proxy_secrets(table, sources, warnings)
    source = CertificateSource(
        None if header is None else header.lower().encode(),
        table.certificate_format,
        table.proxy_header.lower().encode() if secrets else None,
        secrets,
    )
    return Mtls(source, _authorities(table.ca_file, sources), _origin(table.origin, issuer))


def _check_field(key: str, name: str, usual: str) -> None:
    if not _FIELD.fullmatch(name.lower()) or name.lower() in _TAKEN:
        raise ConfigurationError(
            key, "is not a header field for this", f'Write it as "{usual}", as the proxy sets it.'
        )


def _proxy_secrets(
    table: MtlsTable, sources: Sources, warnings: list[Caution]
) -> tuple[bytes, ...]:
    """Digests of what the proxy writes beside a certificate (OAUTH-CAUTH-24)."""
    key, header = "mtls.proxy_secret_file", table.certificate_header
    files = several(table.proxy_secret_file)
    if header is None:
        if files:
            raise ConfigurationError(
                key,
                "is of use only where a proxy writes certificates into a header",
                "Name mtls.certificate_header, or leave it out.",
            )
        return ()
    if not files:
        warnings.append(
            Caution(
                key,
                "is missing: whatever runs at a trusted proxy's address can show any certificate; "
                "let the proxy send a secret beside it",
            )
        )
        return ()
    if len(files) > MAX_SECRETS:
        raise ConfigurationError(
            key, f"names more than {MAX_SECRETS} files", "Keep the new one and the one it replaces."
        )
    field = "mtls.proxy_header"
    _check_field(field, table.proxy_header, "Proxy-Secret")
    if table.proxy_header.lower() == header.lower():
        raise ConfigurationError(
            field, "is where the certificate stands", "Name another header field."
        )
    return tuple(
        hashlib.sha256(read_strong_secret(key, sources.resolve(key, name)).encode()).digest()
        for name in files
    )


def _origin(text: str | None, issuer: str) -> str | None:
    """Where the aliases of the endpoints are (RFC 8705 §5)."""
    if text is None:
        return None
    key, parts = "mtls.origin", urlsplit(parse_issuer("mtls.origin", text))
    fix = 'Write scheme, host and port alone, such as "https://mtls.as.example.com".'
    if parts.path:
        raise ConfigurationError(key, "has a path", fix)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ConfigurationError(key, "is http, which is allowed on loopback only", fix)
    own = urlsplit(issuer)
    if (parts.scheme, parts.netloc) == (own.scheme, own.netloc):
        raise ConfigurationError(
            key, "is the issuer's own", "Name another host or port, or leave it out."
        )
    return text


def read_client_certificate(key: str, table: ClientTable, *, enabled: bool) -> dict[str, Any]:
    """The fields of `Client` that belong to its certificate. Raises `ConfigurationError`."""
    method, bound = table.token_endpoint_auth_method, "tls_client_certificate_bound_access_tokens"
    subjects = [
        CertificateSubject(member, value)
        for member in SUBJECT_MEMBERS
        if (value := getattr(table, member)) is not None
    ]
    by_certificate = method in (names.TLS_CLIENT_AUTH, names.SELF_SIGNED_TLS_CLIENT_AUTH)
    if not enabled and (by_certificate or table.tls_client_certificate_bound_access_tokens):
        raise ConfigurationError(
            f"{key}.{'token_endpoint_auth_method' if by_certificate else bound}",
            "needs certificates, and mutual TLS is off",
            "Turn it on in [mtls], or choose another.",
        )
    if (method == names.TLS_CLIENT_AUTH) != (len(subjects) == 1):
        wrong = subjects[0].member if subjects else SUBJECT_MEMBERS[0]
        raise ConfigurationError(
            f"{key}.{wrong}",
            f"must be there once for {names.TLS_CLIENT_AUTH}, and for nothing else",
            "Name exactly one of the five tls_client_auth_... subjects.",
        )
    if method == names.SELF_SIGNED_TLS_CLIENT_AUTH and table.jwks_uri is not None:
        raise ConfigurationError(
            f"{key}.jwks_uri",
            f"is not fetched for {names.SELF_SIGNED_TLS_CLIENT_AUTH}",
            "Register the keys of its certificates with jwks.",
        )
    for subject in subjects:
        try:
            check_subject(subject)
        except ValueError:
            raise ConfigurationError(
                f"{key}.{subject.member}",
                "is not a name that a certificate could have",
                "Write it as it stands in the certificate (a subject as RFC 4514 has it).",
            ) from None
    return {
        "certificate_subject": subjects[0] if subjects else None,
        "certificate_bound": table.tls_client_certificate_bound_access_tokens,
    }


def _authorities(name: str | None, sources: Sources) -> tuple[x509.Certificate, ...]:
    if name is None:
        return ()
    said = "mtls.ca_file"
    try:
        return tuple(
            x509.load_pem_x509_certificates(read_file(said, sources.resolve(said, name)).encode())
        )
    except ValueError:
        raise ConfigurationError(
            said, "holds no certificates in PEM", "Name the file with the clients' authorities."
        ) from None

"""Which URLs the library talks to: https, or http to this very machine.

An http issuer is for development on loopback only; nothing here ever switches
TLS verification off (T-234).
"""

import ipaddress
from collections.abc import Collection
from typing import Final
from urllib.parse import SplitResult, urlsplit

WELL_KNOWN: Final = "/.well-known/oauth-authorization-server"
WELL_KNOWN_OPENID: Final = "/.well-known/openid-configuration"
WELL_KNOWN_RESOURCE: Final = "/.well-known/oauth-protected-resource"


class BadAddress(ValueError):
    """The URL must not be used; the message says why and does not repeat it."""


def check_issuer(issuer: str) -> None:
    """Refuse what cannot be an issuer identifier (RFC 8414 §2); raises `BadAddress`."""
    parts = _check(issuer)
    if parts.query or "?" in issuer:
        raise BadAddress("an issuer has no query")


def check_endpoint(url: str, *, issuer: str) -> None:
    """Refuse an endpoint that is less protected than its issuer; raises `BadAddress`."""
    parts = _check(url)
    if parts.scheme == "http" and urlsplit(issuer).scheme != "http":
        raise BadAddress("an https issuer has only https endpoints")


def check_interaction(
    url: str, *, issuer: str, token_endpoint: str, others: Collection[str] = ()
) -> None:
    """Refuse an address at which a person is to act, unless it is at the server's own origin,
    its token endpoint's, or one that its metadata names (SEC-SSRF-72, EXT-INTERACT-13);
    raises `BadAddress`.
    """
    parts = _check(url)
    if parts.scheme == "http" and urlsplit(issuer).scheme != "http":
        raise BadAddress("an https issuer has only https pages")
    if _origin(parts) not in {_origin(urlsplit(own)) for own in (issuer, token_endpoint, *others)}:
        raise BadAddress("the address is not the server's own")


def metadata_url(issuer: str) -> str:
    """The well-known path goes between host and path (RFC 8414 §3.1)."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path.rstrip('/')}"


def openid_url(issuer: str) -> str:
    """Its older name goes behind the issuer (OpenID Connect Discovery §4)."""
    return f"{issuer.rstrip('/')}{WELL_KNOWN_OPENID}"


def resource_metadata_url(resource: str) -> str:
    """Between the host and what comes behind it (RFC 9728 §3.1); raises `BadAddress`."""
    parts = _check(resource)
    path = "" if parts.path == "/" else parts.path
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN_RESOURCE}{path}{query}"


def is_cleartext(url: str) -> bool:
    return urlsplit(url).scheme == "http"


def _origin(parts: SplitResult) -> tuple[str, str]:
    return parts.scheme, parts.netloc


def _check(url: str) -> SplitResult:
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise BadAddress("a URL has visible ASCII characters only")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise BadAddress("the URL cannot be read") from None
    if parts.scheme not in ("https", "http") or not host:
        raise BadAddress("the URL must be absolute and https")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise BadAddress("the URL must not have user information")
    if "#" in url:
        raise BadAddress("the URL must not have a fragment")
    if parts.scheme == "http" and not _is_loopback(host):
        raise BadAddress("http is accepted for a loopback address only")
    return parts


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

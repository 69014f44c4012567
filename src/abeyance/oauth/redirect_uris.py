"""Redirect URIs: what may be registered, what equals it, what is appended (OAUTH-RURI).

A grammar, not a parser: what it has let through is used as the string that it
is, since two parsers may read one URL in two ways (OAUTH-RURI-10).

Source: RFC 6749 §3.1.2, RFC 8252 §7, §8; RFC 9700 §2.1, §4.1.
"""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote_plus, unquote_plus

MAX_LENGTH: Final = 2048
MAX_REGISTERED: Final = 32

_PRINTABLE = re.compile(r"[\x21-\x7E]+", re.ASCII)
_HOST = r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])"
_REST = r"(?P<path>/[^?#\\*]*)?(?P<query>\?[^#\\]*)?"
_HTTPS = re.compile(rf"https://{_HOST}(?::[0-9]{{1,5}})?{_REST}", re.ASCII)
_LOOPBACK = re.compile(
    rf"http://(?P<host>127\.0\.0\.1|\[::1\]|localhost)(?::(?P<port>[0-9]{{1,5}}))?{_REST}",
    re.ASCII,
)
_PRIVATE = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.\-]*):/(?!/)[^?#\\*]*(?P<query>\?[^#\\]*)?", re.ASCII
)
_ORIGIN = re.compile(rf"(https?://{_HOST}(?::[0-9]{{1,5}})?)(?:[/?].*)?", re.ASCII)
# Schemes that a browser acts upon by itself, or that lead elsewhere than to an application.
_NEVER: Final = frozenset(
    {"javascript", "data", "vbscript", "file", "blob", "about", "mailto", "ws", "wss", "ftp"}
)
# Names that an answer of ours has: a registered one could pass for it (OAUTH-RURI-09).
_OURS: Final = frozenset(
    {
        "code", "state", "iss", "error", "error_description", "error_uri", "response",
        "id_token", "access_token", "session_state", "interaction_state",
    }
)  # fmt: skip


class BadRedirectUri(ValueError):
    """It cannot be registered; the message says why, as the end of a sentence."""


def check_redirect_uri(uri: str, *, native: bool) -> None:
    """Raise `BadRedirectUri` for what must not be registered (OAUTH-RURI-01, -04, -05, -09).

    `native`: the client is a program on somebody's machine, which may also listen
    on `localhost` or have a scheme of its own.
    """
    if len(uri) > MAX_LENGTH or not _PRINTABLE.fullmatch(uri):
        raise BadRedirectUri("is longer than 2,048 characters or not printable ASCII")
    if "#" in uri or "\\" in uri or "*" in uri:
        raise BadRedirectUri("has a fragment, a backslash or a wildcard")
    found = _HTTPS.fullmatch(uri)
    if found is None and uri.startswith("http:"):
        found = _LOOPBACK.fullmatch(uri)
        if found is None:
            raise BadRedirectUri("is http, which is for 127.0.0.1, [::1] and localhost only")
        if found["host"] == "localhost" and not native:
            raise BadRedirectUri("names localhost, which only native clients may; use 127.0.0.1")
    elif found is None:
        found = _check_private(uri, native=native)
    _check_query(found["query"] or "")


def matches(asked: str, registered: Sequence[str]) -> bool:
    """Is it registered? Equal strings, but for the port of a loopback address.

    Source: OAUTH-RURI-02, -03; RFC 8252 §7.3.
    """
    if asked in registered:
        return True
    bare = _without_port(asked)
    return bare is not None and any(_without_port(each) == bare for each in registered)


def append(uri: str, parameters: Sequence[tuple[str, str]]) -> str:
    """Add parameters to the query, keeping what is there as it is (OAUTH-RURI-08)."""
    pairs = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in parameters)
    if "?" not in uri:
        return f"{uri}?{pairs}"
    return f"{uri}{'' if uri.endswith(('?', '&')) else '&'}{pairs}"


def source_of(uri: str) -> str:
    """The origin, or the scheme of a private-use URI, as a policy of a page names it."""
    found = _ORIGIN.fullmatch(uri)
    # A policy has no way to write an IPv6 address, so there the scheme must do.
    if found is None or "[" in found[1]:
        return uri.partition(":")[0] + ":"
    return found[1]


def host_of(uri: str) -> str:
    """Where the browser goes, for a person to read: host, or the scheme of an application."""
    found = _ORIGIN.fullmatch(uri)
    return found[1].partition("://")[2] if found else uri.partition(":")[0]


def is_loopback(uri: str) -> bool:
    """Does it lead to the machine on which the browser runs?"""
    return _LOOPBACK.fullmatch(uri) is not None


def is_claimed_https(uri: str) -> bool:
    """Is it https, which its domain's owner alone can answer (OAUTH-CLI-06)?"""
    return uri.startswith("https://")


def _check_private(uri: str, *, native: bool) -> re.Match[str]:
    found = _PRIVATE.fullmatch(uri)
    if found is None or found["scheme"] in _NEVER:
        raise BadRedirectUri("is neither https nor http of this machine nor com.example.app:/path")
    if not native:
        raise BadRedirectUri("has a scheme of its own, which only native clients may")
    if "." not in found["scheme"]:
        raise BadRedirectUri("has a scheme that is no reversed domain, such as com.example.app")
    return found


def _check_query(query: str) -> None:
    for pair in query.removeprefix("?").split("&"):
        if unquote_plus(pair.partition("=")[0]) in _OURS:
            raise BadRedirectUri("has a parameter in its query that answers of the server use")


def _without_port(uri: str) -> str | None:
    found = _LOOPBACK.fullmatch(uri)
    if found is None:
        return None
    port = found["port"]
    if port is not None and not 0 < int(port) <= 65535:
        return None
    return f"http://{found['host']}{found['path'] or ''}{found['query'] or ''}"

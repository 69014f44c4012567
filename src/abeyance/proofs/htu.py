"""Whether a proof is for this URL: RFC 9449 §4.3 with RFC 3986 §6.2 (OAUTH-DPOP-06).

A grammar first, then normalisation of what it has let through: a general parser
would repair what a browser or a proxy reads otherwise (backslash, tab, user
information), and then two readers would see two URLs.
"""

import re
from functools import lru_cache
from typing import Final

_URL: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[a-z0-9._~-]+|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<path>(?:/(?:[a-z0-9._~!$&'()*+,;=:@-]|%[0-9a-f]{2})*)*)"
    r"(?:[?#][!-~]*)?",  # one class, so that no input makes the match backtrack
    re.ASCII | re.IGNORECASE,
)
_ESCAPE: Final = re.compile("%[0-9A-Fa-f]{2}")
_UNRESERVED: Final = re.compile("[A-Za-z0-9._~-]", re.ASCII)
_DEFAULT_PORTS: Final = {"https": "443", "http": "80"}


def is_for(htu: str, url: str) -> bool:
    """Does `htu` name the endpoint at `url`, whose normal form it may spell otherwise?"""
    return htu == url or normal_url(htu) == endpoint_url(url)


@lru_cache(maxsize=64)
def endpoint_url(url: str) -> str:
    """The normal form of a URL of our own; raises `ValueError` for one that has none."""
    normal = normal_url(url)
    if normal is None:
        raise ValueError("the URL of an endpoint is not an http or https URL")
    return normal


def normal_url(url: str) -> str | None:
    """Scheme, host, port and path in their one spelling; query and fragment do not count."""
    found = _URL.fullmatch(url)
    if found is None:
        return None
    scheme, host, port = found["scheme"].lower(), found["host"].lower(), found["port"] or ""
    if port == _DEFAULT_PORTS[scheme]:
        port = ""
    path = _without_dots(_ESCAPE.sub(_unescape, found["path"]))
    return f"{scheme}://{host}{':' if port else ''}{port}{path}"


def _unescape(found: re.Match[str]) -> str:
    character = chr(int(found[0][1:], 16))
    return character if _UNRESERVED.fullmatch(character) else found[0].upper()


def _without_dots(path: str) -> str:
    """RFC 3986 §5.2.4, for a path that is empty or begins with a slash."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1:] in (["."], [".."]):
        kept.append("")  # a dot at the end names the folder
    return "/" + "/".join(kept)

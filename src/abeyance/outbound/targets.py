"""Addresses that others write down for us to call: the grammar, before anything is looked up.

Narrower than any URL grammar: what two readers could read in two ways is refused, so it does
not matter which of them the operating system is (OAUTH-SSRF-01; security-tests 4).
"""

import re
from dataclasses import dataclass
from typing import Final

MAX_URL: Final = 2_048
_PORT: Final = 443
_URL: Final = re.compile(
    r"(?i:https)://"
    r"(?P<host>[A-Za-z0-9.-]{1,253})"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?"
    r"(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?)",
    re.ASCII,
)
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_CONTROL: Final = re.compile(r"%(?:0[0-9A-F]|1[0-9A-F]|7F)", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
# Names that mean something of the own network (RFC 6761, 6762, 8375, 9476).
_LOCAL: Final = (
    "alt", "home.arpa", "internal", "intranet", "invalid", "lan", "local", "localdomain",
    "localhost", "onion", "test",
)  # fmt: skip


class Forbidden(Exception):
    """This server does not go there. Its text is for operators, never for strangers."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect, and what to ask for there. `excepted`: by the operator's own word."""

    host: str
    port: int
    path: str
    excepted: bool = False

    @property
    def authority(self) -> str:
        return self.host if self.port == _PORT else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Reach:
    """What the operator has said. `ports`: others than 443. `own`: hosts of this server.

    `exceptions`: `host:port` of targets on the own machine or network, for development.
    """

    ports: frozenset[int] = frozenset()
    own: frozenset[str] = frozenset()
    exceptions: frozenset[str] = frozenset()


def parse_target(url: str, reach: Reach) -> Target:
    """Read an https URL that somebody else has written. Raises `Forbidden`."""
    read = _URL.fullmatch(url)
    if len(url) > MAX_URL or read is None:
        raise Forbidden("not a plain https URL")
    if _CONTROL.search(read["path"]):
        raise Forbidden("a control character in the path")
    host, port = read["host"].lower(), int(read["port"] or _PORT)
    if f"{host}:{port}" in reach.exceptions:
        return Target(host, port, _path(read["path"]), excepted=True)
    if port != _PORT and port not in reach.ports:
        raise Forbidden("a port that is not allowed")
    _check_name(host)
    if host in reach.own:
        raise Forbidden("this server itself")
    return Target(host, port, _path(read["path"]))


def _path(told: str) -> str:
    return told if told.startswith("/") else f"/{told}"


def _check_name(host: str) -> None:
    labels = host.split(".")
    if len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)):
        raise Forbidden("not the name of a public host")
    if _NUMBER.fullmatch(labels[-1]):
        raise Forbidden("an address in place of a name")
    if any(host == local or host.endswith(f".{local}") for local in _LOCAL):
        raise Forbidden("a name of the own network")

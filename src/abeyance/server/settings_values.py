"""Single values of the configuration: durations, addresses, the issuer, files with secrets.

Each function takes the key that the value stands under, so that what it raises
names the place and the fix.
"""

import ipaddress
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from abeyance.server.proxies import Network
from abeyance.server.settings_file import OneOrTwo

_UNITS: Final = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_DURATION = re.compile(r"(?:[0-9]{1,6}[dhms])+", re.ASCII)
_PIECE = re.compile(r"([0-9]+)([dhms])", re.ASCII)
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*", re.ASCII)
_HOST = re.compile(r"[a-z0-9.-]+|\[[0-9a-f:.]+\]", re.ASCII)
_SECRET = re.compile(r"[\x21-\x7e]+", re.ASCII)
_LARGEST_FILE: Final = 64 * 1024

MIN_SECRET: Final = 32
MAX_SECRETS: Final = 2  # two while one is replaced


class ConfigurationError(Exception):
    """A setting that cannot be: which key, what is wrong, and what to do about it."""

    def __init__(self, key: str, problem: str, fix: str) -> None:
        super().__init__(key, problem, fix)
        self.key = key
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.key}: {self.problem}. {self.fix}"


@dataclass(frozen=True, slots=True)
class Caution:
    """A setting that is allowed and that somebody should know about."""

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}"


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the server accepts connections."""

    host: str
    port: int

    def is_loopback(self) -> bool:
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Does this host stand for this machine alone? A name other than `localhost` does not."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def parse_duration(key: str, text: str) -> timedelta:
    """Parse `5s`, `10m`, `24h`, `30d` or a sum such as `1h30m`."""
    if not _DURATION.fullmatch(text):
        raise ConfigurationError(
            key, "is not a duration", 'Write a number and a unit (d, h, m, s), such as "10m".'
        )
    return sum(
        (int(number) * _UNITS[unit] for number, unit in _PIECE.findall(text)), start=timedelta()
    )


def render_duration(value: timedelta) -> str:
    """A whole number in the largest unit that fits, as a setting would say it."""
    for unit, length in _UNITS.items():
        if value >= length and not value % length:
            return f"{value // length}{unit}"
    return f"{value.total_seconds():g}s"


def parse_bounded(key: str, text: str, *, at_least: timedelta, at_most: timedelta) -> timedelta:
    """Parse a duration and hold it to its ceiling."""
    value = parse_duration(key, text)
    if not at_least <= value <= at_most:
        raise ConfigurationError(
            key,
            f"{render_duration(value)} is outside the bounds",
            f"Choose between {render_duration(at_least)} and {render_duration(at_most)}.",
        )
    return value


def parse_listen(key: str, text: str) -> Listen:
    """Parse `host:port`; an IPv6 address stands in brackets."""
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    ipv6 = bare != host
    if not colon or not bare or (":" in bare) != ipv6 or not port.isascii() or not port.isdigit():
        raise ConfigurationError(
            key, "is not an address", 'Write host:port, such as "127.0.0.1:8400" or "[::1]:8400".'
        )
    if int(port) > 65535:
        raise ConfigurationError(key, "has no such port", "Choose a port up to 65535.")
    return Listen(bare, int(port))


def parse_proxy(key: str, text: str) -> Network:
    """Parse the address of a proxy, or the network of several."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise ConfigurationError(
            key,
            f"{text!r} is neither an address nor a network",
            'Write "10.0.0.1", or "10.0.0.0/8" with zeros behind its 8 bits.',
        ) from None
    if not network.prefixlen:
        raise ConfigurationError(
            key, f"{text!r} is everybody, who could then say to be anybody", "Name the proxies."
        )
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None:
        raise ConfigurationError(key, f"{text!r} is IPv4 in IPv6", f'Write it as "{mapped}".')
    return network


def parse_issuer(key: str, text: str) -> str:
    """Check the one spelling of an issuer (OAUTH-ISS-03). https or not is another question."""

    def refuse(problem: str, fix: str) -> ConfigurationError:
        return ConfigurationError(key, problem, fix)

    if "?" in text or "#" in text:
        raise refuse("has a query or a fragment", "Leave out everything from ? or # on.")
    if text.endswith("/"):
        raise refuse("ends with a slash", f'Write "{text.rstrip("/")}".')
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise refuse("is not a URL", 'Write it as "https://as.example.com".') from None
    host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc
    if parts.scheme not in ("https", "http") or not text.startswith(f"{parts.scheme}://"):
        raise refuse("is not an https URL", 'Write it as "https://as.example.com".')
    if "@" in parts.netloc or not _HOST.fullmatch(host) or parts.netloc.endswith(":"):
        raise refuse("has no plain host", "Write the host in lower case, without user or colon.")
    if port == {"https": 443, "http": 80}[parts.scheme]:
        raise refuse("names the default port", f"Leave out :{port}.")
    if not _PATH.fullmatch(parts.path) or {".", ".."} & set(parts.path.split("/")):
        raise refuse("has a path that can be spelled in two ways", "Use plain path segments.")
    return text


def read_secret_file(key: str, path: Path) -> str:
    """Read one secret; the line's end that editors leave is not part of it (SEC-OPS-05)."""
    text = read_file(key, path).rstrip("\r\n")
    if not text:
        raise ConfigurationError(key, f"{path} is empty", "Write the secret into it.")
    return text


def read_strong_secret(key: str, path: Path) -> str:
    """Read a secret that nobody could guess (OAUTH-CAUTH-10)."""
    secret = read_secret_file(key, path)
    if len(secret) < MIN_SECRET or len(set(secret)) < MIN_SECRET // 4:
        raise ConfigurationError(
            key,
            f"holds a secret that is too weak (less than {MIN_SECRET} varied characters)",
            "Make one with `abeyance new-secret`.",
        )
    if not _SECRET.fullmatch(secret):
        raise ConfigurationError(
            key, "holds more than one visible line", "Put the secret alone into the file."
        )
    return secret


def several(value: OneOrTwo | None) -> list[str]:
    """One or two, or none, as a list."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


def read_file(key: str, path: Path) -> str:
    """Read a small text file that the configuration names."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigurationError(
            key,
            f"{path} cannot be read ({error.strerror})",
            "Name a file that the server may read.",
        ) from None
    if len(content) > _LARGEST_FILE:
        raise ConfigurationError(key, f"{path} is larger than 64 KiB", "Name the right file.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(key, f"{path} is not UTF-8 text", "Name the right file.") from None

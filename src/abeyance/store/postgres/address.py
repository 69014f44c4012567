"""Where the database is, as one URL, and how sessions there are set up.

`postgresql://user@host:port/name?...` as libpq reads it, several hosts included: after a
failover, the one that can write is found. One parameter is ours: `statement_cache_size`, 0
behind a pooler that hands out connections by transaction. Everything else goes to asyncpg.

Source: PostgreSQL 18, 34.1.1.2 (connection URIs); asyncpg, FAQ (poolers).
"""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from abeyance.wire.secret import Secret

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

_CACHE: Final = "statement_cache_size"
_MOST_CACHED: Final = 1_000
_DEFAULT_CACHED: Final = 400  # more than the store has statements
_SCHEMES: Final = ("postgresql", "postgres")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long things may take at the database; whoever waits longer hears `StoreAway`.

    `statement`: one statement, at the server; `grace`: how much later it is given up here, when
    nothing comes back; `lock`: its wait for another's lock; `idle`: a transaction whose process
    says nothing (it was stopped, or the network is gone); `connect`: a new connection; `queue`:
    the wait for one that is free.
    """

    statement: timedelta = timedelta(seconds=5)
    grace: timedelta = timedelta(seconds=2)
    lock: timedelta = timedelta(seconds=3)
    idle: timedelta = timedelta(seconds=10)
    connect: timedelta = timedelta(seconds=3)
    queue: timedelta = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Address:
    """One database. The URL may hold a password, so it does not show itself."""

    url: Secret
    cached: int  # prepared statements that each connection keeps; 0 behind a pooler

    @property
    def pooled(self) -> bool:
        """Is there a pooler in between, so that a session is ours for one transaction only?"""
        return self.cached == 0


def parse_address(text: str) -> Address:
    """Read a URL. Raises `ValueError`, which never repeats it."""
    try:
        parts = urlsplit(text)
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError("this is not a URL") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError("the URL of a database begins with postgresql://")
    if parts.fragment:
        raise ValueError("the URL of a database has no fragment (write # as %23)")
    sizes = [value for name, value in query if name == _CACHE]
    rest = urlencode([(name, value) for name, value in query if name != _CACHE])
    url = urlunsplit(parts._replace(query=rest))
    return Address(Secret(url), _parse_size(sizes[-1]) if sizes else _DEFAULT_CACHED)


def _parse_size(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 5 and int(text) <= _MOST_CACHED:
        return int(text)
    raise ValueError(f"{_CACHE} is a number from 0 to {_MOST_CACHED}")


async def connect(address: Address, bounds: Bounds, *, name: str = "abeyance") -> Connection:
    """Open a connection to a server that can write; what it raises, `faults` sorts."""
    return await asyncpg.connect(
        address.url.reveal(),
        timeout=bounds.connect.total_seconds(),
        command_timeout=(bounds.statement + bounds.grace).total_seconds(),
        statement_cache_size=address.cached,
        max_cached_statement_lifetime=0,
        server_settings=_settings(address, bounds, name),
        target_session_attrs=SessionAttribute.read_write,
    )


def _settings(address: Address, bounds: Bounds, name: str) -> dict[str, str]:
    settings = {"application_name": f"{name} {os.getpid()}"}
    if address.pooled:
        return settings  # a pooler refuses what it does not know: `bounded` says it each time
    return settings | dict(_session(bounds)) | {"synchronous_commit": "on", "jit": "off"}


def _session(bounds: Bounds) -> tuple[tuple[str, str], ...]:
    return (
        ("statement_timeout", _millis(bounds.statement)),
        ("lock_timeout", _millis(bounds.lock)),
        ("idle_in_transaction_session_timeout", _millis(bounds.idle)),
    )


def bounded(address: Address, bounds: Bounds) -> str:
    """What a transaction must say by itself, because its session is not ours."""
    if not address.pooled:
        return ""
    said = (*_session(bounds), ("synchronous_commit", "on"))
    return "".join(f"SET LOCAL {name} = '{value}'; " for name, value in said)


def _millis(time: timedelta) -> str:
    return str(time // timedelta(milliseconds=1))

"""All settings, read once: typed, checked against each other, in the words of the house.

TOML is overruled by the environment, and that by flags (`settings_sources.py`).
What can be written is in `settings_file.py`; clients and reviewers become
records in `settings_parties.py`. After `load_settings` nobody parses a setting
again.

What is insecure is allowed on loopback only, and nothing can force it elsewhere
(SEC-OPS-01, -02).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from abeyance.access.details import DetailsTypes
from abeyance.access.resources import parse_resources
from abeyance.access.scope import Scope
from abeyance.parties.client import Client
from abeyance.parties.person import Person
from abeyance.policy.decider import Decider
from abeyance.server.settings_file import File, LimitsTable
from abeyance.server.settings_parties import (
    Known,
    check_scope,
    check_scope_token,
    read_clients,
    read_people,
)
from abeyance.server.settings_policy import Lifetimes as Lifetimes
from abeyance.server.settings_policy import read_lifetimes, read_policy, read_types
from abeyance.server.settings_sources import Sources, gather
from abeyance.server.settings_values import Caution as Caution
from abeyance.server.settings_values import ConfigurationError as ConfigurationError
from abeyance.server.settings_values import Listen as Listen
from abeyance.server.settings_values import (
    is_loopback,
    parse_issuer,
    parse_listen,
)
from abeyance.wire.errors import InvalidTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """`memory_requests` bounds how many waiting requests are kept at hand as well."""

    path: Path
    memory_requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    open_requests_per_client: int
    creations_per_second: float
    creations_burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a server is told. Never printed as a whole: it holds password hashes."""

    issuer: str
    listen: Listen
    debug: bool
    demo: bool
    data: Path
    store: Store
    lifetimes: Lifetimes
    limits: Limits
    require_nonce: bool
    scopes: Mapping[str, str]  # name to meaning
    default_scope: Scope
    resources: Mapping[str, str]  # registered URI to meaning
    types: DetailsTypes
    people: tuple[Person, ...]
    clients: tuple[Client, ...]
    decider: Decider
    warnings: tuple[Caution, ...]

    def __repr__(self) -> str:
        return f"Settings(issuer={self.issuer!r})"

    def is_loopback(self) -> bool:
        """Does this server speak to this machine alone?"""
        return self.listen.is_loopback() and is_loopback(_host(self.issuer))


def load_settings(
    file: Path | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    flags: Mapping[str, str | None] | None = None,
    demo: bool = False,
) -> Settings:
    """Read and check everything; with no file, the settings of a fresh loopback server.

    `flags` maps the path of a key (`server.listen`) to its text; `None` is not
    given. Raises `ConfigurationError` for the first thing that is wrong.
    """
    sources = gather(file, environ, flags or {})
    told = sources.decode()
    warnings = [
        Caution(name, "holds a secret; the environment is read by more eyes than a file (_FILE)")
        for name in sources.secrets_in_environment
    ]
    listen = parse_listen("server.listen", told.server.listen)
    scopes, resources = _read_scopes(told), _read_resources(told)
    types = read_types(told, sources)
    people = read_people(told, sources)
    known = Known(
        sources=sources,
        scopes=scopes,
        resources=resources,
        types=types,
        people={person.id: person for person in people},
        default_scope=check_scope("default_scope", told.default_scope, scopes),
        warnings=warnings,
    )
    lifetimes = read_lifetimes(told)
    settings = Settings(
        issuer=_read_issuer(told, listen),
        listen=listen,
        debug=told.server.debug,
        demo=demo,
        data=sources.resolve("data", told.data),
        store=_read_store(told, sources),
        lifetimes=lifetimes,
        limits=_read_limits(told.limits),
        require_nonce=told.dpop.require_nonce,
        scopes=scopes,
        default_scope=known.default_scope,
        resources=resources,
        types=types,
        people=people,
        clients=read_clients(told, known),
        decider=read_policy(told, known, lifetimes),
        warnings=tuple(known.warnings),
    )
    _check_secure(settings)
    return settings


def _read_issuer(told: File, listen: Listen) -> str:
    if told.issuer is not None:
        return parse_issuer("issuer", told.issuer)
    if listen.is_loopback() and listen.port:
        return f"http://{listen}"
    raise ConfigurationError(
        "issuer",
        f"is missing, and {listen} is not an address of this machine alone",
        'Name the URL under which clients reach the server: issuer = "https://as.example.com".',
    )


def _check_secure(settings: Settings) -> None:
    """SEC-OPS-01, -02: what is insecure stays on loopback. There is no way around it."""
    if settings.is_loopback():
        return
    for insecure, key, problem, fix in (
        (
            settings.issuer.startswith("http://"),
            "issuer",
            "is http, which is allowed on loopback only",
            'Use "https://...", behind a proxy that ends TLS, or listen on 127.0.0.1.',
        ),
        (settings.debug, "server.debug", "is on beyond loopback", "Turn it off."),
        (settings.demo, "demo", "runs on loopback only", "Use `abeyance serve`."),
    ):
        if insecure:
            raise ConfigurationError(key, problem, fix)


def _host(issuer: str) -> str:
    return urlsplit(issuer).hostname or ""


def _read_store(told: File, sources: Sources) -> Store:
    if told.store.memory_requests < 1:
        raise ConfigurationError("store.memory_requests", "is less than 1", "Use 1 or more.")
    if told.store.path is not None:
        path = sources.resolve("store.path", told.store.path)
    else:
        path = sources.resolve("data", told.data) / "abeyance.db"
    return Store(path=path, memory_requests=told.store.memory_requests)


def _read_limits(table: LimitsTable) -> Limits:
    for name in ("open_requests_per_client", "creations_per_second", "creations_burst"):
        if not 0 < getattr(table, name) < 1e9:
            raise ConfigurationError(f"limits.{name}", "is out of range", "Use 1 or more.")
    return Limits(
        open_requests_per_client=table.open_requests_per_client,
        creations_per_second=table.creations_per_second,
        creations_burst=table.creations_burst,
    )


def _read_scopes(told: File) -> Mapping[str, str]:
    for name, meaning in told.scopes.items():
        check_scope_token(f"scopes[{name}]", name)
        _check_meaning(f"scopes[{name}]", meaning)
    return told.scopes


def _read_resources(told: File) -> Mapping[str, str]:
    for uri, meaning in told.resources.items():
        try:
            parse_resources((uri,))
        except InvalidTarget:
            raise ConfigurationError(
                f"resources[{uri}]",
                "is not an absolute URI without fragment",
                'Write it as "https://api.example.com".',
            ) from None
        _check_meaning(f"resources[{uri}]", meaning)
    return told.resources


def _check_meaning(key: str, meaning: str) -> None:
    if not meaning.strip() or not meaning.isprintable() or len(meaning) > 200:
        raise ConfigurationError(
            key,
            "has no meaning that a reviewer could read",
            "Say in up to 200 characters what it allows.",
        )

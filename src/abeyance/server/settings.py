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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from abeyance.access.details import DetailsTypes
from abeyance.access.resources import parse_resources
from abeyance.access.scope import Scope
from abeyance.oauth.metadata import Endpoints
from abeyance.oauth.openid import USERINFO_MEANING, OpenId
from abeyance.parties.client import Client
from abeyance.parties.person import Person
from abeyance.parties.trust import Trust
from abeyance.pending.interaction import Step
from abeyance.pending.quota import Quota
from abeyance.policy.decider import Decider
from abeyance.policy.steps import OperatorStep
from abeyance.server.admin import scopes as admin
from abeyance.server.proxies import Network
from abeyance.server.settings_fapi import check_file
from abeyance.server.settings_file import File, LimitsTable
from abeyance.server.settings_interactions import read_steps
from abeyance.server.settings_management import Managed, read_management
from abeyance.server.settings_mtls import Mtls, read_mtls
from abeyance.server.settings_notices import Notices, read_notices
from abeyance.server.settings_openid import identity_scopes, read_openid
from abeyance.server.settings_outbound import Outbound, read_outbound
from abeyance.server.settings_parties import (
    Known,
    check_scope,
    check_scope_token,
    read_clients,
    read_people,
)
from abeyance.server.settings_policy import Lifetimes as Lifetimes
from abeyance.server.settings_policy import importable, read_lifetimes, read_policy, read_types
from abeyance.server.settings_registration import RegistrationTerms, read_registration
from abeyance.server.settings_retention import read_retention
from abeyance.server.settings_sources import Sources, gather
from abeyance.server.settings_trust import read_trust
from abeyance.server.settings_values import Caution as Caution
from abeyance.server.settings_values import ConfigurationError as ConfigurationError
from abeyance.server.settings_values import Listen as Listen
from abeyance.server.settings_values import (
    is_loopback,
    parse_issuer,
    parse_listen,
    parse_proxy,
    read_secret_file,
)
from abeyance.store.ports import Retention
from abeyance.wire.errors import InvalidTarget
from abeyance.wire.secret import Secret

MOST_HELD_POLLS: Final = 100_000
MOST_WORKERS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A file, or the `url` of a PostgreSQL database, which may hold a password.

    `memory_requests` bounds how many waiting requests are kept at hand as well.
    """

    path: Path
    url: Secret | None = field(repr=False)
    memory_requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    open_requests: Quota
    creations_per_second: float
    creations_burst: int
    held_polls: int  # in all; 0: none is held
    held_polls_per_client: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a server is told. Never printed as a whole: it holds password hashes."""

    issuer: str
    listen: Listen
    workers: int  # processes that serve together
    management: Managed
    trusted_proxies: tuple[Network, ...]
    debug: bool
    log_format: str
    tracing: bool
    demo: bool
    data: Path
    store: Store
    lifetimes: Lifetimes
    limits: Limits
    retention: Retention
    outbound: Outbound
    notices: Notices
    registration: RegistrationTerms
    require_nonce: bool
    first_party_apps: bool
    device_authorization: bool
    device_without_deferral: str
    require_pushed: bool
    require_signed: bool
    interaction_profile: bool
    refresh_deferral: bool
    stale_with_any_end: bool
    steps: Mapping[str, Step]
    operator_steps: Mapping[str, OperatorStep]
    scopes: Mapping[str, str]  # name to meaning
    default_scope: Scope
    resources: Mapping[str, str]  # registered URI to meaning
    types: DetailsTypes
    people: tuple[Person, ...]
    clients: tuple[Client, ...]
    decider: Decider
    trust: Trust
    fapi: bool  # the FAPI 2.0 Security Profile is on
    mtls: Mtls | None  # certificates of clients, where they are looked at
    openid: OpenId | None  # OpenID Connect, where it is switched on
    known: Known  # what a client that is registered later may refer to
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
    issuer = _read_issuer(told, listen)
    scopes, resources = _read_scopes(told), _read_resources(told, issuer)
    types = read_types(told, sources)
    loopback = listen.is_loopback() and is_loopback(_host(issuer))
    outbound = read_outbound(told.outbound, sources, issuer, loopback=loopback)
    people = read_people(told, sources)
    with importable(told, sources):
        steps = read_steps(told)
    known = Known(
        sources=sources,
        scopes=scopes,
        resources=resources,
        types=types,
        people={person.id: person for person in people},
        steps=steps.steps,
        default_scope=check_scope("default_scope", told.default_scope, scopes),
        openid=read_openid(told, warnings),
        userinfo=Endpoints(issuer).userinfo,
        reach=outbound.reach,
        fapi=told.profile is not None,
        mtls=told.mtls.enabled,
        warnings=warnings,
    )
    lifetimes = read_lifetimes(told)
    if told.profile is not None:
        check_file(told, lifetimes.code)
    decider = read_policy(told, known, lifetimes)
    settings = Settings(
        issuer=issuer,
        listen=listen,
        workers=_read_workers(told),
        management=read_management(told, listen, warnings),
        trusted_proxies=tuple(
            parse_proxy("server.trusted_proxies", text) for text in told.server.trusted_proxies
        ),
        debug=told.server.debug,
        log_format=told.server.log_format,
        tracing=told.server.tracing,
        demo=demo,
        data=sources.resolve("data", told.data),
        store=_read_store(told, sources),
        lifetimes=lifetimes,
        limits=_read_limits(told.limits),
        retention=read_retention(told, lifetimes, decider),
        outbound=outbound,
        notices=read_notices(told.notices, sources),
        registration=read_registration(told.registration, known),
        require_nonce=told.dpop.require_nonce,
        first_party_apps=told.first_party_apps,
        device_authorization=told.device_authorization,
        device_without_deferral=told.device_without_deferral,
        fapi=told.profile is not None,
        require_pushed=told.require_pushed_authorization_requests or told.profile is not None,
        require_signed=told.require_signed_request_object,
        interaction_profile=told.interaction_profile,
        refresh_deferral=told.refresh_deferral,
        stale_with_any_end=told.stale_session == "any",
        steps=steps.steps,
        operator_steps=steps.operators,
        scopes=scopes,
        default_scope=known.default_scope,
        resources=resources,
        types=types,
        people=people,
        clients=read_clients(told, known),
        decider=decider,
        trust=read_trust(told, known, issuer),
        mtls=read_mtls(told, sources, issuer, warnings),
        openid=known.openid,
        known=known,
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


def _read_workers(told: File) -> int:
    key, workers = "server.workers", told.server.workers
    if not 1 <= workers <= MOST_WORKERS:
        raise ConfigurationError(
            key, f"is not between 1 and {MOST_WORKERS}", "Use as many as there are processors."
        )
    if workers > 1 and told.store.url is None and told.store.url_file is None:
        raise ConfigurationError(
            key,
            "is more than 1, and SQLite is for one process: it keeps what polls need in memory, "
            "and two would not agree",
            "Name a PostgreSQL database in store.url, or use 1.",
        )
    return workers


def _read_store(told: File, sources: Sources) -> Store:
    if told.store.memory_requests < 1:
        raise ConfigurationError("store.memory_requests", "is less than 1", "Use 1 or more.")
    if told.store.path is not None:
        path = sources.resolve("store.path", told.store.path)
    else:
        path = sources.resolve("data", told.data) / "abeyance.db"
    url = _read_store_url(told, sources)
    return Store(path=path, url=url, memory_requests=told.store.memory_requests)


def _read_store_url(told: File, sources: Sources) -> Secret | None:
    store = told.store
    said = [name for name in ("path", "url", "url_file") if getattr(store, name) is not None]
    if len(said) > 1:
        both = " and ".join(f"store.{name}" for name in said)
        raise ConfigurationError(both, "say where to keep things, each", "Choose one of them.")
    key, text = "store.url", store.url
    if store.url_file is not None:
        key = "store.url_file"
        text = read_secret_file(key, sources.resolve(key, store.url_file))
    if text is None:
        return None
    if not text.startswith(("postgresql://", "postgres://")):
        raise ConfigurationError(
            key, "is no URL of a PostgreSQL database", 'Write "postgresql://user@host/name".'
        )
    return Secret(text)


def _read_limits(table: LimitsTable) -> Limits:
    for name in (
        "open_requests_per_client", "open_requests_per_person", "open_requests_per_reviewer",
        "creations_per_second", "creations_burst",
    ):  # fmt: skip
        if not 0 < getattr(table, name) < 1e9:
            raise ConfigurationError(f"limits.{name}", "is out of range", "Use 1 or more.")
    for name, least in (("held_polls", 0), ("held_polls_per_client", 1)):
        if not least <= getattr(table, name) <= MOST_HELD_POLLS:
            raise ConfigurationError(
                f"limits.{name}", "is out of range", f"Use {least} to {MOST_HELD_POLLS:,}."
            )
    return Limits(
        held_polls=table.held_polls,
        held_polls_per_client=table.held_polls_per_client,
        open_requests=Quota(
            client=table.open_requests_per_client,
            person=table.open_requests_per_person,
            reviewer=table.open_requests_per_reviewer,
        ),
        creations_per_second=table.creations_per_second,
        creations_burst=table.creations_burst,
    )


def _read_scopes(told: File) -> Mapping[str, str]:
    for name, meaning in told.scopes.items():
        check_scope_token(f"scopes[{name}]", name)
        _check_meaning(f"scopes[{name}]", meaning)
        if name in admin.SCOPES:
            raise ConfigurationError(
                f"scopes[{name}]", "is a scope of the admin API", "Leave it out: it is there."
            )
    return {**identity_scopes(told), **told.scopes, **admin.SCOPES}


def _read_resources(told: File, issuer: str) -> Mapping[str, str]:
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
        for ours, what in (
            (Endpoints(issuer).admin, "the admin API"),
            (Endpoints(issuer).userinfo, "the UserInfo endpoint"),
        ):
            if uri == ours:
                raise ConfigurationError(
                    f"resources[{uri}]", f"is {what}", "Leave it out: it is there."
                )
    resources = {**told.resources, Endpoints(issuer).admin: admin.MEANING}
    if told.openid.enabled:
        resources[Endpoints(issuer).userinfo] = USERINFO_MEANING
    return resources


def _check_meaning(key: str, meaning: str) -> None:
    if not meaning.strip() or not meaning.isprintable() or len(meaning) > 200:
        raise ConfigurationError(
            key,
            "has no meaning that a reviewer could read",
            "Say in up to 200 characters what it allows.",
        )

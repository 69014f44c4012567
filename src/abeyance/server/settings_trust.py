"""Whom the server believes, and what may be exchanged: from tables to records.

What is not written down is refused; a table that could not allow anything, or that would allow
more than its writer can have meant, stops the start (OAUTH-TX-04, OAUTH-JWTB-02).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from abeyance.access.resources import parse_resources
from abeyance.access.scope import parse_scope
from abeyance.oauth import fapi
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId, is_person_id
from abeyance.parties.trust import AssertionTarget, Exchange, Trust, TrustedIssuer, Use
from abeyance.proofs.jws import SIGNING_ALGORITHMS
from abeyance.server.settings_fapi import INSTEAD, SWITCH
from abeyance.server.settings_file import (
    AssertionTargetTable,
    ExchangeTable,
    File,
    TrustedIssuerTable,
)
from abeyance.server.settings_keys import parse_keys
from abeyance.server.settings_outbound import check_target
from abeyance.server.settings_parties import Known, check_scope
from abeyance.server.settings_sources import did_you_mean
from abeyance.server.settings_values import ConfigurationError, parse_bounded, parse_issuer
from abeyance.wire import names
from abeyance.wire.errors import InvalidScope, InvalidTarget

LONGEST_ASSERTION: Final = timedelta(hours=1)
LONGEST_SIGN_IN: Final = timedelta(days=30)

_TYPES: Final[Mapping[str, str]] = {
    "access_token": names.URN_ACCESS_TOKEN,
    "refresh_token": names.URN_REFRESH_TOKEN,
    "id_token": names.URN_ID_TOKEN,
    "jwt": names.URN_JWT,
}
_USES: Final = tuple(str(use) for use in Use)


def read_trust(told: File, known: Known, own_issuer: str) -> Trust:
    """Read `[[trusted_issuers]]`, `[[exchanges]]` and `[[assertion_targets]]`."""
    issuers = [_issuer(table, known, own_issuer) for table in told.trusted_issuers]
    for issuer in issuers:
        if sum(each.issuer == issuer.issuer for each in issuers) > 1:
            raise ConfigurationError(
                f"trusted_issuers[{issuer.issuer}]", "is declared twice", "Keep one of them."
            )
    return Trust(
        issuers={issuer.issuer: issuer for issuer in issuers},
        exchanges=tuple(
            _exchange(f"exchanges[{index}]", table, known)
            for index, table in enumerate(told.exchanges)
        ),
        targets=tuple(_target(table, known, own_issuer) for table in told.assertion_targets),
    )


def _issuer(table: TrustedIssuerTable, known: Known, own_issuer: str) -> TrustedIssuer:
    key = f"trusted_issuers[{table.issuer}]"
    issuer = parse_issuer(f"{key}.issuer", table.issuer)
    if issuer == own_issuer:
        raise ConfigurationError(
            f"{key}.issuer", "is this server itself", "Nothing that it signs is an assertion here."
        )
    keys = parse_keys(key, table.jwks, table.jwks_file, known.sources, known.warnings)
    jwks_uri = check_target(f"{key}.jwks_uri", table.jwks_uri, known.reach)
    if keys is not None and jwks_uri is not None:
        raise ConfigurationError(
            f"{key}.jwks_uri", "is given beside keys", "Leave out jwks and jwks_file, or this."
        )
    if keys is None and jwks_uri is None:
        raise ConfigurationError(
            f"{key}.jwks_file",
            "is missing",
            "Name the file with the issuer's public keys, or jwks_uri, where it publishes them.",
        )
    for tenant in table.tenants:
        if not tenant:
            raise ConfigurationError(f"{key}.tenants", "has an empty one", "Leave it out.")
    if table.subjects == "listed" and not table.people:
        raise ConfigurationError(
            f"{key}.people",
            "is empty, so its assertions are about nobody",
            'List people, or write subjects = "same" if its subjects are our sign-in names.',
        )
    if table.tenants and table.subjects == "listed":
        raise ConfigurationError(
            f"{key}.tenants", "has no use with a list of people", "Name the tenant of each person."
        )
    return TrustedIssuer(
        issuer=issuer,
        uses=frozenset(Use(use) for use in _chosen(f"{key}.uses", table.uses, _USES)),
        algorithms=_algorithms(f"{key}.algorithms", table.algorithms, known),
        clients=_clients(key, table.clients),
        keys=keys,
        jwks_uri=jwks_uri,
        keys_until=_instant(f"{key}.keys_until", table.keys_until),
        scope=None
        if table.scope is None
        else check_scope(f"{key}.scope", table.scope, known.scopes),
        people={
            (each.tenant, each.subject): _person(f"{key}.people", each.person)
            for each in table.people
        },
        same_names=table.subjects == "same",
        tenants=frozenset(table.tenants) if table.tenants else frozenset({None}),
        max_life=parse_bounded(
            f"{key}.max_life",
            table.max_life,
            at_least=timedelta(seconds=10),
            at_most=LONGEST_ASSERTION,
        ),
        consents=table.consent == "issuer",
        public_clients=table.public_clients,
        token_endpoint_audience=table.token_endpoint_audience,
    )


def _algorithms(key: str, told: Sequence[str] | None, known: Known) -> frozenset[str]:
    """By which an issuer may sign: what it is held to, or whatever clients may sign with."""
    allowed = fapi.ALGORITHMS if known.fapi else SIGNING_ALGORITHMS
    if told is None:
        return allowed
    chosen = frozenset(_chosen(key, told, sorted(SIGNING_ALGORITHMS)))
    if not chosen <= allowed:
        raise ConfigurationError(key, f"contradicts {SWITCH}", INSTEAD)
    return chosen


def _exchange(key: str, table: ExchangeTable, known: Known) -> Exchange:
    if not table.actor_tokens and not table.impersonate:
        raise ConfigurationError(
            f"{key}.actor_tokens",
            "is empty, and impersonate is off: nothing could be exchanged",
            "Name the tokens by which an actor says who acts.",
        )
    for resource in table.resources:
        if resource not in known.resources:
            raise ConfigurationError(
                f"{key}.resources",
                f"names {resource!r}, which is not declared",
                did_you_mean(resource, known.resources, "Declare it in [resources]."),
            )
    actors = [name for name in _TYPES if name != "refresh_token"]
    return Exchange(
        clients=_clients(key, table.clients),
        subject_types=_types(f"{key}.subject_tokens", table.subject_tokens, list(_TYPES)),
        actor_types=_types(f"{key}.actor_tokens", table.actor_tokens, actors, empty=True),
        impersonates=table.impersonate,
        resources=frozenset(table.resources),
        scope=check_scope(f"{key}.scope", table.scope, known.scopes),
    )


def _target(table: AssertionTargetTable, known: Known, own_issuer: str) -> AssertionTarget:
    """Scopes and resources there are not ours, so only their form is judged."""
    key = f"assertion_targets[{table.issuer}]"
    issuer = parse_issuer(f"{key}.issuer", table.issuer)
    if issuer == own_issuer:
        raise ConfigurationError(
            f"{key}.issuer", "is this server itself", "An assertion is for another server."
        )
    try:
        scope = parse_scope(" ".join(table.scope)) if table.scope else frozenset[str]()
        resources = parse_resources(tuple(table.resources))
    except (InvalidScope, InvalidTarget) as error:
        raise ConfigurationError(
            key, "has a scope or resource that is none", f"{error.description}."
        ) from None
    if not scope:
        raise ConfigurationError(
            f"{key}.scope", "is empty", "Name what may be asked at that server."
        )
    for name in table.authorization_details_types:
        if name not in known.types.names():
            raise ConfigurationError(
                f"{key}.authorization_details_types",
                f"names the type {name!r}, which is not declared",
                did_you_mean(name, known.types.names(), "See authorization_details_types."),
            )
    clients = _clients(key, table.clients)
    for client in table.client_ids:
        if client not in clients:
            raise ConfigurationError(
                f"{key}.client_ids", f"names {client!r}, who is not among the clients", "Add it."
            )
    return AssertionTarget(
        issuer=issuer,
        clients=clients,
        client_ids={ClientId(ours): theirs for ours, theirs in table.client_ids.items()},
        scope=scope,
        resources=resources,
        details_types=frozenset(table.authorization_details_types),
        max_age=None
        if table.max_age is None
        else parse_bounded(
            f"{key}.max_age",
            table.max_age,
            at_least=timedelta(seconds=10),
            at_most=LONGEST_SIGN_IN,
        ),
    )


def _types(
    key: str, told: Sequence[str], known: Sequence[str], *, empty: bool = False
) -> frozenset[str]:
    if not told and empty:
        return frozenset()
    return frozenset(_TYPES[name] for name in _chosen(key, told, known))


def _chosen(key: str, told: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    if not told:
        raise ConfigurationError(key, "is empty", f"Name one or more of {', '.join(known)}.")
    for name in told:
        if name not in known:
            raise ConfigurationError(
                key,
                f"names {name!r}",
                did_you_mean(name, known, f"Choose from {', '.join(known)}."),
            )
    return told


def _clients(key: str, told: Sequence[str]) -> frozenset[ClientId]:
    if not told:
        raise ConfigurationError(f"{key}.clients", "is empty", "Name the clients that may do this.")
    return frozenset(map(ClientId, told))


def _person(key: str, name: str) -> PersonId:
    if not is_person_id(name):
        raise ConfigurationError(
            key, f"{name!r} is not a sign-in name", "Use lower-case letters, digits and ._@+-."
        )
    return PersonId(name)


def _instant(key: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ConfigurationError(
            key, "is not an instant with its zone", 'Write it as "2027-01-31T00:00:00Z".'
        )
    return at

"""Whom this server believes about people, and who may exchange which tokens (RFC 7523, RFC 8693).

Nothing is believed and nothing may be exchanged but what stands here: deny is the
default (OAUTH-TX-04, OAUTH-JWTB-02). The operator writes it; no client can.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from abeyance.access.scope import Scope
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.proofs.jwk import KeySet


class Use(StrEnum):
    """What an issuer is believed for."""

    JWT_BEARER = "jwt-bearer"
    ID_JAG = "id-jag"
    SUBJECT = "subject_token"
    ACTOR = "actor_token"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIssuer:
    """An issuer whose signed word for a person is taken.

    Keys are `keys`, valid until `keys_until`, or those at `jwks_uri`. `people` maps
    (tenant, subject) to a person; with `same_names` a subject that is not listed is the
    person of that id, in one of `tenants` (`None`: no tenant). `clients` may bring its
    assertions, for at most `scope`. `max_life`: how far ahead `exp` may lie. `consents`:
    it also vouches that the person agreed; otherwise the person is asked here.
    `public_clients`, `token_endpoint_audience`: what is refused unless the operator
    wants it.
    """

    issuer: str
    uses: frozenset[Use]
    algorithms: frozenset[str]
    clients: frozenset[ClientId]
    keys: KeySet | None = None
    keys_until: datetime | None = None
    jwks_uri: str | None = None
    scope: Scope | None = None
    people: Mapping[tuple[str | None, str], PersonId] = field(default_factory=dict)
    same_names: bool = False
    tenants: frozenset[str | None] = frozenset({None})
    max_life: timedelta = timedelta(minutes=5)
    consents: bool = False
    public_clients: bool = False
    token_endpoint_audience: bool = False

    def person_of(self, tenant: str | None, subject: str) -> PersonId | None:
        """The one person that this subject stands for (OAUTH-JWTB-03, EXT-IDJAG-07).

        Never by an e-mail address or a name that the issuer adds.
        """
        listed = self.people.get((tenant, subject))
        if listed is not None:
            return listed
        return PersonId(subject) if self.same_names and tenant in self.tenants else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What these clients may exchange.

    `subject_types` and `actor_types` are token types of RFC 8693 §3; without an actor
    the client would pose as the subject, which `impersonates` allows. `resources` and
    `scope` are all that the result may have beyond its subject token.
    """

    clients: frozenset[ClientId]
    subject_types: frozenset[str]
    actor_types: frozenset[str] = frozenset()
    impersonates: bool = False
    resources: frozenset[str] = frozenset()
    scope: Scope = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionTarget:
    """Another authorization server for which these clients may get ID-JAGs.

    `client_ids`: what a client is called there, if not the same. `scope`, `resources`
    and `details_types` are what may be asked there. `max_age`: how long ago the person
    may have signed in.
    """

    issuer: str
    clients: frozenset[ClientId]
    client_ids: Mapping[ClientId, str] = field(default_factory=dict)
    scope: Scope = frozenset()
    resources: frozenset[str] = frozenset()
    details_types: frozenset[str] = frozenset()
    max_age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Trust:
    """All of it, as the configuration says it."""

    issuers: Mapping[str, TrustedIssuer] = field(default_factory=dict)
    exchanges: tuple[Exchange, ...] = ()
    targets: tuple[AssertionTarget, ...] = ()

    def is_used_for(self, *uses: Use) -> bool:
        """Is any issuer believed for one of these?"""
        return any(not each.uses.isdisjoint(uses) for each in self.issuers.values())

    def exchange_for(
        self, client: ClientId, subject_type: str, actor_type: str | None
    ) -> Exchange | None:
        """What allows this client to exchange these kinds of tokens, if anything does."""
        for each in self.exchanges:
            if client in each.clients and subject_type in each.subject_types:
                allowed = (
                    each.impersonates if actor_type is None else actor_type in each.actor_types
                )
                if allowed:
                    return each
        return None

    def target_for(self, client: ClientId, issuer: str) -> AssertionTarget | None:
        """May this client get an ID-JAG for that server?"""
        for each in self.targets:
            if client in each.clients and issuer == each.issuer:
                return each
        return None

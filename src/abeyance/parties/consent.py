"""What a person lets a client do: asked once, listed, withdrawn (OAUTH-AUTHZ-12, OAUTH-CLI-06)."""

from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import NewType, TypeAlias

from abeyance.access.access import Access
from abeyance.access.scope import Scope
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId

ConsentId = NewType("ConsentId", str)
Pairs: TypeAlias = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """The sum of what one person agreed to for one client.

    `id` is new after a withdrawal, so that what rests on the old consent is known
    to have lost its ground. `pairs`: which scope they agreed to at which resource; `None`, of
    an older one: each at each. `authorization_details` are asked each time and never
    remembered: each names an act of its own.
    """

    id: ConsentId
    person: PersonId
    client: ClientId
    client_name: str
    scope: Scope
    resources: frozenset[str]
    granted_at: datetime
    confirmed_at: datetime
    pairs: Pairs | None = None

    @property
    def agreed(self) -> Pairs:
        """Which scope at which resource: two answers add up to no third."""
        return _pairs(self.scope, self.resources) if self.pairs is None else self.pairs

    def covers(self, asked: Access) -> bool:
        """Was all of this agreed to before?"""
        return (
            not asked.details
            and asked.scope <= self.scope
            and asked.resources <= self.resources
            and _pairs(asked.scope, asked.resources) <= self.agreed
        )


def agree(
    known: Consent | None,
    asked: Access,
    *,
    new: ConsentId,
    person: PersonId,
    client: ClientId,
    client_name: str,
    at: datetime,
) -> Consent:
    """What somebody will have agreed to with this, after what is `known`; `new` names it if
    there was nothing.
    """
    before = known.agreed if known else frozenset[tuple[str, str]]()
    return Consent(
        id=known.id if known else new,
        person=person,
        client=client,
        client_name=client_name,
        scope=asked.scope | (known.scope if known else frozenset()),
        resources=asked.resources | (known.resources if known else frozenset()),
        granted_at=known.granted_at if known else at,
        confirmed_at=at,
        pairs=before | _pairs(asked.scope, asked.resources),
    )


def _pairs(scope: Scope, resources: frozenset[str]) -> Pairs:
    return frozenset(product(scope, resources))

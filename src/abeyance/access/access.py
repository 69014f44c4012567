"""`Access`: everything that a request asks and a decision grants, in one value."""

from dataclasses import dataclass
from datetime import timedelta

from abeyance.access.canonical import canonical_json
from abeyance.access.details import Detail
from abeyance.access.scope import Scope, render_scope
from abeyance.wire.strict_json import JsonObject


@dataclass(frozen=True, slots=True)
class Access:
    """Four dimensions, each of which a decision may only narrow (DTR-INV-01).

    `lifetime` is how long an approval holds, counted from the decision; the
    tokens that come of it end no later (EXT-BOUND-01). It is not the life of an
    access token, nor of the waiting request.
    """

    scope: Scope
    resources: frozenset[str]
    details: tuple[Detail, ...]
    lifetime: timedelta

    def is_empty(self) -> bool:
        """Would this grant nothing at all?"""
        return not self.scope and not self.details

    def to_json(self) -> JsonObject:
        """The canonical members, in the order in which digests and storage need them."""
        return {
            "authorization_details": list(self.details),
            "lifetime": int(self.lifetime.total_seconds()),
            "resources": sorted(self.resources),
            "scope": render_scope(self.scope),
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Access) and canonical_json(self.to_json()) == canonical_json(
            other.to_json()
        )

    def __hash__(self) -> int:
        return hash(canonical_json(self.to_json()))

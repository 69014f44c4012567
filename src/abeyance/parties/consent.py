"""What a person lets a client do: asked once, listed, withdrawn (OAUTH-AUTHZ-12, OAUTH-CLI-06)."""

from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from abeyance.access.access import Access
from abeyance.access.scope import Scope
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId

ConsentId = NewType("ConsentId", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """The sum of what one person agreed to for one client.

    `id` is new after a withdrawal, so that what rests on the old consent is known
    to have lost its ground. `authorization_details` are asked each time and never
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

    def covers(self, asked: Access) -> bool:
        """Was all of this agreed to before?"""
        return not asked.details and asked.scope <= self.scope and asked.resources <= self.resources

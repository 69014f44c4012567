"""What protects reviewers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.refusals import Refusals
from abeyance.pending.request import Key
from abeyance.pending.standing import StandingApproval


class Reviewing(Protocol):
    """What protects reviewers. Refusals are hints: one that is lost costs a cool-down."""

    async def note_refusal(self, essence: bytes, *, at: datetime) -> None: ...
    async def find_refusals(self, essence: bytes, *, now: datetime) -> Refusals | None: ...
    async def forget_refusals(self, essence: bytes) -> None: ...

    async def find_standing(
        self, client: ClientId, subject: str, *, now: datetime
    ) -> Sequence[StandingApproval]:
        """Approvals that may answer a request of this client about this subject."""
        ...

    async def find_standing_at(self, key: Key) -> StandingApproval | None:
        """The approval memory of one request, whether or not it still stands."""
        ...

    async def list_standing(
        self, *, approver: PersonId | None, now: datetime, limit: int
    ) -> Sequence[StandingApproval]:
        """Those that still stand, of one approver or of all, the next to end first."""
        ...

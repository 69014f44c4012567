"""What waits to be sent."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from abeyance.pending.message import Claimed, Settled


class Outbox(Protocol):
    """Messages that wait to be sent; leases, so that nobody has to give anything back."""

    async def claim_messages(
        self, *, now: datetime, lease: datetime, limit: int
    ) -> Sequence[Claimed]:
        """What is due, the longest due first; nobody else gets it until `lease`. What is too
        late is forgotten.
        """
        ...

    async def is_claimed(self, claimed: Claimed) -> bool:
        """Is it still there, and of this claim? Not if it was suppressed, or another has it."""
        ...

    async def settle_message(self, claimed: Claimed, settled: Settled) -> None:
        """Nothing happens if the lease was over and another has claimed it, or it is gone."""
        ...

    async def next_message(self) -> datetime | None:
        """When something is due or too late next, by what is known now."""

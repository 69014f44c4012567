"""What is done once, under a key of its own."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from abeyance.pending.reservation import Reservation


@dataclass(frozen=True, slots=True)
class Remembered:
    """A call with an idempotency key: what was called, and the answer once there is one."""

    fingerprint: bytes
    answer: bytes | None


class Calls(Protocol):
    """Idempotency keys of the admin API; `key` is a digest of caller and key."""

    async def begin_call(
        self, key: bytes, fingerprint: bytes, *, now: datetime, until: datetime
    ) -> Remembered | None:
        """Remember the call; `None` if it is new, else what is remembered of it."""
        ...

    async def end_call(self, key: bytes, answer: bytes | None) -> None:
        """Keep the answer; `None` forgets the call, since nothing came of it."""
        ...


class Reservations(Protocol):
    """What must be unique under a key of its own (EXT-IDEMP-01, DEV-UC-02)."""

    async def reserve(self, wanted: Reservation, *, now: datetime) -> Reservation:
        """Write it unless its key is taken; the one that stands then, ours or another's."""
        ...

    async def find_reservation(self, key: bytes, *, now: datetime) -> Reservation | None: ...

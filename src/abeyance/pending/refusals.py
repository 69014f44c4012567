"""Asking again for what was refused (EXT-QUEUE-05, SEC-DOS-11).

What counts as the same is what a reviewer would decide on: who asks, for whom, which access.
Other words around it, another identifier or another key change nothing.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from abeyance.access.access import Access
from abeyance.access.canonical import canonical_json
from abeyance.access.details import TYPE, Detail, DetailsTypes
from abeyance.parties.client import ClientId

FREE: Final = 1  # refusals that cost no waiting
LONGEST: Final = timedelta(hours=24)
REMEMBERED: Final = timedelta(days=7)  # after the last refusal

_encode: Final = msgspec.json.Encoder().encode  # of lists and strings: one text for one value


@dataclass(frozen=True, slots=True)
class Refusals:
    """How often the same was refused, and when last."""

    count: int
    last_at: datetime

    def cools_until(self, first: timedelta) -> datetime:
        """When it may be asked again: `first` after the second refusal, doubling from there."""
        if self.count <= FREE:
            return self.last_at
        times: int = 2 ** min(self.count - FREE - 1, 20)
        return self.last_at + min(first * times, LONGEST)


def essence(client: ClientId, subject: str, asked: Access, types: DetailsTypes) -> bytes:
    """A digest of 32 bytes of what would be decided."""
    told = [
        client,
        subject,
        sorted(asked.scope),
        sorted(asked.resources),
        sorted(_facts(detail, types) for detail in asked.details),
    ]
    return hashlib.sha256(b"essence\0" + _encode(told)).digest()


def _facts(detail: Detail, types: DetailsTypes) -> str:
    """What the type itself says of an object; free text of the client's is no part of it."""
    name = str(detail[TYPE])
    if not types.accepts(detail):
        return canonical_json([name, dict(detail)]).decode()
    facts = types[name].render(detail).facts
    return _encode([name, [[fact.label, fact.value] for fact in facts if not fact.claim]]).decode()

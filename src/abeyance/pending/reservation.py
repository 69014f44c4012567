"""What must be unique under a key of its own points at a home.

Written before anything happens at that home, and harmless if nothing ever does: whoever
comes again with the same key goes on there.
"""

from dataclasses import dataclass
from datetime import datetime

from abeyance.pending.handles import Home


@dataclass(frozen=True, slots=True)
class Reservation:
    """`key` is a digest of 32 bytes; it is free again from `until` on."""

    key: bytes
    home: Home
    until: datetime

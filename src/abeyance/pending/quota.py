"""How much may wait at once, so that nobody's queue is flooded (EXT-QUEUE-01, SEC-DOS-06, -09)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The most open requests of one client, about one person (whichever client asks), and of
    one client before one reviewer.
    """

    client: int
    person: int = 2**31
    reviewer: int = 2**31

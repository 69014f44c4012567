"""When to poll next (DTR-POLL-02, -05, -06; readings 13, 14, 25, 29).

Pure. The bound is the server's interval and 5 s for each `slow_down`, kept for
good. Above it the pace stretches: the larger of the bound and `Retry-After`,
doubled with each poll in a row that got no usable answer, and up to a tenth of
jitter, upward only.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

DEFAULT_INTERVAL: Final = timedelta(seconds=5)
PENALTY: Final = timedelta(seconds=5)
BACK_OFF_CAP: Final = timedelta(minutes=2)
RETRY_AFTER_CAP: Final = timedelta(days=1)
JITTER: Final = 0.1
LAST_CHANCE: Final = timedelta(seconds=3)
"""How long before expiry the last poll leaves."""

OWN_LIMIT: Final = timedelta(days=7)
"""How long to wait if the server does not tell the life of the code (reading 25)."""


@dataclass(frozen=True, slots=True)
class Pace:
    """`failures` counts polls in a row without a usable answer."""

    interval: timedelta
    penalties: int = 0
    failures: int = 0
    retry_after: timedelta = timedelta()

    @property
    def bound(self) -> timedelta:
        """The least time between two polls."""
        return self.interval + self.penalties * PENALTY

    def answered(self, retry_after: timedelta | None) -> "Pace":
        return replace(self, failures=0, retry_after=retry_after or timedelta())

    def slowed(self, retry_after: timedelta | None) -> "Pace":
        return replace(self.answered(retry_after), penalties=self.penalties + 1)

    def failed(self, retry_after: timedelta | None) -> "Pace":
        return replace(self, failures=self.failures + 1, retry_after=retry_after or timedelta())

    def delay(self, jitter: float) -> timedelta:
        """How long to wait after the last poll; `jitter` is from 0 up to 1."""
        wanted = max(self.bound, min(self.retry_after, RETRY_AFTER_CAP))
        if self.failures:
            # Capped before it is multiplied: the exponent may grow without end.
            doubled = self.bound * 2 ** min(self.failures, 16)
            wanted = max(wanted, min(doubled, BACK_OFF_CAP))
        return wanted * (1 + JITTER * jitter)


def next_poll(
    pace: Pace, *, now: float, expires: float, first: bool, jitter: float
) -> float | None:
    """The tick of the next poll, or `None` if none fits before `expires`.

    Where no second poll would fit after the wanted one, it moves to shortly
    before the end, so that a late decision is still collected (DTR-POLL-05).
    Not even then does it come sooner than the bound allows; a longer
    `Retry-After` or back-off yields to this last chance. The first poll has no
    poll before it, so no bound holds it back (reading 14).
    """
    bound = pace.bound.total_seconds()
    wanted = now + pace.delay(jitter).total_seconds()
    last = expires - LAST_CHANCE.total_seconds()
    if wanted + bound > last:
        wanted = max(last, now if first else now + bound)
    return wanted if wanted < expires else None

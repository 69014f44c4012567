"""What the library takes from the world besides the network and sleep: time and chance.

Waiting goes by `tick` (monotonic), so that a wall clock that is wrong or jumps
neither hurries nor ends anything; `now` is used for what leaves the process:
proofs, assertions, the end of a token, a saved expiry.
"""

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_CHANCE: Final = random.SystemRandom()


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _identifier() -> str:
    return secrets.token_urlsafe(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Seams for tests and simulations; the defaults are the real ones.

    `now` gives aware UTC, `tick` monotonic seconds, `jitter` a number from 0 up
    to 1, `identifier` a fresh `jti` of at least 96 random bits, `random(n)` n
    random bytes.
    """

    now: Callable[[], datetime] = _utc_now
    tick: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = _CHANCE.random
    identifier: Callable[[], str] = _identifier
    random: Callable[[int], bytes] = secrets.token_bytes

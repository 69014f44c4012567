"""What replay memory keeps of a proof or an assertion: a digest, and until when.

Source: OAUTH-DPOP-12, OAUTH-CAUTH-17, OAUTH-SEC-09. The memory itself, and who
was first, is `volatile.replay`.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

# Claims carry floats: what they lose must not open a gap between memory and window.
_ROUNDING: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class ReplayMark:
    """Names one use of one proof; after `until` (aware UTC) the proof itself is refused."""

    digest: bytes
    until: datetime


def replay_mark(
    kind: Literal["proof", "assertion", "request_object"], *parts: str, jti: str, until: datetime
) -> ReplayMark:
    """Mark the use of `jti` within `parts`, which never contain NUL; `jti` may."""
    named = "\0".join((kind, *parts, jti))
    return ReplayMark(hashlib.sha256(named.encode()).digest(), until + _ROUNDING)

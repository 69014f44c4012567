"""`Prefer: wait=N`: how long a caller would wait (RFC 7240 §4.3, EXT-WAIT-01)."""

import re
from collections.abc import Sequence
from typing import Final

_MAX_FIELD: Final = 256  # bytes; whoever prefers more than that is not heard
_WAIT = re.compile(
    rb'(?:^|,)[ \t]*wait[ \t]*=[ \t]*"?([0-9]{1,9})"?[ \t]*(?=[;,]|$)', re.IGNORECASE
)


def parse_wait(fields: Sequence[bytes]) -> int | None:
    """The seconds of the first `wait` that can be read, or `None`.

    A preference is a wish: one that is malformed is ignored, never an error (RFC 7240 §2).
    """
    for field in fields:
        found = _WAIT.search(field) if len(field) <= _MAX_FIELD else None
        if found is not None:
            return int(found[1])
    return None

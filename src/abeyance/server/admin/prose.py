"""What people write beside a decision: on one line, as the forms of the console make it.

A remark that reaches a client, and a note that reaches a person, has no control
characters, whichever way it came (SEC-UI-07, SEC-DOS-19).
"""

import re
import unicodedata
from typing import Final

from abeyance.server.admin.problems import unfit

_BREAKS: Final = re.compile(r"[\r\n]+")


def read_prose(text: str | None, member: str, *, at_most: int) -> str | None:
    """The text on one line; `None` if there is none. Raises `Problem`."""
    if text is None:
        return None
    line = _BREAKS.sub(" ", text).strip()
    if len(line) > at_most:
        raise unfit(f"{member} has at most {at_most} characters", member)
    if any(unicodedata.category(character) == "Cc" for character in line):
        raise unfit(f"{member} has a control character", member)
    return line or None

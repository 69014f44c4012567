"""Where somebody who must sign in first was headed: an identifier, never a URL (OAUTH-SESS-06).

Each kind has its own grammar and leads to one place of ours; what fits none is
dropped, so nothing that is sent can lead elsewhere.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What somebody wants to see or do."""

    REQUEST = "request"
    INTERACTION = "interaction"
    AUTHORIZATION = "authorization"
    DEVICE = "device"
    CONSOLE = "console"
    ACCOUNT = "account"


_GRAMMAR: Final = {
    Kind.REQUEST: (re.compile(r"[0-9a-f]{32}\.[1-9][0-9]{0,8}", re.ASCII), "/console/requests/{}"),
    Kind.INTERACTION: (re.compile(r"[A-Za-z0-9_-]{40,120}", re.ASCII), "/interact/{}"),
    Kind.AUTHORIZATION: (re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII), "/authorize/consent?tx={}"),
    Kind.DEVICE: (re.compile(r"[B-DF-HJ-NP-TV-XZ]{0,8}", re.ASCII), "/device?user_code={}"),
    Kind.CONSOLE: (re.compile(r"[a-z]{0,20}", re.ASCII), "/console/{}"),
    Kind.ACCOUNT: (re.compile(r"[a-z]{0,20}", re.ASCII), "/account/{}"),
}


@dataclass(frozen=True, slots=True)
class Destination:
    """A place below the issuer's path."""

    kind: Kind
    value: str

    def render(self) -> str:
        """As a form or a query carries it."""
        return f"{self.kind}:{self.value}"

    @property
    def path(self) -> str:
        return _GRAMMAR[self.kind][1].format(self.value)


def parse_destination(text: str | None) -> Destination | None:
    """What was carried, or `None` for anything that we would not have written."""
    name, colon, value = (text or "").partition(":")
    if not colon or name not in set(Kind):
        return None
    kind = Kind(name)
    return Destination(kind, value) if _GRAMMAR[kind][0].fullmatch(value) else None

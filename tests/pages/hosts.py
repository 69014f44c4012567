"""A host application in memory: who is signed in stands in a cookie of its own."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from abeyance.server.http import Scope
from abeyance.server.pages.host import HostPeople, HostPerson

COOKIE: Final = "host"
SIGNED_IN_AT: Final = datetime(2026, 11, 23, 11, 0, 0, tzinfo=UTC)


def told(who: str = "hana", **changes: object) -> HostPerson:
    fields: dict[str, object] = {
        "id": who,
        "name": "Hana Horvat",
        "signed_in_at": SIGNED_IN_AT,
        "session": "one",
        **changes,
    }
    return HostPerson(**fields)  # type: ignore[arg-type]


@dataclass(slots=True)
class Host(HostPeople):
    """`sessions` by cookie value; `fault` is what asking ends with."""

    sessions: dict[str, HostPerson] = field(default_factory=dict)
    fault: Exception | None = None
    hangs: bool = False

    async def who(self, scope: Scope) -> HostPerson | None:
        if self.fault is not None:
            raise self.fault
        if self.hangs:
            await asyncio.Event().wait()
        for name, value in scope["headers"]:
            if name == b"cookie":
                for pair in value.decode().split("; "):
                    cookie, _, session = pair.partition("=")
                    if cookie == COOKIE:
                        return self.sessions.get(session)
        return None

    def sign_in_url(self, return_to: str) -> str:
        return f"https://as.example/login?return_to={quote(return_to, safe='')}"

    def sign_out_url(self) -> str | None:
        return "/leave"

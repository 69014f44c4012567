"""The door of the demo: links that sign somebody in, so that nobody needs a password.

It stands in front of the server, which knows nothing of it, and only ever on the
loopback address of a demo (SEC-OPS-06). Each link opens once.
"""

import secrets
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse

from abeyance.parties.person import PersonId
from abeyance.server.app import Abeyance
from abeyance.server.http import Endpoint, Receive, Scope, Send
from abeyance.server.pages.sessions import Sessions
from abeyance.wire.secret import Secret

CONSOLE: Final = "/console/"
_PATH: Final = "/demo/"


class Door:
    """Makes links to one server; `before` puts them in front of it."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self._behind: dict[bytes, tuple[PersonId, str]] = {}

    def link(self, person: str, target: str) -> Secret:
        """A link that leads to `target`, a path of this server, and signs `person` in."""
        ticket = Secret(secrets.token_urlsafe(32))
        self._behind[ticket.digest()] = (PersonId(person), target)
        return Secret(f"{self.issuer}{_PATH}{ticket.reveal()}")

    def before(self, app: Abeyance) -> Endpoint:
        """An ASGI application in front of this one."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"].startswith(_PATH):
                await (await self._open(app, scope))(scope, receive, send)
            else:
                await app(scope, receive, send)

        return answer

    async def _open(self, app: Abeyance, scope: Scope) -> RedirectResponse:
        house, ticket = app.house, Secret(scope["path"].removeprefix(_PATH))
        found = self._behind.pop(ticket.digest(), None)
        person = None
        if house is not None and found is not None:
            person = await house.store.find_person(found[0])
        if house is None or found is None or person is None:
            return RedirectResponse(CONSOLE, 303)
        response = RedirectResponse(found[1], 303)
        sessions = Sessions(house, secure=False)
        sessions.give(response, await sessions.begin(sessions.meet(HTTPConnection(scope)), person))
        return response

"""The door of the demo: a link that signs the reviewer in, so that nobody needs a password.

It stands in front of the server, which knows nothing of it, and only ever on the
loopback address of a demo (SEC-OPS-06). It opens once.
"""

from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse

from abeyance.parties.person import PersonId
from abeyance.server.app import Abeyance
from abeyance.server.console.sessions import Sessions
from abeyance.server.http import Receive, Scope, Send
from abeyance.wire.secret import Secret


class Door:
    """An ASGI application in front of another."""

    PATH: Final = "/demo/"

    def __init__(self, app: Abeyance, ticket: Secret, person: PersonId) -> None:
        self._app = app
        self._digest: bytes | None = ticket.digest()
        self._person = person

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(self.PATH):
            await self._app(scope, receive, send)
            return
        house, shown = self._app.house, Secret(scope["path"].removeprefix(self.PATH))
        response = RedirectResponse("/console/", 303)
        if house is not None and self._digest is not None and shown.matches(self._digest):
            person = await house.store.find_person(self._person)
            if person is not None:
                self._digest = None
                sessions = Sessions(house, secure=False)
                visitor = sessions.meet(HTTPConnection(scope))
                sessions.give(response, await sessions.begin(visitor, person))
        await response(scope, receive, send)

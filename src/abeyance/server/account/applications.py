"""What I let applications do, and taking it back (OAUTH-CLI-06, OAUTH-AUTHZ-12)."""

from starlette.requests import Request
from starlette.responses import Response

from abeyance.acts import dispose
from abeyance.parties.client import ClientId
from abeyance.server.pages import guard
from abeyance.server.pages.desk import Desk
from abeyance.server.pages.destinations import Destination, Kind


async def show(desk: Desk, request: Request) -> Response:
    signed_in = await desk.admit(request, Destination(Kind.ACCOUNT, "applications"))
    consents = await desk.house.store.list_consents(person=signed_in.person.id)
    facts = {
        "area": "account",
        "part": "applications",
        "waiting_count": await desk.badge(signed_in),
        "consents": consents,
        "scopes": desk.house.scopes,
        "resources": desk.house.resources,
        "tokens": {
            consent.client: guard.mint_token(signed_in.cookie, _form(consent.client))
            for consent in consents
        },
    }
    return desk.page("account-applications.html", facts, signed_in=signed_in)


async def take_back(desk: Desk, request: Request) -> Response:
    """End what the application was given and what of it waits, before this is answered."""
    fields = await desk.read(request)
    signed_in = await desk.admit(request, Destination(Kind.ACCOUNT, "applications"))
    client = ClientId(fields.get("client", ""))
    guard.check_token(signed_in.cookie, _form(client), fields.get("csrf"))
    me = signed_in.person.id
    await dispose.withdraw_consent(desk.house, me, client, by=f"person:{me}")
    return desk.go("/account/applications")


def _form(client: ClientId) -> str:
    return f"consent:{client}"

"""Clients, for administrators: who may ask, and switching one off with all that waits for it."""

from starlette.requests import Request
from starlette.responses import Response

from abeyance.acts import dispose
from abeyance.acts.administer import enable_client
from abeyance.parties.client import ClientId
from abeyance.server.pages import guard, refusals
from abeyance.server.pages.desk import Desk
from abeyance.server.pages.destinations import Destination, Kind
from abeyance.server.pages.refusals import Refused
from abeyance.server.pages.sessions import SignedIn


async def show(desk: Desk, request: Request) -> Response:
    signed_in = await admit_administrator(desk, request, "clients")
    clients = await desk.house.store.list_clients()
    facts = {
        "area": "clients",
        "waiting_count": await desk.badge(signed_in),
        "clients": clients,
        "tokens": {
            client.id: guard.mint_token(signed_in.cookie, _form(client.id)) for client in clients
        },
    }
    return desk.page("clients.html", facts, signed_in=signed_in)


async def switch(desk: Desk, request: Request) -> Response:
    """Disable a client, which ends all that waits for it, or enable it again."""
    fields = await desk.read(request)
    signed_in = await admit_administrator(desk, request, "clients")
    name = str(request.path_params["id"])
    guard.check_token(signed_in.cookie, _form(name), fields.get("csrf"))
    client = await desk.house.store.find_client(ClientId(name))
    if client is None:
        raise Refused(refusals.NOT_FOUND)
    by = f"person:{signed_in.person.id}"
    match fields.get("to"):
        case "off" if client.enabled:
            await dispose.disable_client(desk.house, client, by=by)
        case "on" if not client.enabled:
            await enable_client(desk.house, client, by=by)
        case "off" | "on":
            pass  # somebody was faster
        case _:
            raise Refused(refusals.MALFORMED)
    return desk.go("/console/clients")


async def admit_administrator(desk: Desk, request: Request, page: str) -> SignedIn:
    """An administrator, or a page that is not there."""
    signed_in = await desk.admit(request, Destination(Kind.CONSOLE, page))
    if not signed_in.administers:
        raise Refused(refusals.NOT_FOUND)
    return signed_in


def _form(name: str) -> str:
    return f"client:{name}"

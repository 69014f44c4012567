"""What I have approved and is remembered, and taking it back (EXT-QUEUE-06)."""

from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from abeyance.acts import memory
from abeyance.pending.disclosure import disclose_access
from abeyance.pending.standing import StandingApproval
from abeyance.server.console.disclosed import Item, read_items
from abeyance.server.pages import guard, refusals
from abeyance.server.pages.desk import Desk, parse_request_id, render_request_id
from abeyance.server.pages.destinations import Destination, Kind
from abeyance.server.pages.refusals import Refused
from abeyance.server.pages.sessions import SignedIn


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One approval that answers by itself; `token` is for the form that takes it back."""

    id: str
    client: str
    subject: str
    approver: str
    items: tuple[Item, ...]
    approved_at: datetime
    until: datetime
    token: str


async def show(desk: Desk, request: Request) -> Response:
    signed_in = await _admit(desk, request)
    facts = {
        "area": "review",
        "waiting_count": await desk.badge(signed_in),
        "rows": [
            await _row(desk, signed_in, each)
            for each in await memory.list_memory(desk.house, signed_in.person)
        ],
        "me": signed_in.person.id,
    }
    return desk.page("approvals.html", facts, signed_in=signed_in)


async def end(desk: Desk, request: Request) -> Response:
    """Take one back: what was issued by it ends at once."""
    fields = await desk.read(request)
    signed_in = await _admit(desk, request)
    name = str(request.path_params["id"])
    guard.check_token(signed_in.cookie, _form(name), fields.get("csrf"))
    key = parse_request_id(name)
    if key is None or await desk.house.store.find_standing_at(key) is None:
        raise Refused(refusals.NOT_FOUND)
    await memory.take_back(desk.house, signed_in.person, key)
    return desk.go("/console/approvals")


async def _row(desk: Desk, signed_in: SignedIn, approval: StandingApproval) -> Row:
    house, name = desk.house, render_request_id(approval.key)
    client = await house.store.find_client(approval.client)
    shown = disclose_access(approval.granted, house.types, scopes=house.scopes)
    return Row(
        id=name,
        client=approval.client if client is None else client.name,
        subject=approval.subject,
        approver=approval.approver,
        items=read_items(shown),
        approved_at=approval.approved_at,
        until=approval.until,
        token=guard.mint_token(signed_in.cookie, _form(name)),
    )


async def _admit(desk: Desk, request: Request) -> SignedIn:
    signed_in = await desk.admit(request, Destination(Kind.CONSOLE, "approvals"))
    if not signed_in.reviews and not signed_in.administers:
        raise Refused(refusals.NOT_FOUND)
    return signed_in


def _form(name: str) -> str:
    return f"approval:{name}"

"""What was asked for me, or by a client that I answer for: what waits, for whom, until when."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from abeyance.acts import interact
from abeyance.acts.cancel import withdraw
from abeyance.acts.house import House
from abeyance.parties.person import Person
from abeyance.pending.request import Loaded
from abeyance.pending.states import AwaitingInteraction
from abeyance.server.console.listing import PAGE, Listed, list_page
from abeyance.server.pages import guard, refusals
from abeyance.server.pages.desk import Desk, parse_request_id, render_request_id
from abeyance.server.pages.destinations import Destination, Kind
from abeyance.server.pages.refusals import Refused
from abeyance.server.pages.sessions import SignedIn
from abeyance.store.ports import AsAsker, Ended, Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Mine:
    """One request. `step`: where I do what is missing. `token`: of the form that takes it back."""

    listed: Listed
    step: str | None
    token: str | None


async def enter(desk: Desk, request: Request) -> Response:
    return desk.go("/account/")


async def show(desk: Desk, request: Request) -> Response:
    """The newest first, page by page; what still waits can be taken back."""
    signed_in = await desk.admit(request, Destination(Kind.ACCOUNT, ""))
    cursor = request.query_params.get("cursor")
    wanted, now = Wanted(whose=AsAsker(signed_in.person.id)), desk.house.clock.now()
    try:
        page = await desk.house.store.list_requests(wanted, now=now, limit=PAGE, cursor=cursor)
    except ValueError:
        raise Refused(refusals.BAD_CURSOR) from None
    rows = [
        _mine(desk, signed_in, loaded, listed)
        for loaded, listed in zip(page.items, await list_page(desk.house, page), strict=True)
    ]
    facts = {
        "area": "account",
        "part": "requests",
        "waiting_count": await desk.badge(signed_in),
        "rows": rows,
        "next": page.next,
        "paged": cursor is not None,
    }
    return desk.page("account-requests.html", facts, signed_in=signed_in)


async def take_back(desk: Desk, request: Request) -> Response:
    """Withdraw a request, as its client could; what is decided already stays decided."""
    fields = await desk.read(request)
    signed_in = await desk.admit(request, Destination(Kind.ACCOUNT, ""))
    key = parse_request_id(str(request.path_params["id"]))
    loaded = None if key is None else await desk.house.store.find_loaded(key)
    if key is None or loaded is None or not _is_mine(signed_in.person, loaded):
        raise Refused(refusals.NOT_FOUND)
    guard.check_token(signed_in.cookie, _form(loaded), fields.get("csrf"))
    await withdraw(desk.house, key, by=f"person:{signed_in.person.id}")
    return desk.go("/account/")


def _mine(desk: Desk, signed_in: SignedIn, loaded: Loaded, listed: Listed) -> Mine:
    waits = listed.ended is Ended.WAITING
    return Mine(
        listed=listed,
        step=_step(desk.house, signed_in.person, loaded) if waits else None,
        token=guard.mint_token(signed_in.cookie, _form(loaded)) if waits else None,
    )


def _step(house: House, person: Person, loaded: Loaded) -> str | None:
    state = loaded.held.state
    if isinstance(state, AwaitingInteraction) and interact.may_act(person, loaded):
        return interact.address(house, loaded.held.key, state.number)
    return None


def _is_mine(person: Person, loaded: Loaded) -> bool:
    return person.id in (loaded.snapshot.person, loaded.snapshot.client_owner)


def _form(loaded: Loaded) -> str:
    return f"withdraw:{render_request_id(loaded.held.key)}"

"""What was asked of me, or of anybody: how it ended, who decided, when, and was it used."""

from typing import Any, Final

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.server.console.listing import PAGE, WORDS, list_page
from abeyance.server.pages import refusals
from abeyance.server.pages.desk import Desk
from abeyance.server.pages.destinations import Destination, Kind
from abeyance.server.pages.refusals import Refused
from abeyance.store.ports import AsReviewer, Ended, OfAll, Wanted

_MOST: Final = 100
_MAX_FILTER: Final = 200


async def show(desk: Desk, request: Request) -> Response:
    """The newest first, page by page; filters stand in the address, so they can be kept."""
    signed_in = await desk.admit(request, Destination(Kind.CONSOLE, "history"))
    if not (signed_in.reviews or signed_in.administers):
        raise Refused(refusals.NOT_FOUND)
    query, now, store = request.query_params, desk.house.clock.now(), desk.house.store
    everything = signed_in.administers and (query.get("whose") == "all" or not signed_in.reviews)
    whose = OfAll() if everything else AsReviewer(signed_in.person.id)
    wanted = _read_filter(query, whose)
    cursor = query.get("cursor")
    try:
        page = await store.list_requests(wanted, now=now, limit=PAGE, cursor=cursor)
    except ValueError:
        raise Refused(refusals.BAD_CURSOR) from None
    unfiltered = Wanted(whose=whose)
    hidden = 0
    if wanted != unfiltered:
        shown = await store.count_requests(wanted, now=now, at_most=_MOST)
        hidden = await store.count_requests(unfiltered, now=now, at_most=_MOST) - shown
    facts: dict[str, Any] = {
        "area": "history",
        "waiting_count": await desk.badge(signed_in),
        "rows": await list_page(desk.house, page),
        "next": page.next,
        "paged": cursor is not None,
        "everything": everything,
        "may_see_all": signed_in.administers and signed_in.reviews,
        "wanted": wanted,
        "hidden": hidden,
        "most": _MOST,
        "words": WORDS,
        "filters": {
            name: value
            for name in ("whose", "ended", "client", "by")
            if (value := query.get(name, ""))
        },
    }
    return desk.page("history.html", facts, signed_in=signed_in)


def _read_filter(query: QueryParams, whose: AsReviewer | OfAll) -> Wanted:
    ended, client, by = (query.get(name, "").strip() for name in ("ended", "client", "by"))
    if ended not in {"", *Ended} or max(len(client), len(by)) > _MAX_FILTER:
        raise Refused(refusals.MALFORMED)
    return Wanted(
        whose=whose,
        ended=Ended(ended) if ended else None,
        client=ClientId(client) if client else None,
        decided_by=PersonId(by) if by else None,
    )

"""What waits for me, oldest deadline first, page by page; complete without script.

Where script runs, the page asks for news: `wait` answers as soon as the list is not
the one that was seen, at the latest after a bounded wait.
"""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from abeyance.access.canonical import digest
from abeyance.parties.person import PersonId
from abeyance.pending.disclosure import disclose
from abeyance.pending.request import Loaded
from abeyance.server.console import news, refusals
from abeyance.server.console.desk import Desk, render_request_id
from abeyance.server.console.disclosed import Disclosed, read_object
from abeyance.server.console.refusals import Refused, SignInFirst
from abeyance.server.console.sessions import SignedIn
from abeyance.wire.strict_json import Json

PAGE: Final = 25
MOST_COUNTED: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One waiting request, in the list."""

    id: str
    shown: Disclosed
    is_own: bool  # its owner sees it, and somebody else decides it
    has_voted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One page of what waits. `digest` names what is on it, for the script."""

    items: tuple[Loaded, ...]
    count: int
    next: str | None
    digest: str

    @property
    def counted(self) -> str:
        return str(self.count) if self.count < MOST_COUNTED else f"{MOST_COUNTED - 1}+"


async def show(desk: Desk, request: Request) -> Response:
    # A page that fetches its own list again is no person at work.
    by_script = request.headers.get("sec-fetch-dest") == "empty"
    signed_in = await desk.admit(request, using=not by_script)
    cursor = request.query_params.get("cursor")
    waiting = await _list(desk, signed_in, cursor)
    facts = {
        "waiting": waiting,
        "rows": [_row(desk, loaded, signed_in.person.id) for loaded in waiting.items],
        "cursor": cursor,
        "reviews": signed_in.reviews,
    }
    return desk.page("inbox.html", facts, signed_in=signed_in, live=True)


async def wait(desk: Desk, request: Request) -> Response:
    """Answer with the list's digest once it differs from `seen`, or after a while.

    Asking does not count as use: an open page must not keep a session alive.
    """
    seen, cursor = request.query_params.get("seen"), request.query_params.get("cursor")
    looks = news.LOOKS
    while True:
        try:
            signed_in = await desk.admit(request, using=False)
        except SignInFirst:
            return JSONResponse({"signed_in": False}, 401)
        waiting, looks = await _list(desk, signed_in, cursor), looks - 1
        if waiting.digest != seen or not looks:
            break
        if not await news.wait_for_news(desk.house.waiters, request):
            break
    return JSONResponse({"signed_in": True, "seen": waiting.digest, "count": waiting.counted})


async def _list(desk: Desk, signed_in: SignedIn, cursor: str | None) -> Waiting:
    if not signed_in.reviews:
        return _waiting(signed_in.person.id, (), 0, None)
    store, me, now = desk.house.store, signed_in.person.id, desk.house.clock.now()
    try:
        page = await store.list_waiting(me, now=now, limit=PAGE, cursor=cursor)
    except ValueError:
        raise Refused(refusals.BAD_CURSOR) from None
    count = await store.count_waiting(me, now=now, at_most=MOST_COUNTED)
    return _waiting(me, page.items, count, page.next)


def _waiting(me: PersonId, items: tuple[Loaded, ...], count: int, following: str | None) -> Waiting:
    listed: list[Json] = [
        [render_request_id(loaded.held.key), _has_voted(loaded, me)] for loaded in items
    ]
    return Waiting(
        items=items,
        count=count,
        next=following,
        digest=digest([listed, count, following is not None]),
    )


def _row(desk: Desk, loaded: Loaded, me: PersonId) -> Row:
    house = desk.house
    disclosure = disclose(
        loaded.held,
        loaded.snapshot,
        house.types,
        issuer=house.endpoints.issuer,
        scopes=house.scopes,
    )
    return Row(
        id=render_request_id(loaded.held.key),
        shown=read_object(disclosure.object),
        is_own=loaded.snapshot.client_owner == me,
        has_voted=_has_voted(loaded, me),
    )


def _has_voted(loaded: Loaded, me: PersonId) -> bool:
    return any(ballot.voter == me for ballot in loaded.ballots)

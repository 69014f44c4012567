"""What waits for me, in turns, the nearest deadline first; complete without script.

What asks exactly the same stands on a page once; each is still decided by itself (EXT-QUEUE-02).

Where script runs, the page asks for news: `wait` answers as soon as the list is not
the one that was seen, at the latest after a bounded wait.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from abeyance.access.canonical import digest
from abeyance.parties.person import PersonId
from abeyance.pending.disclosure import disclose
from abeyance.pending.request import Loaded
from abeyance.server.console import standing
from abeyance.server.console.disclosed import Disclosed, read_object
from abeyance.server.console.listing import list_page
from abeyance.server.console.reach import rules_for, rules_without_reviewers
from abeyance.server.pages import news, refusals
from abeyance.server.pages.desk import Desk, render_count, render_request_id
from abeyance.server.pages.destinations import Destination, Kind
from abeyance.server.pages.refusals import Refused, SignInFirst
from abeyance.server.pages.sessions import SignedIn
from abeyance.store.ports import AsReviewer, Wanted
from abeyance.wire.strict_json import Json

PAGE: Final = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One waiting request, in the list; `same` are others on the page that ask the same."""

    id: str
    shown: Disclosed
    is_own: bool  # about them, or of their client: somebody else decides it
    has_voted: bool
    awaits_step: bool
    same: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One page of what waits. `digest` names what is on it, for the script."""

    items: tuple[Loaded, ...]
    count: int
    next: str | None
    digest: str

    @property
    def counted(self) -> str:
        return render_count(self.count)


async def enter(desk: Desk, request: Request) -> Response:
    return desk.go("/console/")


async def show(desk: Desk, request: Request) -> Response:
    # A page that fetches its own list again is no person at work.
    by_script = request.headers.get("sec-fetch-dest") == "empty"
    signed_in = await desk.admit(request, Destination(Kind.CONSOLE, ""), using=not by_script)
    cursor = request.query_params.get("cursor")
    waiting = await _list(desk, signed_in, cursor)
    facts = {
        "area": "review",
        "waiting": waiting,
        "waiting_count": waiting.counted if waiting.count else None,
        "rows": [_row(desk, each, signed_in.person.id) for each in _collapse(waiting.items)],
        "cursor": cursor,
        "reviews": signed_in.reviews,
        "lost_rules": await rules_without_reviewers(desk.house) if signed_in.administers else (),
    }
    if not waiting.items:
        facts |= await _teach(desk, signed_in)
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
    count = await desk.count_waiting(signed_in)
    return _waiting(me, page.items, count, page.next)


def _waiting(me: PersonId, items: tuple[Loaded, ...], count: int, following: str | None) -> Waiting:
    listed: list[Json] = [
        [render_request_id(loaded.held.key), loaded.held.version, _has_voted(loaded, me)]
        for loaded in items
    ]
    return Waiting(
        items=items,
        count=count,
        next=following,
        digest=digest([listed, count, following is not None]),
    )


async def _teach(desk: Desk, signed_in: SignedIn) -> dict[str, Any]:
    """What an empty list tells: which rules lead here, and what came last."""
    house = desk.house
    wanted = Wanted(whose=AsReviewer(signed_in.person.id))
    last = await house.store.list_requests(wanted, now=house.clock.now(), limit=1)
    return {
        "rules": rules_for(house, signed_in.person.id),
        "last": (await list_page(house, last))[0] if last.items else None,
    }


def _collapse(items: Sequence[Loaded]) -> list[list[Loaded]]:
    """Group what the same client asks in the same words, each group where its first one stands."""
    groups: dict[str, list[Loaded]] = {}
    for loaded in items:
        snapshot = loaded.snapshot
        asked = replace(snapshot.asked, lifetime=timedelta()).to_json()
        same = digest([snapshot.client, snapshot.subject, snapshot.grant_type, asked])
        groups.setdefault(same, []).append(loaded)
    return list(groups.values())


def _row(desk: Desk, group: Sequence[Loaded], me: PersonId) -> Row:
    house, loaded = desk.house, group[0]
    disclosure = disclose(
        loaded.held,
        loaded.snapshot,
        house.types,
        issuer=house.endpoints.issuer,
        scopes=house.scopes,
        interactions=loaded.interactions,
    )
    return Row(
        id=render_request_id(loaded.held.key),
        shown=read_object(disclosure.object),
        is_own=me in (loaded.snapshot.client_owner, loaded.snapshot.person),
        has_voted=_has_voted(loaded, me),
        awaits_step=standing.awaited(loaded, house.steps) is not None,
        same=tuple(render_request_id(other.held.key) for other in group[1:]),
    )


def _has_voted(loaded: Loaded, me: PersonId) -> bool:
    return any(ballot.voter == me for ballot in loaded.ballots)

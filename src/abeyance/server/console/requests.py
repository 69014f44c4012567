"""One request: see exactly what would be granted, then decide (EXT-EVID-01 to -03, -06).

Everything about the request is drawn from its disclosure object. A vote carries the
object's digest and the version; what no longer fits is answered with the page as it
stands now, and nothing is recorded (SEC-UI-15, -16). Opening decides nothing (SEC-UI-14).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from abeyance.access.access import Access
from abeyance.acts import decide, dispose, interact
from abeyance.acts.decide import Counted, NotCounted, Obstacle, Review, Vote
from abeyance.parties.person import PersonId
from abeyance.pending.disclosure import disclose
from abeyance.pending.request import Key
from abeyance.server.console import choices, standing, story
from abeyance.server.console.choices import Mistaken, Seen
from abeyance.server.console.disclosed import Disclosed, NotDrawable, draw, read_object
from abeyance.server.pages import guard, news, refusals
from abeyance.server.pages.desk import Desk, parse_request_id, render_request_id
from abeyance.server.pages.destinations import Destination, Kind
from abeyance.server.pages.forms import Fields
from abeyance.server.pages.refusals import Refused, SignInFirst
from abeyance.server.pages.sessions import SignedIn

_NOT_RECORDED: Final = {
    Obstacle.OWN_REQUEST: (403, "Nobody decides their own request."),
    Obstacle.CLOSED: (409, "This request is closed by now."),
    Obstacle.VOTED: (409, "You have voted already, and one vote counts."),
    Obstacle.CHANGED: (409, "What you had before you is not what stands now: this is."),
    Obstacle.RULES: (403, "The rules have changed since: others may approve this now."),
    Obstacle.ENDED: (409, "The rules have changed since: nobody may approve this, so it is over."),
}


async def show(desk: Desk, request: Request) -> Response:
    signed_in, review = await _open(desk, request)
    return await _page(desk, signed_in, review)


async def wait(desk: Desk, request: Request) -> Response:
    """Answer once the request is not at the version that was seen, or after a while."""
    seen, looks = request.query_params.get("version", ""), news.LOOKS
    while True:
        try:
            _, review = await _open(desk, request, using=False)
        except SignInFirst:
            return JSONResponse({"signed_in": False}, 401)
        version, looks = str(review.loaded.held.version), looks - 1
        if version != seen or not review.decidable or not looks:
            break
        if not await news.wait_for_news(desk.house.waiters, request):
            break
    return JSONResponse({"signed_in": True, "version": version, "decidable": review.decidable})


async def preview(desk: Desk, request: Request) -> Response:
    """Show what "approve less" would grant, with the button that does it. Records nothing."""
    signed_in, review, fields = await _read(desk, request)
    seen = choices.read_seen(fields)
    if (page := await _stale(desk, signed_in, review, seen)) is not None:
        return page
    try:
        choice, granted = choices.read_choice(
            fields, _shown(review), review.loaded.snapshot.asked, desk.house.types
        )
    except Mistaken as mistaken:
        return await _page(desk, signed_in, review, fields=fields, mistakes=mistaken.mistakes)
    kept = [item for item in _shown(review).grants if item.id in choice.items]
    left = _as_shown(desk, review, granted)
    facts = _facts(desk, signed_in, review) | {
        "waiting_count": await desk.badge(signed_in),
        "granted": left,
        # Details keep their order, scopes theirs: what is left stands beside what was asked.
        "pairs": list(zip(left.grants, kept, strict=True)),
        "left_out": [item for item in _shown(review).grants if item.id not in choice.items],
        "fields": {name: fields[name] for name in sorted(fields.keys() - {"csrf", "vote"})},
    }
    return desk.page("preview.html", facts, signed_in=signed_in)


async def vote(desk: Desk, request: Request) -> Response:
    signed_in, review, fields = await _read(desk, request)
    seen = choices.read_seen(fields)
    # Before what was chosen: a stale page's choices may not even have a name any more.
    if (page := await _stale(desk, signed_in, review, seen)) is not None:
        return page
    key = review.loaded.held.key
    try:
        said = _read_vote(desk, review, fields, seen)
    except Mistaken as mistaken:
        decide.note_refused(desk.house, signed_in.person, key, Obstacle.INVALID)
        return await _page(desk, signed_in, review, fields=fields, mistakes=mistaken.mistakes)
    except Refused:
        decide.note_refused(desk.house, signed_in.person, key, Obstacle.INVALID)
        raise
    match await decide.decide(desk.house, signed_in.person, key, said):
        case Counted():
            return desk.go(f"/console/requests/{render_request_id(key)}")
        case NotCounted(obstacle=Obstacle.UNKNOWN):
            raise Refused(refusals.NOT_FOUND)
        case NotCounted(obstacle=Obstacle.INVALID, explanation=explanation):
            mistakes = {"less": f"{explanation or 'This cannot be granted'}."}
            return await _page(desk, signed_in, review, fields=fields, mistakes=mistakes)
        case NotCounted(obstacle=obstacle):
            return await _not_recorded(desk, signed_in, key, obstacle)


async def ask(desk: Desk, request: Request) -> Response:
    """Ask whoever may act for a step before anybody decides."""
    signed_in, review, fields = await _read(desk, request)
    key = review.loaded.held.key
    try:
        step, note = choices.read_step(fields)
    except Mistaken as mistaken:
        return await _page(desk, signed_in, review, fields=fields, mistakes=mistaken.mistakes)
    match await interact.ask_for(desk.house, signed_in.person, key, step, note):
        case None:
            return desk.go(f"/console/requests/{render_request_id(key)}")
        case NotCounted(obstacle=Obstacle.UNKNOWN):
            raise Refused(refusals.NOT_FOUND)
        case NotCounted(obstacle=Obstacle.INVALID):
            raise Refused(refusals.MALFORMED)
        case NotCounted(obstacle=obstacle):
            return await _not_recorded(desk, signed_in, key, obstacle)


async def end(desk: Desk, request: Request) -> Response:
    """End what came of a request, or what still waits: an administrator's."""
    signed_in, review, _ = await _read(desk, request)
    if not signed_in.administers:
        raise Refused(refusals.NOT_FOUND)
    key, by = review.loaded.held.key, f"person:{signed_in.person.id}"
    await dispose.close_home(desk.house, key.home, why="ended_by_administrator", actor=by)
    return desk.go(f"/console/requests/{render_request_id(key)}")


def _read_vote(desk: Desk, review: Review, fields: Fields, seen: Seen) -> Vote:
    match fields.get("vote"):
        case choices.APPROVE:
            return choices.read_approval(fields, seen)
        case choices.LESS if fields.get("confirmed") == "yes":
            choice, _ = choices.read_choice(
                fields, _shown(review), review.loaded.snapshot.asked, desk.house.types
            )
            return choices.approval_of(choice, fields, seen)
        case choices.DENY:
            return choices.read_denial(fields, seen)
        case _:
            raise Refused(refusals.MALFORMED)


# --- what every page of a request needs


async def _open(desk: Desk, request: Request, *, using: bool = True) -> tuple[SignedIn, Review]:
    """Find the visitor and their request. Unknown and not theirs: the same (SEC-UI-27)."""
    key = parse_request_id(str(request.path_params["id"]))
    if key is None:
        raise Refused(refusals.NOT_FOUND)
    to = Destination(Kind.REQUEST, render_request_id(key))
    signed_in = await desk.admit(request, to, using=using)
    return signed_in, await _review(desk, signed_in, key)


async def _review(desk: Desk, signed_in: SignedIn, key: Key) -> Review:
    review = None
    if signed_in.reviews or signed_in.administers:
        review = await decide.review(desk.house, signed_in.person, key)
    if review is not None:
        return review
    if await decide.was_disposed_of(desk.house, signed_in.person, key):
        raise Refused(refusals.DISPOSED_OF)
    raise Refused(refusals.NOT_FOUND)


async def _read(desk: Desk, request: Request) -> tuple[SignedIn, Review, Fields]:
    """Read a form about a request: from our page, of this session, for this request."""
    fields = await desk.read(request)
    signed_in, review = await _open(desk, request)
    form = _form(review.loaded.held.key)
    guard.check_token(signed_in.cookie, form, fields.get("csrf"))
    return signed_in, review, fields


async def _stale(desk: Desk, signed_in: SignedIn, review: Review, seen: Seen) -> Response | None:
    """The page as it stands, if it is not the one that was seen or nothing can be decided.

    The act judges again, and its word counts; this one is for the reading of the form.
    """
    if review.decidable and seen.digest == review.disclosure.digest:
        return None
    obstacle = Obstacle.CHANGED
    if review.own:
        obstacle = Obstacle.OWN_REQUEST
    elif review.voted:
        obstacle = Obstacle.VOTED
    elif not review.decidable:
        obstacle = Obstacle.CLOSED
    return await _not_recorded(desk, signed_in, review.loaded.held.key, obstacle)


async def _not_recorded(desk: Desk, signed_in: SignedIn, key: Key, obstacle: Obstacle) -> Response:
    status, sentence = _NOT_RECORDED[obstacle]
    review = await _review(desk, signed_in, key)
    return await _page(desk, signed_in, review, status=status, conflict=sentence)


async def _page(
    desk: Desk,
    signed_in: SignedIn,
    review: Review,
    *,
    status: int = 200,
    conflict: str | None = None,
    fields: Fields | None = None,
    mistakes: Mapping[str, str] | None = None,
) -> Response:
    granted = standing.granted_by(review.loaded.ballots, review.loaded.snapshot.asked)
    facts = _facts(desk, signed_in, review) | {
        "waiting_count": await desk.badge(signed_in),
        "drawn": draw(desk.pages, _shown_then(review)),
        "conflict": conflict,
        "fields": fields or {},
        "mistakes": mistakes or {},
        "votes": [(ballot, await _name(desk, ballot.voter)) for ballot in review.loaded.ballots],
        "granted": None if granted is None else _as_shown(desk, review, granted),
        "spans": choices.spans(_shown(review).lifetime),
        "presets": choices.PRESETS,
        "offered": [
            desk.house.steps[step]
            for step in review.loaded.snapshot.interaction.offered
            if step in desk.house.steps
        ],
        "awaited": standing.awaited(review.loaded, desk.house.steps),
        "story": await story.tell(desk.house, review.loaded),
        "may_end": signed_in.administers
        and standing.may_end(review.loaded, desk.house.clock.now()),
        "reviewers": [
            await _name(desk, name) for name in sorted(review.loaded.snapshot.plan.reviewers)
        ],
    }
    return desk.page(
        "request.html",
        facts,
        signed_in=signed_in,
        status=400 if mistakes else status,
        live=True,
    )


def _facts(desk: Desk, signed_in: SignedIn, review: Review) -> dict[str, Any]:
    held = review.loaded.held
    return {
        "id": render_request_id(held.key),
        "token": guard.mint_token(signed_in.cookie, _form(held.key)),
        "shown": _shown(review),
        "seen": review.disclosure.digest,
        "version": held.version,
        "decidable": review.decidable,
        "standing": standing.stand(review, desk.house.clock.now(), signed_in.person.id),
        "me": signed_in.person.id,
        "area": "review",
        "item_field": choices.item_field,
        "part_field": choices.part_field,
        "limit_field": choices.limit_field,
    }


def _shown(review: Review) -> Disclosed:
    return read_object(review.disclosure.object)


def _shown_then(review: Review) -> Disclosed:
    """What to draw: once decided, what was shown then, whatever the types say today."""
    if review.loaded.ballots and not review.decidable:
        try:
            return read_object(review.loaded.ballots[0].shown)
        except NotDrawable:
            pass
    return _shown(review)


def _as_shown(desk: Desk, review: Review, granted: Access) -> Disclosed:
    """What would be, or was, granted, in the same words as what was asked."""
    house, loaded = desk.house, review.loaded
    snapshot = replace(loaded.snapshot, asked=granted)
    issuer, scopes = house.endpoints.issuer, house.scopes
    return read_object(
        disclose(
            loaded.held,
            snapshot,
            house.types,
            issuer=issuer,
            scopes=scopes,
            interactions=loaded.interactions,
        ).object
    )


async def _name(desk: Desk, voter: str) -> str:
    person = await desk.house.store.find_person(PersonId(voter))
    return voter if person is None else person.name


def _form(key: Key) -> str:
    return f"vote:{render_request_id(key)}"

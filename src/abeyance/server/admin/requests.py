"""Pending requests and their histories; decisions, of the person behind the token.

A decision names the digest and the version of what was shown, as in the console,
and is judged by the same act. A client never decides by itself, nor about its own
request. Administrators see everything, reviewers what came to them.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from abeyance.access.members import parse_amount
from abeyance.acts import decide, dispose, interact
from abeyance.acts.decide import Counted, NotCounted, Obstacle, Review, Vote
from abeyance.parties.client import ClientId
from abeyance.parties.person import Person, PersonId, Role
from abeyance.pending.choosing import Choice
from abeyance.pending.interaction import MAX_NOTE
from abeyance.pending.votes import MAX_REMARK, Verdict
from abeyance.server.admin import scopes
from abeyance.server.admin.problems import (
    Problem,
    conflict,
    forbidden,
    malformed,
    not_found,
    unfit,
)
from abeyance.server.admin.prose import read_prose
from abeyance.server.admin.route import (
    CURSOR,
    LIMIT,
    AdminRequest,
    AdminRoute,
    Answer,
    Body,
    Office,
    Query,
    Told,
    read_body,
)
from abeyance.server.admin.votes import VoteTold, tell_votes
from abeyance.server.console import standing, story
from abeyance.server.console.listing import Listed, list_page
from abeyance.server.pages.desk import parse_request_id, render_request_id
from abeyance.store.ports import AsReviewer, Ended, OfAll, Wanted

_ENDED: Final = tuple(sorted(Ended))
# Who looks as an administrator of the machine; no vote is ever cast in this name.
_OPERATOR: Final = Person(
    id=PersonId("operator"), name="The operator", roles=frozenset({Role.ADMINISTRATOR})
)


class Chosen(Body, kw_only=True):
    """What is left of a request: ids of the disclosure's items, parts and limits of them.

    `lifetime` is how long the approval holds, in seconds.
    """

    items: list[str]
    lifetime: int
    parts: dict[str, list[str]] = msgspec.field(default_factory=dict)
    limits: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)


class Approval(Body, kw_only=True):
    """`seen` and `version` are those of the request that was read. Without `choice`:
    everything as asked. `note` stays inside.
    """

    seen: str
    version: int
    choice: Chosen | None = None
    note: str | None = None


class Denial(Body, kw_only=True):
    """`share`: tell the reason to the client too, as text of at most 240 characters."""

    seen: str
    version: int
    reason: str
    share: bool = False


class Asking(Body, kw_only=True):
    """A step that somebody shall take first, of those that are offered."""

    step: str
    note: str | None = None


class Line(Told, kw_only=True):
    at: datetime
    who: str
    what: str


class RequestListed(Told, kw_only=True):
    """`outcome`: waiting, approved, redeemed, lapsed (approved and never collected), denied,
    cancelled or expired.
    """

    id: str
    title: str
    client_id: str
    client_name: str
    person_id: str | None
    outcome: str
    opened_at: datetime
    decide_by: datetime
    expires_at: datetime
    awaits_step: bool
    deciders: list[str]
    decided_at: datetime | None
    granted_less: bool


class RequestPage(Told, kw_only=True):
    items: list[RequestListed]
    next: str | None


class RequestTold(Told, kw_only=True):
    """`disclosure` is exactly what a reviewer is shown, `seen` its digest."""

    id: str
    outcome: str
    version: int
    seen: str
    decidable: bool
    disclosure: dict[str, Any]
    reviewers: list[str]
    offered_steps: list[str]
    awaited_step: str | None
    votes: list[VoteTold]
    story: list[Line]


async def list_requests(office: Office, request: AdminRequest) -> Answer:
    caller, house = request.caller, office.house
    whose = request.one_of("whose", ("mine", "all")) or ("all" if caller.administers else "mine")
    ended, cursor = request.one_of("outcome", _ENDED), request.query.get("cursor")
    client, by = request.text("client"), request.text("by")
    if whose == "all":
        caller.check_administers()
    elif caller.person is None:
        raise malformed("Nobody stands behind this token whose they could be", "whose")
    wanted = Wanted(
        whose=(
            OfAll() if whose == "all" or caller.person is None else AsReviewer(caller.person.id)
        ),
        ended=None if ended is None else Ended(ended),
        client=None if client is None else ClientId(client),
        decided_by=None if by is None else PersonId(by),
    )
    try:
        found = await house.store.list_requests(
            wanted, now=house.clock.now(), limit=request.limit(), cursor=cursor
        )
    except ValueError:
        raise malformed("The cursor is not one of this list", "cursor") from None
    items = [_listed(each) for each in await list_page(house, found)]
    return Answer(RequestPage(items=items, next=found.next))


async def show(office: Office, request: AdminRequest) -> Answer:
    return Answer(await _tell(office, await _review(office, request)))


async def approve(office: Office, request: AdminRequest) -> Answer:
    body: Approval = read_body(request, Approval)
    vote = Vote(
        verdict=Verdict.APPROVE,
        seen=body.seen,
        version=body.version,
        choice=None if body.choice is None else _choice(body.choice),
        reason=read_prose(body.note, "note", at_most=decide.MAX_REASON),
        authenticated=_authenticated(request),
    )
    return await _vote(office, request, vote)


async def deny(office: Office, request: AdminRequest) -> Answer:
    body: Denial = read_body(request, Denial)
    most = MAX_REMARK if body.share else decide.MAX_REASON  # EXT-OUTCOME-03
    reason = read_prose(body.reason, "reason", at_most=most)
    if reason is None:
        raise unfit("A denial has a reason", "reason")
    vote = Vote(
        verdict=Verdict.DENY,
        seen=body.seen,
        version=body.version,
        reason=reason,
        shareable=body.share,
        authenticated=_authenticated(request),
    )
    return await _vote(office, request, vote)


async def ask(office: Office, request: AdminRequest) -> Answer:
    """Ask whoever may act for a step before anybody decides."""
    body: Asking = read_body(request, Asking)
    note = read_prose(body.note, "note", at_most=MAX_NOTE)
    reviewer, review = _decider(request), await _review(office, request)
    _check_foreign(request, review)
    key = review.loaded.held.key
    refused = await interact.ask_for(office.house, reviewer, key, body.step, note)
    if refused is not None:
        raise _obstacle(refused)
    return Answer(await _tell(office, await _review(office, request)))


async def end(office: Office, request: AdminRequest) -> Answer:
    """End what waits and what came of it, whatever its state."""
    request.caller.check_administers()
    review = await _review(office, request)
    await dispose.close_home(
        office.house,
        review.loaded.held.key.home,
        why="ended_by_administrator",
        actor=request.caller.actor,
    )
    return Answer(await _tell(office, await _review(office, request)))


async def _vote(office: Office, request: AdminRequest, vote: Vote) -> Answer:
    reviewer, review = _decider(request), await _review(office, request)
    _check_foreign(request, review)
    match await decide.decide(office.house, reviewer, review.loaded.held.key, vote):
        case Counted():
            return Answer(await _tell(office, await _review(office, request)))
        case NotCounted() as refused:
            raise _obstacle(refused)


def _decider(request: AdminRequest) -> Person:
    if request.caller.person is None:
        raise forbidden("no_person", "A decision is a person's, and nobody stands behind this.")
    return request.caller.person


def _check_foreign(request: AdminRequest, review: Review) -> None:
    if review.loaded.snapshot.client == request.caller.client:
        raise forbidden("own_request", "A client has no part in deciding its own request.")


def _obstacle(refused: NotCounted) -> Problem:
    match refused.obstacle:
        case Obstacle.UNKNOWN:
            return not_found()
        case Obstacle.OWN_REQUEST:
            return forbidden("own_request", "Nobody decides their own request.")
        case Obstacle.INVALID:
            return unfit(refused.explanation or "This cannot be granted", "choice")
        case Obstacle.CLOSED:
            return conflict("closed", "This request is closed by now.")
        case Obstacle.VOTED:
            return conflict("voted", "You have voted already, and one vote counts.")
        case Obstacle.CHANGED:
            return conflict("changed", "What you have seen is not what stands now.")
        case Obstacle.RULES:
            return forbidden("rules", "The rules have changed: others may approve this now.")
        case Obstacle.ENDED:
            return conflict("ended", "The rules have changed: nobody may approve this any more.")


def _authenticated(request: AdminRequest) -> str:
    """How it is known that it was this person, for the record."""
    if request.caller.client is None:
        return "command line"
    return f"access token of {request.caller.client}"


async def _review(office: Office, request: AdminRequest) -> Review:
    """As the person behind the token sees it, or as an administrator does."""
    key, caller = parse_request_id(request.parts["request_id"]), request.caller
    looks_as = caller.person or _OPERATOR
    review = None if key is None else await decide.review(office.house, looks_as, key)
    if review is not None:
        return review
    if key is not None and await decide.was_disposed_of(office.house, looks_as, key):
        raise Problem(410, "disposed_of", "What was asked here has been disposed of.")
    raise not_found()


def _choice(chosen: Chosen) -> Choice:
    if chosen.lifetime <= 0:
        raise unfit("lifetime is a number of seconds", "choice.lifetime")
    return Choice(
        items=frozenset(chosen.items),
        parts={item: frozenset(parts) for item, parts in chosen.parts.items()},
        limits={
            item: {limit: _amount(text) for limit, text in limits.items()}
            for item, limits in chosen.limits.items()
        },
        lifetime=timedelta(seconds=min(chosen.lifetime, 10**9)),  # no approval holds so long
    )


def _amount(text: str) -> Decimal:
    try:
        return parse_amount(text)
    except ValueError:
        raise unfit("A limit is an amount such as 12.50", "choice.limits") from None


def _listed(each: Listed) -> RequestListed:
    return RequestListed(
        id=each.id,
        title=each.shown.title,
        client_id=each.shown.client_id,
        client_name=each.shown.client_name,
        person_id=None if each.shown.person is None else each.shown.person.id,
        outcome=each.ended,
        opened_at=each.shown.opened_at,
        decide_by=each.shown.decide_by,
        expires_at=each.shown.expires_at,
        awaits_step=each.awaits_step,
        deciders=list(each.deciders),
        decided_at=each.decided_at,
        granted_less=each.less,
    )


async def _tell(office: Office, review: Review) -> RequestTold:
    house, loaded = office.house, review.loaded
    awaited = standing.awaited(loaded, house.steps)
    return RequestTold(
        id=render_request_id(loaded.held.key),
        outcome=standing.ended(loaded.held, house.clock.now()),
        version=loaded.held.version,
        seen=review.disclosure.digest,
        decidable=review.decidable,
        disclosure=dict(review.disclosure.object),
        reviewers=sorted(loaded.snapshot.plan.reviewers),
        offered_steps=[step for step in loaded.snapshot.interaction.offered if step in house.steps],
        awaited_step=None if awaited is None else awaited.id,
        votes=await tell_votes(house, loaded.ballots),
        story=[
            Line(at=line.at, who=line.who, what=line.what)
            for line in await story.tell(house, loaded)
        ],
    )


ROUTES: Final = (
    AdminRoute(
        method="GET", path="/requests", scope=scopes.READ, handle=list_requests,
        summary="List requests, the newest first", told=RequestPage,
        query=(
            Query(name="whose", summary="Those that came to me, or all", values=("mine", "all")),
            Query(name="outcome", summary="Only those that stand so", values=_ENDED),
            Query(name="client", summary="Only those of this client"),
            Query(name="by", summary="Only those that this person decided"),
            LIMIT,
            CURSOR,
        ),
    ),
    AdminRoute(
        method="GET", path="/requests/{request_id}", scope=scopes.READ, handle=show,
        summary="Show a request: what is asked, how it stands, what has happened",
        told=RequestTold,
    ),
    AdminRoute(
        method="POST", path="/requests/{request_id}/approve", scope=scopes.DECIDE, handle=approve,
        summary="Approve what was seen, or less of it", body=Approval, told=RequestTold,
    ),
    AdminRoute(
        method="POST", path="/requests/{request_id}/deny", scope=scopes.DECIDE, handle=deny,
        summary="Deny what was seen", body=Denial, told=RequestTold,
    ),
    AdminRoute(
        method="POST", path="/requests/{request_id}/ask", scope=scopes.DECIDE, handle=ask,
        summary="Ask for a step before anybody decides", body=Asking, told=RequestTold,
    ),
    AdminRoute(
        method="POST", path="/requests/{request_id}/end", scope=scopes.REQUESTS, handle=end,
        summary="End what waits, and all that came of it", told=RequestTold,
    ),
)  # fmt: skip

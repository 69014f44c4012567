"""Where somebody takes a step that a request needs (EXT-INTERACT, DTR-IURI).

GET and HEAD decide nothing and use nothing up. Unknown, foreign and past addresses
are one page; only who may act there sees what was recorded. An operator's own step
is done elsewhere: its address is asked for by a button, and coming back decides
nothing either (EXT-INTERACT-04).
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import Response

from abeyance.acts import consent, interact
from abeyance.acts.house import House
from abeyance.acts.interact import Visited
from abeyance.oauth.redirect_uris import append, host_of, source_of
from abeyance.pending.disclosure import request_name
from abeyance.pending.interaction import CONSENT, MAX_ANSWER, Field, FieldKind, Step
from abeyance.pending.request import WayBack
from abeyance.pending.votes import NOBODY_ELSE
from abeyance.policy.steps import Done, NotDone, OperatorStep, Visit
from abeyance.server.console.disclosed import read_object
from abeyance.server.pages import guard, refusals
from abeyance.server.pages.desk import Desk
from abeyance.server.pages.destinations import Destination, Kind, parse_destination
from abeyance.server.pages.forms import Fields
from abeyance.server.pages.refusals import Refused
from abeyance.server.pages.sessions import SignedIn
from abeyance.wire import names

_MAX_QUERY: Final = 2048
_CONSENT: Final = frozenset({"csrf", "seen", "decision"})
_COMMON: Final = frozenset({"csrf", "query"})


async def show(desk: Desk, request: Request) -> Response:
    signed_in, segment, visited = await _open(desk, request)
    if request.method == "GET":
        await interact.arrive(desk.house, visited)
    return await _page(desk, signed_in, segment, visited)


async def back(desk: Desk, request: Request) -> Response:
    """The browser is back from an operator's step; a button says that it is done."""
    signed_in, segment, visited = await _open(desk, request)
    query = request.url.query
    if len(query) > _MAX_QUERY:
        raise Refused(refusals.MALFORMED)
    return await _page(desk, signed_in, segment, visited, returned=query)


async def take(desk: Desk, request: Request) -> Response:
    """The step was taken here: read the answers, and record them once."""
    signed_in, segment, visited, fields = await _read(desk, request)
    if visited.step is None or visited.step.operator:
        return await _page(desk, signed_in, segment, visited, status=409)
    if visited.step.id == CONSENT.id:
        return await _answer(desk, signed_in, segment, visited, fields)
    answers, mistakes = read_answers(visited.step, fields)
    if mistakes:
        return await _page(
            desk, signed_in, segment, visited, status=400, fields=fields, mistakes=mistakes
        )
    await interact.take(desk.house, signed_in.person, segment, answers, vouched=False)
    return await _onward(desk, segment, visited)


async def _answer(
    desk: Desk, signed_in: SignedIn, segment: str, visited: Visited, fields: Fields
) -> Response:
    """The person agrees or declines, once (OAUTH-SESS-09)."""
    decision = fields.get("decision")
    if decision not in ("agree", "decline") or not fields.keys() <= _CONSENT:
        raise Refused(refusals.MALFORMED)
    answered = await consent.answer(
        desk.house,
        signed_in.person,
        segment,
        agrees=decision == "agree",
        seen=fields.get("seen", ""),
    )
    if answered is None:
        return await _page(desk, signed_in, segment, visited, status=409)
    return await _onward(desk, segment, visited)


async def start(desk: Desk, request: Request) -> Response:
    """Off to the operator's step."""
    signed_in, segment, visited, _ = await _read(desk, request)
    step, operator = _operator(desk, visited)
    if step is None or operator is None:
        return await _page(desk, signed_in, segment, visited, status=409)
    location = await operator.start(_visit(desk, signed_in, segment, visited))
    if not (location + "/").startswith(operator.origin + "/"):
        raise ValueError("the operator's step leads elsewhere than to its origin")
    return Response(status_code=303, headers={"Location": location})


async def finish(desk: Desk, request: Request) -> Response:
    """Ask the operator's step what came of it, and record that once."""
    signed_in, segment, visited, fields = await _read(desk, request)
    step, operator = _operator(desk, visited)
    if step is None or operator is None:
        return await _page(desk, signed_in, segment, visited, status=409)
    query = dict(parse_qsl(fields.get("query", "")[:_MAX_QUERY], keep_blank_values=True))
    match await operator.finish(_visit(desk, signed_in, segment, visited), query):
        case NotDone(text=text):
            return await _page(
                desk, signed_in, segment, visited, status=409, mistakes={"step": text}
            )
        case Done(answers=answers):
            await interact.take(desk.house, signed_in.person, segment, answers, vouched=True)
            return await _onward(desk, segment, visited)


async def _onward(desk: Desk, segment: str, visited: Visited) -> Response:
    """Back to where the client wants the browser: with what it gave us to echo and who we are,
    and nothing of what came of it (EXT-INTERACT-11, OAUTH-ISS-04).
    """
    back = await _way_back(desk.house, visited)
    if back is None:
        return desk.go(f"/interact/{segment}")
    echoed = [] if back.state is None else [(names.INTERACTION_STATE, back.state)]
    location = append(back.uri, [*echoed, (names.ISS, desk.house.endpoints.issuer)])
    return Response(status_code=303, headers={"Location": location})


async def _way_back(house: House, visited: Visited) -> WayBack | None:
    """Where the browser goes then, if the client may still send it there."""
    back = visited.loaded.snapshot.way_back
    client = await house.store.find_client(visited.loaded.snapshot.client)
    if back is None or client is None or not client.enabled:
        return None
    return back if back.uri in client.interaction_redirect_uris else None


def read_answers(
    step: Step, fields: Fields
) -> tuple[tuple[tuple[str, str], ...], Mapping[str, str]]:
    """Read the answers as pairs of label and value, and what is wrong with them by field.

    Raises `Refused` for fields that the step does not have.
    """
    known = {field_name(field) for field in step.fields}
    if not fields.keys() <= known | _COMMON:
        raise Refused(refusals.MALFORMED)
    answers: list[tuple[str, str]] = []
    mistakes: dict[str, str] = {}
    for field in step.fields:
        value = fields.get(field_name(field), "").strip()
        mistake = _mistake(field, value)
        if mistake is not None:
            mistakes[field_name(field)] = mistake
        elif value:
            answers.append((field.label, "yes" if field.kind is FieldKind.TICK else value))
    return tuple(answers), mistakes


def field_name(field: Field) -> str:
    return f"answer.{field.name}"


def _mistake(field: Field, value: str) -> str | None:
    if not value:
        if not field.required:
            return None
        return "Tick this to go on." if field.kind is FieldKind.TICK else "Fill this in to go on."
    if len(value) > MAX_ANSWER:
        return f"Write at most {MAX_ANSWER:,} characters; this has {len(value):,}."
    if field.kind is FieldKind.CHOICE and value not in field.choices:
        return "Choose one of the given answers."
    if field.kind is FieldKind.TICK and value != "yes":
        return "Tick this to go on."
    return None


# --- what every page of an interaction needs


async def _open(desk: Desk, request: Request) -> tuple[SignedIn, str, Visited]:
    """Find the visitor and what stands here for them (SEC-UI-22, -23)."""
    to = parse_destination(f"{Kind.INTERACTION}:{request.path_params['segment']}")
    if to is None:
        raise Refused(refusals.NOT_FOUND)
    signed_in = await desk.admit(request, Destination(Kind.INTERACTION, to.value))
    visited = await interact.visit(desk.house, signed_in.person, to.value)
    if visited is None:
        raise Refused(refusals.NOT_FOUND)
    return signed_in, to.value, visited


async def _read(desk: Desk, request: Request) -> tuple[SignedIn, str, Visited, Fields]:
    fields = await desk.read(request)
    signed_in, segment, visited = await _open(desk, request)
    guard.check_token(signed_in.cookie, _form(segment), fields.get("csrf"))
    return signed_in, segment, visited, fields


def _operator(desk: Desk, visited: Visited) -> tuple[Step | None, OperatorStep | None]:
    step = visited.step
    return step, None if step is None else desk.house.operator_steps.get(step.id)


def _visit(desk: Desk, signed_in: SignedIn, segment: str, visited: Visited) -> Visit:
    house, held = desk.house, visited.loaded.held
    return Visit(
        reference=f"{request_name(held.key)}-{visited.place.number}",
        person=signed_in.person.id,
        person_name=signed_in.person.name,
        return_url=f"{house.endpoints.interaction}/{segment}/return",
        snapshot=visited.loaded.snapshot,
    )


async def _page(
    desk: Desk,
    signed_in: SignedIn,
    segment: str,
    visited: Visited,
    *,
    status: int = 200,
    returned: str | None = None,
    fields: Fields | None = None,
    mistakes: Mapping[str, str] | None = None,
) -> Response:
    house, loaded = desk.house, visited.loaded
    _, operator = _operator(desk, visited)
    disclosure, back = consent.shown_to(house, loaded), await _way_back(house, visited)
    facts: Mapping[str, Any] = {
        "segment": segment,
        "step": visited.step,
        "note": visited.note,
        "code": code_of(house, visited),
        "back_to": None if back is None else host_of(back.uri),
        "done": visited.done,
        "shown": read_object(disclosure.object),
        "operator": operator,
        "consents": visited.step is not None and visited.step.id == CONSENT.id,
        "decides": loaded.snapshot.plan == NOBODY_ELSE,
        "seen": disclosure.digest,
        "returned": returned,
        "query": urlencode(parse_qsl(returned or "", keep_blank_values=True)),
        "fields": fields or {},
        "mistakes": mistakes or {},
        "field_name": field_name,
        "token": guard.mint_token(signed_in.cookie, _form(segment)),
    }
    targets = [] if operator is None else [operator.origin]
    if back is not None and visited.step is not None:
        targets.append(source_of(back.uri))
    return desk.page(
        "interact.html", facts, signed_in=signed_in, status=status, leads_to=tuple(targets)
    )


def code_of(house: House, visited: Visited) -> str | None:
    """What the client shows as well, if it can (EXT-INTERACT-09)."""
    if visited.step is None or not visited.loaded.snapshot.interactive:
        return None
    return visited.code


def _form(segment: str) -> str:
    return f"interact:{segment}"

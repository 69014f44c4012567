"""The authorization endpoint and the consent page (OAUTH section 7, OAUTH-SESS-09).

What an answer needs was frozen when the request was validated: the form carries an
identifier, the digest of what was shown, and the decision. Opening a page grants
nothing but where a remembered consent covers all of it (OAUTH-AUTHZ-08).
"""

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from abeyance.acts import authorize
from abeyance.acts.authorize import Consenting, NotShown, Over, Respond, SignInAgain
from abeyance.oauth.authorization import NotAddressed, Nowhere
from abeyance.oauth.redirect_uris import append, host_of, is_loopback, source_of
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.authorization import AuthorizationRequest
from abeyance.server.console.disclosed import read_items
from abeyance.server.frontchannel.whose import facts_of_origin, is_self_made
from abeyance.server.pages import forms, guard, refusals
from abeyance.server.pages.desk import Desk
from abeyance.server.pages.destinations import Destination, Kind, parse_destination
from abeyance.server.pages.refusals import Refused, SignInFirst
from abeyance.server.pages.sessions import SignedIn
from abeyance.wire import names
from abeyance.wire.errors import InvalidRequest, TooManyRequests

_AGAIN: Final = "again"
_NOWHERE: Final = {
    Nowhere.CLIENT: refusals.NO_CLIENT,
    Nowhere.REDIRECT_URI: refusals.NO_WAY_BACK,
    Nowhere.MALFORMED: refusals.NO_AUTHORIZATION,
    Nowhere.REQUEST: refusals.NO_REQUEST,
}


async def begin(desk: Desk, request: Request) -> Response:
    """GET or POST of a client's parameters: keep them, and go on by identifier."""
    address = "" if request.client is None else request.client.host
    try:
        form = await forms.read_form(request)
        began = await authorize.begin(desk.house, form, address=address)
    except InvalidRequest:
        raise Refused(refusals.NO_AUTHORIZATION) from None
    except NotAddressed as nowhere:
        raise Refused(_NOWHERE[nowhere.why]) from None
    except TooManyRequests as many:
        raise Refused(refusals.too_often(many.retry_after)) from None
    if isinstance(began, Respond):
        if not began.silent and await is_self_made(desk.house, ClientId(form[names.CLIENT_ID])):
            return _let_go(desk, began)
        return _respond(desk, began)
    return desk.go("/authorize/consent", tx=began.identifier.reveal())


async def show(desk: Desk, request: Request) -> Response:
    """What the person is asked, or the way back where they were asked before."""
    identifier = _identifier(request.query_params.get("tx"))
    asked = await _find(desk, identifier)
    to = Destination(Kind.AUTHORIZATION, identifier)
    try:
        signed_in = await _admit(desk, request, to, silent=asked.demand.is_silent)
        if signed_in is None:
            return _respond(desk, await authorize.refuse_sign_in(desk.house, asked))
        standing = await authorize.stand(desk.house, asked, signed_in.person, signed_in.session)
    except SignInAgain:
        # A host that was asked once and has not done it will not do it by being asked again.
        asked_before = _AGAIN in request.query_params
        away = None if asked_before else desk.sign_in_again(to, mark=_AGAIN)
        if away is not None:
            return away
        return _respond(desk, await authorize.refuse_sign_in(desk.house, asked))
    except Over:
        raise Refused(refusals.OVER) from None
    if isinstance(standing, Respond):
        return _respond(desk, standing)
    return await _page(desk, signed_in, identifier, standing)


async def answer(desk: Desk, request: Request) -> Response:
    """Agree or decline, once. Fields other than these mean nothing (OAUTH-SESS-09)."""
    fields = await desk.read(request)
    identifier = _identifier(fields.get("tx"))
    asked = await _find(desk, identifier)
    signed_in = await desk.admit(request, Destination(Kind.AUTHORIZATION, identifier))
    guard.check_token(signed_in.cookie, _form(identifier), fields.get("csrf"))
    if not fields.keys() <= {"tx", "csrf", "seen", "decision"}:
        raise Refused(refusals.MALFORMED)
    person, session = signed_in.person, signed_in.session
    try:
        match fields.get("decision"):
            case "agree":
                seen = fields.get("seen", "")
                responded = await authorize.agree(desk.house, asked, person, session, seen)
            case "decline":
                responded = await authorize.decline(desk.house, asked, person, session)
            case _:
                raise Refused(refusals.MALFORMED)
    except Over:
        raise Refused(refusals.OVER) from None
    except NotShown:
        raise Refused(refusals.NOT_SHOWN) from None
    return _respond(desk, responded)


async def _admit(desk: Desk, request: Request, to: Destination, *, silent: bool) -> SignedIn | None:
    """Who is signed in; where no page may be shown, `None` for nobody (OAUTH-OIDC-05)."""
    try:
        return await desk.admit(request, to)
    except SignInFirst:
        if not silent:
            raise
        return None


async def _find(desk: Desk, identifier: str) -> AuthorizationRequest:
    try:
        return await authorize.find(desk.house, identifier)
    except Over:
        raise Refused(refusals.OVER) from None


async def _page(desk: Desk, signed_in: SignedIn, identifier: str, standing: Consenting) -> Response:
    house, client, asked = desk.house, standing.client, standing.request
    owner = None if client.owner is None else await house.store.find_person(PersonId(client.owner))
    to = Destination(Kind.AUTHORIZATION, identifier)
    lives = house.terms.lives
    facts: Mapping[str, Any] = {
        "client": client,
        "owner": owner,
        **await facts_of_origin(house, client),
        "goes_to": host_of(asked.redirect_uri),
        "is_native": client.native,
        "to_this_device": is_loopback(asked.redirect_uri),
        "items": read_items(standing.shown),
        "resources": [(uri, house.resources.get(uri)) for uri in sorted(asked.asked.resources)],
        "token_life": lives.access_token,
        "stays": lives.refresh if names.GRANT_REFRESH_TOKEN in client.grant_types else None,
        "may_wait": asked.hinted,
        "began_at": asked.began_at,
        "expires_at": asked.expires_at,
        "tx": identifier,
        "seen": standing.seen,
        "token": guard.mint_token(signed_in.cookie, _form(identifier)),
        "to": to.render(),
    }
    leads_to = source_of(asked.redirect_uri)
    return desk.page("consent.html", facts, signed_in=signed_in, leads_to=leads_to)


def _let_go(desk: Desk, respond: Respond) -> Response:
    """The way back to a client that nobody here has looked at, for a person to take or not: else
    anybody who may register could lead people elsewhere from our address, with a request that
    is wrong on purpose (RFC 9700 §4.11.2, OAUTH-DEC-16).
    """
    posts = respond.response_mode == names.RESPONSE_MODE_FORM_POST
    facts = {
        "posts": posts,
        "action": respond.redirect_uri,
        "location": append(respond.redirect_uri, respond.parameters),
        "parameters": respond.parameters,
        "goes_to": host_of(respond.redirect_uri),
    }
    leads_to = source_of(respond.redirect_uri) if posts else ()
    return desk.page("way-back.html", facts, leads_to=leads_to, status=400)


def _respond(desk: Desk, respond: Respond) -> Response:
    """Back to the client. 303, so that nothing of a form travels on (OAUTH-HTTP-08)."""
    if respond.response_mode == names.RESPONSE_MODE_FORM_POST:
        facts = {
            "action": respond.redirect_uri,
            "parameters": respond.parameters,
            "goes_to": host_of(respond.redirect_uri),
        }
        return desk.page("form-post.html", facts, leads_to=source_of(respond.redirect_uri))
    # The string that was validated is the string that is sent (OAUTH-RURI-10).
    location = append(respond.redirect_uri, respond.parameters)
    return Response(status_code=303, headers={"Location": location})


def _identifier(text: str | None) -> str:
    """Of the grammar that a destination has, or it is nothing of ours."""
    to = parse_destination(f"{Kind.AUTHORIZATION}:{text}")
    if to is None:
        raise Refused(refusals.OVER)
    return to.value


def _form(identifier: str) -> str:
    return f"consent:{identifier}"

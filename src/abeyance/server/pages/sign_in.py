"""Sign in and out (OAUTH-SESS-02, -06, -07; SEC-DOS-16).

One message for an unknown name, a wrong password and a disabled person.
"""

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from abeyance.acts.authorize import must_sign_in
from abeyance.oauth.redirect_uris import source_of
from abeyance.parties.person import Person
from abeyance.pending.authorization import AuthorizationRequest
from abeyance.server.pages import guard, refusals
from abeyance.server.pages.desk import Desk
from abeyance.server.pages.destinations import Destination, Kind, parse_destination
from abeyance.server.pages.refusals import Refused
from abeyance.server.recognizing import recognize
from abeyance.store.ports import SecurityEvent
from abeyance.wire.errors import TooManyRequests
from abeyance.wire.secret import Secret

_FORM: Final = "sign-in"
_MAX_NAME: Final = 200
_MISMATCH: Final = "The name and the password do not belong together."
# What the page says when another page led here; nothing else can be made to stand there.
_SAYINGS: Final = {
    "signed-out": "You are signed out.",
    "password-set": "Your password is set. Sign in with it.",
}


async def show(desk: Desk, request: Request) -> Response:
    """The form. `to` names where to go on, by identifier: no URL is ever taken."""
    visitor = desk.sessions.meet(request)
    to = parse_destination(request.query_params.get("to"))
    signed_in = await desk.sessions.find(visitor)
    asked = await _authorization(desk, to)
    again = (
        signed_in is not None
        and asked is not None
        and must_sign_in(desk.house, asked, signed_in.person, signed_in.session)
    )
    if signed_in is not None and not again:
        return _go_on(desk, to, signed_in.person)
    hint = None if asked is None else asked.demand.login_hint
    facts = {
        "token": guard.mint_token(visitor.cookie, _FORM),
        "to": to,
        "said": _SAYINGS.get(request.query_params.get("said", "")),
        "error": None,
        "again": again,
        "name": hint or "",
    }
    return desk.meet_with(await _page(desk, facts, to), visitor)


async def sign_in(desk: Desk, request: Request) -> Response:
    fields = await desk.read(request)
    visitor = desk.sessions.meet(request)
    guard.check_token(visitor.cookie, _FORM, fields.get("csrf"))
    to = parse_destination(fields.get("to"))
    name = fields.get("name", "").strip()[:_MAX_NAME]
    address = "" if request.client is None else request.client.host
    person = await _verify(desk, name, Secret(fields.get("password", "")), address)
    if person is None:
        facts = {
            "token": guard.mint_token(visitor.cookie, _FORM),
            "to": to,
            "said": None,
            "error": _MISMATCH,
            "name": name,
        }
        return desk.meet_with(await _page(desk, facts, to, status=401), visitor)
    cookie = await desk.sessions.begin(visitor, person)
    await _note(desk, "signed_in", person)
    response = _go_on(desk, to, person)
    desk.sessions.give(response, cookie)
    return response


def _go_on(desk: Desk, to: Destination | None, person: Person) -> Response:
    """To where they were headed, else to what they come for most."""
    if to is None:
        to = Destination(Kind.CONSOLE if person.roles else Kind.ACCOUNT, "")
    return desk.go(to.path)


async def _page(
    desk: Desk, facts: Mapping[str, Any], to: Destination | None, *, status: int = 200
) -> Response:
    """The form. Behind it may come a redirect to the client that sent the person here."""
    leads_to: str | tuple[str, ...] = ()
    if to is not None and to.kind is Kind.AUTHORIZATION:
        request = await _authorization(desk, to)
        leads_to = () if request is None else source_of(request.redirect_uri)
    return desk.page("sign-in.html", facts, status=status, leads_to=leads_to)


async def _authorization(desk: Desk, to: Destination | None) -> AuthorizationRequest | None:
    """The request for which somebody signs in, if it is one."""
    if to is None or to.kind is not Kind.AUTHORIZATION:
        return None
    return await desk.house.store.find_authorization(Secret(to.value).digest())


async def sign_out(desk: Desk, request: Request) -> Response:
    fields = await desk.read(request)
    signed_in = await desk.admit(request)
    guard.check_token(signed_in.cookie, "sign-out", fields.get("csrf"))
    await desk.sessions.end(signed_in)
    await _note(desk, "signed_out", signed_in.person)
    to = parse_destination(fields.get("to"))
    going = {} if to is None else {"to": to.render()}
    response = desk.go("/sign-in", said="signed-out", **going)
    desk.sessions.take_back(response)
    return response


async def _verify(desk: Desk, name: str, password: Secret, address: str) -> Person | None:
    """Return the person whose password this is. Raises `Refused` for too many attempts."""
    try:
        return await recognize(
            desk.house, desk.passwords, desk.proxies, name, password, address=address
        )
    except TooManyRequests as many:
        raise Refused(refusals.too_often(many.retry_after)) from None


async def _note(desk: Desk, event: str, person: Person) -> None:
    await desk.house.store.record(
        SecurityEvent(desk.house.clock.now(), event, f"person:{person.id}", "page, password")
    )

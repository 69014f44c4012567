"""The one-time link by which a person sets a password (SEC-OPS-03, OAUTH-SESS-10).

Opening the link shows a page and uses nothing up, so that a scanner of mail cannot;
the form does. Used, expired and guessed links are one and the same page.
"""

from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from abeyance.parties.person import Invitation, Person
from abeyance.server.pages import guard, refusals
from abeyance.server.pages.desk import Desk
from abeyance.server.pages.refusals import Refused
from abeyance.server.passwords import MIN_LENGTH, UnfitPassword
from abeyance.store.ports import SecurityEvent
from abeyance.wire.secret import Secret

_MAX_TOKEN: Final = 200


async def show(desk: Desk, request: Request) -> Response:
    token = _token(request)
    _, person = await _find(desk, token)
    return _page(desk, request, token, person)


async def accept(desk: Desk, request: Request) -> Response:
    fields = await desk.read(request)
    token = _token(request)
    guard.check_token(desk.sessions.meet(request).cookie, _form(token), fields.get("csrf"))
    invitation, person = await _find(desk, token)
    if fields.get("password") != fields.get("again"):
        return _page(desk, request, token, person, "The two passwords are not the same.")
    try:
        encoded = await desk.passwords.hash(Secret(fields.get("password", "")))
    except UnfitPassword as unfit:
        return _page(desk, request, token, person, f"{unfit}.")
    now = desk.house.clock.now()
    person = replace(person, password_hash=encoded)
    if not await desk.house.store.accept_invitation(invitation.digest, person, now):
        raise Refused(refusals.NOT_FOUND)
    # Older links died with it, and whoever was signed in is not any more (OAUTH-SESS-13).
    await desk.house.store.record(
        SecurityEvent(now, "password_set", f"person:{person.id}", "one-time link")
    )
    return desk.go("/sign-in", said="password-set")


def _page(
    desk: Desk, request: Request, token: Secret, person: Person, error: str | None = None
) -> Response:
    visitor = desk.sessions.meet(request)
    facts = {
        "token": guard.mint_token(visitor.cookie, _form(token)),
        "invited": person,
        "error": error,
        "min_length": MIN_LENGTH,
    }
    return desk.meet_with(desk.page("welcome.html", facts, status=400 if error else 200), visitor)


async def _find(desk: Desk, token: Secret) -> tuple[Invitation, Person]:
    invitation = await desk.house.store.find_invitation(token.digest())
    if invitation is None or desk.house.clock.now() >= invitation.expires_at:
        raise Refused(refusals.NOT_FOUND)
    person = await desk.house.store.find_person(invitation.person)
    if person is None or not person.enabled:
        raise Refused(refusals.NOT_FOUND)
    return invitation, person


def _token(request: Request) -> Secret:
    return Secret(str(request.path_params["token"])[:_MAX_TOKEN])


def _form(token: Secret) -> str:
    return f"welcome:{token.digest().hex()}"

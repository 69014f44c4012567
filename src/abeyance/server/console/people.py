"""People, for administrators: who may sign in, and ending what they are signed in with."""

from starlette.requests import Request
from starlette.responses import Response

from abeyance.acts import dispose
from abeyance.acts.administer import enable_person, invite_person
from abeyance.parties.person import Person, PersonId
from abeyance.server.console.clients import admit_administrator
from abeyance.server.pages import guard, refusals
from abeyance.server.pages.desk import Desk
from abeyance.server.pages.refusals import Refused
from abeyance.server.pages.sessions import SignedIn
from abeyance.wire.secret import Secret


async def show(desk: Desk, request: Request) -> Response:
    return await _page(desk, await admit_administrator(desk, request, "people"))


async def switch(desk: Desk, request: Request) -> Response:
    """Disable a person, which ends what they granted and asked for, or enable them again."""
    signed_in, person, to = await _read(desk, request)
    by = f"person:{signed_in.person.id}"
    match to:
        case "off" if person.id == signed_in.person.id:
            raise Refused(refusals.NOT_YOURSELF)
        case "off" if person.enabled:
            await dispose.disable_person(desk.house, person, by=by)
        case "on" if not person.enabled:
            await enable_person(desk.house, person, by=by)
        case "off" | "on":
            pass  # somebody was faster
        case _:
            raise Refused(refusals.MALFORMED)
    return desk.go("/console/people")


async def end_sessions(desk: Desk, request: Request) -> Response:
    """Sign a person out everywhere, by force: what they granted there ends with it."""
    signed_in, person, _ = await _read(desk, request)
    but = signed_in.session.digest if person.id == signed_in.person.id else None
    by = f"person:{signed_in.person.id}"
    await dispose.end_sessions(desk.house, person.id, by=by, but=but)
    return desk.go("/console/people")


async def invite(desk: Desk, request: Request) -> Response:
    """Make a one-time link by which a person sets a password; it is shown once, here."""
    signed_in, person, _ = await _read(desk, request)
    if desk.sessions.hosted or person.declared:
        raise Refused(refusals.NOT_FOUND)
    link = await invite_person(desk.house, person, by=f"person:{signed_in.person.id}")
    return await _page(desk, signed_in, invited=person, link=link)


async def _page(
    desk: Desk, signed_in: SignedIn, *, invited: Person | None = None, link: Secret | None = None
) -> Response:
    people = await desk.house.store.list_people()
    facts = {
        "area": "people",
        "waiting_count": await desk.badge(signed_in),
        "people": people,
        "tokens": {
            person.id: guard.mint_token(signed_in.cookie, _form(person.id)) for person in people
        },
        "hosted": desk.sessions.hosted,
        "invited": invited,
        "link": None if link is None else link.reveal(),
        "me": signed_in.person.id,
    }
    return desk.page("people.html", facts, signed_in=signed_in)


async def _read(desk: Desk, request: Request) -> tuple[SignedIn, Person, str | None]:
    fields = await desk.read(request)
    signed_in = await admit_administrator(desk, request, "people")
    name = str(request.path_params["id"])
    guard.check_token(signed_in.cookie, _form(name), fields.get("csrf"))
    person = await desk.house.store.find_person(PersonId(name))
    if person is None:
        raise Refused(refusals.NOT_FOUND)
    return signed_in, person, fields.get("to")


def _form(name: str) -> str:
    return f"person:{name}"

"""People, their sessions and what they consented to."""

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import Final

import msgspec

from abeyance.acts import administer, dispose, erasing
from abeyance.parties.client import ClientId
from abeyance.parties.person import ConsoleSession, Person, PersonId, Role, is_email, is_person_id
from abeyance.server.admin import scopes
from abeyance.server.admin.etags import changed, check_match, etag_of
from abeyance.server.admin.paging import page
from abeyance.server.admin.problems import DECLARED, conflict, forbidden, not_found, unfit
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
from abeyance.store.ports import SecurityEvent

_MAX_NAME: Final = 200
_ROLES: Final = tuple(sorted(Role))


class Profile(Body, kw_only=True):
    """`roles`: reviewer, administrator, both, or none for somebody who only grants. `email` goes
    to clients that may know it; `email_verified`: you vouch for it.
    """

    name: str
    roles: list[str] = msgspec.field(default_factory=list)
    email: str | None = None
    email_verified: bool = False


class NewPerson(Profile, kw_only=True):
    """`id` is the name to sign in with, and the `sub` of tokens."""

    id: str


class PersonTold(Told, kw_only=True):
    id: str
    name: str
    roles: list[str]
    email: str | None
    email_verified: bool
    enabled: bool
    declared: bool
    has_password: bool
    sessions: int


class PersonPage(Told, kw_only=True):
    items: list[PersonTold]
    next: str | None


class Invitation(Told, kw_only=True):
    """`link` sets a password; it works once, for 15 minutes, and is told here alone."""

    link: str


class Erased(Told, kw_only=True):
    """`id`: who they are in what had to stay."""

    id: str


class SessionTold(Told, kw_only=True):
    """`id` tells sessions apart; nothing is found by it."""

    id: str
    signed_in_at: datetime
    seen_at: datetime


class SessionPage(Told, kw_only=True):
    items: list[SessionTold]
    next: str | None


class ConsentTold(Told, kw_only=True):
    client_id: str
    client_name: str
    scope: str
    resources: list[str]
    granted_at: datetime
    confirmed_at: datetime


class ConsentPage(Told, kw_only=True):
    items: list[ConsentTold]
    next: str | None


async def list_people(office: Office, request: AdminRequest) -> Answer:
    request.caller.check_administers()
    role = request.one_of("role", _ROLES)
    people = [
        person
        for person in await office.house.store.list_people()
        if role is None or role in person.roles
    ]
    told, following = page(people, lambda person: person.id, request)
    return Answer(
        PersonPage(items=[await _tell(office, person) for person in told], next=following)
    )


async def show(office: Office, request: AdminRequest) -> Answer:
    request.caller.check_administers()
    return await _answer(office, await _find(office, request))


async def create(office: Office, request: AdminRequest) -> Answer:
    request.caller.check_administers()
    body: NewPerson = read_body(request, NewPerson)
    if not is_person_id(body.id) or body.id.startswith(erasing.ERASED):
        raise unfit("id has lower-case letters, digits and ._@+- only", "id")
    blank = Person(id=PersonId(body.id), name="", roles=frozenset(), declared=False)
    person = _with(blank, body)
    if await erasing.find_erased(office.house, person.id) is not None:
        raise conflict("erased", "Who had this id was erased; nobody else gets it.")
    if not await office.house.store.replace_person(None, person):
        raise conflict("exists", "There is a person with this id.")
    await _note(office, request, "person_added", person)
    return await _answer(office, person, status=201)


async def change(office: Office, request: AdminRequest) -> Answer:
    request.caller.check_administers()
    before = await _find_living(office, request)
    if before.declared:
        raise conflict("declared", DECLARED)
    check_match(request.if_match, before)
    body: Profile = read_body(request, Profile)
    after = _with(before, body)
    if not await office.house.store.replace_person(before, after):
        raise changed()
    await _note(office, request, "person_changed", after)
    return await _answer(office, after)


async def disable(office: Office, request: AdminRequest) -> Answer:
    """Ends their sessions, what they granted and what they asked for, before the answer."""
    request.caller.check_administers()
    person = await _find(office, request)
    if request.caller.person is not None and person.id == request.caller.person.id:
        raise forbidden("yourself", "Nobody disables themselves.")
    await dispose.disable_person(office.house, person, by=request.caller.actor)
    return await _answer(office, await _find(office, request))


async def enable(office: Office, request: AdminRequest) -> Answer:
    request.caller.check_administers()
    person = await _find_living(office, request)
    if not person.enabled:
        await administer.enable_person(office.house, person, by=request.caller.actor)
    return await _answer(office, await _find(office, request))


async def erase(office: Office, request: AdminRequest) -> Answer:
    """Cannot be taken back. Done when it is answered; if it was cut short, call again."""
    request.caller.check_administers()
    person = await _find_living(office, request)
    if request.caller.person is not None and person.id == request.caller.person.id:
        raise forbidden("yourself", "Nobody erases themselves.")
    if person.id in office.known.people:
        raise conflict("declared", "The configuration declares them. Take them out of it first.")
    return Answer(
        Erased(id=await erasing.erase_person(office.house, person, by=request.caller.actor))
    )


async def invite(office: Office, request: AdminRequest) -> Answer:
    request.caller.check_administers()
    person = await _find_living(office, request)
    if office.hosted:
        raise conflict("hosted", "The host application signs people in.")
    if person.declared:
        raise conflict("declared", "The configuration says their password.")
    link = await administer.invite_person(office.house, person, by=request.caller.actor)
    return Answer(Invitation(link=link.reveal()), 201)


async def sign_out(office: Office, request: AdminRequest) -> Answer:
    """Ends all their sessions by force, and what was granted in them."""
    request.caller.check_administers()
    person = await _find(office, request)
    await dispose.end_sessions(office.house, person.id, by=request.caller.actor)
    return await _answer(office, person)


async def list_sessions(office: Office, request: AdminRequest) -> Answer:
    request.caller.check_administers()
    sessions = await _sessions(office, await _find(office, request))
    told, following = page(sessions, _session_name, request)
    items = [
        SessionTold(
            id=_session_name(session),
            signed_in_at=session.signed_in_at,
            seen_at=session.seen_at,
        )
        for session in told
    ]
    return Answer(SessionPage(items=items, next=following))


def _session_name(session: ConsoleSession) -> str:
    return hashlib.sha256(b"session\0" + session.digest).hexdigest()[:32]


async def list_consents(office: Office, request: AdminRequest) -> Answer:
    request.caller.check_administers()
    person = await _find(office, request)
    consents = await office.house.store.list_consents(person=person.id)
    told, following = page(consents, lambda consent: consent.client, request)
    items = [
        ConsentTold(
            client_id=consent.client,
            client_name=consent.client_name,
            scope=" ".join(sorted(consent.scope)),
            resources=sorted(consent.resources),
            granted_at=consent.granted_at,
            confirmed_at=consent.confirmed_at,
        )
        for consent in told
    ]
    return Answer(ConsentPage(items=items, next=following))


async def withdraw_consent(office: Office, request: AdminRequest) -> Answer:
    """Ends what the client was given by this person and what of it waits, before the answer."""
    request.caller.check_administers()
    person = await _find(office, request)
    client = ClientId(request.parts["client_id"])
    known = await dispose.withdraw_consent(office.house, person.id, client, by=request.caller.actor)
    if not known:
        raise not_found()
    return Answer(None, 204)


async def _find_living(office: Office, request: AdminRequest) -> Person:
    """Who was erased stays so."""
    person = await _find(office, request)
    if person.id.startswith(erasing.ERASED):
        raise conflict("erased", "They were erased; nobody can be them again.")
    return person


async def _find(office: Office, request: AdminRequest) -> Person:
    person = await office.house.store.find_person(PersonId(request.parts["person_id"]))
    if person is None:
        raise not_found()
    return person


def _with(person: Person, body: Profile) -> Person:
    if body.email is not None and not is_email(body.email):
        raise unfit("email is not an e-mail address", "email")
    return replace(
        person,
        name=_name(body),
        roles=_read_roles(body),
        email=body.email,
        email_verified=body.email_verified,
    )


def _name(body: Profile) -> str:
    name = body.name.strip()
    if not name or not name.isprintable() or len(name) > _MAX_NAME:
        raise unfit(f"name has 1 to {_MAX_NAME} printable characters", "name")
    return name


def _read_roles(body: Profile) -> frozenset[Role]:
    if not set(body.roles) <= set(Role):
        raise unfit(f"roles are of {', '.join(_ROLES)}", "roles")
    return frozenset(map(Role, body.roles))


async def _answer(office: Office, person: Person, *, status: int = 200) -> Answer:
    return Answer(await _tell(office, person), status, {"ETag": etag_of(person)})


async def _tell(office: Office, person: Person) -> PersonTold:
    return PersonTold(
        id=person.id,
        name=person.name,
        roles=sorted(person.roles),
        email=person.email,
        email_verified=person.email_verified,
        enabled=person.enabled,
        declared=person.declared,
        has_password=person.password_hash is not None,
        sessions=len(await _sessions(office, person)),
    )


async def _sessions(office: Office, person: Person) -> list[ConsoleSession]:
    """Those that can be used still; a host application says itself when its own are over."""
    now = office.house.clock.now()
    return [
        session
        for session in await office.house.store.list_sessions(person.id)
        if office.hosted or not session.is_over(now)
    ]


async def _note(office: Office, request: AdminRequest, event: str, person: Person) -> None:
    house = office.house
    detail = " ".join([person.id, *sorted(person.roles)])
    await house.store.record(SecurityEvent(house.clock.now(), event, request.caller.actor, detail))


ROUTES: Final = (
    AdminRoute(
        method="GET", path="/people", scope=scopes.READ, handle=list_people,
        summary="List people", told=PersonPage,
        query=(Query(name="role", summary="Only who has this role", values=_ROLES), LIMIT, CURSOR),
    ),
    AdminRoute(
        method="POST", path="/people", scope=scopes.PEOPLE, handle=create,
        summary="Add a person, who then needs an invitation", body=NewPerson, told=PersonTold,
        status=201,
    ),
    AdminRoute(
        method="GET", path="/people/{person_id}", scope=scopes.READ, handle=show,
        summary="Show a person", told=PersonTold,
    ),
    AdminRoute(
        method="PUT", path="/people/{person_id}", scope=scopes.PEOPLE, handle=change,
        summary="Change a person's name and roles", body=Profile, told=PersonTold,
        is_guarded=True,
    ),
    AdminRoute(
        method="DELETE", path="/people/{person_id}", scope=scopes.PEOPLE, handle=erase,
        summary="Erase a person for good; what must stay names a pseudonym", told=Erased,
    ),
    AdminRoute(
        method="POST", path="/people/{person_id}/disable", scope=scopes.PEOPLE, handle=disable,
        summary="Disable a person, and end their sessions, grants and requests", told=PersonTold,
    ),
    AdminRoute(
        method="POST", path="/people/{person_id}/enable", scope=scopes.PEOPLE, handle=enable,
        summary="Enable a person again; what ended stays ended", told=PersonTold,
    ),
    AdminRoute(
        method="POST", path="/people/{person_id}/invite", scope=scopes.PEOPLE, handle=invite,
        summary="Make a one-time link by which they set a password", told=Invitation, status=201,
    ),
    AdminRoute(
        method="POST", path="/people/{person_id}/sign-out", scope=scopes.PEOPLE, handle=sign_out,
        summary="End their sessions by force, and what was granted in them", told=PersonTold,
    ),
    AdminRoute(
        method="GET", path="/people/{person_id}/sessions", scope=scopes.READ,
        handle=list_sessions, summary="List where they are signed in", told=SessionPage,
        query=(LIMIT, CURSOR),
    ),
    AdminRoute(
        method="GET", path="/people/{person_id}/consents", scope=scopes.READ,
        handle=list_consents, summary="List what they let clients do", told=ConsentPage,
        query=(LIMIT, CURSOR),
    ),
    AdminRoute(
        method="DELETE", path="/people/{person_id}/consents/{client_id}", scope=scopes.PEOPLE,
        handle=withdraw_consent, status=204,
        summary="Withdraw what they let a client do, and end what came of it",
    ),
)  # fmt: skip

"""People of the application that Abeyance is mounted into.

With such a hook there are no passwords, invitations or sign-in pages of ours: the
host says who is signed in, and where to sign in. What a person granted, asked or
decided is still kept here under their identifier, and what was ended here (a person
disabled, a session ended by force) the host cannot undo.
"""

import asyncio
import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NoReturn, Protocol, runtime_checkable

import structlog

from abeyance.acts.erasing import find_erased
from abeyance.acts.house import House
from abeyance.parties.person import ConsoleSession, Person, PersonId, Role, is_person_id
from abeyance.server.http import Scope, log_fault
from abeyance.server.pages import refusals
from abeyance.server.pages.refusals import ErrorPage, SignInFirst
from abeyance.store.ports import SecurityEvent

MAX_NAME: Final = 200
_PATIENCE: Final = 5.0  # seconds for the host to say who is there
# Noting each use would be a durable write for each page.
_NOTED_EVERY: Final = timedelta(minutes=1)

_log = structlog.get_logger("abeyance.host")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPerson:
    """Somebody who is signed in at the host.

    `id` is what their tokens will call them: up to 100 lower-case letters, digits
    and `._@+-`, and it never means somebody else later. `session` names the browser
    session at the host, anew with each sign-in, so that it can be ended here.
    `signed_in_at` is aware. The roles of whom the configuration declares are the
    configuration's, whatever is said here.
    """

    id: str
    name: str
    signed_in_at: datetime
    session: str
    reviewer: bool = False
    administrator: bool = False


class HostPeople(Protocol):
    """What the host application tells."""

    async def who(self, scope: Scope) -> HostPerson | None:
        """Who sent this request, by its ASGI scope (cookies, `scope["user"]` ...)?

        Raising, or taking longer than five seconds, is a fault: the page is not served.
        """
        ...

    def sign_in_url(self, return_to: str) -> str:
        """Where a browser signs in; `return_to` is an absolute URL of ours."""
        ...

    def sign_out_url(self) -> str | None:
        """The page on which a browser signs out of the host, if our pages are to link to it."""
        return None


@runtime_checkable
class SignsInAgain(Protocol):
    """What a host may have besides, for clients that demand it (`prompt=login`, `max_age`).

    A client of a host without it is told that it cannot be done.
    """

    def sign_in_again_url(self, return_to: str) -> str:
        """Where a browser that is signed in signs in once more, or as somebody else."""
        ...


def session_digest(person: str, session: str) -> bytes:
    """How a session of the host rests here."""
    return hashlib.sha256(f"host\0{person}\0{session}".encode("utf-8", "replace")).digest()


async def find_at_host(
    house: House, people: HostPeople, scope: Scope, *, using: bool
) -> tuple[Person, ConsoleSession] | None:
    """Ask the host who is there, and keep what it says.

    Raises `SignInFirst` with a page for whom the host knows and this house does not let
    in: sent to sign in, they would be sent back at once.
    """
    try:
        async with asyncio.timeout(_PATIENCE):
            told = await people.who(scope)
    except Exception as fault:  # the host's code may raise anything
        log_fault(fault)
        _bar(refusals.HOST_AWAY)
    if told is None:
        return None
    if problem := _problem(told):
        _log.error("the host names somebody who cannot be kept", problem=problem)
        _bar(refusals.UNFIT)
    person = await _keep(house, told)
    if not person.enabled:
        _bar(refusals.NOT_LET_IN)
    session = await _keep_session(house, person, told, using=using)
    if session is None:
        _bar(refusals.ENDED)
    return person, session


def _bar(page: ErrorPage) -> NoReturn:
    raise SignInFirst(instead=page)


def _problem(told: HostPerson) -> str | None:
    """What keeps somebody from being kept here."""
    if not is_person_id(told.id):
        return "the id has other characters than lower-case letters, digits and ._@+-"
    if not told.name.strip() or len(told.name) > MAX_NAME:
        return f"the name is empty or longer than {MAX_NAME} characters"
    if not told.session:
        return "the session has no name"
    if told.signed_in_at.tzinfo is None:
        return "the time of the sign-in has no zone"
    return None


async def _keep(house: House, told: HostPerson) -> Person:
    """Write the person where they are new or changed; whom the file declares is the file's."""
    roles = frozenset(
        role
        for role, has in (
            (Role.REVIEWER, told.reviewer),
            (Role.ADMINISTRATOR, told.administrator),
        )
        if has
    )
    while True:
        known = await house.store.find_person(PersonId(told.id))
        if known is None:
            # Disabled, whatever the host application says: nobody becomes who was erased.
            known = await find_erased(house, PersonId(told.id))
            if known is not None:
                return known
        if known is not None and (
            known.declared or (known.name, known.roles) == (told.name, roles)
        ):
            return known
        new = Person(id=PersonId(told.id), name=told.name, roles=roles, declared=False)
        person = new if known is None else replace(known, name=told.name, roles=roles)
        # Never a plain write: it would enable again whom somebody disables just now.
        if await house.store.replace_person(known, person):
            detail = " ".join([told.id, *sorted(roles)])
            await house.store.record(
                SecurityEvent(house.clock.now(), "person_told", "host application", detail)
            )
            return person


async def _keep_session(
    house: House, person: Person, told: HostPerson, *, using: bool
) -> ConsoleSession | None:
    """The session as it stands here; `None` if it was ended, which it then stays."""
    now, digest = house.clock.now(), session_digest(told.id, told.session)
    known = await house.store.find_session(digest)
    signed_in_at = min(told.signed_in_at, now)
    if known is None or (using and now - known.seen_at >= _NOTED_EVERY):
        await house.store.put_session(ConsoleSession(digest, person.id, signed_in_at, now))
        known = await house.store.find_session(digest)
    return None if known is None else replace(known, signed_in_at=signed_in_at)

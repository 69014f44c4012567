"""Who is there: the cookie, and the session that it names (OAUTH-SESS-01, -02, -13).

The cookie holds 256 random bits and nothing else; the store knows their SHA-256.
Before sign-in the cookie is only what forms are bound to, and names no session;
signing in always draws a new one, so an id that somebody planted never gets rights.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import Response

from abeyance.acts import dispose
from abeyance.acts.house import House
from abeyance.parties.person import ConsoleSession, Person, Role
from abeyance.server.http import Scope
from abeyance.server.pages.host import HostPeople, SignsInAgain, find_at_host
from abeyance.server.pages.refusals import TWO_COOKIES, Refused
from abeyance.wire.base64url import parse_base64url, render_base64url
from abeyance.wire.secret import Secret

# Noting each use would be a durable write for each page; one a minute ends a session
# at most a minute early.
_NOTED_EVERY: Final = timedelta(minutes=1)
_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser: the cookie that it sent, or the one that the answer will give it."""

    cookie: Secret
    is_new: bool
    scope: Scope


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person who has shown who they are, in this browser."""

    person: Person
    session: ConsoleSession
    cookie: Secret

    @property
    def reviews(self) -> bool:
        return Role.REVIEWER in self.person.roles

    @property
    def administers(self) -> bool:
        return Role.ADMINISTRATOR in self.person.roles


class Sessions:
    """Sessions of this house. `secure`: the issuer is https. `people`: the host's, if it
    has its own (`host`).
    """

    __slots__ = ("_house", "_people", "_secure", "name")

    def __init__(self, house: House, *, secure: bool, people: HostPeople | None = None) -> None:
        self._house = house
        self._secure = secure
        self._people = people
        # Cookies of loopback are shared by all ports: two servers must not share a name.
        issuer = hashlib.sha256(house.endpoints.issuer.encode()).hexdigest()[:8]
        self.name = "__Host-abeyance" if secure else f"abeyance-{issuer}"

    @property
    def hosted(self) -> bool:
        """Does the host application sign people in?"""
        return self._people is not None

    def sign_in_url(self, return_to: str) -> str | None:
        """Where the host signs people in; `None`: here."""
        return None if self._people is None else self._people.sign_in_url(return_to)

    def sign_in_again_url(self, return_to: str) -> str | None:
        """Where the host makes somebody sign in once more, if it can."""
        people: object = self._people
        return people.sign_in_again_url(return_to) if isinstance(people, SignsInAgain) else None

    def sign_out_url(self) -> str | None:
        """Where the host signs people out; `None`: here, or it does not say."""
        return None if self._people is None else self._people.sign_out_url()

    def meet(self, request: HTTPConnection) -> Visitor:
        """Read the cookie, or draw a new one. Raises `Refused` for two of them (SEC-UI-24)."""
        found = [
            value
            for header in request.headers.getlist("cookie")
            for name, _, value in (pair.strip().partition("=") for pair in header.split(";"))
            if name == self.name
        ]
        if len(found) > 1:
            raise Refused(TWO_COOKIES)
        if found and _is_ours(found[0]):
            return Visitor(Secret(found[0]), False, request.scope)
        drawn = Secret(render_base64url(self._house.random(_BYTES)))
        return Visitor(drawn, True, request.scope)

    async def find(self, visitor: Visitor, *, using: bool = True) -> SignedIn | None:
        """Find who is signed in. `using`: a person is at work, so the idle time starts again.

        Raises `SignInFirst` with a page for whom a host application may sign in in vain.
        """
        if self._people is not None:
            return await self._find_at_host(self._people, visitor, using=using)
        if visitor.is_new:
            return None
        session = await self._house.store.find_session(visitor.cookie.digest())
        if session is None:
            return None
        now = self._house.clock.now()
        person = await self._house.store.find_person(session.person)
        if person is None or not person.enabled or session.is_over(now):
            await self._house.store.end_session(session.digest)
            return None
        if using and now - session.seen_at >= _NOTED_EVERY:
            session = ConsoleSession(session.digest, session.person, session.signed_in_at, now)
            await self._house.store.put_session(session)
        return SignedIn(person, session, visitor.cookie)

    async def _find_at_host(
        self, people: HostPeople, visitor: Visitor, *, using: bool
    ) -> SignedIn | None:
        found = await find_at_host(self._house, people, visitor.scope, using=using)
        if found is None:
            return None
        person, session = found
        # Forms are bound to browser and session: whoever signs in after does not inherit them.
        bound = Secret(f"{visitor.cookie.reveal()}.{session.digest.hex()}")
        return SignedIn(person, session, bound)

    async def begin(self, visitor: Visitor, person: Person) -> Secret:
        """Start a session under a new id; whatever the old cookie named is over."""
        await dispose.sign_out(self._house, visitor.cookie.digest())
        cookie = Secret(render_base64url(self._house.random(_BYTES)))
        now = self._house.clock.now()
        await self._house.store.put_session(ConsoleSession(cookie.digest(), person.id, now, now))
        return cookie

    async def end(self, signed_in: SignedIn) -> None:
        await dispose.sign_out(self._house, signed_in.session.digest)

    def give(self, response: Response, cookie: Secret) -> None:
        """Set the cookie; it ends with the browser, the session with its times."""
        response.set_cookie(
            self.name,
            cookie.reveal(),
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )

    def take_back(self, response: Response) -> None:
        response.delete_cookie(
            self.name, path="/", secure=self._secure, httponly=True, samesite="lax"
        )


def _is_ours(value: str) -> bool:
    try:
        return len(parse_base64url(value)) == _BYTES
    except ValueError:
        return False

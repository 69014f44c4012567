"""What every page is given, and how a page becomes an answer."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from abeyance.acts.house import House
from abeyance.pending.handles import Home
from abeyance.pending.request import Key
from abeyance.server.pages import forms, guard
from abeyance.server.pages.destinations import Destination
from abeyance.server.pages.drawing import Pages
from abeyance.server.pages.refusals import SignInFirst
from abeyance.server.pages.sessions import Sessions, SignedIn, Visitor
from abeyance.server.passwords import Passwords
from abeyance.server.proxies import Network

MOST_COUNTED: Final = 100

_REQUEST_ID = re.compile(r"([0-9a-f]{32})\.([1-9][0-9]{0,8})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The house, seen from its pages. `base` is the issuer's path on its host.

    `proxies` are trusted to say who calls; requests here already tell the caller's address.
    """

    house: House
    passwords: Passwords
    pages: Pages
    sessions: Sessions
    base: str
    proxies: Sequence[Network] = ()

    # --- who is there

    async def admit(
        self, request: Request, to: Destination | None = None, *, using: bool = True
    ) -> SignedIn:
        """Return who is signed in; raises `SignInFirst`, which leads on to `to`, and `Refused`."""
        visitor = self.sessions.meet(request)
        signed_in = await self.sessions.find(visitor, using=using)
        if signed_in is None:
            raise SignInFirst(to)
        if visitor.is_new:
            # A host application signed them in: our cookie, to which forms are bound, is new.
            request.state.cookie = visitor.cookie
        return signed_in

    async def read(self, request: Request) -> forms.Fields:
        """Read a form that one of our own pages sent. Raises `Refused`."""
        guard.check_origin(request, self.house.endpoints.issuer)
        return await forms.read_fields(request)

    async def count_waiting(self, signed_in: SignedIn) -> int:
        """How much waits for them, as far as a page counts."""
        if not signed_in.reviews:
            return 0
        now = self.house.clock.now()
        store = self.house.store
        return await store.count_waiting(signed_in.person.id, now=now, at_most=MOST_COUNTED)

    async def badge(self, signed_in: SignedIn) -> str | None:
        """What stands beside "Reviews" in the bar."""
        count = await self.count_waiting(signed_in)
        return render_count(count) if count else None

    def sign_in_url(self, to: Destination | None) -> str | None:
        """Where the host application signs people in; `None`: our own page does."""
        issuer = self.house.endpoints.issuer
        return self.sessions.sign_in_url(issuer + (to.path if to else "/account/"))

    def sign_in_again(self, to: Destination, *, mark: str) -> Response | None:
        """To where somebody who is signed in signs in once more; back from a host application
        they bring the parameter `mark`. `None`: the host cannot do that.
        """
        if not self.sessions.hosted:
            return self.go("/sign-in", to=to.render())
        back = f"{self.house.endpoints.issuer}{to.path}&{mark}=1"
        url = self.sessions.sign_in_again_url(back)
        return None if url is None else RedirectResponse(url, 303)

    # --- answers

    def page(
        self,
        template: str,
        facts: Mapping[str, Any],
        *,
        signed_in: SignedIn | None = None,
        status: int = 200,
        live: bool = False,
        leads_to: str | tuple[str, ...] = (),
    ) -> Response:
        """Draw a page. `live`: its script asks for news. `leads_to`: the origins or schemes
        to which its forms lead in the end.
        """
        sign_out = None
        if signed_in is not None:
            sign_out = guard.mint_token(signed_in.cookie, "sign-out")
        shared = {
            "person": None if signed_in is None else signed_in.person,
            "reviews": signed_in is not None and signed_in.reviews,
            "administers": signed_in is not None and signed_in.administers,
            "sign_out_token": None if self.sessions.hosted else sign_out,
            "sign_out_url": self.sessions.sign_out_url(),
            "area": None,
            "waiting_count": None,
            "now": self.house.clock.now(),
        }
        response = HTMLResponse(self.pages.draw(template, shared | dict(facts)), status)
        if live or leads_to:
            policy = guard.render_policy(live=live, leads_to=leads_to)
            response.headers["Content-Security-Policy"] = policy
        return response

    def meet_with(self, response: Response, visitor: Visitor) -> Response:
        """Give a new visitor the cookie that the form on this page is bound to."""
        if visitor.is_new:
            self.sessions.give(response, visitor.cookie)
        return response

    def go(self, path: str, **query: str) -> Response:
        """Go on to a page of ours, by GET (OAUTH-HTTP-08, OAUTH-SESS-06)."""
        tail = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        return RedirectResponse(f"{self.base}{path}{'?' if tail else ''}{tail}", 303)


def render_count(count: int) -> str:
    return str(count) if count < MOST_COUNTED else f"{MOST_COUNTED - 1}+"


def render_request_id(key: Key) -> str:
    """How a page names a request: where it lives, which is not what collects it.

    In hexadecimal, so that not even the first characters are those of the code.
    """
    return f"{key.home.hex()}.{key.n}"


def parse_request_id(text: str) -> Key | None:
    found = _REQUEST_ID.fullmatch(text)
    return None if found is None else Key(Home(bytes.fromhex(found[1])), int(found[2]))

"""What every page of the console is given, and how a page becomes an answer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from abeyance.acts.house import House
from abeyance.pending.handles import Home
from abeyance.pending.request import Key
from abeyance.server.console import forms, guard
from abeyance.server.console.pages import Pages
from abeyance.server.console.refusals import SignInFirst
from abeyance.server.console.sessions import Sessions, SignedIn, Visitor
from abeyance.server.passwords import Passwords

_REQUEST_ID = re.compile(r"([0-9a-f]{32})\.([1-9][0-9]{0,8})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The house, seen from the console. `base` is the console's path on its host."""

    house: House
    passwords: Passwords
    pages: Pages
    sessions: Sessions
    base: str

    # --- who is there

    async def admit(self, request: Request, *, using: bool = True) -> SignedIn:
        """Return who is signed in; raises `SignInFirst`, `Refused`."""
        signed_in = await self.sessions.find(self.sessions.meet(request), using=using)
        if signed_in is None:
            raise SignInFirst
        return signed_in

    async def read(self, request: Request) -> forms.Fields:
        """Read a form that one of our own pages sent. Raises `Refused`."""
        guard.check_origin(request, self.house.endpoints.issuer)
        return await forms.read_fields(request)

    # --- answers

    def page(
        self,
        template: str,
        facts: Mapping[str, Any],
        *,
        signed_in: SignedIn | None = None,
        status: int = 200,
        live: bool = False,
    ) -> Response:
        """Draw a page. `live`: its script asks for news."""
        sign_out = None
        if signed_in is not None:
            sign_out = guard.mint_token(signed_in.cookie, "sign-out")
        shared = {
            "person": None if signed_in is None else signed_in.person,
            "sign_out_token": sign_out,
            "now": self.house.clock.now(),
        }
        response = HTMLResponse(self.pages.draw(template, shared | dict(facts)), status)
        if live:
            response.headers["Content-Security-Policy"] = guard.LIVE_POLICY
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


def render_request_id(key: Key) -> str:
    """How a page names a request: where it lives, which is not what collects it.

    In hexadecimal, so that not even the first characters are those of the code.
    """
    return f"{key.home.hex()}.{key.n}"


def parse_request_id(text: str) -> Key | None:
    found = _REQUEST_ID.fullmatch(text)
    return None if found is None else Key(Home(bytes.fromhex(found[1])), int(found[2]))

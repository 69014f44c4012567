"""A shop that signs people in by itself, with Abeyance below /as.

    uvicorn --app-dir examples --factory embedding:make_shop

Open http://127.0.0.1:8000/as/console/ and sign in at the shop as `rita`, password `let me in`.
"""  # noqa: INP001  # a script, in no package

import asyncio
import hashlib
import hmac
import html
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from abeyance.server.app import Abeyance
from abeyance.server.http import Scope
from abeyance.server.pages.host import HostPeople, HostPerson
from abeyance.server.settings import Settings, load_settings

COOKIE: Final = "shop"
# Name and scrypt of the password, as the shop's own table of users would have them.
ACCOUNTS: Final = {
    "uma": (
        "Uma Underwood",
        "f2307f352d5ef356530853b2185268e60db62419c68ae253ffffd946bea308aa",
    ),
    "rita": (
        "Rita Renner",
        "3110162866e9cb15cfa516c26b6aa7f3a86fad884b5bf1d034e9dcfe2126e11c",
    ),
}


class Shop(HostPeople):
    """The shop's people and their sessions: what Abeyance asks, and the shop's own pages."""

    def __init__(self, settings: Settings) -> None:
        self.abeyance = Abeyance(settings, people=self)
        self._issuer = settings.issuer
        self._home = settings.issuer.removesuffix("/as")
        self._sessions: dict[str, HostPerson] = {}

    # --- what Abeyance asks

    async def who(self, scope: Scope) -> HostPerson | None:
        return self._sessions.get(HTTPConnection(scope).cookies.get(COOKIE, ""))

    def sign_in_url(self, return_to: str) -> str:
        return f"{self._home}/login?{urlencode({'return_to': return_to})}"

    def sign_out_url(self) -> str:
        return f"{self._home}/logout"

    # --- pages of the shop

    async def show_login(self, request: Request) -> Response:
        return self._login_page(request.query_params.get("return_to", ""))

    async def login(self, request: Request) -> Response:
        _check_ours(request, self._home)
        found = parse_qs((await request.body())[:4096].decode("utf-8", "replace"))
        fields = {name: values[0] for name, values in found.items()}
        name, return_to = fields.get("name", ""), fields.get("return_to", "")
        if not await asyncio.to_thread(_is_password_of, name, fields.get("password", "")):
            return self._login_page(return_to, "That did not work.", status=401)
        cookie = secrets.token_urlsafe(32)  # a new session for each sign-in
        self._sessions[cookie] = HostPerson(
            id=name,
            name=ACCOUNTS[name][0],
            signed_in_at=datetime.now(UTC),
            session=secrets.token_hex(16),
        )
        # Back to Abeyance and to nowhere else, whoever made the link.
        back = return_to if return_to.startswith(f"{self._issuer}/") else f"{self._home}/"
        response = RedirectResponse(back, 303)
        secure = self._home.startswith("https:")
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="lax", secure=secure)
        return response

    async def show_logout(self, _request: Request) -> Response:
        return HTMLResponse('<form method="post"><button>Sign out of the shop</button></form>')

    async def logout(self, request: Request) -> Response:
        _check_ours(request, self._home)
        person = self._sessions.pop(request.cookies.get(COOKIE, ""), None)
        if person is not None:
            await self.abeyance.sign_out(person.id, person.session)
        response = RedirectResponse(f"{self._home}/", 303)
        response.delete_cookie(COOKIE)
        return response

    async def show_home(self, request: Request) -> Response:
        person = await self.who(request.scope)
        name = "nobody" if person is None else person.name
        return HTMLResponse(f"<h1>The shop</h1><p>Signed in: {html.escape(name)}.</p>")

    def _login_page(self, return_to: str, error: str = "", *, status: int = 200) -> Response:
        return HTMLResponse(
            f"""<h1>Sign in to the shop</h1><p>{error}</p><form method="post">
            <input type="hidden" name="return_to" value="{html.escape(return_to)}">
            <label>Name <input name="name" autocomplete="username"></label>
            <label>Password <input name="password" type="password"></label>
            <button>Sign in</button></form>""",
            status,
        )


def _check_ours(request: Request, home: str) -> None:
    """Only the shop's own pages send its forms."""
    parts = urlsplit(home)
    site, origin = (request.headers.get(name) for name in ("sec-fetch-site", "origin"))
    if site != "same-origin" and (site or origin != f"{parts.scheme}://{parts.netloc}"):
        raise HTTPException(403)


def _is_password_of(name: str, password: str) -> bool:
    kept = ACCOUNTS.get(name, ("", ""))[1]
    return hmac.compare_digest(kept, scrypt(name, password))


def scrypt(name: str, password: str) -> str:
    salt = hashlib.sha256(f"shop {name}".encode()).digest()
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32).hex()


def make_shop(settings: Settings | None = None) -> Starlette:
    """The shop, which opens and closes Abeyance with itself."""
    settings = settings or load_settings(Path(__file__).with_name("embedding.toml"))
    shop = Shop(settings)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with shop.abeyance.running():
            yield

    return Starlette(
        routes=[
            Route("/", shop.show_home),
            Route("/login", shop.show_login),
            Route("/login", shop.login, methods=["POST"]),
            Route("/logout", shop.show_logout),
            Route("/logout", shop.logout, methods=["POST"]),
            Mount("/as", shop.abeyance),
            # RFC 8414 wants the metadata on the host, with the issuer's path behind.
            Route("/.well-known/oauth-authorization-server/as", shop.abeyance),
        ],
        lifespan=lifespan,
    )

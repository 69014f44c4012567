"""examples/embedding.py as a browser and a client meet it, also below a path of a proxy's."""

import importlib.util
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from abeyance.server.settings import load_settings
from tests.config import SECRET
from tests.covers import covers
from tests.people.house import VERIFIER, challenge

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
ORIGIN: Final = "https://shop.example"
PREFIXES: Final = ["", "/market"]


def load_example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("embedding", EXAMPLES / "embedding.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(slots=True)
class Market:
    """The shop below `prefix`; `browser` keeps cookies and says that its forms are ours."""

    prefix: str
    browser: httpx2.AsyncClient

    @property
    def home(self) -> str:
        return ORIGIN + self.prefix

    @property
    def issuer(self) -> str:
        return f"{self.home}/as"

    async def send(self, page: httpx2.Response, **fields: str) -> httpx2.Response:
        """The first form of a page."""
        [action] = re.findall(r'<form method="post"(?: action="([^"]+)")?', page.text)[:1]
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text)
        found = {name: unescape(value) for name, value in hidden}
        return await self.browser.post(
            str(page.url.join(unescape(action) or str(page.url))),
            data=found | fields,
            headers={"sec-fetch-site": "same-origin"},
        )

    async def sign_in(self, page: httpx2.Response, name: str) -> httpx2.Response:
        assert str(page.url).startswith(f"{self.home}/login?return_to=")
        return await self.send(page, name=name, password="let me in")


@asynccontextmanager
async def open_market(folder: Path, prefix: str) -> AsyncIterator[Market]:
    text = (EXAMPLES / "embedding.toml").read_text()
    file, secret = folder / "embedding.toml", folder / "courier.secret"
    secret.write_text(SECRET)
    text = re.sub(r'secret_sha256 = "\w+"', f'secret_file = "{secret}"', text)
    text = text.replace("http://127.0.0.1:8000/as", f"{ORIGIN}{prefix}/as")
    file.write_text(text)
    app = load_example().make_shop(load_settings(file, environ={}))

    async def below(scope: Any, receive: Any, send: Any) -> None:
        """As a server with a root path hands it over."""
        await app({**scope, "root_path": prefix}, receive, send)

    transport = httpx2.ASGITransport(app=below)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url=ORIGIN, follow_redirects=True) as browser,
    ):
        yield Market(prefix, browser)


def authorization(market: Market, scope: str) -> str:
    query = {
        "response_type": "code",
        "client_id": "courier",
        "redirect_uri": "https://courier.example/callback",
        "scope": scope,
        "state": "xyz",
        "code_challenge": challenge(),
        "code_challenge_method": "S256",
    }
    return f"{market.issuer}/authorize?{urlencode(query)}"


async def agree(market: Market, page: httpx2.Response) -> str:
    """Agree on the consent page; return the code that the client gets."""
    market.browser.follow_redirects = False
    sent = await market.send(page, decision="agree")
    market.browser.follow_redirects = True
    location = sent.headers["location"]
    assert location.startswith("https://courier.example/callback?")
    back = parse_qs(urlsplit(location).query)
    assert back["iss"] == [market.issuer]
    return back["code"][0]


async def redeem(market: Market, code: str, **more: str) -> httpx2.Response:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": "https://courier.example/callback",
        "code_verifier": VERIFIER,
        **more,
    }
    async with httpx2.AsyncClient(transport=market.browser._transport) as client:
        return await client.post(f"{market.issuer}/token", data=form, auth=("courier", SECRET))


@covers("OAUTH-HTTP-01", "OAUTH-META-01", "T-206", "OAUTH-SESS-06")
@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_person_of_the_shop_lets_a_client_act(tmp_path: Path, prefix: str) -> None:
    async with open_market(tmp_path, prefix) as market:
        inserted = f"{prefix}/.well-known/oauth-authorization-server/as"
        metadata = (
            await market.browser.get(f"{market.issuer}/.well-known/oauth-authorization-server")
        ).json()
        assert metadata["authorization_endpoint"] == f"{market.issuer}/authorize"
        if not prefix:  # below one, the well-known place is not the shop's
            assert (await market.browser.get(inserted)).json() == metadata
        page = await market.browser.get(authorization(market, "orders:read"))
        page = await market.sign_in(page, "uma")
        assert str(page.url).startswith(f"{market.issuer}/authorize/consent?tx=")
        assert "Uma Underwood" in page.text
        places = re.findall(r'(?:href|src|action)="([^"#]+)"', page.text)
        assert all(place.startswith((f"{prefix}/as/", f"{market.home}/logout")) for place in places)
        token = await redeem(market, await agree(market, page))
        assert token.json()["scope"] == "orders:read"


@covers("OAUTH-SESS-03")
@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_reviewer_of_the_shop_decides(tmp_path: Path, prefix: str) -> None:
    async with open_market(tmp_path, prefix) as market:
        page = await market.browser.get(authorization(market, "orders:return"))
        code = await agree(market, await market.sign_in(page, "uma"))
        pending = await redeem(market, code, completion_mode="deferred")
        assert pending.json()["error"] == "authorization_pending"
        page = await market.browser.get(f"{market.home}/logout")
        await market.send(page)
        page = await market.sign_in(await market.browser.get(f"{market.issuer}/console/"), "rita")
        [path] = set(re.findall(rf'href="({prefix}/as/console/requests/[^"/]+)"', page.text))
        page = await market.browser.get(path)
        assert "Rita Renner" in page.text
        place = re.findall(r'action="([^"]+/vote)"', page.text)[0]
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
        votes = {name: hidden[name] for name in ("csrf", "seen", "version")}
        await market.browser.post(
            place, data=votes | {"vote": "approve"}, headers={"sec-fetch-site": "same-origin"}
        )
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:deferred",
            "deferral_code": pending.json()["deferral_code"],
        }
        async with httpx2.AsyncClient(transport=market.browser._transport) as client:
            answer = await client.post(
                f"{market.issuer}/token", data=form, auth=("courier", SECRET)
            )
        assert answer.json()["scope"] == "orders:return"


@covers("OAUTH-SESS-06", "OAUTH-SESS-07")
@pytest.mark.parametrize("prefix", PREFIXES)
async def test_the_shop_leads_nobody_away_and_lets_no_guesser_in(
    tmp_path: Path, prefix: str
) -> None:
    async with open_market(tmp_path, prefix) as market:
        for place in ("/sign-in", "/welcome/" + "W" * 43):
            assert (await market.browser.get(market.issuer + place)).status_code == 404
        evil = f"{market.home}/login?return_to=https%3A%2F%2Fevil.example%2F"
        page = await market.browser.get(evil)
        wrong = await market.send(page, name="uma", password="let me out")
        assert wrong.status_code == 401
        page = await market.send(wrong, name="uma", password="let me in")
        assert str(page.url) == f"{market.home}/"
        assert "Signed in: Uma Underwood." in page.text
        assert (await market.browser.get(f"{market.issuer}/console/")).status_code == 200

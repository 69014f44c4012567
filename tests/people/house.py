"""A server with people: users, clients that act for them, reviewers, and steps to take.

`Flow` is one client with a browser: it sends the browser to the authorization
endpoint, lets the person sign in and answer, and exchanges what comes back.
"""

import base64
import hashlib
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from abeyance.outbound.caller import Outside
from abeyance.pending.request import Key
from abeyance.proofs.jwk import KeyPair
from abeyance.server.pages.host import HostPeople
from tests.answer import Answer
from tests.console.house import HASH, PASSWORD, PageSeen, Tab
from tests.served import Caller, Served, serve

ISSUER: Final = "https://as.example"
CALLBACK: Final = "https://web.example/callback?tenant=7"
NATIVE: Final = "http://127.0.0.1/callback"
VERIFIER: Final = "v" * 50

CONFIG: Final = """
issuer = "{issuer}"
data = "{data}"
limits.open_requests_per_reviewer = 1000
authorization_details_types = [
  "tests.details_types:PAYMENT", "tests.details_types:EXPORT", "tests.details_types:STANDING",
]
{extra}

[server]
listen = "127.0.0.1:8400"

[scopes]
read = "Read the ledger"
write = "Change the ledger"
now = "Granted at once"
ident = "Prove who you are"
sure = "Needs a word from you first"
never = "Never granted"

[resources]
"https://ledger.example" = "The ledger"
"https://mail.example" = "The mail"

[[users]]
id = "uma"
name = "Uma Underwood"
password_hash = "{password}"

[[users]]
id = "vic"
name = "Vic Vance"
password_hash = "{password}"

[[reviewers]]
id = "rita"
name = "Rita Renner"
password_hash = "{password}"

[[reviewers]]
id = "ada"
name = "Ada Admin"
administrator = true
password_hash = "{password}"

[[interactions]]
id = "address"
title = "Tell us where you live"
text = "We compare it with what your bank says."

[[interactions.fields]]
name = "street"
label = "Street and number"

[[interactions.fields]]
name = "since"
label = "Since when"
kind = "choice"
choices = ["this year", "longer"]
required = false

[[interactions]]
id = "document"
title = "Send a photo of your document"
text = "You do that at our verification service."
hook = "tests.people.vendor:VENDOR"

[[rules]]
name = "never"
when = "'never' in scope"
then = "deny"

[[rules]]
name = "renewals of what was approved"
when = "grant_type == 'refresh_token' && approved"
then = "issue"

[[rules]]
name = "at once"
when = "'now' in scope"
then = "issue"

[[rules]]
name = "identity"
when = "'ident' in scope"
then = "defer"
reviewers = ["rita"]
interaction = "document"
interactions = ["document", "statement"]
interval = "5s"
lifetime = "24h"
approval_lifetime = "12h"

[[rules]]
name = "sure"
when = "'sure' in scope"
then = "defer"
reviewers = ["rita"]
interaction = "confirm"
interactions = ["address", "statement"]
interaction_people = ["vic"]
interval = "5s"
lifetime = "1h"

[[rules]]
name = "review"
then = "defer"
reviewers = ["rita", "ada"]
interactions = ["confirm", "statement", "address"]
interval = "5s"
lifetime = "1h"
approval_lifetime = "{approval}"

[[clients]]
id = "web"
name = "Webmill"
owner = "ada"
secret_file = "{data}/s1.secret"
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["https://web.example/callback?tenant=7", "https://web.example/other"]
scope = ["read", "write", "now", "ident", "sure", "never"]
resources = ["https://ledger.example"]
authorization_details_types = ["payment", "export", "standing"]

[[clients]]
id = "many"
name = "Many places"
secret_file = "{data}/s1.secret"
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["https://many.example/cb"]
scope = ["read", "write", "now"]
resources = ["https://ledger.example", "https://mail.example"]
rotate_refresh_tokens = true

[[clients]]
id = "app"
name = "Pocket app"
token_endpoint_auth_method = "none"
application_type = "native"
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["http://127.0.0.1/callback", "com.example.pocket:/cb"]
scope = ["read", "write", "now", "sure"]
resources = ["https://ledger.example"]
authorization_details_types = ["payment"]

[[clients]]
id = "spa"
name = "Page in the browser"
token_endpoint_auth_method = "none"
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["https://spa.example/cb"]
allowed_origins = ["https://spa.example"]
scope = ["read", "now"]
resources = ["https://ledger.example"]

[[clients]]
id = "robot"
name = "Robot"
secret_file = "{data}/s1.secret"
scope = ["read", "now", "sure", "ident"]
resources = ["https://ledger.example"]

[[clients]]
id = "ledger"
name = "The ledger itself"
secret_file = "{data}/s1.secret"
scope = ["read"]
resources = ["https://ledger.example"]
introspects = ["https://ledger.example"]
"""


@asynccontextmanager
async def open_people(
    folder: Path,
    *,
    issuer: str = ISSUER,
    extra: str = "",
    approval: str = "24h",
    config: str = CONFIG,
    people: HostPeople | None = None,
    outside: Outside | None = None,
) -> AsyncIterator[Served]:
    text = config.replace("{issuer}", issuer).replace("{approval}", approval)
    text = text.replace("{password}", HASH)
    async with serve(folder, config=text, extra=extra, people=people, outside=outside) as served:
        yield served


def challenge(verifier: str = VERIFIER) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(slots=True)
class Public(Caller):
    """A client without credentials: `client_id` in the body."""

    def credentials(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        return [("client_id", self.id)], []

    def with_dpop(self, key: KeyPair | None) -> "Public":
        return Public(self.served, self.id, self.method, None, key, self.nonce, self.count)


_COUNTS: "itertools.count[int]" = itertools.count()


def web(served: Served, name: str = "web") -> Caller:
    return Caller(served, name, count=_COUNTS)


def public(served: Served, name: str = "app") -> Public:
    return Public(served, name, dpop=served.keys["d1"], count=_COUNTS)


REDIRECTS: Final[Mapping[str, str]] = {
    "web": CALLBACK,
    "many": "https://many.example/cb",
    "app": "http://127.0.0.1:49152/callback",
    "spa": "https://spa.example/cb",
    "desk": "http://127.0.0.1:49153/callback",
    "narrower": "https://narrower.example/cb",
    "own": "com.example.own:/cb",
    "rp": "https://rp.example/cb",
    "rs": "https://rs.example/cb",
    "edwards": "https://edwards.example/cb",
    "old": "https://old.example/cb",
    "pocket": "com.example.rp:/cb",
}


@dataclass(slots=True)
class Flow:
    """A client and a browser in which `person` signs in when asked."""

    client: Caller
    person: str = "uma"
    tab: Tab = field(init=False)

    def __post_init__(self) -> None:
        self.tab = Tab(self.client.served)

    def parameters(self, **changes: str | None) -> dict[str, str]:
        told: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client.id,
            "redirect_uri": REDIRECTS.get(self.client.id),
            "scope": "read",
            "state": "xyz",
            "code_challenge": challenge(),
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in told.items() if value is not None}

    async def visit(self, **changes: str | None) -> PageSeen:
        """Go to the authorization endpoint, sign in if asked, and see what comes."""
        page = await self.follow("/authorize?" + urlencode(self.parameters(**changes)))
        return await self.signed_in(page)

    async def push(self, **changes: str | None) -> Answer:
        """Push the request; the answer of `/par`."""
        told = self.parameters(**changes)
        if "client_id" in dict(self.client.credentials()[0]):
            del told["client_id"]
        return await self.client.post("/par", list(told.items()))

    async def open(self, reference: str, **more: str) -> PageSeen:
        """Bring a reference to the authorization endpoint, sign in if asked."""
        told = {"client_id": self.client.id, "request_uri": reference, **more}
        return await self.signed_in(await self.follow("/authorize?" + urlencode(told)))

    async def pushed(self, **changes: str | None) -> str:
        """Push what is right; the reference."""
        answer = await self.push(**changes)
        assert answer.status == 201, answer.body
        return str(answer.json["request_uri"])

    async def signed_in(self, page: PageSeen) -> PageSeen:
        """Sign in where the page asks for it, and see what comes."""
        while page.answer.status == 200 and page.path.startswith("/sign-in"):
            form = page.form("/sign-in")
            fields = form.fields | {"name": self.person, "password": PASSWORD}
            answer = await self.tab.post(form.action, fields)
            page = await self.onward(answer)
        return page

    async def follow(self, path: str) -> PageSeen:
        """GET, and go where it leads as long as that is here."""
        return await self.onward(await self.tab.get(path, follow=False))

    async def onward(self, page: PageSeen) -> PageSeen:
        location = page.answer.header("location") or ""
        if page.answer.status == 303 and location.startswith("/"):
            return await self.follow(location)
        return page

    async def answer(self, page: PageSeen, decision: str = "agree", **changes: str) -> PageSeen:
        """Answer the consent page; the redirect to the client is not followed."""
        form = page.form("/authorize/consent")
        return await self.tab.post(form.action, form.fields | {"decision": decision} | changes)

    async def come_back(self, **changes: str | None) -> dict[str, str]:
        """What the client's redirect URI gets, after the person agreed if they were asked."""
        return await self.finish(await self.visit(**changes))

    async def finish(self, page: PageSeen) -> dict[str, str]:
        """Agree where the page asks; what the client's redirect URI gets."""
        if page.answer.status == 200:
            page = await self.answer(page)
        return back_at_client(page)

    async def code(self, **changes: str | None) -> str:
        back = await self.come_back(**changes)
        assert "code" in back, back
        return back["code"]

    async def redeem(self, code: str, *, defer: bool = False, **changes: str | None) -> Answer:
        told: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": VERIFIER,
            "redirect_uri": REDIRECTS[self.client.id],
            **({"completion_mode": "deferred"} if defer else {}),
            **changes,
        }
        form = [(name, value) for name, value in told.items() if value is not None]
        return await self.client.post("/token", form)

    async def token(self, **changes: str | None) -> Answer:
        """All of it, for what is granted at once."""
        answer = await self.redeem(await self.code(**{"scope": "now", **changes}))
        assert answer.status == 200, answer.body
        return answer

    async def deferred(self, **changes: str | None) -> str:
        """All of it, for what must wait; the deferral code."""
        answer = await self.redeem(await self.code(**changes), defer=True)
        assert "deferral_code" in answer.json, answer.body
        return answer.code

    async def deferred_for(self, code: str) -> str:
        """Exchange a code that must wait; the deferral code."""
        answer = await self.redeem(code, defer=True)
        assert "deferral_code" in answer.json, answer.body
        return answer.code

    async def refresh(self, token: str, *, defer: bool = False, **changes: str) -> Answer:
        form = [("grant_type", "refresh_token"), ("refresh_token", token), *changes.items()]
        if defer:
            form.append(("completion_mode", "deferred"))
        return await self.client.post("/token", form)


def back_at_client(page: PageSeen) -> dict[str, str]:
    assert page.answer.status == 303, page.text
    location = page.answer.header("location") or ""
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


async def key_of(served: Served, code: str) -> Key:
    return await served.key_of(code)


def claims_of(answer: Answer) -> dict[str, Any]:
    return answer.claims()

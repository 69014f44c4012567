"""The console's own small world: a server, its reviewers, and browsers that speak to it.

`Tab` is a browser without a window: it keeps cookies, follows what a page says and
sends forms as they stand on it, so a test can also send them otherwise.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from abeyance.parties.person import Invitation, Person, PersonId, Role
from abeyance.pending.request import Key, Loaded
from abeyance.server.pages.desk import render_request_id
from abeyance.wire.secret import Secret
from tests.answer import Answer
from tests.served import Caller, Served, serve

PASSWORD: Final = "correct horse battery staple"
# Of that password, with the least parameters that may be stored: 20 ms each.
HASH: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$2oY391SVgTt0WWM2VqBE9Q"
    "$YVRlpPZVRdkjhS8h58QVYEkNWVAaWC4UHtOKEPdwUzE"
)
ISSUER: Final = "https://as.example"
PAYMENT: Final = {
    "type": "payment",
    "amount": {"amount": "120.00", "currency": "EUR"},
    "creditor": "Globex Hosting",
}
EXPORT: Final = {
    "type": "export",
    "tables": ["customers", "invoices", "leads"],
    "budget": {"amount": "40.00", "currency": "EUR"},
}

_CONFIG: Final = """
issuer = "{issuer}"
data = "{data}"
limits.open_requests_per_reviewer = 1000
authorization_details_types = ["tests.details_types:PAYMENT", "tests.details_types:EXPORT"]

[server]
listen = "127.0.0.1:8400"

[scopes]
read = "Read the ledger"
write = "Change the ledger"
now = "Granted at once"

[resources]
"https://ledger.example" = "The ledger"

[[reviewers]]
id = "rita"
name = "Rita Renner"
password_hash = "{password}"

[[reviewers]]
id = "omar"
name = "Omar Okafor"
password_hash = "{password}"

[[reviewers]]
id = "nina"
name = "Nina, who is asked nothing"
password_hash = "{password}"

[[rules]]
name = "at-once"
when = "'now' in scope"
then = "issue"

[[rules]]
name = "finance"
then = "defer"
reviewers = ["rita", "omar"]
interval = "5s"
lifetime = "1h"
approval_lifetime = "{approval}"

[[clients]]
id = "s1"
name = "Acme Billing Agent"
secret_file = "{data}/s1.secret"
scope = ["read", "write", "now"]
resources = ["https://ledger.example"]
authorization_details_types = ["payment", "export"]

[[clients]]
id = "s2"
name = "Omar's own agent"
owner = "omar"
secret_file = "{data}/s1.secret"
scope = ["read"]
resources = ["https://ledger.example"]
authorization_details_types = ["payment", "export"]

[[clients]]
id = "c1"
name = "Agent with a key"
token_endpoint_auth_method = "private_key_jwt"
jwks_file = "{data}/c1.jwks"
dpop_bound_access_tokens = true
scope = ["read", "now"]
resources = ["https://ledger.example"]
authorization_details_types = ["payment", "export"]
"""


@asynccontextmanager
async def open_house(
    folder: Path, *, issuer: str = ISSUER, approval: str = "1h"
) -> AsyncIterator[Served]:
    config = _CONFIG.replace("{issuer}", issuer).replace("{approval}", approval)
    async with serve(folder, config=config.replace("{password}", HASH)) as served:
        yield served


def owned(served: Served) -> Caller:
    """A client that Omar, a reviewer, is the owner of."""
    return Caller(served, "s2")


LINK: Final = "W" * 43


async def invite(served: Served, name: str) -> str:
    """Send somebody a one-time link, and return its path."""
    store, person = served.house.store, PersonId(name)
    if await store.find_person(person) is None:
        roles = frozenset({Role.ADMINISTRATOR})
        await store.put_person(Person(id=person, name="Ada", roles=roles, declared=False))
    until = served.clock.now() + timedelta(minutes=15)
    await store.put_invitation(Invitation(Secret(LINK).digest(), person, until))
    return f"/welcome/{LINK}"


async def loaded(served: Served, code: str) -> Loaded:
    found = await served.house.store.find_loaded(await served.key_of(code))
    assert found is not None
    return found


async def request_path(served: Served, code: str) -> str:
    return f"/console/requests/{render_request_id(await served.key_of(code))}"


def path_of(key: Key) -> str:
    return f"/console/requests/{render_request_id(key)}"


@dataclass(slots=True)
class Form:
    """A form as it stands on a page. Boxes and radios are sent only if ticked."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    offered: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in at:
            self.links.append(at["href"])
        if tag == "form":
            self.forms.append(Form(at.get("action", self.path), at.get("method", "get")))
        elif self.forms and at.get("name"):
            form = self.forms[-1]
            if tag == "button":
                form.buttons.append((at["name"], at.get("value", "")))
            elif at.get("type") in ("checkbox", "radio"):
                form.offered.append((at["name"], at.get("value", "on")))
                if "checked" in at:
                    form.fields[at["name"]] = at.get("value", "on")
            elif tag in ("input", "textarea"):
                form.fields[at["name"]] = at.get("value", "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@dataclass(frozen=True, slots=True)
class PageSeen:
    """A page, read."""

    answer: Answer
    path: str

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def html(self) -> str:
        return self.answer.body.decode()

    @property
    def forms(self) -> list[Form]:
        return self._read().forms

    @property
    def links(self) -> list[str]:
        return self._read().links

    @property
    def text(self) -> str:
        """All that is written on it, spaces folded."""
        return " ".join("".join(self._read().text).split())

    def form(self, ending: str, button: str | None = None) -> Form:
        """The form whose address ends so (and that has this button)."""
        return next(
            form
            for form in self.forms
            if form.action.endswith(ending) and (button is None or ("vote", button) in form.buttons)
        )

    def _read(self) -> _Reader:
        reader = _Reader(self.path)
        reader.feed(self.html)
        return reader


@dataclass(slots=True)
class Tab:
    """A browser with one tab: cookies by name, same-origin unless told otherwise."""

    served: Served
    cookies: dict[str, str] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)  # every Set-Cookie line

    async def get(
        self,
        path: str,
        *,
        follow: bool = True,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
    ) -> PageSeen:
        answer = await self._send(method, path, headers=headers)
        if follow and answer.status == 303:
            return await self.get(_local(answer.header("location") or ""))
        return PageSeen(answer, path)

    async def post(
        self,
        path: str,
        fields: Mapping[str, str] | bytes,
        *,
        headers: Mapping[str, str] | None = None,
        follow: bool = False,
    ) -> PageSeen:
        """Send a form. `headers` take the place of those that say where it came from."""
        body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
        said = {"sec-fetch-site": "same-origin"} if headers is None else dict(headers)
        said.setdefault("content-type", "application/x-www-form-urlencoded")
        answer = await self._send("POST", path, body=body, headers=said)
        if follow and answer.status == 303:
            return await self.get(_local(answer.header("location") or ""))
        return PageSeen(answer, path)

    async def submit(
        self,
        form: Form,
        button: str | None = None,
        /,
        **changes: str,
    ) -> PageSeen:
        """Send a form as it stands, with these fields besides, and go where it leads."""
        vote = {"vote": button} if button else {}
        return await self.post(form.action, form.fields | vote | changes, follow=True)

    async def sign_in(self, name: str, password: str = PASSWORD) -> PageSeen:
        page = await self.get("/sign-in")
        return await self.submit(page.form("/sign-in"), name=name, password=password)

    async def ask(self, path: str, *, gone: asyncio.Event | None = None) -> Answer:
        """GET by a browser that stays for the answer, until `gone`."""
        target, _, query = path.partition("?")
        sent: list[Any] = []
        incoming = iter([{"type": "http.request", "body": b"", "more_body": False}])
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        scope = {
            "type": "http",
            "method": "GET",
            "path": target,
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(b"cookie", cookie.encode())],
        }

        async def receive() -> Any:
            for message in incoming:
                return message
            await (gone or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.served.app(scope, receive, send)
        return Answer(sent[0]["status"], (), sent[1]["body"])

    async def _send(
        self,
        method: str,
        target: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        fields = list((headers or {}).items())
        if self.cookies:
            fields.append(("cookie", "; ".join(f"{n}={v}" for n, v in self.cookies.items())))
        answer = await self.served.send(method, target, body=body, headers=fields)
        for name, value in answer.headers:
            if name == "set-cookie":
                self._keep(value)
        return answer

    def _keep(self, line: str) -> None:
        self.given.append(line)
        name, _, value = line.partition(";")[0].partition("=")
        if "max-age=0" in line.lower():
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value


def _local(location: str) -> str:
    parts = urlsplit(location)
    assert (parts.scheme, parts.netloc) == ("", ""), f"led away to {location}"
    return parts.path + (f"?{parts.query}" if parts.query else "")

"""Two servers: an identity provider that makes ID-JAGs, and a resource's that takes them.

Both are ours. `desk` is the client: an application that Uma uses at the first, called
`desk-there` at the second.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.wire import names
from tests.answer import Answer
from tests.console.house import HASH, PASSWORD, Form, PageSeen, Tab
from tests.exchange.house import ISSUER, LEDGER, Agent
from tests.people.house import Flow, web
from tests.served import Served, serve

UMA: Final = PersonId("uma.underwood")
DESK: Final = ClientId("desk-there")
PROVIDER: Final = """
issuer = "https://idp.example"
data = "{data}"
{extra}

[server]
listen = "127.0.0.1:8400"

[scopes]
profile = "Know who you are"

[resources]
"https://home.example" = "Home"

[[users]]
id = "uma"
name = "Uma Underwood"
password_hash = "{password}"

[[reviewers]]
id = "ida"
name = "Ida, who looks after outgoing access"
password_hash = "{password}"

[[assertion_targets]]
issuer = "https://as.example"
clients = ["desk"]
client_ids = { desk = "desk-there" }
scope = ["read", "write"]
resources = ["https://ledger.example"]
max_age = "1h"

[[rules]]
name = "writing elsewhere is looked at"
when = "audience != '' && 'write' in scope"
then = "defer"
reviewers = ["ida"]
interval = "5s"
lifetime = "1h"

[[rules]]
name = "all else"
then = "issue"

[[clients]]
id = "desk"
name = "Desk"
secret_file = "{data}/s1.secret"
grant_types = [
  "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange",
]
redirect_uris = ["http://127.0.0.1/callback"]
application_type = "native"
scope = ["profile"]
resources = ["https://home.example"]

[[clients]]
id = "stranger"
name = "Stranger"
secret_file = "{data}/s1.secret"
grant_types = ["urn:ietf:params:oauth:grant-type:token-exchange"]
scope = ["profile"]
resources = ["https://home.example"]
"""

TAKER: Final = """
issuer = "https://as.example"
data = "{data}"
authorization_details_types = ["tests.details_types:PAYMENT"]
{extra}

[server]
listen = "127.0.0.1:8400"

[scopes]
read = "Read the ledger"
write = "Change the ledger"

[resources]
"https://ledger.example" = "The ledger"

[[users]]
id = "uma.underwood"
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

[[trusted_issuers]]
issuer = "https://idp.example"
uses = ["id-jag"]
clients = ["desk-there"]
jwks_file = "{data}/idp.jwks"

[[trusted_issuers.people]]
subject = "uma"
person = "uma.underwood"

[[rules]]
name = "writing is looked at"
when = "'write' in scope"
then = "defer"
reviewers = ["rita"]
interval = "5s"
lifetime = "1h"

[[rules]]
name = "reading"
then = "issue"

[[clients]]
id = "desk-there"
name = "Desk of the partner"
secret_file = "{data}/s1.secret"
grant_types = ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
scope = ["read", "write"]
resources = ["https://ledger.example"]
"""


@dataclass(slots=True)
class Pair:
    """`provider` makes ID-JAGs, `taker` takes them; their clocks go together."""

    provider: Served
    taker: Served

    @property
    def desk(self) -> Agent:
        """The client at the provider."""
        return Agent.of(self.provider, "desk")

    @property
    def there(self) -> Agent:
        """The same client at the resource's server."""
        return Agent.of(self.taker, "desk-there")

    def move(self, seconds: float) -> None:
        self.provider.clock.move(seconds)
        self.taker.clock.move(seconds)

    async def sign_in(self) -> str:
        """Uma signs in at the provider; the client's refresh token."""
        flow = Flow(web(self.provider, "desk"))
        return str((await flow.token(scope="profile")).json["refresh_token"])

    async def ask(self, subject: str, *, defer: bool = False, **changes: Any) -> Answer:
        """Ask the provider for an ID-JAG."""
        told: dict[str, Any] = {
            "subject_token_type": names.URN_REFRESH_TOKEN,
            "requested_token_type": names.URN_ID_JAG,
            "audience": ISSUER,
            "scope": "read",
            "resource": LEDGER,
        }
        return await self.desk.exchange(subject, defer=defer, **told | changes)

    async def id_jag(self, **changes: Any) -> str:
        answer = await self.ask(await self.sign_in(), **changes)
        assert answer.status == 200, answer.body
        return str(answer.json["access_token"])

    async def written(self) -> str:
        """An ID-JAG that lets write, which somebody at the provider has looked at."""
        waits = await self.ask(await self.sign_in(), scope="read write", defer=True)
        await self.provider.vote(waits.code, by="ida")
        return str((await self.desk.client.poll(waits.code)).json["access_token"])


async def at_page(served: Served, answer: Answer, person: str = UMA) -> tuple[Tab, PageSeen]:
    """The person follows the address that the client was told."""
    assert answer.error == "interaction_required", answer.body
    uri = str(answer.json["interaction_uri"])
    tab = Tab(served)
    await tab.sign_in(person, PASSWORD)
    return tab, await tab.get(uri.removeprefix(ISSUER))


def consent_form(page: PageSeen) -> Form:
    return next(form for form in page.forms if "/interact/" in form.action)


async def decide(served: Served, answer: Answer, decision: str, person: str = UMA) -> PageSeen:
    tab, page = await at_page(served, answer, person)
    form = consent_form(page)
    return await tab.post(form.action, form.fields | {"decision": decision}, follow=True)


@asynccontextmanager
async def open_pair(
    folder: Path, *, provides: str = PROVIDER, takes: str = TAKER
) -> AsyncIterator[Pair]:
    config = provides.replace("{password}", HASH)
    async with serve(folder / "provider", config=config) as provider:
        _publish(folder / "taker", (await provider.get("/jwks")).body)
        config = takes.replace("{password}", HASH)
        async with serve(folder / "taker", config=config) as taker:
            yield Pair(provider, taker)


def _publish(folder: Path, keys: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "idp.jwks").write_bytes(keys)

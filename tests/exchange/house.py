"""A server that exchanges tokens and takes assertions, and an issuer that signs them.

`Idp` is the issuer as a pair of hands: it signs whatever a test wants, also what no issuer
should. Where two servers speak to each other, `open_pair` opens two of ours.
"""

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from abeyance.outbound.caller import Outside
from abeyance.proofs.jwk import KeyPair
from abeyance.proofs.jws import sign_jws
from abeyance.wire import names
from tests.answer import Answer
from tests.console.house import HASH
from tests.people.house import Flow, web
from tests.served import Caller, Served, make_key, serve

ISSUER: Final = "https://as.example"
IDP: Final = "https://idp.example"
LEDGER: Final = "https://ledger.example"
VAULT: Final = "https://vault.example"
IDP_KEY: Final = make_key()
OTHER_KEY: Final = make_key()

CONFIG: Final = """
issuer = "https://as.example"
data = "{data}"
authorization_details_types = ["tests.details_types:PAYMENT", "tests.details_types:EXPORT"]
device_authorization = true
{extra}

[server]
listen = "127.0.0.1:8400"

[scopes]
read = "Read the ledger"
write = "Change the ledger"
now = "Granted at once"
never = "Never granted"
sure = "Needs a word from you first"
deep = "Only by exchange"

[resources]
"https://ledger.example" = "The ledger"
"https://vault.example" = "The vault behind it"

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

[[trusted_issuers]]
issuer = "https://idp.example"
uses = ["jwt-bearer", "id-jag", "subject_token", "actor_token"]
clients = ["agent", "other", "app", "gateway", "bound"]
jwks_file = "{data}/idp.jwks"
scope = ["read", "write", "now", "never", "sure"]
consent = "issuer"

[[trusted_issuers.people]]
subject = "00u1"
tenant = "acme"
person = "uma"

[[trusted_issuers.people]]
subject = "vic-there"
person = "vic"

[[trusted_issuers.people]]
subject = "ada-there"
person = "ada"

[[trusted_issuers]]
issuer = "https://strict.example"
uses = ["jwt-bearer", "id-jag"]
clients = ["agent"]
jwks_file = "{data}/idp.jwks"
subjects = "same"
tenants = ["acme"]

[[exchanges]]
clients = ["gateway"]
subject_tokens = ["access_token", "jwt"]
actor_tokens = ["access_token"]
resources = ["https://vault.example"]
scope = ["deep"]

[[exchanges]]
clients = ["narrower"]
subject_tokens = ["access_token", "refresh_token", "id_token"]
impersonate = true

[[rules]]
name = "never"
when = "'never' in scope"
then = "deny"

[[rules]]
name = "at once"
when = "'now' in scope"
then = "issue"

[[rules]]
name = "nobody acts for vic"
when = "actor != '' && person == 'vic'"
then = "deny"

[[rules]]
name = "sure"
when = "'sure' in scope"
then = "defer"
reviewers = ["rita"]
interaction = "confirm"
interaction_people = ["vic"]
interval = "5s"
lifetime = "1h"

[[rules]]
name = "review"
then = "defer"
reviewers = ["rita", "ada"]
interval = "5s"
lifetime = "1h"
approval_lifetime = "24h"

[[clients]]
id = "web"
name = "Webmill"
secret_file = "{data}/s1.secret"
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["https://web.example/callback?tenant=7"]
scope = ["read", "write", "now", "sure", "never"]
resources = ["https://ledger.example"]
authorization_details_types = ["payment", "export"]

[[clients]]
id = "app"
name = "Pocket app"
token_endpoint_auth_method = "none"
application_type = "native"
grant_types = [
  "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer",
  "urn:ietf:params:oauth:grant-type:token-exchange",
]
redirect_uris = ["http://127.0.0.1/callback", "com.example.pocket:/cb"]
scope = ["read", "write", "now"]
resources = ["https://ledger.example"]

[[clients]]
id = "tv"
name = "Living room"
token_endpoint_auth_method = "none"
grant_types = ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"]
scope = ["read", "now", "sure"]
resources = ["https://ledger.example"]

[[clients]]
id = "gateway"
name = "The ledger's gateway"
secret_file = "{data}/s1.secret"
grant_types = ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"]
scope = ["read", "write", "now", "sure", "never", "deep"]
resources = ["https://ledger.example", "https://vault.example"]
introspects = ["https://ledger.example"]
authorization_details_types = ["payment"]

[[clients]]
id = "narrower"
name = "Narrower"
secret_file = "{data}/s1.secret"
grant_types = [
  "authorization_code", "refresh_token", "client_credentials",
  "urn:ietf:params:oauth:grant-type:token-exchange",
]
redirect_uris = ["https://narrower.example/cb"]
scope = ["read", "write", "now"]
resources = ["https://ledger.example"]

[[clients]]
id = "agent"
name = "Agent"
secret_file = "{data}/s1.secret"
grant_types = [
  "urn:ietf:params:oauth:grant-type:jwt-bearer",
  "urn:ietf:params:oauth:grant-type:token-exchange",
]
scope = ["read", "write", "now", "sure", "never"]
resources = ["https://ledger.example"]
authorization_details_types = ["payment"]

[[clients]]
id = "other"
name = "Another agent"
secret_file = "{data}/s1.secret"
grant_types = ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
scope = ["read", "now"]
resources = ["https://ledger.example"]

[[clients]]
id = "bound"
name = "Agent with keys"
secret_file = "{data}/s1.secret"
grant_types = ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
dpop_bound_access_tokens = true
scope = ["read", "now"]
resources = ["https://ledger.example"]
"""


@asynccontextmanager
async def open_house(
    folder: Path, *, config: str = CONFIG, extra: str = "", outside: Outside | None = None
) -> AsyncIterator[Served]:
    publish_idp(folder)
    told = config.replace("{password}", HASH)
    async with serve(folder, config=told, extra=extra, outside=outside) as served:
        yield served


def publish_idp(folder: Path) -> None:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "idp.jwks").write_text(json.dumps({"keys": [IDP_KEY.public.jwk]}))


_COUNT = itertools.count()


@dataclass(slots=True)
class Idp:
    """Signs for `served`; `changes` take the place of members, `None` leaves one out."""

    served: Served
    key: KeyPair = IDP_KEY
    issuer: str = IDP
    client: str = "agent"

    def assertion(self, *, typ: str = "JWT", **changes: Any) -> str:
        now = int(self.served.clock.now().timestamp())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": "00u1",
            "tenant": "acme",
            "aud": self.served.issuer,
            "iat": now,
            "exp": now + 240,
            "jti": f"assertion-{next(_COUNT)}",
            **changes,
        }
        told = {name: value for name, value in claims.items() if value is not None}
        return sign_jws(told, self.key, typ=typ)

    def id_jag(self, **changes: Any) -> str:
        return self.assertion(
            **{"typ": "oauth-id-jag+jwt", "client_id": self.client, "scope": "read now"} | changes
        )


@dataclass(slots=True)
class Agent:
    """A client that brings assertions and exchanges tokens."""

    client: Caller
    idp: Idp = field(init=False)

    def __post_init__(self) -> None:
        self.idp = Idp(self.client.served, client=self.client.id)

    @classmethod
    def of(cls, served: Served, name: str = "agent") -> "Agent":
        return cls(web(served, name))

    async def bring(self, assertion: str, *, defer: bool = False, **changes: str) -> Answer:
        told = {"assertion": assertion, **changes}
        return await self.ask(names.GRANT_JWT_BEARER, told, defer=defer)

    async def exchange(
        self, subject: str, *, defer: bool = False, actor: str | None = None, **changes: Any
    ) -> Answer:
        told: dict[str, Any] = {
            "subject_token": subject,
            "subject_token_type": names.URN_ACCESS_TOKEN,
        }
        if actor is not None:
            told |= {"actor_token": actor, "actor_token_type": names.URN_ACCESS_TOKEN}
        return await self.ask(names.GRANT_TOKEN_EXCHANGE, told | changes, defer=defer)

    async def ask(self, grant_type: str, told: dict[str, Any], *, defer: bool) -> Answer:
        form = [("grant_type", grant_type)]
        for name, value in told.items():
            several = value if isinstance(value, list) else [value]
            form += [(name, each) for each in several if each is not None]
        if defer:
            form.append(("completion_mode", "deferred"))
        return await self.client.post("/token", form)

    async def own_token(self) -> str:
        """A token by which the client says that it acts."""
        answer = await self.client.ask(scope="now", resource=LEDGER, defer=False)
        return str(answer.json["access_token"])


async def users_token(served: Served, *, person: str = "uma", scope: str = "read now") -> str:
    """A token of a person, which the gateway sees at the ledger."""
    flow = Flow(web(served), person=person)
    answer = await flow.token(scope=scope)
    return str(answer.json["access_token"])


def is_refused(answer: Answer, error: str) -> bool:
    """Refused with this error, and nothing given."""
    return (
        answer.status == 400
        and answer.error == error
        and not {"access_token", "deferral_code"} & answer.json.keys()
    )

"""The house with people, and clients that administer it by its API."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from abeyance.proofs.dpop import make_proof
from abeyance.proofs.jwk import KeyPair
from abeyance.wire.secret import Secret
from tests.answer import Answer
from tests.people.house import CONFIG, Flow, Public, open_people, public, web
from tests.served import Served

EXTRA: Final = """
[[rules]]
name = "administration"
when = "size(scope) > 0 && scope.all(s, s.startsWith('abeyance:'))"
then = "issue"
"""
CLIENTS: Final = """
[[clients]]
id = "ops"
name = "Operations"
secret_file = "{data}/s1.secret"
scope = ["abeyance:read", "abeyance:clients", "abeyance:people", "abeyance:requests",
  "abeyance:decide"]
resources = ["{issuer}/admin"]

[[clients]]
id = "desk"
name = "A desk of one's own"
token_endpoint_auth_method = "none"
application_type = "native"
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["http://127.0.0.1/callback"]
scope = ["abeyance:read", "abeyance:clients", "abeyance:people", "abeyance:requests",
  "abeyance:decide", "read"]
resources = ["{issuer}/admin", "https://ledger.example"]
"""
READ, CLIENT, PEOPLE, REQUESTS, DECIDE = (
    f"abeyance:{name}" for name in ("read", "clients", "people", "requests", "decide")
)
ALL: Final = f"{READ} {CLIENT} {PEOPLE} {REQUESTS} {DECIDE}"


@asynccontextmanager
async def open_office(folder: Path) -> AsyncIterator[Served]:
    async with open_people(folder, config=CONFIG + CLIENTS, extra=EXTRA) as served:
        yield served


@dataclass(slots=True)
class Desk:
    """A program with a token for the API."""

    served: Served
    token: str
    key: KeyPair | None = None
    count: int = 0

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        scheme: str | None = None,
    ) -> Answer:
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        kind = scheme or ("DPoP" if self.key is not None else "Bearer")
        sent.setdefault("authorization", f"{kind} {self.token}")
        if self.key is not None and "dpop" not in sent:
            self.count += 1
            sent["dpop"] = make_proof(
                self.key,
                method=method,
                url=self.served.house.endpoints.admin + path,
                now=self.served.clock.now(),
                jti=f"admin-proof-{self.count:08d}",
                access_token=Secret(self.token),
            )
        content = body if isinstance(body, bytes) else b""
        if body is not None and not isinstance(body, bytes):
            content = json.dumps(body).encode()
        if content:
            sent.setdefault("content-type", "application/json")
        return await self.served.send(
            method, "/admin" + path, body=content, headers=list(sent.items())
        )

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.call("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return await self.call("POST", path, body, **more)


async def ops(served: Served, scope: str = ALL) -> Desk:
    """A client of its own, with a bearer token."""
    form = [("grant_type", "client_credentials"), ("scope", scope)]
    form.append(("resource", served.house.endpoints.admin))
    answer = await web(served, "ops").post("/token", form)
    assert answer.status == 200, answer.body
    return Desk(served, answer.json["access_token"])


def desk_client(served: Served) -> Public:
    return public(served, "desk")


async def desk(served: Served, person: str, scope: str = ALL) -> Desk:
    """A person's own program, with a token bound to its key."""
    flow = Flow(desk_client(served), person)
    code = await flow.code(scope=scope, resource=served.house.endpoints.admin)
    answer = await flow.redeem(code)
    assert answer.status == 200, answer.body
    return Desk(served, answer.json["access_token"], served.keys["d1"])

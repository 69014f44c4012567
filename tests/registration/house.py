"""A house where clients register by themselves, and the world from which they come."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from abeyance.parties.client import ClientId
from abeyance.parties.registration import InitialToken
from abeyance.wire.secret import Secret
from tests.answer import Answer
from tests.config import CONFIG
from tests.outside import Network
from tests.served import Served, serve

INITIAL: Final = "initial-token-0123456789-0123456789"
TABLE: Final = """
[registration]
enabled = true
scope = ["read", "write", "now"]
default_scope = ["read"]
resources = ["https://rs.example"]
grant_types = ["authorization_code", "refresh_token", "client_credentials"]
authorization_details_types = ["payment"]
most_clients = 50
document_hosts = ["app.example.com"]
"""
MACHINE: Final[dict[str, Any]] = {"client_name": "Robot", "grant_types": ["client_credentials"]}


@dataclass(slots=True)
class Desk:
    """A client that speaks to the registration endpoint."""

    served: Served
    network: Network = field(default_factory=Network)

    async def register(
        self, body: Any = None, *, token: str | None = INITIAL, **changes: Any
    ) -> Answer:
        told = {**MACHINE, **changes} if body is None else body
        return await self.call("POST", "/register", told, token=token)

    async def call(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        token: str | None = None,
        kind: str = "application/json",
    ) -> Answer:
        headers = [] if body is None else [("content-type", kind)]
        if token is not None:
            headers.append(("authorization", f"Bearer {token}"))
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.served.send(
            method, target, body=b"" if body is None else content, headers=headers
        )

    async def manage(self, method: str, registered: Any, body: Any = None, **more: Any) -> Answer:
        target = str(registered["registration_client_uri"]).removeprefix("https://as.example")
        more.setdefault("token", registered["registration_access_token"])
        return await self.call(method, target, body, **more)

    async def ids(self) -> set[ClientId]:
        return {each.id for each in await self.served.house.store.list_clients()}


@asynccontextmanager
async def open_registry(
    folder: Path, *, extra: str = TABLE, config: str = CONFIG
) -> AsyncIterator[Desk]:
    network = Network()
    async with serve(folder, config=config, extra=extra, outside=network) as served:
        token = InitialToken(
            digest=Secret(INITIAL).digest(),
            note="tests",
            left=5,
            expires_at=served.clock.now() + timedelta(days=1),
        )
        if not await served.house.store.list_initial_tokens(now=served.clock.now()):
            await served.house.store.put_initial_token(token)
        yield Desk(served, network)
        for path, answer in served.answers:
            assert answer.status < 500 or answer.status == 503, f"{path}: {answer.status}"

"""`Served` with a recorder in front, and what it is asked to do: each grant with each end, people
who sign in, agree and decide, what can be read, and what is refused.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tests.answer import Answer
from tests.console.house import Tab
from tests.exchange.house import CONFIG, Agent, open_house
from tests.exchange.test_outcomes import ROWS, Row
from tests.people.house import Flow, web
from tests.replay.exchanges import Exchange
from tests.replay.references import Known
from tests.served import Caller, Served

_COOL_DOWN: Final = 1_000.0  # seconds, and more than it takes
HOUSE: Final = (
    CONFIG
    + """
[[clients]]
id = "c1"
name = "Key agent"
token_endpoint_auth_method = "private_key_jwt"
jwks_file = "{data}/c1.jwks"
dpop_bound_access_tokens = true
scope = ["now", "read"]
resources = ["https://ledger.example"]
"""
)


@dataclass(slots=True)
class Recording(Served):
    exchanges: list[Exchange] = field(default_factory=list)
    known: Known = field(init=False)
    began_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.known, self.began_at = Known.to(self), self.clock.tick()

    async def send(
        self,
        method: str,
        target: str,
        *,
        body: bytes = b"",
        headers: Sequence[tuple[str, str]] = (),
        root_path: str = "",
        leaves: asyncio.Event | None = None,
    ) -> Answer:
        answer = await Served.send(
            self, method, target, body=body, headers=headers, root_path=root_path, leaves=leaves
        )
        at = self.clock.tick() - self.began_at
        exchange = Exchange.of(at, method, target, headers, body, answer, self.known)
        self.known.learn(len(self.exchanges), answer)
        self.exchanges.append(exchange)
        return answer


@asynccontextmanager
async def recording(folder: Path) -> AsyncIterator[Recording]:
    async with open_house(folder, config=HOUSE) as served:
        yield Recording(served.app, served.house, served.clock, served.keys)


async def everything(served: Served) -> None:
    """One thing after the other, so that a replay meets the same."""
    await _reads(served)
    for row in ROWS:
        rita = await signed_in(served)
        await _at_once(served, row)
        for verdict in ("approve", "deny"):
            client, code = await _deferred(served, row)
            await _decides(rita, verdict)
            for _ in range(2):
                await client.poll(code)
        served.clock.move(_COOL_DOWN)
    await _cancels(served)
    rita = await signed_in(served)
    await _by_key(served, rita)
    await _refreshes(served, rita)
    await _is_pushed(served)
    await _is_wrong(served)
    await rita.submit((await rita.get("/console/")).form("/sign-out"))
    client, code = await _deferred(served, ROWS[1])
    served.clock.move(4_000)
    await client.poll(code)


async def signed_in(served: Served) -> Tab:
    rita = Tab(served)
    await rita.sign_in("rita")
    return rita


async def _reads(served: Served) -> None:
    for path in (
        "/.well-known/oauth-authorization-server", "/jwks", "/livez", "/readyz", "/token", "/",
        "/nowhere", "/console/", "/account/", "/device", "/authorize", "/admin/requests",
    ):  # fmt: skip
        await served.get(path)


async def _at_once(served: Served, row: Row) -> None:
    shown = await row.make(served, "now")
    answer = await shown.send()
    token = str(answer.json["access_token"])
    await web(served, "gateway").post("/introspect", [("token", token)])
    for _ in range(2):
        await shown.client.revoke(token)
    await web(served, "gateway").post("/introspect", [("token", token)])


async def _deferred(served: Served, row: Row) -> tuple[Caller, str]:
    shown = await row.make(served, "read")
    code = (await shown.send()).code
    for wait in (0, 1, 20):
        served.clock.move(wait)
        await shown.client.poll(code)
    served.clock.move(20)
    return shown.client, code


async def _decides(rita: Tab, verdict: str) -> None:
    inbox = await rita.get("/console/")
    path = next(each for each in inbox.links if "/console/requests/" in each)
    page = await rita.get(path)
    why = {"preset": "not-now"} if verdict == "deny" else {}
    await rita.submit(page.form("/vote", verdict), verdict, **why)


async def _cancels(served: Served) -> None:
    client, code = await _deferred(served, ROWS[1])
    for _ in range(2):
        await client.revoke(code)
    await client.poll(code)
    await web(served).poll(code)


async def _by_key(served: Served, rita: Tab) -> None:
    caller = served.c1
    code = (await caller.ask()).code
    await caller.without_proof().poll(code)
    await _decides(rita, "approve")
    served.clock.move(6)
    answer = await caller.poll(code)
    assert answer.status == 200, answer.body


async def _refreshes(served: Served, rita: Tab) -> None:
    flow = Flow(web(served))
    token = (await flow.token(scope="read now")).json["refresh_token"]
    token = (await flow.refresh(token, scope="now")).json.get("refresh_token", token)
    code = (await flow.refresh(token, defer=True, scope="read")).code
    await _decides(rita, "approve")
    served.clock.move(6)
    await flow.client.poll(code)
    await flow.client.revoke(token)
    await flow.refresh(token)


async def _is_pushed(served: Served) -> None:
    flow = Flow(web(served), "vic")
    back = await flow.finish(await flow.open(await flow.pushed(scope="now")))
    await flow.redeem(back["code"])
    await flow.redeem(back["code"])
    page = await Flow(web(served), "vic").visit(scope="now read")
    await Flow(web(served), "vic").answer(page, "decline")


async def _is_wrong(served: Served) -> None:
    gateway = web(served, "gateway")
    await replace(gateway, method="client_secret_post", id="nobody").ask()
    await gateway.ask(scope="never")
    await gateway.ask(scope="nothing")
    await gateway.ask(scope="read", resource="https://elsewhere.example")
    await gateway.ask(completion_mode="later")
    await gateway.poll("A" * 43)
    for form in (
        [],
        [("grant_type", "x")],
        [("grant_type", "client_credentials"), ("grant_type", "client_credentials")],
    ):
        await gateway.post("/token", form)
    await Agent.of(served).bring("no.assertion.atall")
    await served.send("PUT", "/token")
    await served.post("/token?code=1", [])
    await served.post("/token", b"{", headers=[("content-type", "application/json")])

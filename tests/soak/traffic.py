"""What everybody does in one shift: all grants, at once and deferred, with every end; people who
sign in and decide; callbacks, and callers who do it wrongly.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import Final

from tests.answer import Answer
from tests.console.house import HASH, Form, PageSeen, Tab
from tests.exchange.house import CONFIG as EXCHANGE
from tests.exchange.test_outcomes import ROWS, Row
from tests.outbound.receiver import Receiver
from tests.people.house import Flow, web
from tests.served import Caller
from tests.soak.afar import Afar

SHIFT: Final = 6 * 3_600.0  # seconds
_INTERVAL: Final = 30.0  # seconds: a poll that came too soon has made it longer
_STEP: Final = 20.0  # while people decide
_STRIDE: Final = 400.0  # when what is left will expire
_LEAVES: Final = 5  # of so many requests, the reviewer leaves one undecided
_DENIES: Final = 3
# What polls are answered.
_ANSWERS: Final = {
    "access_denied",
    "authorization_pending",
    "expired_token",
    "redeemed",
    "slow_down",
}
ENDS: Final = frozenset(
    {*_ANSWERS, "at once", "called back", "cancelled", "approve by Rita", "deny by Rita"}
)
_TOKEN: Final = "notify-0123456789abcdefghij"

CONFIG: Final = (
    EXCHANGE.replace("{password}", HASH)
    .replace('approval_lifetime = "24h"', 'approval_lifetime = "1h"')
    .replace('issuer = "https://as.example"\n', "")
    .replace(
        "{extra}",
        'retention = { details = "1d", tombstone = "1h", audit = "30d" }\n'
        'lifetimes = { refresh_idle = "2h", refresh = "4h" }\n'
        "limits.open_requests_per_reviewer = 1000\n"
        'outbound = { ca_file = "{ca}", development_targets = ["{target}"] }\n',
    )
    + """
[[clients]]
id = "c1"
name = "Key agent"
token_endpoint_auth_method = "private_key_jwt"
jwks_file = "{data}/c1.jwks"
dpop_bound_access_tokens = true
scope = ["now", "read"]
resources = ["https://ledger.example"]
deferred_client_notification_endpoint = "https://{target}/cb"
"""
)


@dataclass(slots=True)
class Traffic:
    """`seen`: how often a poll was answered so, and what else came."""

    served: Afar
    receiver: Receiver
    seen: Counter[str] = field(default_factory=Counter)
    still: asyncio.Lock = field(default_factory=asyncio.Lock)
    _decisions: "count[int]" = field(default_factory=count)

    async def shift(self) -> None:
        ends_at = self.served.clock.tick() + SHIFT
        rita = Tab(self.served)
        await rita.sign_in("rita")
        # One after the other: of two first consents at once, one is told to start again.
        for row in ROWS:
            await self._at_once(row)
        await self._wrongly()
        waits = [await self._opened(row) for row in ROWS]
        waits += [await self._refreshed(), await self._pushed()]
        for row in ROWS:
            await self._cancels(*await self._opened(row))
        called = [await self.served.c1.ask(client_notification_token=_TOKEN) for _ in range(2)]
        async with asyncio.TaskGroup() as outer:
            goes_on = outer.create_task(self._goes_on(rita))
            async with asyncio.TaskGroup() as group:
                for client, code in waits:
                    group.create_task(self._waits(client, code))
                for answer in called:
                    group.create_task(self._is_called(answer.code))
            goes_on.cancel()
        await rita.submit((await rita.get("/console/")).form("/sign-out"))
        self.served.clock.move(ends_at - self.served.clock.tick())

    async def _at_once(self, row: Row) -> None:
        shown = await row.make(self.served, "now")
        answer = await shown.send()
        assert answer.status == 200, answer.body
        token = str(answer.json["access_token"])
        gateway = web(self.served, "gateway")
        told = await gateway.post("/introspect", [("token", token)])
        assert told.status == 200
        assert (await shown.client.revoke(token)).status == 200
        self.seen["at once"] += 1

    async def _opened(self, row: Row) -> tuple[Caller, str]:
        shown = await row.make(self.served, "read")
        return shown.client, deferred(await shown.send())

    async def _refreshed(self) -> tuple[Caller, str]:
        flow = Flow(web(self.served))
        token = (await flow.token(scope="read now")).json["refresh_token"]
        for _ in range(2):
            answer = await flow.refresh(token, scope="now")
            assert answer.status == 200, answer.body
            token = answer.json.get("refresh_token", token)
        return flow.client, deferred(await flow.refresh(token, defer=True, scope="read"))

    async def _pushed(self) -> tuple[Caller, str]:
        flow = Flow(web(self.served), "vic")
        back = await flow.finish(await flow.open(await flow.pushed()))
        return flow.client, deferred(await flow.redeem(back["code"], defer=True))

    async def _wrongly(self) -> None:
        """A stranger, a code that never was, and none of the parameters."""
        stranger = replace(web(self.served), method="client_secret_post", id="nobody")
        gateway = web(self.served, "gateway")
        answers = [
            await stranger.ask(),
            await gateway.poll("A" * 43),
            await gateway.post("/token", []),
            await self.served.get("/nowhere"),
        ]
        assert all(400 <= each.status < 500 for each in answers)

    async def _waits(self, client: Caller, code: str) -> None:
        """Poll at once, too soon, and then by polls that are held, until the end."""
        for _ in range(2):
            self._saw(await self._poll(client, code))
        while True:
            await self._passed(_INTERVAL)
            holds = client.hold if client.dpop is None else partial(self._poll, client)
            answer = await holds(code)
            self._saw(answer)
            if answer.error not in ("authorization_pending", "slow_down"):
                return

    async def _poll(self, client: Caller, code: str) -> Answer:
        """While no time passes: a proof that arrived late would be too old."""
        async with self.still:
            return await client.poll(code)

    async def _passed(self, seconds: float) -> None:
        passed = asyncio.Event()
        self.served.clock.after(seconds, passed.set)
        await passed.wait()

    async def _cancels(self, client: Caller, code: str) -> None:
        hold = asyncio.ensure_future(client.hold(code))
        assert (await client.revoke(code)).status == 200
        self._saw(await hold)
        assert (await client.poll(code)).error == "access_denied"
        self.seen["cancelled"] += 1

    async def _is_called(self, code: str) -> None:
        """Poll when it is said that it has ended, and not before."""
        async with asyncio.timeout(60):
            while not any(code.encode() in each for each in self.receiver.requests):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        heard = [each for each in self.receiver.requests if code.encode() not in each]
        self.receiver.requests[:] = heard
        self._saw(await self._poll(self.served.c1, code))
        self.seen["called back"] += 1

    def _saw(self, answer: Answer) -> None:
        said = answer.error or "redeemed"
        # A request that was joined has two who wait, and one who gets the token.
        assert said in {*_ANSWERS, "invalid_grant"}, answer.body
        self.seen[said] += 1

    async def _goes_on(self, rita: Tab) -> None:
        """Rita decides what comes, and time passes until what she leaves has expired."""
        left: set[str] = set()
        while True:
            inbox = await rita.get("/console/")
            paths = {each for each in inbox.links if "/console/requests/" in each} - left
            for path in paths:
                page = await rita.get(path)
                number = next(self._decisions)
                verdict = "deny" if number % _DENIES == 0 else "approve"
                form = _ballot(page, verdict)  # none if it was cancelled meanwhile
                if form is None or (number % _LEAVES == 0 and "Key agent" not in page.text):
                    left.add(path)
                else:
                    why = {"preset": "not-now"} if verdict == "deny" else {}
                    voted = await rita.submit(form, verdict, **why)
                    self.seen[f"{verdict} by Rita"] += voted.status == 200
            async with self.still:
                self.served.clock.move(_STEP if paths else _STRIDE)


def _ballot(page: PageSeen, verdict: str) -> Form | None:
    return next((each for each in page.forms if ("vote", verdict) in each.buttons), None)


def deferred(answer: Answer) -> str:
    assert answer.error == "authorization_pending", answer.body
    return answer.code

"""A client that asks, waits and collects. All that it knows after a crash is its journal."""

import asyncio
import base64
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from abeyance.wire import names
from faults.log import Log
from faults.simulation.chance import Chance, Fault
from faults.simulation.hosts import Reply
from faults.simulation.network import Network, NoAnswer
from faults.simulation.template import GRAVE, LIFETIMES, LOUD, SECRET

GIVES_UP: Final = 1_500.0  # seconds after which an agent stops asking
STORM: Final = 1_000
_WORDS: Final = {
    names.AUTHORIZATION_PENDING: "pending",
    names.SLOW_DOWN: "pending",
    names.ACCESS_DENIED: "denied",
    names.EXPIRED_TOKEN: "expired",
}
_SPENT: Final = ("The deferral code has already been redeemed", "The request has been answered")
_ENDS: Final = ("denied", "expired")


def name_of(code: str) -> str:
    """What the log calls a deferral: the first 16 bytes of its code, which are no secret."""
    return base64.urlsafe_b64decode(code)[:16].hex()


def at_once(scope: Collection[str]) -> str:
    """What the log calls all that is granted at once for this scope: it has no deferral."""
    return f"at once: {' '.join(sorted(scope))}"


@dataclass(slots=True)
class Journal:
    """What survives a crash of the agent."""

    client: str
    scope: tuple[str, ...]
    request_id: str
    first_at: float | None = None
    code: str | None = None
    over: bool = False


@dataclass(slots=True)
class Agent:
    """One request of one client. `skew`: by how much hosts' clocks may differ."""

    journal: Journal
    network: Network
    chance: Chance
    log: Log
    skew: float
    storms: bool

    async def live(self) -> None:
        """Ask and poll until there is an end, from wherever the journal stands."""
        loop, journal = asyncio.get_running_loop(), self.journal
        while not journal.over and loop.time() < GIVES_UP:
            if journal.code is None:
                await self._ask()
                await asyncio.sleep(1 + self.chance.soon(30.0))
                continue
            await asyncio.sleep(2 + self.chance.soon(120.0))
            await self._act(journal.code)

    async def _act(self, code: str) -> None:
        dice = self.chance.rng.random()
        if self.storms and self.chance.strikes(Fault.STORM, 0.2):
            self.storms = False
            await asyncio.gather(*(self._poll(code) for _ in range(STORM)))
        elif dice < 0.04:
            await self._cancel(code)
        elif dice < 0.12:
            await self._repeat(code)
        elif dice < 0.3:
            await asyncio.gather(self._poll(code), self._poll(code))
        elif dice < 0.5:
            await self._poll(code, [(b"prefer", b"wait=25")])
        else:
            await self._poll(code)

    async def _ask(self) -> None:
        loop, journal = asyncio.get_running_loop(), self.journal
        if journal.first_at is None:
            journal.first_at = loop.time()
        try:
            reply = await self.network.post(
                journal.request_id, "/token", self._first(), self._headers()
            )
        except NoAnswer:
            return
        code = reply.body.get("deferral_code")
        if code is None:
            self._hear_at_once(reply)
            return
        journal.code = code
        lifetime = min(LIFETIMES[each] for each in journal.scope)
        self.log.note(
            "opened",
            deferral=name_of(code),
            asked=list(journal.scope),
            expires=journal.first_at + lifetime,
            decides=journal.first_at + lifetime * 3 / 4,
            # It was opened at some time between the first asking and this answer.
            skew=self.skew + loop.time() - journal.first_at,
            calls=journal.client == LOUD,
            needs=2 if GRAVE in journal.scope else 1,
        )

    def _hear_at_once(self, reply: Reply) -> None:
        """It was decided without anybody who reviews, or not at all."""
        if reply.status >= 500 or reply.status == 429:
            return
        number = self.log.call(at_once(self.journal.scope), "first")
        what, told = read_answer("first", reply.body)
        self.log.answer(number, what, **told)
        self.journal.over = True

    async def _repeat(self, code: str) -> str:
        return await self._call(code, "repeat", "/token", self._first())

    async def _poll(self, code: str, more: Sequence[tuple[bytes, bytes]] = ()) -> str:
        form = [("grant_type", names.GRANT_DEFERRED), ("deferral_code", code)]
        what = await self._call(code, "poll", "/token", form, more)
        if what == "spent" and not self.journal.over:
            # The answer was lost on its way: ask for it again, at times.
            if self.chance.rng.random() < 0.7:
                what = await self._repeat(code)
            self.journal.over = what != "lost"
        return what

    async def _cancel(self, code: str) -> None:
        await self._call(code, "cancel", "/revoke", [("token", code)])

    async def _call(
        self,
        code: str,
        op: str,
        path: str,
        form: Sequence[tuple[str, str]],
        more: Sequence[tuple[bytes, bytes]] = (),
    ) -> str:
        number = self.log.call(name_of(code), op)
        try:
            reply = await self.network.post(
                self.journal.request_id,
                path,
                form,
                [*self._headers(), *more],
                twice=lambda: self.log.lost(self.log.call(name_of(code), op)),
            )
        except (NoAnswer, asyncio.CancelledError) as why:
            self.log.lost(number)
            if isinstance(why, asyncio.CancelledError):
                raise
            return "lost"
        if reply.status >= 500:
            # It may have happened: the store was away before or after the commit.
            self.log.lost(number)
            return "lost"
        what, told = read_answer(op, reply.body)
        self.log.answer(number, what, **told)
        if what in _ENDS or what == "token":
            self.journal.over = True
        return what

    def _first(self) -> list[tuple[str, str]]:
        return [
            ("grant_type", names.GRANT_CLIENT_CREDENTIALS),
            ("scope", " ".join(self.journal.scope)),
            ("completion_mode", "deferred"),
            ("deferral_request_id", self.journal.request_id),
        ]

    def _headers(self) -> list[tuple[bytes, bytes]]:
        basic = base64.b64encode(f"{self.journal.client}:{SECRET}".encode())
        return [(b"authorization", b"Basic " + basic)]


def read_answer(op: str, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """An answer in the words of the log."""
    if op == "cancel":
        return ("refused" if "error" in body else "done"), {}
    if "access_token" in body:
        return "token", {"token": _jti(body["access_token"]), "scope": body["scope"].split()}
    description = body.get("error_description", "")
    if body["error"] == names.INVALID_GRANT and description.startswith(_SPENT):
        return "spent", {}
    return _WORDS.get(body["error"], "refused"), {}


def _jti(token: str) -> str:
    """What names a token: its signature is another one each time."""
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    jti: str = claims["jti"]
    return jti

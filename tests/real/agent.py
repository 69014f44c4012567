"""A process of clients that ask, wait and collect, from a journal, until they are killed.

What they saw is a log of `faults.log`, a line at a time; what is only in memory when they are
killed never happened for them.
"""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from abeyance.wire import names
from faults.log import Event
from faults.simulation.agent import name_of, read_answer

CLIENT: Final = ("robot", "s1-secret-0123456789-0123456789-0123456789")
LOUD: Final = ("siren", CLIENT[1])  # wants to be called back
_CLIENTS: Final = {each[0]: each for each in (CLIENT, LOUD)}
LIFETIMES: Final = {"read": 3600.0, "write": 3600.0, "brief": 20.0}
STUMBLED: Final = "stumbled"  # the file of answers that blame the server, other than 503
SKEW: Final = 15.0  # seconds by which a clock may be wrong
_SCOPES: Final = (("read", "write"), ("read",), ("write",), ("brief",))
_TIMEOUT: Final = 5.0


@dataclass(frozen=True, slots=True)
class Orders:
    """`ports`: where the server answers. `life`: how often this process has been begun."""

    folder: Path
    ports: tuple[int, ...]
    at_once: int
    life: int


def work(orders: Orders) -> None:
    """Go on with what the journal knows, then ask for more until the file `stop` is there."""
    asyncio.run(_work(orders))


async def _work(orders: Orders) -> None:
    journal = Lines(orders.folder / "journal")
    log = Lines(orders.folder / "log")
    left = left_of(orders.folder)
    ids = itertools.count(orders.life * 1_000_000)
    rng = random.Random(orders.life)
    async with httpx2.AsyncClient(timeout=_TIMEOUT) as http:
        agents = [
            Agent(orders, http, journal, log, ids, rng, left[at :: orders.at_once])
            for at in range(orders.at_once)
        ]
        await asyncio.gather(*(each.live() for each in agents))


def left_of(folder: Path) -> list[dict[str, Any]]:
    """The requests of the journal that have not come to an end."""
    known: dict[str, dict[str, Any]] = {}
    for line in Lines(folder / "journal").read():
        known.setdefault(line["request"], {}).update(line)
    return [each for each in known.values() if not each.get("over")]


@dataclass(slots=True)
class Lines:
    """A file of JSON, a line at a time; a line that was cut short is none."""

    path: Path

    def write(self, **what: Any) -> None:
        with self.path.open("ab", buffering=0) as file:
            file.write(json.dumps(what).encode() + b"\n")

    def read(self) -> Iterator[Event]:
        if self.path.exists():
            for line in self.path.read_bytes().splitlines():
                yield json.loads(line)


@dataclass(slots=True)
class Agent:
    """One request after the other, `left` first."""

    orders: Orders
    http: httpx2.AsyncClient
    journal: Lines
    log: Lines
    ids: Iterator[int]
    rng: random.Random
    left: Sequence[dict[str, Any]]

    async def live(self) -> None:
        for request in self.left:
            await self._see_to(request)
        while not (self.orders.folder / "stop").exists():
            request = self._wish()
            self.journal.write(**request)
            await self._see_to(request)

    def _wish(self) -> dict[str, Any]:
        """Somewhat more than half want to be called; of those, half do nothing else."""
        scope = self.rng.choice(_SCOPES)
        # A callback that comes too late for its request is forgotten, by whichever clock.
        loud = scope != ("brief",) and self.rng.random() < 0.8
        return {
            "request": f"request-{self.orders.life}-{next(self.ids)}-0123456789",
            "client": (LOUD if loud else CLIENT)[0],
            "leaves": loud and self.rng.random() < 0.5,
            "scope": scope,
            "first": time.monotonic(),
        }

    async def _see_to(self, request: dict[str, Any]) -> None:
        over = False
        while not over and "code" not in request:
            over = await self._ask(request)
            await asyncio.sleep(self.rng.random() * 0.1)
        over = over or request["leaves"]
        while not over and not await self._act(request):  # noqa: ASYNC110
            await asyncio.sleep(self.rng.random() * 0.2)
        self.journal.write(request=request["request"], over=True)

    async def _ask(self, request: dict[str, Any]) -> bool:
        """Is it over before its code was ever seen?"""
        answer = await self._post(request, "/token", self._first(request))
        if answer is None:
            return False
        if "deferral_code" not in answer.json():
            # So that a failure tells of it.
            self.journal.write(request=request["request"], said=answer.text)
            # 429: what a reviewer has just refused is not asked again for a while (EXT-QUEUE-05).
            said = answer.json().get("error")
            return said in (names.ACCESS_DENIED, names.EXPIRED_TOKEN) or answer.status_code == 429
        request["code"] = answer.json()["deferral_code"]
        self.journal.write(request=request["request"], code=request["code"])
        lifetime = min(LIFETIMES[each] for each in request["scope"])
        self._note(
            "opened",
            deferral=name_of(request["code"]),
            asked=list(request["scope"]),
            expires=request["first"] + lifetime,
            decides=request["first"] + lifetime * 3 / 4,
            skew=2 * SKEW + time.monotonic() - request["first"],
            calls=request["client"] == LOUD[0],
        )
        return False

    async def _act(self, request: dict[str, Any]) -> bool:
        """Do something about it; is it over?"""
        dice = self.rng.random()
        if dice < 0.03:
            await self._call(request, "cancel", "/revoke", [("token", request["code"])])
            return False
        if dice < 0.1:
            said = [await self._call(request, "repeat", "/token", self._first(request))]
        else:
            polls = 2 if dice < 0.4 else 1
            said = await asyncio.gather(*(self._poll(request) for _ in range(polls)))
        if "spent" in said and "token" not in said:
            # The answer was lost on its way: ask for it again.
            said.append(await self._call(request, "repeat", "/token", self._first(request)))
            return said[-1] != "lost"
        return bool({"token", "denied", "expired"} & set(said))

    async def _poll(self, request: dict[str, Any]) -> str:
        form = [("grant_type", names.GRANT_DEFERRED), ("deferral_code", request["code"])]
        return await self._call(request, "poll", "/token", form)

    async def _call(
        self, request: dict[str, Any], op: str, path: str, form: Sequence[tuple[str, str]]
    ) -> str:
        number = next(self.ids)
        self._note("call", id=number, deferral=name_of(request["code"]), op=op)
        answer = await self._post(request, path, form)
        if answer is None:
            self._note("lost", id=number)
            return "lost"
        what, told = read_answer(op, answer.json() if answer.content else {})
        self._note("answer", id=number, what=what, **told)
        return what

    async def _post(
        self, request: dict[str, Any], path: str, form: Sequence[tuple[str, str]]
    ) -> httpx2.Response | None:
        """`None`: nobody knows whether anything happened."""
        url = f"http://127.0.0.1:{self.rng.choice(self.orders.ports)}{path}"
        try:
            answer = await self.http.post(url, data=dict(form), auth=_CLIENTS[request["client"]])
        except httpx2.HTTPError as lost:
            self.journal.write(request=request["request"], lost=f"{url}: {lost!r}")
            await asyncio.sleep(self.rng.random() * 0.2)
            return None
        if answer.status_code >= 500:
            self.journal.write(request=request["request"], lost=f"{url}: {answer.text}")
            if answer.status_code != 503:
                Lines(self.orders.folder / STUMBLED).write(path=path, said=answer.text)
            return None
        return answer

    def _first(self, request: dict[str, Any]) -> list[tuple[str, str]]:
        form = [
            ("grant_type", names.GRANT_CLIENT_CREDENTIALS),
            ("scope", " ".join(request["scope"])),
            ("completion_mode", "deferred"),
            ("deferral_request_id", request["request"]),
        ]
        if request["client"] == LOUD[0]:
            form.append((names.CLIENT_NOTIFICATION_TOKEN, f"hear-{request['request']}"))
        return form

    def _note(self, event: str, **more: Any) -> None:
        self.log.write(at=round(time.monotonic(), 6), event=event, **more)

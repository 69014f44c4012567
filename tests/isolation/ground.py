"""Where interleavings are tried: two servers over a PostgreSQL, or one over SQLite.

`Ground.explore` prepares a deferral (or something else), lets requests about it race in every
order that is possible, and compares what came of each with what may. What the requests saw is
also judged by the independent checker of `faults`.

`SWITCHES` bounds the orders (see `orders`); `all` tries every one.
"""

import itertools
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias
from unittest.mock import patch

from abeyance.acts.decide import Counted, NotCounted, Obstacle
from abeyance.pending.choosing import Choice
from abeyance.pending.handles import HandleKind, parse_handle
from abeyance.pending.states import stage_of
from abeyance.pending.votes import Verdict
from abeyance.server.delivering import Post
from faults.checker import check
from faults.log import Log
from tests.answer import Answer
from tests.config import PAYMENT
from tests.console.house import HASH
from tests.isolation.orders import Orders
from tests.isolation.stepping import Stepper
from tests.outside import Network
from tests.people.house import CONFIG, ISSUER, web
from tests.served import Caller, Served, keeping_in, serve
from tests.tally import count

SWITCHES: Final = os.environ.get("SWITCHES", "1")
_FOR_EVER: Final = 1e9

_MORE: Final = """
[[clients]]
id = "loud"
name = "Loud robot"
secret_file = "{data}/s1.secret"
scope = ["read", "write", "now", "sure"]
resources = ["https://ledger.example"]
authorization_details_types = ["payment"]
deferred_client_notification_endpoint = "https://cb.example/"
"""
_LIMITS: Final = "limits.creations_burst = 1000000"

Word: TypeAlias = str
Part = Callable[[Served, Any], Awaitable[Word]]
Outcome: TypeAlias = tuple[Word, ...]

_WORDS: Final = {
    "authorization_pending": "pending",
    "slow_down": "pending",
    "access_denied": "denied",
    "expired_token": "expired",
    "invalid_grant": "spent",
    "invalid_client": "no client",
}


def word_of(answer: Answer) -> Word:
    """An answer of the token endpoint in one word."""
    if answer.status == 200:
        return "token"
    error = str(answer.error)
    return _WORDS.get(error, error)


@dataclass(slots=True)
class Ground:
    """`servers`: where requests arrive, one after the other."""

    servers: list[Served]
    stepper: Stepper
    network: Network
    log: Log = field(init=False, repr=False)
    steps: int = 0
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.log = Log(self._now)

    @property
    def here(self) -> Served:
        return self.servers[0]

    def loud(self, at: Served | None = None) -> Caller:
        return web(at or self.here, "loud")

    # --- what there is before a race

    async def waiting(self, **more: Any) -> str:
        """A deferral about something that nothing else is about; its code."""
        amount = {"amount": f"{next(self._numbers)}.00", "currency": "EUR"}
        about = {"authorization_details": [PAYMENT | {"amount": amount}], **more}
        code = await self.loud().defer(**{"scope": "read write", **about})
        self.log.note(
            "opened", deferral=code, asked=["read", "write"], expires=_FOR_EVER,
            decides=_FOR_EVER, skew=0.0, calls=False,
        )  # fmt: skip
        return code

    async def approved(self) -> str:
        code = await self.waiting()
        assert await self.votes("ada")(self.here, code) == "counted"
        return code

    # --- who races

    async def poll(self, at: Served, code: str) -> Word:
        number = self.log.call(code, "poll")
        answer = await self.loud(at).poll(code)
        word = word_of(answer)
        told = {}
        if word == "token":
            told = {"token": answer.claims()["jti"], "scope": answer.json["scope"].split()}
        self.log.answer(number, "refused" if word == "no client" else word, **told)
        return word

    async def cancel(self, at: Served, code: str) -> Word:
        number = self.log.call(code, "cancel")
        answer = await self.loud(at).revoke(code)
        self.log.answer(number, "done" if answer.status == 200 else "refused")
        return "done" if answer.status == 200 else answer.json["error"]

    def votes(self, by: str, verdict: Verdict = Verdict.APPROVE, *only: str) -> Part:
        """Somebody looks at it, and says this; a yes may be for some scopes `only`."""

        async def vote(at: Served, code: str) -> Word:
            op = "approve" if verdict is Verdict.APPROVE else "deny"
            scope = {"scope": only or ["read", "write"]} if op == "approve" else {}
            number = self.log.call(code, op, **scope)
            choice = None
            if only:
                items = frozenset({"detail:0", *(f"scope:{each}" for each in only)})
                choice = Choice(items=items, parts={}, limits={}, lifetime=timedelta(minutes=5))
            voted = await at.vote(code, verdict, by=by, choice=choice)
            match voted:
                case Counted():
                    self.log.answer(number, "counted")
                    return "counted"
                case NotCounted(obstacle):
                    # Whoever was shown something else, or has voted, is refused.
                    said = "closed" if obstacle is Obstacle.CLOSED else "refused"
                    self.log.answer(number, said)
                    return obstacle.value

        return vote

    # --- the race

    async def explore(
        self,
        prepare: Callable[[], Awaitable[Any]],
        parts: Mapping[str, Part],
        outcomes: set[Outcome],
        *,
        ends: Part | None = None,
        judged: bool = True,
        fine: bool = False,
        clients: bool = False,
    ) -> None:
        """Try all orders. `outcomes`: what the parts may say, and behind that what `ends` finds
        (by default the stage of the request). All that comes about must be among them; that each
        of them does is looked at where the bound is not the least. `fine` and `clients`: see
        `stepping`.
        """
        self.stepper.fine, self.stepper.clients = fine, clients
        orders = Orders(None if SWITCHES == "all" else int(SWITCHES))
        seen: Counter[Outcome] = Counter()
        for order in orders:
            self.log = Log(self._now)
            self.here.clock.move(10)  # however many orders there are, nobody comes too often
            thing = await prepare()
            at = itertools.cycle(self.servers)
            acts = [partial(part, next(at), thing) for part in parts.values()]
            answers, took = await self.stepper.run([(act, self.step) for act in acts], order)
            names = list(parts)
            story = " ".join(f"{names[each.took]}: {each.step};" for each in took)
            for answer in answers:
                assert isinstance(answer, str), f"{answer!r} after {story}"
            found = await (ends or self.stage)(self.here, thing)
            outcome = (*answers, found)
            assert outcome in outcomes, f"{outcome} after {story}"
            if judged:
                assert await self._broken(thing) == [], story
            seen[outcome] += 1
            orders.learn(order, took)
        count("races", len(orders.tried))
        assert SWITCHES == "1" or set(seen) == outcomes, f"not {outcomes - set(seen)}, but {seen}"

    async def stage(self, at: Served, code: str) -> Word:
        return stage_of((await at.held(code)).state).value

    def step(self) -> None:
        """Time passes for the log: somebody has begun."""
        self.steps += 1

    def _now(self) -> float:
        return float(self.steps)

    async def _broken(self, code: str) -> list[Any]:
        """What the checker says of what was seen, and of how it ended."""
        handle = parse_handle(HandleKind.DEFERRAL_CODE, code)
        assert handle is not None
        held = await self.here.held(code)
        events = {each.event for each in await self.here.house.store.find_events(held.key)}
        self.log.note(
            "final",
            deferral=code,
            stage=stage_of(held.state),
            live=[],
            decided=bool(events & {"approved", "denied"}),
        )
        return list(check(self.log.events))


async def _idle(_: Post) -> None:
    """Never looks."""


@asynccontextmanager
async def open_ground(folder: Path, url: str | None) -> AsyncIterator[Ground]:
    """Two servers over the database of this `url`, or one over a file."""
    network, stepper = Network(), Stepper(url)
    text = (CONFIG + _MORE).replace("{issuer}", ISSUER).replace("{approval}", "24h")
    serving = partial(
        serve, folder, config=text.replace("{password}", HASH), extra=_LIMITS, outside=network
    )
    async with AsyncExitStack() as stack:
        # Nobody empties the outbox but who is told to.
        stack.enter_context(patch.object(Post, "run", _idle))
        if url is not None:
            stack.enter_context(keeping_in(url))
        servers = [await stack.enter_async_context(serving())]
        if url is not None:
            servers.append(await stack.enter_async_context(serving(clock=servers[0].clock)))
        for served in servers:
            stepper.watch(served.house.store)
        stack.push_async_callback(stepper.close)
        yield Ground(servers, stepper, network)

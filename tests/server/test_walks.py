"""Random walks of several clients with several keys; each answer is compared with a model.

The model below is written from the text (DTR-POLL-03, readings 1 to 6, 13, 20, 24), knows nothing
of the server's parts, and says one answer for each request. It speaks to the whole server.
"""

import asyncio
import itertools
import os
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    precondition,
    rule,
)

from abeyance.acts import dispose
from abeyance.acts.decide import Counted
from abeyance.parties.client import ClientId
from abeyance.pending.votes import Verdict
from abeyance.proofs.jwk import KeyPair
from tests.answer import Answer
from tests.clock import MovableClock
from tests.covers import covers
from tests.served import Caller, Served, make_key, serve

LIVES: Final = {"read": 3_600, "brief": 60}  # seconds, by the rules of the configuration
APPROVAL: Final = {"read": 1_800, "brief": 3_600}
INTERVAL: Final = 5
WALKS: Final = int(os.environ.get("WALKS", "30"))  # T-253 asks for 100,000: some hours
KEYS: Final[tuple[KeyPair | None, ...]] = (None, make_key(), make_key())
CLIENTS: Final = ("s1", "c1", "c2")
WAITS: Final = ("pending", "approved")


@dataclass(slots=True)
class Waiting:
    """What the draft lets a client know of one request. Instants are seconds."""

    client: str
    key: int
    code: str
    scope: str
    opened: float
    state: str = "pending"
    until: float = 0
    polled: float | None = None
    penalties: int = 0
    early: int = 0
    name: str | None = None
    tokens: list[str] = field(default_factory=list)

    @property
    def end(self) -> float:
        return self.opened + LIVES[self.scope]

    @property
    def decide_by(self) -> float:
        life = LIVES[self.scope]
        return self.end - min(60, life / 4)

    def is_over(self, now: float) -> bool:
        return now >= self.end and self.state in WAITS

    def poll(self, client: str, key: int, now: float) -> str:
        """The `error` of a poll, or `token`."""
        if client != self.client:
            return "invalid_grant"
        if self.key and key != self.key:
            return "invalid_dpop_proof"
        if self.is_over(now):
            return "expired_token"
        match self.state:
            case "redeemed":
                return "invalid_grant"
            case "denied" | "cancelled":
                return "access_denied"
            case "approved" if self.until - now < 1:
                self.state = "denied"  # what was approved does not hold any more
                return "access_denied"
            case "approved":
                self.state = "redeemed"
                return "token"
            case _:
                return self._pace(now)

    def _pace(self, now: float) -> str:
        least = INTERVAL + 5 * self.penalties - 0.5
        if self.polled is None or now - self.polled >= least:
            self.polled, self.early = now, 0
            return "authorization_pending"
        self.polled, self.early = now, self.early + 1
        if self.early >= 20:
            return "invalid_request"
        self.penalties += 1
        return "slow_down"

    def cancel(self, client: str, key: int, now: float) -> str | None:
        """The `error` of a cancellation; `None`: 200, also where nothing was there."""
        if client != self.client or self.is_over(now) or self.state not in WAITS:
            return None
        if self.key and key != self.key:
            return "invalid_dpop_proof"
        self.state = "cancelled"
        return None


# What a disabled client hears; who fails again and again is slowed.
OUT: Final = {(401, "invalid_client"), (429, "temporarily_unavailable")}


def told(answer: Answer) -> str:
    return "token" if answer.status == 200 else str(answer.error)


class Walk(RuleBasedStateMachine):
    """One server, three clients, and time."""

    requests: Bundle[Waiting] = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(prefix="abeyance-walk-")
        self.stack = AsyncExitStack()
        self.served: Served
        self.known: list[Waiting] = []
        self.disabled: set[str] = set()
        self.names = 0
        self.count = itertools.count()

    def do(self, awaited: Any) -> Any:
        return self.runner.run(awaited)

    @property
    def now(self) -> float:
        return self.served.clock.tick()

    def caller(self, client: str, key: int) -> Caller:
        plain: Caller = getattr(self.served, client)
        return replace(plain, dpop=KEYS[key], count=self.count)

    @initialize()
    def open(self) -> None:
        self._open(None)

    def _open(self, clock: MovableClock | None) -> None:
        async def enter() -> Served:
            extra = '[lifetimes]\ncool_down = "0s"'
            opened = serve(Path(self.folder.name), extra=extra)
            served = await self.stack.enter_async_context(opened)
            if clock is not None:
                served.clock.move(clock.tick() - served.clock.tick())
            return served

        self.served = self.do(enter())

    def teardown(self) -> None:
        self.do(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()

    @rule(
        target=requests,
        client=st.sampled_from(CLIENTS),
        key=st.integers(0, 2),
        scope=st.sampled_from(("read", "brief", "now", "never")),
        named=st.booleans(),
    )
    def ask(self, client: str, key: int, scope: str, named: bool) -> Any:
        more: dict[str, Any] = {}
        if named:
            self.names += 1
            more["deferral_request_id"] = f"{client}-{self.names:030}"
        answer = self.do(self.caller(client, key).ask(scope=scope, **more))
        if client in self.disabled:
            assert (answer.status, answer.error) in OUT
        elif client == "c1" and not key:
            assert answer.error == "invalid_dpop_proof"
        elif client == "c2" and scope in ("brief", "never"):
            assert answer.error == "invalid_scope"
        elif scope == "now":
            assert answer.json["scope"] == "now"
            assert answer.json["token_type"] == ("DPoP" if key else "Bearer")
        elif scope == "never":
            assert answer.error == "invalid_scope"
        else:
            assert answer.error == "authorization_pending"
            assert answer.json["expires_in"] == LIVES[scope]
            assert answer.json["interval"] == INTERVAL
            assert all(answer.code != each.code for each in self.known)
            made = Waiting(
                client, key, answer.code, scope, self.now, name=more.get("deferral_request_id")
            )
            self.known.append(made)
            return made
        return multiple()

    @rule(request=requests, client=st.sampled_from(CLIENTS), key=st.integers(0, 2))
    def poll_as_anybody(self, request: Waiting, client: str, key: int) -> None:
        self._poll(request, client, key)

    @rule(request=requests)
    def poll_as_its_client(self, request: Waiting) -> None:
        self._poll(request, request.client, request.key)

    def _poll(self, request: Waiting, client: str, key: int) -> None:
        answer = self.do(self.caller(client, key).poll(request.code, scope="read write"))
        if client in self.disabled:
            assert (answer.status, answer.error) in OUT
            return
        assert told(answer) == request.poll(client, key, self.now)
        assert "deferral_code" not in answer.json
        if answer.status == 200:
            request.tokens.append(str(answer.json["access_token"]))
            assert len(request.tokens) == 1, "one code, one token"
            assert answer.json["scope"] == request.scope
            assert answer.json["token_type"] == ("DPoP" if key else "Bearer")

    @rule(request=requests, client=st.sampled_from(CLIENTS), key=st.integers(0, 2))
    def cancel(self, request: Waiting, client: str, key: int) -> None:
        answer = self.do(self.caller(client, key).revoke(request.code))
        if client in self.disabled:
            assert (answer.status, answer.error) in OUT
            return
        error = request.cancel(client, key, self.now)
        assert (answer.status, error) == ((200, None) if error is None else (400, answer.error))

    @rule(request=requests, approves=st.booleans())
    def decide(self, request: Waiting, approves: bool) -> None:
        counts = (
            request.state == "pending"
            and self.now < request.decide_by
            and request.client not in self.disabled
        )
        verdict = Verdict.APPROVE if approves else Verdict.DENY
        result = self.do(self.served.vote(request.code, verdict))
        assert isinstance(result, Counted) == counts
        if counts:
            request.state = "approved" if approves else "denied"
            request.until = self.now + APPROVAL[request.scope]

    @rule(request=requests)
    def ask_again_by_name(self, request: Waiting) -> None:
        if request.name is None or request.client in self.disabled or request.state == "redeemed":
            return  # what was collected may be recovered, which has tests of its own
        caller = self.caller(request.client, request.key)
        answer = self.do(caller.ask(scope=request.scope, deferral_request_id=request.name))
        if request.is_over(self.now):
            assert answer.error == "expired_token"
        elif request.state in ("denied", "cancelled"):
            assert answer.error == "access_denied"
        else:
            assert answer.code == request.code
            assert answer.json["expires_in"] <= LIVES[request.scope]

    @rule(seconds=st.sampled_from((1, 4, 5, 6, 11, 46, 61, 600, 1_801, 3_541, 3_601)))
    def wait(self, seconds: int) -> None:
        self.served.clock.move(seconds)

    @rule()
    def restart(self) -> None:
        """Penalties are forgotten, and nothing else: who was disabled by somebody stays so."""
        clock = self.served.clock
        self.do(self.stack.aclose())
        self.stack = AsyncExitStack()
        self._open(clock)
        for each in self.known:
            each.polled, each.penalties, each.early = None, 0, 0

    @precondition(lambda self: not self.disabled and len(self.known) > 3)
    @rule(request=consumes(requests))
    def disable(self, request: Waiting) -> None:
        """What waits for a disabled client has ended, for good."""
        if request.client != "c2":
            return
        store = self.served.house.store
        client = self.do(store.find_client(ClientId("c2")))
        self.do(dispose.disable_client(self.served.house, client, by="person:ada"))
        self.disabled.add("c2")
        for each in self.known:
            if each.client == "c2" and each.state in WAITS and not each.is_over(self.now):
                each.state = "denied"


# Without shrinking, which takes minutes here; what failed is printed as it was found.
Walk.TestCase.settings = settings(
    max_examples=WALKS, stateful_step_count=40, deadline=None, phases=(Phase.generate,)
)
TestWalks = covers(
    "T-253", "T-254", "T-255", "DTR-POLL-03", "DTR-OK-03", "DTR-CANC-02", "DTR-CANC-05",
    "DTR-BIND-01", "DTR-ERR-04", "DTR-ERR-05",
)(Walk.TestCase)  # fmt: skip

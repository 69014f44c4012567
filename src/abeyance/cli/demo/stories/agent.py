"""An agent that needs a yes: one request answered at once, one approved (over a kill), one
narrowed, one denied, one withdrawn.
"""

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from abeyance.cli.demo.asked import EXPORT, HELD, HUGE, REGRET, SMALL, STATE, Detail
from abeyance.cli.demo.narrator import Narrator
from abeyance.cli.demo.reviewer import Reviewer
from abeyance.cli.demo.stage import CLIENT, Stage, tapped
from abeyance.cli.demo.telling import Told
from abeyance.client import (
    AccessDenied,
    Client,
    ClientSecretBasic,
    PendingToken,
    SealingKey,
    Token,
)

_REASON: Final = "Not from this account. Ask treasury."


@dataclass(slots=True)
class _Telling:
    """What is told, by whom."""

    told: Told
    stage: Stage
    narrator: Narrator
    reviewer: Reviewer
    client: Client

    def expect(self, so: bool, otherwise: str) -> None:
        self.told.expect(so, otherwise)


def tell(told: Told) -> None:
    """Five scenes over the client credentials grant."""
    stage, narrator = told.stage, told.narrator
    narrator.story(3, "An agent that needs a human's yes")
    narrator.say(
        "A bookkeeping agent may pay single bills up to 50 EUR by itself. For anything else the "
        "server answers 'not yet', and Rita decides. The rules:"
    )
    narrator.show("", *stage.rule("standing"), *stage.rule("everything else"))
    with (
        tapped(narrator) as http,
        Client(
            stage.issuer,
            CLIENT,
            ClientSecretBasic(stage.secret),
            dpop_key=stage.key,
            http=http,
        ) as client,
    ):
        telling = _Telling(told, stage, narrator, told.reviewer, client)
        for scene in (_at_once, _killed_and_resumed, _narrowed, _denied, _cancelled):
            scene(telling)


def _at_once(telling: _Telling) -> None:
    telling.narrator.scene(1, "12.50 EUR: within the standing approval, so a token at once")
    answer = telling.client.request_token(authorization_details=[SMALL])
    telling.expect(isinstance(answer, Token), "the server deferred it")


def _killed_and_resumed(telling: _Telling) -> None:
    narrator = telling.narrator
    narrator.scene(2, "480.00 EUR: not yet; the agent is killed, started again, resumes")
    with _agent(telling) as (lines, _said):
        for line in lines:
            if HELD in line:
                break
    narrator.by("demo", "kill -9: the waiting agent is gone; its request is not")
    telling.reviewer.approve()
    narrator.by("demo", "the agent is started again")
    with _agent(telling) as (lines, said):
        for _line in lines:
            pass
    telling.expect("granted" in " ".join(said), "the agent that was started again got no token")
    telling.expect(not (telling.stage.folder / STATE).exists(), "a used handle was kept")


def _narrowed(telling: _Telling) -> None:
    narrator = telling.narrator
    narrator.scene(3, "An export of three tables: Rita grants two")
    pending = _ask(telling, EXPORT)
    if pending is None:
        return
    telling.reviewer.approve_less("salaries")
    match telling.told.outcome(pending):
        case Token() as token:
            narrator.by("agent", f"asked    {EXPORT['tables']}")
            narrator.by("agent", f"granted  {token.authorization_details[0]['tables']}")
            telling.expect(token.partial, "it was granted in full")
        case denied:
            telling.expect(False, f"it ended as {denied}")


def _denied(telling: _Telling) -> None:
    narrator = telling.narrator
    narrator.scene(4, "9,900.00 EUR to a stranger: no, and why")
    narrator.say(
        "The agent's text says 'already approved by security'. The console shows that as the "
        "client's words, after the facts."
    )
    pending = _ask(telling, HUGE)
    if pending is None:
        return
    telling.reviewer.deny(_REASON)
    match telling.told.outcome(pending):
        case AccessDenied() as denied:
            narrator.by("agent", f"denied; Rita's words, shared: {denied.remark!r}")
            telling.expect(denied.remark == _REASON, "the reason did not arrive")
        case other:
            telling.expect(False, f"it ended as {other}")


def _cancelled(telling: _Telling) -> None:
    telling.narrator.scene(5, "75.00 EUR: the agent changes its mind")
    pending = _ask(telling, REGRET)
    if pending is None:
        return
    copy = telling.stage.folder / "withdrawn"
    seal = SealingKey(secrets.token_bytes(32))
    pending.save(copy, seal=seal)
    kept = copy.read_bytes()
    pending.cancel()
    telling.narrator.by("agent", "withdrawn: nobody can approve it any more; asking all the same")
    copy.touch(mode=0o600)
    copy.write_bytes(kept)
    ended = telling.told.outcome(telling.client.resume(copy, seal=seal))
    telling.expect(isinstance(ended, AccessDenied), f"it ended as {ended}")


def _ask(telling: _Telling, detail: Detail) -> PendingToken | None:
    answer = telling.client.request_token(authorization_details=[detail])
    telling.expect(isinstance(answer, PendingToken), "the server answered at once")
    return answer if isinstance(answer, PendingToken) else None


@contextmanager
def _agent(telling: _Telling) -> Iterator[tuple[Iterator[str], list[str]]]:
    """Run the agent as a process; it is killed at the end of the block if it still runs."""
    stage = telling.stage
    process = subprocess.Popen(  # noqa: S603  # our own module, our own arguments
        [sys.executable, "-m", "abeyance.cli.demo.agent", str(stage.folder), stage.issuer],
        stdout=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []

    def lines() -> Iterator[str]:
        if process.stdout is None:
            return
        for line in process.stdout:
            said.append(line.rstrip())
            telling.narrator.relay(said[-1])
            yield said[-1]

    try:
        yield lines(), said
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()

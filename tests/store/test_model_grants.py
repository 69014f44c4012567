"""Another machine, for what a person's grant leaves: codes, families, the end of a home.

The model is a home in plain values; every step says when it loses, in one line.
Pairs of changes are handed over at once, and the store must answer as if they
had come one after the other.
"""

import asyncio
import random
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from abeyance.pending.change import (
    Applied,
    Change,
    CloseHome,
    HoldFamily,
    LiveUntil,
    NewFamily,
    OpenGrant,
    Row,
    SpendCode,
    Step,
    Superseded,
    TurnFamily,
)
from abeyance.pending.credentials import (
    Code,
    Family,
    FoundCode,
    FoundRefresh,
    RefreshToken,
    UserGrant,
)
from abeyance.pending.handles import HandleHash, HandleKind, Home, mint_handle
from abeyance.pending.states import Event
from abeyance.store.ports import OfPerson
from abeyance.store.sqlite import SqliteStore
from abeyance.store.suite.granted import STALE, a_code, a_family, a_grant
from abeyance.store.suite.ground import ANN, NOW
from tests.covers import covers
from tests.store.test_broken import spend_again, turn_any_generation, turn_what_has_ended
from tests.store.test_powercut import FAST

T = TypeVar("T")

IDLE: Final = timedelta(minutes=3)
MOST: Final = timedelta(minutes=10)


@dataclass
class Place:
    """A home: its grant, code, family and every refresh token, if they are there."""

    home: Home
    grant: UserGrant | None = None
    code: Code | None = None
    family: Family | None = None
    tokens: list[RefreshToken] = field(default_factory=list)

    def take(self, step: Step) -> bool:
        match step:
            case OpenGrant(grant):
                won = self.grant is None
                self.grant = self.grant or grant
                return won
            case SpendCode(digest, at):
                code = self.code
                if code is None or code.handle.digest != digest or code.spent_at is not None:
                    return False
                if at >= code.expires_at or self.grant is None or self.grant.ended_at is not None:
                    return False
                self.code = replace(code, spent_at=at)
                return True
            case HoldFamily(at):
                return self.family is not None and self.family.is_alive(at)
            case TurnFamily():
                return self._turn(step)
            case CloseHome(at=at):
                self._end(at)
                return True
            case _:
                raise NotImplementedError

    def _turn(self, step: TurnFamily) -> bool:
        family = self.family
        if family is None or not family.is_alive(step.at) or family.generation != step.generation:
            return False
        self.family = family = replace(family, idle_until=min(step.idle_until, family.until))
        if step.head is None:
            return True
        older = [replace(each, successor=None) for each in self.tokens[:-1]]
        spent = replace(self.tokens[-1], spent_at=step.at, successor=step.successor)
        self.tokens = [*older, spent, step.head]
        self.family = replace(family, generation=step.head.generation, head=step.head.digest)
        return True

    def _end(self, at: datetime | None) -> None:
        if self.grant is not None and self.grant.ended_at is None:
            self.grant = replace(self.grant, ended_at=at)
        if self.code is not None and self.code.spent_at is None:
            self.code = replace(self.code, spent_at=at)
        if self.family is not None and self.family.ended_at is None:
            self.family = replace(self.family, ended_at=at)


class GrantsAndStore(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.now = NOW
        self.chance = random.Random(0)
        self.place = Place(Home(self.chance.randbytes(16)))
        self.folder = Path(tempfile.mkdtemp(dir=FAST))
        self.runner = asyncio.Runner()
        self.store = self.run(SqliteStore.open(self.folder / "abeyance.db", memory=3))

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.run(self.store.close())
            self.runner.close()
            shutil.rmtree(self.folder)

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(doing)

    def apply(self, *changes: Change) -> None:
        async def at_once() -> list[Applied | Superseded]:
            return list(await asyncio.gather(*map(self.store.apply, changes)))

        answers = self.run(at_once())
        assert answers == [self._expected(change) for change in changes]

    def _expected(self, change: Change) -> Applied | Superseded:
        [step] = change.steps
        if not self.place.take(step):
            return Superseded(step, None)
        for row in change.rows:
            match row:
                case Code():
                    self.place.code = row
                case NewFamily(family, token):
                    self.place.family, self.place.tokens = family, [token]
                case LiveUntil(until) if self.place.grant is not None:
                    grant = self.place.grant
                    self.place.grant = replace(grant, live_until=max(grant.live_until, until))
                case _:
                    raise NotImplementedError
        return Applied(None)

    def _change(self, step: Step, *rows: Row) -> Change:
        return Change(self.place.home, (step,), rows)

    def _token(self, generation: int) -> RefreshToken:
        secret = self.chance.randbytes(32)
        _, handle = mint_handle(HandleKind.REFRESH_TOKEN, self.place.home, secret)
        return RefreshToken(digest=handle.digest, generation=generation, issued_at=self.now)

    # --- moves

    @rule(seconds=st.sampled_from([1, 59, 60, 179, 180, 600]))
    def pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(times=st.integers(1, 3))
    def grant(self, times: int) -> None:
        _, handle = mint_handle(
            HandleKind.AUTHORIZATION_CODE, self.place.home, self.chance.randbytes(32)
        )
        code = replace(
            a_code(self.place.home),
            handle=handle,
            issued_at=self.now,
            expires_at=self.now + timedelta(minutes=1),
        )
        self.apply(*[self._change(OpenGrant(a_grant()), code)] * times)

    @rule(times=st.integers(1, 3))
    def show_the_code(self, times: int) -> None:
        code = self.place.code
        step = SpendCode(bytes(32) if code is None else code.handle.digest, self.now)
        changes = []
        for _ in range(times):
            token = self._token(1)
            family = replace(
                a_family(token),
                opened_at=self.now,
                idle_until=self.now + IDLE,
                until=self.now + MOST,
            )
            changes.append(self._change(step, NewFamily(family, token), LiveUntil(family.until)))
        self.apply(*changes)

    @rule(behind=st.sampled_from([0, 0, 0, 1]), rotate=st.booleans(), times=st.integers(1, 3))
    def refresh(self, behind: int, rotate: bool, times: int) -> None:
        family = self.place.family
        generation = (1 if family is None else family.generation) - behind
        changes = [
            self._change(
                TurnFamily(
                    generation,
                    self.now,
                    self.now + IDLE,
                    self._token(generation + 1) if rotate else None,
                    b"sealed" if rotate else None,
                )
            )
            for _ in range(times)
        ]
        self.apply(*changes)

    @rule()
    def hold(self) -> None:
        self.apply(self._change(HoldFamily(self.now)))

    @rule(with_a_refresh=st.booleans(), sure=st.sampled_from([True, False, False, False]))
    def close(self, with_a_refresh: bool, sure: bool) -> None:
        if not sure:
            return
        changes = [self._change(CloseHome(Event.STALE, STALE, self.now))]
        if with_a_refresh and self.place.family is not None:
            generation = self.place.family.generation
            head = self._token(generation + 1)
            turn = TurnFamily(generation, self.now, self.now + IDLE, head)
            changes.append(self._change(turn))
        self.apply(*changes)

    @rule()
    def restart(self) -> None:
        self.run(self.store.close())
        self.store = self.run(SqliteStore.open(self.folder / "abeyance.db", memory=3))

    # --- what must hold

    @invariant()
    def each_value_finds_what_the_model_says(self) -> None:
        place = self.place
        if place.code is not None and place.grant is not None:
            found = FoundCode(place.home, place.code, place.grant)
            assert self.run(self.store.find_code(place.code.handle)) == found
        for token in place.tokens:
            assert place.family is not None
            assert place.grant is not None
            handle = HandleHash(place.home, token.digest)
            known = FoundRefresh(place.home, token, place.family, place.grant, 1)
            assert self.run(self.store.find_refresh(handle)) == known

    @invariant()
    def a_family_has_one_live_branch(self) -> None:
        place = self.place
        numbers = [each.generation for each in place.tokens]
        assert numbers == list(range(1, len(numbers) + 1))
        assert [each.spent_at is None for each in place.tokens][:-1] == [False] * (len(numbers) - 1)

    @invariant()
    def what_lives_is_found_for_closing(self) -> None:
        found = self.run(self.store.find_open_homes(OfPerson(ANN), now=self.now, limit=9))
        grant = self.place.grant
        alive = grant is not None and grant.ended_at is None and grant.live_until > self.now
        assert list(found) == ([self.place.home] if alive else [])


MODEL: Final = settings(
    max_examples=40,
    derandomize=True,
    database=None,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@covers(
    "OAUTH-CODE-04", "OAUTH-CODE-07", "OAUTH-RT-04", "OAUTH-RT-08", "OAUTH-RT-09", "OAUTH-RT-10",
)  # fmt: skip
def test_the_store_does_with_grants_what_the_model_says_whatever_the_moves() -> None:
    run_state_machine_as_test(GrantsAndStore, settings=MODEL)


@pytest.mark.parametrize("breaks", [spend_again, turn_any_generation, turn_what_has_ended])
def test_the_machine_of_grants_notices_that_a_safeguard_is_gone(
    monkeypatch: pytest.MonkeyPatch, breaks: Callable[[pytest.MonkeyPatch], None]
) -> None:
    breaks(monkeypatch)
    once = settings(MODEL, max_examples=300, phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises((AssertionError, ExceptionGroup, apsw.Error)):
        run_state_machine_as_test(GrantsAndStore, settings=once)

"""Two stores live through the same; one disposes, the other never does. Nobody who is owed an
answer can tell them apart.
"""

import asyncio
import random
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import apsw
import hypothesis.strategies as st
from hypothesis import given, settings

from abeyance.parties.person import ConsoleSession
from abeyance.pending.change import (
    Advance,
    Applied,
    CastVote,
    Change,
    CloseHome,
    DerivedFrom,
    LiveUntil,
    NewFamily,
    OpenGrant,
    RevokeToken,
    Row,
    Step,
    Superseded,
    TokenRecord,
    TurnFamily,
)
from abeyance.pending.exchanged import Source
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.request import Held
from abeyance.pending.states import Event
from abeyance.store.ports import (
    AsAsker,
    AsReviewer,
    Ground,
    OfAll,
    OfClient,
    OfPerson,
    OfSession,
    Store,
    Wanted,
    Whose,
)
from abeyance.store.sql import disposal
from abeyance.store.sqlite import SqliteStore
from abeyance.store.suite.disposal import KEPT
from abeyance.store.suite.granted import STALE, a_family, a_grant, a_refresh
from abeyance.store.suite.ground import (
    ANN,
    BEN,
    NOW,
    SHOP,
    TO,
    a_ballot,
    a_home,
    a_request,
    a_snapshot,
    a_token,
    an_event,
)
from tests.covers import covers

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SESSIONS: Final = tuple(bytes([number]) * 32 for number in range(3))
STEPS: Final = (
    "request", "request", "event", "event", "vote", "grant", "turn", "token", "revoke",
    "close", "derive", "session", "force", "time", "time", "time", "dispose", "dispose",
)  # fmt: skip
PASSES: Final = (HOUR, 12 * HOUR, DAY, DAY, 8 * DAY, 30 * DAY, 31 * DAY)


@dataclass(slots=True)
class Twins:
    """`kept` never disposes; `tidy` does. `chance` decides what happens, the same for both."""

    kept: Store
    tidy: Store
    chance: random.Random
    now: datetime = NOW
    held: list[Held] = field(default_factory=list)
    homes: list[Home] = field(default_factory=list)
    refresh: list[HandleHash] = field(default_factory=list)
    tokens: list[tuple[Home, TokenRecord]] = field(default_factory=list)

    async def apply(self, home: Home, steps: Sequence[Step], rows: Sequence[Row] = ()) -> bool:
        change = Change(home, tuple(steps), tuple(rows))
        one, other = await self.kept.apply(change), await self.tidy.apply(change)
        match one, other:
            case Applied(current=before), Applied(current=after):
                assert before == after
                return True
            case Superseded(lost=before_lost), Superseded(lost=after_lost):
                assert before_lost == after_lost
                return False
        raise AssertionError(f"{one} where nothing was disposed of, {other} where something was")

    async def happen(self, what: str) -> None:
        await getattr(self, what)()

    async def request(self) -> None:
        n, home = 1, a_home()
        alive = [each for each in self.refresh if await self.is_alive(each)]
        if alive and self.chance.random() < 0.6:
            handle = self.chance.choice(alive)
            home, found = handle.home, await self.kept.find_refresh(handle)
            again = await self.tidy.find_refresh(handle)
            assert found is not None
            assert again is not None
            assert again.next_n == found.next_n
            n = found.next_n
        snapshot = replace(a_snapshot(), client_owner=BEN, person=ANN, person_name="Ann")
        wanted = a_request(home=home, n=n, snapshot=snapshot, opened_at=self.now, lifetime=DAY)
        rows: tuple[Row, ...] = (an_event("opened", n),)
        if n > 1 or home in self.homes:
            rows += (LiveUntil(wanted.held.expires_at),)
        if await self.apply(home, (wanted,), rows):
            self.held.append(wanted.held)

    async def is_alive(self, handle: HandleHash) -> bool:
        found = await self.kept.find_refresh(handle)
        return found is not None and found.family.is_alive(self.now)

    async def event(self) -> None:
        if self.held:
            held = self.chance.choice(self.held)
            event = self.chance.choice((Event.APPROVE, Event.DENY, Event.CANCEL, Event.REDEEM))
            step = Advance(held.key.n, event, TO[event], self.now, None)
            await self.apply(held.key.home, (step,))

    async def vote(self) -> None:
        if self.held:
            held = self.chance.choice(self.held)
            if self.now < held.expires_at:
                await self.apply(held.key.home, (CastVote(held.key.n, a_ballot()),))

    async def grant(self) -> None:
        home, until = a_home(), self.now + self.chance.choice((DAY, 90 * DAY))
        token = a_refresh(home)
        family = replace(
            a_family(token), opened_at=self.now, idle_until=self.now + DAY, until=until
        )
        opened = replace(
            a_grant(session=self.chance.choice(SESSIONS)), opened_at=self.now, live_until=self.now
        )
        rows = (NewFamily(family, token), LiveUntil(until))
        assert await self.apply(home, (OpenGrant(opened),), rows)
        self.homes.append(home)
        self.refresh.append(HandleHash(home, token.digest))

    async def turn(self) -> None:
        if not self.refresh:
            return
        handle = self.chance.choice(self.refresh)
        found = await self.kept.find_refresh(handle)
        if found is None:
            return
        head = a_refresh(handle.home, found.family.generation + 1)
        turn = TurnFamily(
            generation=found.family.generation,
            head=head,
            idle_until=self.now + 40 * DAY,
            successor=None,
            at=self.now,
        )
        if await self.apply(handle.home, (turn,)):
            self.refresh.append(HandleHash(handle.home, head.digest))

    async def token(self) -> None:
        home = self.chance.choice(self.homes) if self.homes else a_home()
        until = self.now + 5 * DAY if self.chance.random() < 0.5 else None
        record = replace(a_token(home), issued_at=self.now, expires_at=self.now + HOUR, until=until)
        rows: tuple[Row, ...] = (record,)
        if until is not None:
            rows += (LiveUntil(until),)
        await self.apply(home, (), rows)
        self.tokens.append((home, record))

    async def revoke(self) -> None:
        if self.tokens:
            home, token = self.chance.choice(self.tokens)
            if self.now < token.expires_at:
                await self.apply(home, (RevokeToken(token.jti, SHOP, self.now),))

    async def close(self) -> None:
        if self.homes:
            close = CloseHome(Event.STALE, STALE, at=self.now)
            await self.apply(self.chance.choice(self.homes), (close,))

    async def derive(self) -> None:
        usable = [each for each in self.tokens if self.now < (each[1].until or self.now)]
        if usable:
            home, source = self.chance.choice(usable)
            opened = replace(a_grant(BEN), opened_at=self.now, live_until=self.now)
            target, until = a_home(), source.until or self.now
            rows = (DerivedFrom(Source(home, source.jti)), LiveUntil(until))
            assert await self.apply(target, (OpenGrant(opened),), rows)
            self.homes.append(target)

    async def session(self) -> None:
        session = ConsoleSession(self.chance.choice(SESSIONS), ANN, self.now, self.now)
        for store in (self.kept, self.tidy):
            await store.put_session(session)

    async def force(self) -> None:
        digest = self.chance.choice(SESSIONS)
        for store in (self.kept, self.tidy):
            await store.end_session(digest, forced=True)

    async def time(self) -> None:
        self.now += self.chance.choice(PASSES)

    async def dispose(self) -> None:
        after = None
        while True:
            page = await self.tidy.dispose(KEPT, now=self.now, limit=7, after=after)
            if (after := page.next) is None or self.chance.random() < 0.02:  # cut short
                return

    # --- who can tell them apart?

    async def compare(self) -> None:
        for held in self.held:
            await self.compare_request(held)
        for handle in self.refresh:
            found = await self.kept.find_refresh(handle)
            assert found is not None
            if self.now < found.grant.live_until:
                assert await self.tidy.find_refresh(handle) == found
        for home in self.homes:
            await self.compare_home(home)
        for home, token in self.tokens:
            if self.now < max(token.expires_at, token.until or token.expires_at):
                found_token = await self.kept.find_token(home, token.jti)
                assert await self.tidy.find_token(home, token.jti) == found_token
        await self.compare_lists()

    async def compare_request(self, held: Held) -> None:
        end, kept = held.expires_at, await self.kept.find_held(held.handle)
        tidy = await self.tidy.find_held(held.handle)
        assert kept is not None
        if self.now < end + KEPT.details:
            assert tidy == kept
            loaded = await self.kept.find_loaded(held.key)
            found = await self.tidy.find_loaded(held.key)
            assert loaded is not None
            assert found is not None
            family = found.family if found.family is not None else loaded.family
            assert replace(loaded, family=family) == replace(found, family=family)
            assert await self.tidy.find_events(held.key) == await self.kept.find_events(held.key)
        elif self.now < end + KEPT.details + KEPT.tombstone:
            assert tidy is not None
            assert type(tidy.state_at(self.now)) is type(kept.state_at(self.now))
            assert (tidy.client, tidy.binding, tidy.key) == (kept.client, kept.binding, kept.key)

    async def compare_home(self, home: Home) -> None:
        grant = await self.kept.find_grant(home)
        assert grant is not None
        if self.now < grant.live_until:
            assert await self.tidy.find_grant(home) == grant
            if grant.ended_at is None and grant.session is not None:
                forced = await self.kept.is_ended_by_force(grant.session)
                assert await self.tidy.is_ended_by_force(grant.session) == forced
            derived = [
                set(await ask.list_derived(home, None, after=None, limit=99))
                for ask in (self.kept, self.tidy)
            ]
            living = {each for each in derived[0] if await self.lives(each)}
            assert derived[1] >= living

    async def lives(self, home: Home) -> bool:
        grant = await self.kept.find_grant(home)
        return grant is not None and grant.ended_at is None and self.now < grant.live_until

    async def compare_lists(self) -> None:
        grounds: list[Ground] = [OfPerson(ANN), OfPerson(BEN), OfClient(SHOP)]
        for ground in (*grounds, *map(OfSession, SESSIONS)):
            homes = [
                set(await store.find_open_homes(ground, now=self.now, limit=99))
                for store in (self.kept, self.tidy)
            ]
            assert homes[0] == homes[1]
        everybody: list[Whose] = [OfAll(), AsReviewer(ANN), AsAsker(ANN), AsAsker(BEN)]
        young = {each.key for each in self.held if self.now < each.expires_at + KEPT.details}
        for whose in everybody:
            page = await self.tidy.list_requests(Wanted(whose=whose), now=self.now, limit=99)
            assert {each.held.key for each in page.items} >= young


# What stays until somebody says otherwise, and what is of the store itself.
STAYS: Final = {"client", "registration", "person", "consent"}
OWN: Final = {"schema_version", "mark", "lease", "pulse", "disposal", "erasure"}
# With the details of a request, or with what its home has left.
WITH_ANOTHER: Final = {
    "request", "snapshot", "vote", "interaction", "concern", "sealed", "inbox", "repetition",
    "code", "family", "refresh_token", "derived",
}  # fmt: skip


async def test_of_each_table_it_is_said_when_its_rows_go(tmp_path: Path) -> None:
    path = tmp_path / "abeyance.db"
    store = await SqliteStore.open(path)
    await store.close()
    with closing(apsw.Connection(str(path))) as db:
        found = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    tables = {str(name) for (name,) in found} - OWN
    said = {stock.table for stock in disposal.STOCKS} | WITH_ANOTHER | STAYS
    assert tables == said, "say in store/sql/disposal.py when its rows go, or here why not"


@covers("DTR-PRIV-01", "DTR-RD-21")
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    seed=st.integers(min_value=0, max_value=2**32),
    history=st.lists(st.sampled_from(STEPS), min_size=5, max_size=60),
)
def test_disposal_changes_no_answer_that_is_still_owed(seed: int, history: list[str]) -> None:
    async def live() -> None:
        with tempfile.TemporaryDirectory() as folder:
            stores = [await SqliteStore.open(Path(folder) / name) for name in ("kept", "tidy")]
            try:
                twins = Twins(stores[0], stores[1], random.Random(seed))
                for what in history:
                    await twins.happen(what)
                    if what in ("dispose", "time"):
                        await twins.compare()
                await twins.dispose()
                await twins.compare()
            finally:
                for store in stores:
                    await store.close()

    asyncio.run(live())

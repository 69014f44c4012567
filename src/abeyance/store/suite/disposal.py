"""What goes when its time is over, and what stays."""
# ruff: noqa: S101

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import pytest

from abeyance.parties.person import ConsoleSession, Invitation
from abeyance.pending.change import (
    Applied,
    CastVote,
    Change,
    CloseHome,
    DerivedFrom,
    LiveUntil,
    OpenGrant,
    RecordInteraction,
    SealedCopy,
    Superseded,
)
from abeyance.pending.exchanged import Source
from abeyance.pending.handles import HandleHash
from abeyance.pending.reservation import Reservation
from abeyance.pending.states import Approved, Denied, Event, Expired, Outcome, Redeemed, Stage
from abeyance.store.ports import AsAsker, AsReviewer, OfAll, Retention, SecurityEvent, Store, Wanted
from abeyance.store.suite.granted import (
    MOST,
    STALE,
    a_grant,
    an_interaction,
    found_refresh,
    open_family,
    open_grant,
)
from abeyance.store.suite.ground import (
    ANN,
    BEN,
    HOUR,
    NOW,
    TICK,
    Suite,
    a_ballot,
    a_home,
    a_request,
    a_snapshot,
    a_token,
    advance,
    an_event,
    change,
    covers,
    loaded,
    open_in,
    open_request,
)
from abeyance.store.suite.outbox import a_waiting

DAY: Final = timedelta(days=1)
KEPT: Final = Retention(details=30 * DAY, tombstone=DAY, audit=400 * DAY)
END: Final = NOW + HOUR  # of the handles here


async def dispose(store: Store, at: datetime, *, limit: int = 500) -> Mapping[str, int]:
    """A whole run; how many of each kind went."""
    gone, after = Counter[str](), None
    while True:
        page = await store.dispose(KEPT, now=at, limit=limit, after=after)
        gone.update(page.counts)
        if page.next is None:
            return +gone
        after = page.next


class DisposalSuite(Suite):
    """What goes when its time is over, and what stays."""

    @covers("DTR-RD-21", "DTR-PRIV-01", "T-223")
    async def test_the_details_go_when_their_time_is_over_and_not_before(self) -> None:
        async with self.open_store() as store:
            snapshot = replace(a_snapshot(), client_owner=BEN, person=ANN)
            held = await open_request(store, a_request(snapshot=snapshot))
            key = held.key
            steps = (RecordInteraction(1, an_interaction()), CastVote(1, a_ballot()))
            sealed = SealedCopy(1, b"sealed")
            assert isinstance(await store.apply(change(key, *steps, rows=(sealed,))), Applied)
            before = await loaded(store, key)
            assert before.ballots
            assert before.interactions
            assert await dispose(store, END + KEPT.details - TICK) == {}
            assert await loaded(store, key) == before
            assert await store.find_sealed(key) == b"sealed"
            assert await dispose(store, END + KEPT.details) == {"details": 1}
            assert await store.find_loaded(key) is None
            assert await store.list_loaded(key.home) == []
            assert await store.find_sealed(key) is None
            for whose in (OfAll(), AsReviewer(ANN), AsReviewer(BEN), AsAsker(ANN), AsAsker(BEN)):
                page = await store.list_requests(Wanted(whose=whose), now=END, limit=10)
                assert page.items == ()
                assert not await store.count_requests(Wanted(whose=whose), now=END, at_most=9)
            for reviewer in (ANN, BEN):
                waiting = await store.list_waiting(reviewer, now=NOW, limit=10)
                assert waiting.items == ()

    @covers("DTR-RD-21", "T-223")
    @pytest.mark.parametrize("stage", list(Stage))
    async def test_a_tombstone_says_how_it_ended_and_then_nothing_does(self, stage: Stage) -> None:
        async with self.open_store() as store:
            held = await open_in(store, stage)
            gone = END + KEPT.details + KEPT.tombstone
            before = held.state_at(gone)
            await dispose(store, gone - TICK)
            late = await store.find_held(held.handle)
            assert late is not None
            assert (late.client, late.binding) == (held.client, held.binding)
            after = late.state_at(gone)
            assert type(after) is type(before)
            if isinstance(before, Denied):
                assert after == Denied(before.outcome, None)
            if stage is Stage.APPROVED:
                assert isinstance(after, Expired)
                assert isinstance(late.state, Approved)
                assert late.state.granted.is_empty()
            assert await dispose(store, gone) == {"request": 1}
            assert await store.find_held(held.handle) is None

    @covers("DTR-RD-21")
    async def test_what_was_in_the_memory_is_forgotten_with_it(self) -> None:
        async with self.open_store() as store:
            held = await open_in(store, Stage.APPROVED)
            assert await store.find_held(held.handle) is not None
            await dispose(store, END + KEPT.details)
            late = await store.find_held(held.handle)
            assert late is not None
            assert isinstance(late.state, Approved)
            assert late.state.granted.is_empty()
            await dispose(store, END + KEPT.details + KEPT.tombstone)
            assert await store.find_held(held.handle) is None

    async def test_what_lives_at_a_home_whose_older_request_has_gone_lives_on(self) -> None:
        async with self.open_store() as store:
            home, token = await open_family(store)
            old = a_request(home=home, n=1)
            young = a_request(home=home, n=2, opened_at=NOW + 32 * DAY)
            for each in (old, young):
                assert isinstance(await store.apply(Change(home, (each,))), Applied)
            family = await found_refresh(store, home, token)
            at = END + KEPT.details + KEPT.tombstone
            assert await dispose(store, at) == {"details": 1, "request": 1}
            assert [each.held.key.n for each in await store.list_loaded(home)] == [2]
            assert await store.find_held(young.held.handle) == young.held
            assert await found_refresh(store, home, token) == family

    async def test_the_number_of_a_request_that_has_gone_is_not_given_again(self) -> None:
        async with self.open_store() as store:
            home, token = await open_family(store)
            for n in (1, 2):
                await store.apply(Change(home, (a_request(home=home, n=n),)))
            assert (await found_refresh(store, home, token)).next_n == 3
            await dispose(store, END + KEPT.details + KEPT.tombstone)
            assert await store.list_loaded(home) == []
            assert (await found_refresh(store, home, token)).next_n == 3

    async def test_a_grant_goes_with_all_it_left_when_nothing_of_it_lives(self) -> None:
        async with self.open_store() as store:
            home, token = await open_family(store)
            record = replace(a_token(home), expires_at=NOW + MOST)
            await store.apply(Change(home, (), (record, LiveUntil(NOW + MOST))))
            over = NOW + MOST + KEPT.details + KEPT.tombstone
            await dispose(store, over - TICK)
            assert await store.find_refresh(HandleHash(home, token.digest)) is not None
            assert await store.find_grant(home) is not None
            gone = await dispose(store, over)
            assert gone["user_grant"] == 1
            assert await store.find_grant(home) is None
            assert await store.find_refresh(HandleHash(home, token.digest)) is None

    @covers("DTR-PRIV-01")
    async def test_a_token_is_known_for_as_long_as_it_or_what_came_of_it_lives(self) -> None:
        async with self.open_store() as store:
            home, other = a_home(), a_home()
            plain, source = a_token(home), a_token(home)
            until = NOW + 10 * DAY
            rooted = replace(a_token(home), until=until)
            grant = replace(a_grant(), live_until=NOW + 40 * DAY)
            await store.apply(Change(home, (), (plain, source, rooted)))
            derived = DerivedFrom(Source(home, source.jti))
            await store.apply(Change(other, (OpenGrant(grant),), (derived,)))

            async def known(at: datetime) -> list[bool]:
                await dispose(store, at)
                found = [await store.find_token(home, e.jti) for e in (plain, source, rooted)]
                return [each is not None for each in found]

            assert await known(NOW + HOUR + KEPT.tombstone - TICK) == [True, True, True]
            assert await known(NOW + HOUR + KEPT.tombstone) == [False, True, True]
            assert await known(until + KEPT.tombstone) == [False, True, False]
            assert await store.list_derived(home, None, after=None, limit=9) == [other]
            over = NOW + 40 * DAY + KEPT.details + KEPT.tombstone
            await dispose(store, over - TICK)
            assert await known(over - TICK) == [False, True, False]
            await dispose(store, over)
            assert await known(over) == [False, False, False]
            assert await store.list_derived(home, None, after=None, limit=9) == []

    async def test_a_session_is_remembered_for_as_long_as_something_rests_on_it(self) -> None:
        async with self.open_store() as store:
            digests = [bytes([number]) * 32 for number in range(4)]
            idle, rested_on, forced, unknown = digests
            for digest in digests[:3]:
                await store.put_session(ConsoleSession(digest, ANN, NOW, NOW))
            await store.end_session(forced, forced=True)
            await store.end_session(unknown, forced=True)
            home, _ = await open_grant(store, a_grant(session=rested_on))
            await store.apply(Change(home, (), (LiveUntil(NOW + 60 * DAY),)))
            assert await dispose(store, NOW + KEPT.details - TICK) == {}
            assert await dispose(store, NOW + KEPT.details) == {"session": 1}
            assert await store.find_session(idle) is None
            assert await store.find_session(rested_on) is not None
            assert await store.is_ended_by_force(forced)
            close = CloseHome(Event.STALE, STALE, at=NOW)
            await store.apply(Change(home, (close,)))
            assert (await dispose(store, NOW + KEPT.details))["session"] == 1
            assert await store.find_session(rested_on) is None
            await dispose(store, NOW + KEPT.audit)
            assert not await store.is_ended_by_force(forced)
            assert await store.is_ended_by_force(unknown)

    async def test_what_is_short_lived_goes_a_tombstone_after_its_end(self) -> None:
        async with self.open_store() as store:
            digest, key = b"i" * 32, b"k" * 32
            await store.put_invitation(Invitation(digest, ANN, END))
            await store.reserve(Reservation(key, a_home(), END), now=NOW)
            await store.begin_call(key, key, now=NOW, until=END)
            await a_waiting(store)
            over = END + KEPT.tombstone
            assert await dispose(store, over - TICK) == {}
            assert await dispose(store, over) == {
                "outbox": 1,
                "invitation": 1,
                "reservation": 1,
                "call": 1,
            }
            assert await store.find_invitation(digest) is None

    @covers("OAUTH-LOG-07")
    async def test_events_go_when_their_time_is_over_and_only_then(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            young = replace(an_event("collected"), at=NOW + TICK)
            await store.apply(Change(held.key.home, (), (an_event("opened"), young)))
            for at in (NOW, NOW + TICK):
                await store.record(SecurityEvent(at, "signed_in", "person:ann", "password"))
            await dispose(store, NOW + KEPT.audit - TICK)
            assert len(await store.find_events(held.key)) == 2
            assert len(await store.list_security_events(9)) == 2
            gone = await dispose(store, NOW + KEPT.audit)
            assert (gone["audit"], gone["security_event"]) == (1, 1)
            assert [each.event for each in await store.find_events(held.key)] == ["collected"]
            assert [each.at for each in await store.list_security_events(9)] == [NOW + TICK]

    @covers("SEC-DOS-07")
    async def test_no_page_does_more_than_it_was_allowed(self) -> None:
        async with self.open_store() as store:
            for _ in range(7):
                held = await open_request(store)
                await store.apply(Change(held.key.home, (), (a_token(held.key.home),)))
            after, pages, gone = None, 0, Counter[str]()
            while True:
                page = await store.dispose(KEPT, now=NOW + 31 * DAY, limit=2, after=after)
                assert sum(page.counts.values()) <= 2
                gone.update(page.counts)
                pages += 1
                if page.next is None:
                    break
                after = page.next
            assert +gone == {"details": 7, "token": 7}
            assert pages > 7

    async def test_what_must_stay_holds_up_nothing_behind_it(self) -> None:
        async with self.open_store() as store:
            for number in range(5):
                session = bytes([number]) * 32
                await store.put_session(ConsoleSession(session, ANN, NOW, NOW))
                home, _ = await open_grant(store, a_grant(session=session))
                await store.apply(Change(home, (), (LiveUntil(NOW + 60 * DAY),)))
            await store.put_session(ConsoleSession(b"x" * 32, ANN, NOW, NOW + TICK))
            assert await dispose(store, NOW + 31 * DAY, limit=1) == {"session": 1}

    async def test_several_runs_at_once_do_what_one_does(self) -> None:
        async with self.open_store() as store:
            for _ in range(12):
                await open_request(store)
            at = END + KEPT.details
            runs = await asyncio.gather(*(dispose(store, at, limit=10) for _ in range(4)))
            assert sum(each.get("details", 0) for each in runs) == 12
            assert await dispose(store, at) == {}

    async def test_disposal_never_meets_what_lives_however_they_race(self) -> None:
        async with self.open_store() as store:
            held = await open_in(store, Stage.APPROVED)
            redeem = change(held.key, advance(Event.REDEEM))
            _, answer = await asyncio.gather(dispose(store, END - TICK), store.apply(redeem))
            assert isinstance(answer, Applied)
            assert (await loaded(store, held.key)).held.state == Redeemed()
            denied = await open_in(store, Stage.DENIED)
            await dispose(store, END + KEPT.details)
            late = await store.apply(change(denied.key, advance(Event.REDEEM)))
            assert isinstance(late, Superseded)
            assert late.current is not None
            assert late.current.state == Denied(Outcome.DENIED, None)

    async def test_a_cursor_of_somebody_else_is_refused_and_disposes_of_nothing(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            for cursor in ("", "x", "[]", "[99]", '["a"]', "[-1]", "{}"):
                with pytest.raises(ValueError, match="cursor"):
                    await store.dispose(KEPT, now=NOW + 900 * DAY, limit=9, after=cursor)
            assert await store.find_loaded(held.key) is not None

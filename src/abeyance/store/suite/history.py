"""Requests of any state, the newest first."""
# ruff: noqa: S101, PT011

from dataclasses import replace
from datetime import datetime
from typing import Final

import pytest

from abeyance.parties.client import ClientId
from abeyance.pending.change import CastVote
from abeyance.pending.request import Held
from abeyance.pending.states import Event, Stage
from abeyance.pending.votes import ReviewPlan, Verdict
from abeyance.store.ports import AsAsker, AsReviewer, Ended, OfAll, Store, Wanted
from abeyance.store.suite.ground import (
    ANN,
    BEN,
    HOUR,
    NOW,
    SHOP,
    TICK,
    Suite,
    a_ballot,
    a_home,
    a_request,
    a_snapshot,
    advance,
    change,
    loaded,
    open_in,
    open_request,
)

EVERY: Final = Wanted(whose=OfAll())


async def listed(
    store: Store, wanted: Wanted = EVERY, *, now: datetime = NOW, limit: int = 2
) -> list[Held]:
    """All of a list, page by page."""
    found: list[Held] = []
    cursor: str | None = None
    while True:
        page = await store.list_requests(wanted, now=now, limit=limit, cursor=cursor)
        assert len(page.items) <= limit
        found += [each.held for each in page.items]
        if page.next is None:
            return found
        assert len(page.items) == limit
        cursor = page.next


class HistorySuite(Suite):
    """Requests of any state, the newest first."""

    async def test_a_history_lists_each_request_once_and_the_newest_first(self) -> None:
        home = a_home()
        async with self.open_store() as store:
            assert await listed(store) == []
            held = [
                await open_request(store, a_request(opened_at=NOW + number * TICK))
                for number in (2, 0, 1)
            ]
            held += [
                await open_request(store, a_request(home=home, n=n, opened_at=NOW))
                for n in (1, 2, 3)
            ]
            newest = sorted(
                held, key=lambda each: (each.opened_at, each.key.home, each.key.n), reverse=True
            )
            for limit in (1, 2, 3, 9):
                assert await listed(store, limit=limit) == newest
            assert await store.count_requests(EVERY, now=NOW, at_most=99) == 6
            assert await store.count_requests(EVERY, now=NOW, at_most=4) == 4

    async def test_a_page_shows_everything_about_each_request(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            await store.apply(change(held.key, CastVote(1, a_ballot())))
            page = await store.list_requests(EVERY, now=NOW, limit=9)
            assert page.items == (await loaded(store, held.key),)

    async def test_what_comes_while_somebody_turns_pages_moves_nothing(self) -> None:
        async with self.open_store() as store:
            held = [
                await open_request(store, a_request(opened_at=NOW - number * TICK))
                for number in range(4)
            ]
            first = await store.list_requests(EVERY, now=NOW, limit=2)
            await open_request(store, a_request(opened_at=NOW + TICK))
            await store.apply(change(held[1].key, advance(Event.CANCEL)))
            second = await store.list_requests(EVERY, now=NOW, limit=2, cursor=first.next)
            assert [each.held for each in (*first.items, *second.items)] == held
            assert second.next is None

    async def test_a_cursor_is_of_its_own_list_only(self) -> None:
        wanted = replace(EVERY, client=SHOP)
        async with self.open_store() as store:
            for _ in range(3):
                await open_request(store)
            page = await store.list_requests(wanted, now=NOW, limit=1)
            cursor = page.next
            assert cursor is not None
            other = "A" if cursor[0] != "A" else "B"
            for bad in ("", "x", "é", cursor[:-1], cursor + "A", other + cursor[1:], "A" * 52):
                with pytest.raises(ValueError):
                    await store.list_requests(wanted, now=NOW, limit=1, cursor=bad)
            for lists in (EVERY, replace(wanted, whose=AsReviewer(ANN))):
                with pytest.raises(ValueError):
                    await store.list_requests(lists, now=NOW, limit=1, cursor=cursor)

    # --- which

    async def test_a_request_stands_in_one_list_by_the_clock(self) -> None:
        waiting = (Stage.PENDING, Stage.AWAITING_INTERACTION)
        async with self.open_store() as store:
            held = {stage: await open_in(store, stage) for stage in Stage}

            async def stand(at: datetime) -> dict[Ended, set[Held]]:
                return {
                    ended: set(await listed(store, replace(EVERY, ended=ended), now=at))
                    for ended in Ended
                }

            ended = {
                Ended.REDEEMED: {held[Stage.REDEEMED]},
                Ended.DENIED: {held[Stage.DENIED]},
                Ended.CANCELLED: {held[Stage.CANCELLED]},
            }
            open_now, approved = {held[stage] for stage in waiting}, {held[Stage.APPROVED]}
            nobody: set[Held] = set()
            assert await stand(NOW + HOUR - TICK) == ended | {
                Ended.WAITING: open_now,
                Ended.APPROVED: approved,
                Ended.EXPIRED: nobody,
                Ended.LAPSED: nobody,
            }
            assert await stand(NOW + HOUR) == ended | {
                Ended.WAITING: nobody,
                Ended.APPROVED: nobody,
                Ended.EXPIRED: open_now,
                Ended.LAPSED: approved,
            }
            for one in Ended:
                wanted = replace(EVERY, ended=one)
                count = await store.count_requests(wanted, now=NOW, at_most=99)
                assert count == len(await listed(store, wanted))

    async def test_a_person_sees_what_concerns_them(self) -> None:
        plain = a_snapshot(plan=ReviewPlan(frozenset({BEN})))
        async with self.open_store() as store:
            reviewed = await open_request(store, a_request(snapshot=a_snapshot()))
            about = await open_request(store, a_request(snapshot=replace(plain, person=ANN)))
            owned = await open_request(
                store, a_request(snapshot=replace(plain, client_owner=ANN, person=BEN))
            )
            both = await open_request(
                store, a_request(snapshot=replace(plain, client_owner=ANN, person=ANN))
            )
            await open_request(store, a_request(snapshot=plain))
            assert set(await listed(store, Wanted(whose=AsAsker(ANN)))) == {about, owned, both}
            assert len(await listed(store, Wanted(whose=AsAsker(ANN)))) == 3
            assert await listed(store, Wanted(whose=AsReviewer(ANN))) == [reviewed]
            assert await listed(store, Wanted(whose=AsAsker(BEN))) == [owned]
            assert len(await listed(store)) == 5

    async def test_conditions_of_a_list_all_hold(self) -> None:
        other = ClientId("other")
        async with self.open_store() as store:
            ours = await open_request(store)
            theirs = await open_request(store, a_request(snapshot=a_snapshot(client=other)))
            await store.apply(change(theirs.key, advance(Event.CANCEL)))
            cancelled = (await loaded(store, theirs.key)).held
            assert await listed(store, replace(EVERY, client=SHOP)) == [ours]
            assert await listed(store, replace(EVERY, client=other)) == [cancelled]
            both = Wanted(whose=AsReviewer(ANN), ended=Ended.CANCELLED, client=other)
            assert await listed(store, both) == [cancelled]
            assert await listed(store, replace(both, client=SHOP)) == []
            assert await listed(store, replace(both, client=ClientId("nobody"))) == []

    async def test_a_decision_is_of_those_who_voted_once_there_is_one(self) -> None:
        wanted = replace(EVERY, decided_by=ANN)
        async with self.open_store() as store:
            held = [await open_request(store) for _ in range(4)]
            events = (Event.APPROVE, Event.DENY, Event.CANCEL, None)
            for each, event in zip(held, events, strict=True):
                verdict = Verdict.DENY if event is Event.DENY else Verdict.APPROVE
                vote = CastVote(1, a_ballot(ANN, verdict))
                steps = (vote,) if event is None else (vote, advance(event))
                await store.apply(change(each.key, *steps))
            keys = {each.key for each in await listed(store, wanted)}
            assert keys == {held[0].key, held[1].key}
            assert await listed(store, replace(EVERY, decided_by=BEN)) == []

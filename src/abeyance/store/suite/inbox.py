"""What waits for whom."""
# ruff: noqa: S101, PT011

from datetime import timedelta

import pytest

from abeyance.parties.client import ClientId
from abeyance.pending.change import (
    CastVote,
)
from abeyance.pending.states import (
    Event,
    Stage,
)
from abeyance.pending.votes import ReviewPlan
from abeyance.store.suite.ground import (
    ANN,
    BEN,
    NOW,
    TICK,
    Suite,
    a_ballot,
    a_request,
    a_snapshot,
    advance,
    change,
    covers,
    open_in,
    open_request,
)


class InboxSuite(Suite):
    """What waits for whom."""

    async def test_what_waits_is_listed_page_by_page_the_nearest_deadline_first(self) -> None:
        async with self.open_store() as store:
            minutes = [7, 3, 9, 3, 5]
            requests = [a_request(decide_within=timedelta(minutes=each)) for each in minutes]
            for request in requests:
                await open_request(store, request)
            for limit in (1, 2, 3, 5, 50):
                page = await store.list_waiting(ANN, now=NOW, limit=limit)
                seen = list(page.items)
                while page.next is not None:
                    page = await store.list_waiting(ANN, now=NOW, limit=limit, cursor=page.next)
                    assert 0 < len(page.items) <= limit
                    seen += page.items
                deadlines = [each.held.decide_by - NOW for each in seen]
                assert deadlines == [timedelta(minutes=each) for each in sorted(minutes)]
                assert {each.held.key for each in seen} == {each.held.key for each in requests}
                assert all(each.snapshot == a_snapshot() for each in seen)

    async def test_a_page_goes_on_where_the_last_one_ended_whatever_was_decided_since(
        self,
    ) -> None:
        async with self.open_store() as store:
            held = [
                await open_request(store, a_request(decide_within=timedelta(minutes=each)))
                for each in range(1, 7)
            ]
            first = await store.list_waiting(ANN, now=NOW, limit=2)
            for decided in held[:4]:
                await store.apply(change(decided.key, advance(Event.DENY)))
            second = await store.list_waiting(ANN, now=NOW, limit=9, cursor=first.next)
            assert [each.held for each in second.items] == held[4:]

    @covers("SEC-DOS-09")
    async def test_a_client_that_asks_a_lot_does_not_hide_the_others(self) -> None:
        """Whoever asked much earlier and with nearer deadlines comes after the others."""
        quiet = a_snapshot(client=ClientId("quiet"))
        async with self.open_store() as store:
            flood = [
                await open_request(store, a_request(decide_within=timedelta(minutes=each)))
                for each in range(1, 18)
            ]
            others = [
                await open_request(
                    store, a_request(snapshot=quiet, decide_within=timedelta(minutes=50 + each))
                )
                for each in range(2)
            ]
            expected = [held.key for held in (*flood[:5], *others, *flood[5:])]
            for limit in (1, 4, 6, 50):
                page = await store.list_waiting(ANN, now=NOW, limit=limit)
                seen = [each.held.key for each in page.items]
                while page.next is not None:
                    page = await store.list_waiting(ANN, now=NOW, limit=limit, cursor=page.next)
                    seen += [each.held.key for each in page.items]
                assert seen == expected
            later = NOW + timedelta(minutes=8)
            page = await store.list_waiting(ANN, now=later, limit=50)
            assert [each.held for each in page.items] == [*others, *flood[8:]]

    async def test_only_named_reviewers_see_a_request_and_only_before_its_deadline(self) -> None:
        plan = ReviewPlan(frozenset({BEN}))
        async with self.open_store() as store:
            held = await open_request(store, a_request(snapshot=a_snapshot(plan=plan)))
            assert (await store.list_waiting(ANN, now=NOW, limit=9)).items == ()
            last = held.decide_by - TICK
            assert len((await store.list_waiting(BEN, now=last, limit=9)).items) == 1
            assert (await store.list_waiting(BEN, now=held.decide_by, limit=9)).items == ()
            assert await store.count_waiting(BEN, now=last, at_most=9) == 1
            assert await store.count_waiting(BEN, now=held.decide_by, at_most=9) == 0

    @pytest.mark.parametrize("event", [Event.APPROVE, Event.DENY, Event.CANCEL, Event.STALE])
    async def test_what_is_resolved_waits_for_nobody(self, event: Event) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            waits = await open_in(store, Stage.AWAITING_INTERACTION)
            await store.apply(change(waits.key, CastVote(1, a_ballot())))
            await store.apply(change(held.key, advance(event)))
            for reviewer in (ANN, BEN):
                page = await store.list_waiting(reviewer, now=NOW, limit=9)
                assert [each.held for each in page.items] == [waits]
                assert page.items[0].ballots == (a_ballot(),)

    async def test_counting_what_waits_stops_at_the_bound(self) -> None:
        async with self.open_store() as store:
            for _ in range(5):
                await open_request(store)
            assert await store.count_waiting(ANN, now=NOW, at_most=3) == 3
            assert await store.count_waiting(ANN, now=NOW, at_most=9) == 5

    async def test_a_cursor_that_the_store_did_not_make_is_refused(self) -> None:
        async with self.open_store() as store:
            for _ in range(2):
                await open_request(store)
            page = await store.list_waiting(ANN, now=NOW, limit=1)
            assert page.next is not None
            for cursor in (
                "",
                "x",
                "not base64url!",
                page.next[:-1],
                page.next + "A",
                ("A" if page.next[0] != "A" else "B") + page.next[1:],
                "0" * len(page.next),
            ):
                with pytest.raises(ValueError):
                    await store.list_waiting(ANN, now=NOW, limit=1, cursor=cursor)
            with pytest.raises(ValueError):
                await store.list_waiting(BEN, now=NOW, limit=1, cursor=page.next)

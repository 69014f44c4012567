"""What protects reviewers: refusals are counted, approvals answer again until they are ended."""
# ruff: noqa: S101

import os
from dataclasses import replace
from datetime import timedelta

from abeyance.pending.change import Applied, Change, EndStanding, Superseded
from abeyance.pending.refusals import REMEMBERED, Refusals
from abeyance.pending.request import Binding, Key
from abeyance.pending.standing import StandingApproval
from abeyance.store.ports import Store
from abeyance.store.suite.ground import (
    ANN,
    BEN,
    HOUR,
    NARROWED,
    NOW,
    SHOP,
    Suite,
    a_home,
    a_request,
    covers,
    race,
    wins,
)

SECOND = timedelta(seconds=1)


async def a_memory(store: Store, **more: object) -> StandingApproval:
    approval = StandingApproval(
        key=Key(a_home(), 1),
        client=SHOP,
        subject="ann",
        binding=Binding("thumbprint"),
        rule="big payments",
        way={"grant_type": "code", "asserted_by": None, "audience": "", "impersonates": False},
        actor={"sub": "agent", "act": {"sub": "other"}},
        granted=NARROWED,
        approver=ANN,
        approved_at=NOW,
        until=NOW + HOUR,
    )
    approval = replace(approval, **more)  # type: ignore[arg-type]
    request = a_request(home=approval.key.home)
    answer = await store.apply(Change(approval.key.home, (request,), (approval,)))
    assert isinstance(answer, Applied)
    return approval


def ending(approval: StandingApproval) -> Change:
    return Change(approval.key.home, (EndStanding(approval.key.n, NOW),))


class ReviewingSuite(Suite):
    """Refusals and approval memory."""

    @covers("EXT-QUEUE-05", "SEC-DOS-11")
    async def test_refusals_are_counted_until_they_are_forgotten(self) -> None:
        place, what, other = self.new_place(), os.urandom(32), os.urandom(32)
        async with place() as store:
            assert await store.find_refusals(what, now=NOW) is None
            for count in range(1, 4):
                at = NOW + count * SECOND
                await store.note_refusal(what, at=at)
                assert await store.find_refusals(what, now=at) == Refusals(count, at)
            assert await store.find_refusals(other, now=NOW) is None
        async with place() as store:
            found = await store.find_refusals(what, now=NOW + REMEMBERED)
            assert found == Refusals(3, NOW + 3 * SECOND)
            late = NOW + REMEMBERED + 3 * SECOND
            assert await store.find_refusals(what, now=late) is None
            await store.forget_refusals(what)
            assert await store.find_refusals(what, now=NOW) is None

    @covers("EXT-QUEUE-06")
    async def test_a_remembered_approval_is_found_by_whom_it_is_for_and_until_it_ends(
        self,
    ) -> None:
        place = self.new_place()
        async with place() as store:
            approval = await a_memory(store)
            await a_memory(store, subject="ben")
        async with place() as store:
            assert await store.find_standing(SHOP, "ann", now=NOW) == [approval]
            assert await store.find_standing_at(approval.key) == approval
            assert await store.find_standing(SHOP, "ann", now=NOW + HOUR) == []
            assert await store.find_standing_at(Key(a_home(), 1)) is None

    @covers("EXT-QUEUE-06")
    async def test_it_is_ended_once_and_stays_so(self) -> None:
        async with self.open_store() as store:
            approval = await a_memory(store)
            answers = await race(store, ending(approval), ending(approval))
            assert wins(answers) == 1
            assert isinstance(await store.apply(ending(approval)), Superseded)
            assert await store.find_standing(SHOP, "ann", now=NOW) == []
            present = await store.find_standing_at(approval.key)
            assert present is not None
            assert present.ended_at == NOW

    @covers("EXT-QUEUE-06")
    async def test_each_sees_their_own_the_next_to_end_first(self) -> None:
        async with self.open_store() as store:
            late = await a_memory(store, until=NOW + 2 * HOUR)
            early = await a_memory(store)
            bens = await a_memory(store, approver=BEN, until=NOW + 3 * HOUR)
            ended = await a_memory(store)
            await store.apply(ending(ended))
            mine = await store.list_standing(approver=ANN, now=NOW, limit=10)
            assert mine == [early, late]
            every = await store.list_standing(approver=None, now=NOW, limit=10)
            assert every == [early, late, bens]
            assert await store.list_standing(approver=None, now=NOW, limit=1) == [early]
            assert await store.list_standing(approver=ANN, now=NOW + 2 * HOUR, limit=10) == []

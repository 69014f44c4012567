"""Messages that wait to be sent: due with their request, leased to one, settled once."""
# ruff: noqa: S101

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from abeyance.pending.change import Advance, Applied, Change, CloseHome, Reseal, Step
from abeyance.pending.message import Claimed, Done, Message, MessageKind, RetryAt
from abeyance.pending.request import Held, Key
from abeyance.pending.states import Cancelled, Denied, Event, Outcome
from abeyance.store.ports import Store
from abeyance.store.suite.ground import (
    HOUR,
    NOW,
    SHOP,
    Suite,
    a_request,
    advance,
    change,
    covers,
    open_request,
)

LEASE = timedelta(seconds=30)
SECOND = timedelta(seconds=1)


async def a_waiting(store: Store, *, on_end: bool = True, sealed: bytes = b"sealed") -> Held:
    """A request with one message."""
    request = a_request()
    message = Message(
        n=1,
        seq=0,
        kind=MessageKind.CALLBACK,
        to=SHOP,
        sealed=sealed,
        due_at=None if on_end else NOW,
        on_end=on_end,
        until=NOW + HOUR,
    )
    answer = await store.apply(Change(request.held.key.home, (request,), (message,)))
    assert isinstance(answer, Applied)
    return request.held


async def claim(store: Store, now: datetime = NOW, limit: int = 100) -> list[Claimed]:
    return list(await store.claim_messages(now=now, lease=now + LEASE, limit=limit))


async def claimed_keys(store: Store, now: datetime = NOW) -> set[Key]:
    return {each.key for each in await claim(store, now)}


class OutboxSuite(Suite):
    """What somebody is to be told of a request."""

    @covers("DTR-CB-01", "EXT-NOTIFY-03")
    async def test_a_message_about_the_end_is_due_when_its_request_ends_and_not_before(
        self,
    ) -> None:
        async with self.open_store() as store:
            held = await a_waiting(store)
            assert await claim(store) == []
            assert await store.next_message() == NOW + HOUR
            for event in (Event.INTERACTION_ASKED, Event.INTERACTION_DONE):
                await store.apply(change(held.key, advance(event)))
            assert await claim(store) == []
            later = NOW + 5 * SECOND
            await store.apply(change(held.key, advance(Event.APPROVE, at=later)))
            assert await store.next_message() == later
            assert await claim(store, later - SECOND) == []
            [claimed] = await claim(store, later)
            assert claimed == Claimed(
                key=held.key,
                seq=0,
                kind=MessageKind.CALLBACK,
                to=SHOP,
                sealed=b"sealed",
                attempt=1,
                leased_until=later + LEASE,
                until=NOW + HOUR,
            )

    @covers("DTR-CB-01", "DTR-CANC-02", "EXT-NOTIFY-06", "DTR-RD-22")
    async def test_every_end_makes_it_due_but_those_that_its_client_knows(self) -> None:
        async with self.open_store() as store:
            ends: dict[str, Step] = {
                "approved": advance(Event.APPROVE),
                "denied": advance(Event.DENY),
                "cancelled": advance(Event.CANCEL),
                "closed": CloseHome(Event.STALE, Denied(Outcome.PRECONDITION_FAILED), at=NOW),
                "withdrawn": Advance(1, Event.CANCEL, Cancelled(), NOW, quiet=True),
            }
            keys = {}
            for name, end in ends.items():
                held = await a_waiting(store)
                keys[held.key] = name
                assert isinstance(await store.apply(change(held.key, end)), Applied)
            redeemed = await a_waiting(store)
            for event in (Event.APPROVE, Event.REDEEM):
                await store.apply(change(redeemed.key, advance(event)))
            due = {keys[key] for key in await claimed_keys(store)}
            assert due == {"approved", "denied", "cancelled", "closed"}
            assert await store.next_message() == NOW + LEASE, "the others are forgotten"

    @covers("DTR-CANC-02", "SEC-RACE-16")
    async def test_what_was_claimed_may_have_been_withdrawn_since(self) -> None:
        async with self.open_store() as store:
            withdrawn, other = await a_waiting(store), await a_waiting(store)
            for each in (withdrawn, other):
                await store.apply(change(each.key, advance(Event.APPROVE)))
            claimed = {each.key: each for each in await claim(store)}
            quietly = Advance(1, Event.CANCEL, Cancelled(), NOW, quiet=True)
            assert isinstance(await store.apply(change(withdrawn.key, quietly)), Applied)
            assert not await store.is_claimed(claimed[withdrawn.key])
            assert await store.is_claimed(claimed[other.key])

    @covers("DTR-CB-02")
    async def test_what_sending_it_takes_can_be_another_while_it_waits(self) -> None:
        async with self.open_store() as store:
            held, other = await a_waiting(store), await a_waiting(store)
            await store.apply(change(held.key, rows=(Reseal(1, 0, b"newer"),)))
            for each in (held, other):
                await store.apply(change(each.key, advance(Event.APPROVE)))
            claimed = {each.key: each for each in await claim(store)}
            assert claimed[held.key].sealed == b"newer"
            assert claimed[other.key].sealed == b"sealed"
            await store.settle_message(claimed[held.key], Done())
            await store.apply(change(held.key, rows=(Reseal(1, 0, b"too late"),)))
            assert await claimed_keys(store, NOW + LEASE) == {other.key}

    @covers("EXT-NOTIFY-03", "SEC-RACE-16")
    async def test_two_who_claim_at_once_never_get_the_same(self) -> None:
        async with self.open_store() as store:
            for _ in range(20):
                await a_waiting(store, on_end=False)
            taken = await asyncio.gather(*(claim(store, limit=7) for _ in range(4)))
            keys = [each.key for claimed in taken for each in claimed]
            assert len(keys) == len(set(keys)) == 20

    @covers("EXT-NOTIFY-03", "SEC-RACE-12")
    async def test_a_lease_ends_by_itself_and_whoever_held_it_settles_nothing(self) -> None:
        place = self.new_place()
        async with place() as store:
            await a_waiting(store, on_end=False)
            [first] = await claim(store)
            assert await claim(store, NOW + LEASE - SECOND) == []
        async with place() as store:
            [second] = await claim(store, NOW + LEASE)
            assert (second.key, second.attempt) == (first.key, 2)
            assert await store.is_claimed(second)
            assert not await store.is_claimed(first), "another has it"
            await store.settle_message(first, Done())
            await store.settle_message(first, RetryAt(NOW))
            assert await store.next_message() == NOW + 2 * LEASE, "the second one's lease"
            await store.settle_message(second, Done())
            assert await store.next_message() is None

    @covers("EXT-NOTIFY-03", "SEC-RACE-12")
    async def test_a_claim_is_another_one_though_its_number_is_the_same(self) -> None:
        async with self.open_store() as store:
            await a_waiting(store, on_end=False)
            [first] = await claim(store)
            later = NOW + LEASE + SECOND
            [second] = await claim(store, later)
            await store.settle_message(second, RetryAt(later, counts=False))
            await store.settle_message(first, Done())
            [third] = await claim(store, later + SECOND)
            assert third.attempt == second.attempt
            assert await store.is_claimed(third)
            assert not await store.is_claimed(second)
            await store.settle_message(second, Done())
            assert await store.next_message() == later + SECOND + LEASE, "it is still the third's"

    @covers("EXT-NOTIFY-03")
    async def test_it_is_tried_again_when_it_shall_be(self) -> None:
        async with self.open_store() as store:
            await a_waiting(store, on_end=False)
            [first] = await claim(store)
            await store.settle_message(first, RetryAt(NOW + SECOND))
            assert await claim(store) == []
            [second] = await claim(store, NOW + SECOND)
            assert second == replace(first, attempt=2, leased_until=second.leased_until)
            await store.settle_message(second, RetryAt(NOW + 2 * SECOND, counts=False))
            [third] = await claim(store, NOW + 2 * SECOND)
            assert third.attempt == 2, "that was none"

    @covers("DTR-CB-03", "DTR-CB-08")
    async def test_what_is_too_late_is_forgotten_unsent(self) -> None:
        async with self.open_store() as store:
            await a_waiting(store, on_end=False)
            await a_waiting(store)
            assert await claim(store, NOW + HOUR) == []
            assert await store.next_message() is None

    @covers("EXT-NOTIFY-03")
    async def test_a_request_without_messages_tells_nobody(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            await store.apply(change(held.key, advance(Event.APPROVE)))
            assert await claim(store) == []
            assert await store.next_message() is None

"""What the profiles of deferral keep: repetitions, successes made again, arrivals."""
# ruff: noqa: S101

import os
from dataclasses import replace

from abeyance.pending.change import (
    Advance,
    Applied,
    Change,
    NoteArrival,
    Recover,
    Superseded,
)
from abeyance.pending.handles import Home
from abeyance.pending.repetition import Delivery, Repetition
from abeyance.pending.request import Key
from abeyance.pending.states import AwaitingInteraction, Event
from abeyance.store.ports import Store
from abeyance.store.suite.ground import (
    HOUR,
    NARROWED,
    NOW,
    Suite,
    a_home,
    a_request,
    a_token,
    advance,
    change,
    covers,
    open_request,
    race,
    state_of,
    wins,
)

MOST = 3


async def a_repeatable(store: Store, home: Home, n: int = 1, key: bytes = b"k" * 32) -> Repetition:
    repetition = Repetition(n, key, os.urandom(32))
    request = a_request(home=home, n=n)
    answer = await store.apply(Change(home, (request,), (repetition,)))
    assert isinstance(answer, Applied)
    return repetition


async def redeem(store: Store, home: Home, *rows: Delivery) -> None:
    for event in (Event.APPROVE, Event.REDEEM):
        assert isinstance(await store.apply(change(Key(home, 1), advance(event))), Applied)
    assert isinstance(await store.apply(Change(home, (), rows)), Applied)


class ProfileSuite(Suite):
    """What is known of a request that its client has named, and of who has come."""

    @covers("EXT-IDEMP-02", "EXT-IDEMP-07")
    async def test_a_repetition_is_found_by_its_key_with_what_it_was_turned_into(self) -> None:
        place, home = self.new_place(), a_home()
        delivery = Delivery(1, NARROWED, NOW + HOUR, 7)
        async with place() as store:
            assert await store.find_repetition(home, b"k" * 32) is None
            kept = await a_repeatable(store, home)
            assert await store.find_repetition(home, b"k" * 32) == kept
            await redeem(store, home, delivery)
        async with place() as store:
            found = await store.find_repetition(home, b"k" * 32)
            assert found == replace(kept, delivery=delivery)
            assert await store.find_repetition(home, b"l" * 32) is None
            assert await store.find_repetition(a_home(), b"k" * 32) is None

    @covers("EXT-IDEMP-09")
    async def test_the_last_request_under_a_key_is_the_one_that_counts(self) -> None:
        home = a_home()
        async with self.open_store() as store:
            await a_repeatable(store, home)
            later = await a_repeatable(store, home, n=2)
            assert await store.find_repetition(home, b"k" * 32) == later

    async def test_what_was_delivered_is_kept_for_repeatable_requests_only(self) -> None:
        home = a_home()
        async with self.open_store() as store:
            assert isinstance(await store.apply(Change(home, (a_request(home=home),))), Applied)
            await redeem(store, home, Delivery(1, NARROWED, NOW + HOUR, None))
            assert await store.find_repetition(home, b"k" * 32) is None

    @covers("EXT-IDEMP-07")
    async def test_recovering_revokes_what_this_request_was_given_and_nothing_else(self) -> None:
        home = a_home()
        async with self.open_store() as store:
            await a_repeatable(store, home)
            await redeem(store, home, Delivery(1, NARROWED, NOW + HOUR, None))
            first, other, second = a_token(home), a_token(home, n=2), a_token(home)
            assert isinstance(await store.apply(Change(home, (), (first, other))), Applied)
            again = Change(home, (Recover(1, NOW, MOST),), (second,))
            assert isinstance(await store.apply(again), Applied)
            assert await store.find_token(home, first.jti) == replace(first, revoked_at=NOW)
            assert await store.find_token(home, other.jti) == other
            assert await store.find_token(home, second.jti) == second

    @covers("EXT-IDEMP-07", "T-166")
    async def test_only_what_was_redeemed_is_recovered_and_only_so_often(self) -> None:
        home = a_home()
        recover = Change(home, (Recover(1, NOW, MOST),))
        async with self.open_store() as store:
            assert isinstance(await store.apply(recover), Superseded), "there is nothing"
            await a_repeatable(store, home)
            assert isinstance(await store.apply(recover), Superseded), "it is open"
            approve = change(Key(home, 1), advance(Event.APPROVE))
            assert isinstance(await store.apply(approve), Applied)
            assert isinstance(await store.apply(recover), Superseded), "it is not collected"
            redeemed = change(Key(home, 1), advance(Event.REDEEM))
            assert isinstance(await store.apply(redeemed), Applied)
            assert wins(await race(store, *[recover] * 20)) == MOST
            found = await store.find_repetition(home, b"k" * 32)
            assert found is not None
            assert found.recoveries == MOST

    # --- arrivals

    @covers("EXT-INTERACT-01", "EXT-INTERACT-04")
    async def test_an_arrival_is_noted_once_and_moves_nothing_that_somebody_saw(self) -> None:
        awaited = AwaitingInteraction(1, "confirm", "Which shop?", NOW + HOUR, 2)
        async with self.open_store() as store:
            held = await open_request(store)
            asked = Advance(1, Event.INTERACTION_ASKED, awaited, NOW)
            assert isinstance(await store.apply(change(held.key, asked)), Applied)
            arrival = change(held.key, NoteArrival(1, awaited, NOW))
            assert wins(await race(store, *[arrival] * 10)) == 1
            found = await store.find_held(held.handle)
            assert found is not None
            assert found.state == replace(awaited, arrived=True)
            assert found.version == held.version + 1, "as it was asked"

    @covers("EXT-INTERACT-01", "EXT-INTERACT-14")
    async def test_an_arrival_at_what_is_not_awaited_is_none(self) -> None:
        awaited = AwaitingInteraction(1, until=NOW + HOUR)
        for seen, at in (
            (replace(awaited, number=2), NOW),
            (replace(awaited, step="statement"), NOW),
            (awaited, NOW + HOUR),
        ):
            async with self.open_store() as store:
                held = await open_request(store)
                asked = Advance(1, Event.INTERACTION_ASKED, awaited, NOW)
                assert isinstance(await store.apply(change(held.key, asked)), Applied)
                arrival = NoteArrival(1, seen, at)
                answer = await store.apply(change(held.key, arrival))
                assert isinstance(answer, Superseded)
                assert await state_of(store, held) == awaited
        async with self.open_store() as store:
            held = await open_request(store)
            answer = await store.apply(change(held.key, NoteArrival(1, awaited, NOW)))
            assert isinstance(answer, Superseded)

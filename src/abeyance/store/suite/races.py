"""Who wins when several ask at once: quotas, races, all or nothing."""
# ruff: noqa: S101

import asyncio
from dataclasses import replace

from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.change import (
    Advance,
    Applied,
    CastVote,
    Change,
    Open,
    Pulse,
    Superseded,
)
from abeyance.pending.quota import Quota
from abeyance.pending.request import Held
from abeyance.pending.states import (
    Cancelled,
    Event,
    Redeemed,
    Stage,
)
from abeyance.pending.votes import ReviewPlan, Verdict
from abeyance.store.ports import StoreAway
from abeyance.store.suite.ground import (
    ANN,
    BEN,
    HOUR,
    NOW,
    SHOP,
    TO,
    Suite,
    a_ballot,
    a_home,
    a_request,
    a_snapshot,
    a_token,
    advance,
    change,
    covers,
    loaded,
    open_in,
    open_request,
    race,
    state_of,
    wins,
)


class RaceSuite(Suite):
    """Who wins when several ask at once: quotas, races, all or nothing."""

    # --- quotas

    @covers("SEC-DOS-06")
    async def test_a_client_at_its_quota_opens_no_more(self) -> None:
        async with self.open_store() as store:
            for _ in range(3):
                await open_request(store, a_request(at_most=3))
            fourth = a_request(at_most=3)
            assert await store.apply(change(fourth.held.key, fourth)) == Superseded(fourth, None)
            assert await store.find_held(fourth.held.handle) is None
            assert await store.find_loaded(fourth.held.key) is None
            assert await store.count_waiting(ANN, now=NOW, at_most=9) == 3

    @covers("SEC-DOS-06")
    async def test_no_more_wait_about_one_person_than_the_quota_allows(self) -> None:
        """Whichever client asks; of several reviewers each request counts once."""
        quota = Quota(client=1000, person=2)

        def about(person: PersonId | None, client: str) -> Open:
            snapshot = replace(a_snapshot(client=ClientId(client)), person=person)
            return replace(a_request(snapshot=snapshot), at_most=quota)

        async with self.open_store() as store:
            for client in ("one", "two"):
                await open_request(store, about(BEN, client))
            third = about(BEN, "three")
            assert await store.apply(change(third.held.key, third)) == Superseded(third, None)
            for _ in range(3):
                await open_request(store, about(None, "one"))
            await open_request(store, about(ANN, "one"))

    @covers("EXT-QUEUE-01", "SEC-DOS-09")
    async def test_no_more_of_one_client_wait_for_one_reviewer(self) -> None:
        quota = Quota(client=1000, reviewer=2)

        def before(*reviewers: str, client: ClientId = SHOP) -> Open:
            plan = ReviewPlan(frozenset(reviewers))
            return replace(a_request(snapshot=a_snapshot(client=client, plan=plan)), at_most=quota)

        async with self.open_store() as store:
            first = await open_request(store, before(ANN))
            await open_request(store, before(ANN, BEN))
            for refused in (before(ANN), before(BEN, ANN)):
                applied = await store.apply(change(refused.held.key, refused))
                assert applied == Superseded(refused, None)
                assert await store.find_loaded(refused.held.key) is None
            await open_request(store, before(ANN, client=ClientId("another")))
            await open_request(store, before(BEN))
            await store.apply(change(first.key, advance(Event.DENY)))
            await open_request(store, before(ANN))

    @covers("SEC-DOS-06")
    async def test_only_open_requests_of_the_same_client_use_up_its_quota(self) -> None:
        another = a_snapshot(client=ClientId("another"))
        async with self.open_store() as store:
            await open_request(store, a_request(snapshot=another))
            for stage in (Stage.APPROVED, Stage.DENIED, Stage.CANCELLED, Stage.REDEEMED):
                await open_in(store, stage)
            long_ago = a_request(opened_at=NOW - HOUR, lifetime=HOUR)
            await open_request(store, long_ago)
            await open_request(store, a_request(at_most=1))
            step = a_request(at_most=1)
            assert await store.apply(change(step.held.key, step)) == Superseded(step, None)

    @covers("SEC-RACE-17")
    async def test_of_fifty_requests_at_the_limit_less_one_exactly_one_opens(self) -> None:
        async with self.open_store() as store:
            await open_request(store)
            requests = [a_request(at_most=2) for _ in range(50)]
            answers = await race(store, *(change(each.held.key, each) for each in requests))
            assert wins(answers) == 1
            assert await store.count_waiting(ANN, now=NOW, at_most=100) == 2

    # --- races

    @covers("SEC-RACE-01", "T-151", "T-152")
    async def test_of_fifty_redemptions_one_wins(self) -> None:
        async with self.open_store() as store:
            held = await open_in(store, Stage.APPROVED)
            tokens = [a_token(held.key.home) for _ in range(50)]
            answers = await race(
                store,
                *(
                    change(held.key, advance(Event.REDEEM, version=2), rows=(token,))
                    for token in tokens
                ),
            )
            assert wins(answers) == 1
            redeemed = replace(held, version=3, state=Redeemed())
            losers = [each for each in answers if isinstance(each, Superseded)]
            assert all(each.current == redeemed for each in losers)
            kept = [await store.find_token(held.key.home, token.jti) for token in tokens]
            assert [token for token in kept if token] == [
                token for token, answer in zip(tokens, answers, strict=True) if wins([answer])
            ]

    @covers("SEC-RACE-03", "T-155")
    async def test_a_redemption_and_a_cancellation_never_both_win(self) -> None:
        async with self.open_store() as store:
            for first in (Event.REDEEM, Event.CANCEL):
                held = await open_in(store, Stage.APPROVED)
                second = Event.CANCEL if first is Event.REDEEM else Event.REDEEM
                answers = await race(
                    store, *(change(held.key, advance(event)) for event in (first, second))
                )
                assert wins(answers) == 1
                won = TO[first if isinstance(answers[0], Applied) else second]
                assert (await loaded(store, held.key)).held.state == won

    @covers("SEC-RACE-06", "T-157")
    async def test_an_approval_and_a_denial_never_both_win(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            answers = await race(
                store,
                change(held.key, advance(Event.APPROVE, version=1), CastVote(1, a_ballot(ANN))),
                change(
                    held.key,
                    advance(Event.DENY, version=1),
                    CastVote(1, a_ballot(BEN, Verdict.DENY)),
                ),
            )
            assert wins(answers) == 1
            (loser,) = (each for each in answers if isinstance(each, Superseded))
            found = await loaded(store, held.key)
            assert loser.current == found.held
            assert len(found.ballots) == 1

    @covers("SEC-RACE-02", "T-156")
    async def test_an_approval_and_a_cancellation_end_cancelled(self) -> None:
        async with self.open_store() as store:
            for order in ((Event.APPROVE, Event.CANCEL), (Event.CANCEL, Event.APPROVE)):
                held = await open_request(store)
                answers = await race(store, *(change(held.key, advance(each)) for each in order))
                assert isinstance(answers[order.index(Event.CANCEL)], Applied)
                assert (await loaded(store, held.key)).held.state == Cancelled()
                late = await store.apply(change(held.key, advance(Event.REDEEM)))
                assert isinstance(late, Superseded)

    @covers("SEC-RACE-06", "T-158")
    async def test_of_one_reviewers_simultaneous_votes_one_counts(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            answers = await race(
                store, *(change(held.key, CastVote(1, a_ballot())) for _ in range(20))
            )
            assert wins(answers) == 1
            assert len((await loaded(store, held.key)).ballots) == 1

    @covers("SEC-RACE-06", "SEC-RACE-11")
    async def test_of_votes_on_one_version_one_wins_and_the_others_weigh_again(self) -> None:
        reviewers = [f"reviewer-{number}" for number in range(20)]
        async with self.open_store() as store:
            held = await open_request(store)
            answers = await race(
                store,
                *(
                    change(
                        held.key,
                        Advance(1, Event.APPROVE, None, NOW, 1),
                        CastVote(1, a_ballot(reviewer)),
                    )
                    for reviewer in reviewers
                ),
            )
            assert wins(answers) == 1
            found = await loaded(store, held.key)
            assert found.held.version == 2
            assert len(found.ballots) == 1

    @covers("T-161")
    async def test_of_simultaneous_cancellations_one_moves_the_request(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            answers = await race(
                store, *(change(held.key, advance(Event.CANCEL)) for _ in range(20))
            )
            assert wins(answers) == 1
            assert (await loaded(store, held.key)).held.version == 2

    @covers("SEC-RACE-05", "DTR-CANC-05")
    async def test_a_read_after_the_answer_sees_the_change_whatever_was_under_way(self) -> None:
        async with self.open_store() as store:
            for _ in range(50):
                held = await open_request(store)
                readers = [asyncio.create_task(store.find_held(held.handle)) for _ in range(5)]
                await store.apply(change(held.key, advance(Event.CANCEL)))
                for _ in range(3):
                    assert await state_of(store, held) == Cancelled()
                await asyncio.gather(*readers)
                assert await state_of(store, held) == Cancelled()

    # --- all or nothing

    async def test_a_fault_fails_its_own_change_and_no_other(self) -> None:
        async with self.open_store() as store:
            held = [await open_in(store, Stage.APPROVED) for _ in range(10)]
            tokens = [a_token(each.key.home) for each in held]
            await store.apply(Change(held[3].key.home, (), (tokens[3],)))
            answers = await asyncio.gather(
                *(
                    store.apply(change(each.key, advance(Event.REDEEM), rows=(token,)))
                    for each, token in zip(held, tokens, strict=True)
                ),
                return_exceptions=True,
            )
            assert isinstance(answers[3], Exception)
            assert not isinstance(answers[3], StoreAway)
            assert sum(isinstance(each, Applied) for each in answers) == 9
            assert (await loaded(store, held[3].key)).held == held[3]
            assert await store.find_held(held[3].handle) == held[3]

    async def test_a_caller_that_gives_up_does_not_undo_its_change(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            caller = asyncio.create_task(store.apply(change(held.key, advance(Event.CANCEL))))
            await asyncio.sleep(0)
            caller.cancel()
            await asyncio.gather(caller, return_exceptions=True)
            await store.check()
            assert await state_of(store, held) == Cancelled()

    @covers("DTR-CANC-06")
    async def test_a_pulse_changes_nothing_that_can_be_seen(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            assert await store.apply(Change(held.key.home, (), (Pulse(),))) == Applied(None)
            assert await store.apply(Change(a_home(), (), (Pulse(),))) == Applied(None)
            assert (await loaded(store, held.key)).held == held

    async def test_listeners_hear_of_every_move_before_the_writer_and_of_nothing_else(
        self,
    ) -> None:
        told: list[object] = []
        async with self.open_store() as store:
            held = await open_request(store)
            store.on_change(told.append)

            async def cancel() -> None:
                told.append(await store.apply(change(held.key, advance(Event.CANCEL))))

            await cancel()
            assert told[0] == held.key
            assert isinstance(told[1], Applied)
            await cancel()
            assert isinstance(told[2], Superseded)
            await store.apply(Change(held.key.home, (), (Pulse(),)))
            assert len(told) == 3

    @covers("EXT-NOTIFY-03")
    async def test_those_who_send_hear_of_every_end_and_of_nothing_that_only_waits(self) -> None:
        told: list[str] = []
        async with self.open_store() as store:
            store.on_messages(lambda: told.append("look"))
            held = await open_request(store)
            await store.apply(Change(held.key.home, (), (Pulse(),)))
            assert told == []
            await store.apply(change(held.key, advance(Event.DENY)))
            assert told == ["look"]

    async def test_a_listener_that_asks_at_once_is_told_the_new_state(self) -> None:
        async with self.open_store() as store:
            held = await open_request(store)
            await store.find_held(held.handle)
            asked: list[asyncio.Task[Held | None]] = []
            store.on_change(
                lambda _: asked.append(asyncio.create_task(store.find_held(held.handle)))
            )
            await store.apply(change(held.key, advance(Event.DENY)))
            assert [each and each.state for each in await asyncio.gather(*asked)] == [
                TO[Event.DENY]
            ]

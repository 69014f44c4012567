"""Opening again, being away, closing."""
# ruff: noqa: S101

import asyncio
import os

import pytest

from abeyance.parties.client import Client
from abeyance.parties.person import ConsoleSession
from abeyance.pending.change import (
    CastVote,
)
from abeyance.pending.request import Loaded
from abeyance.pending.states import (
    Event,
    Stage,
)
from abeyance.store.ports import SecurityEvent, StoreAway
from abeyance.store.suite.ground import (
    ANN,
    NOW,
    SHOP,
    Suite,
    a_ballot,
    a_request,
    a_token,
    advance,
    an_event,
    change,
    covers,
    open_in,
    open_request,
    wins,
)


class LifeSuite(Suite):
    """Opening again, being away, closing."""

    @covers("T-172")
    async def test_a_store_that_is_opened_again_has_kept_everything(self) -> None:
        place = self.new_place()
        request = a_request()
        key = request.held.key
        token = a_token(key.home)
        client = Client(id=SHOP, name="The shop", auth_method="client_secret_basic")
        session = ConsoleSession(os.urandom(32), ANN, NOW, NOW)
        security = SecurityEvent(NOW, "signed_in", "person:ann", "password")
        async with place() as store:
            waits = {stage: await open_in(store, stage) for stage in Stage}
            await store.apply(change(key, request, rows=(an_event("opened"),)))
            await store.apply(change(key, CastVote(1, a_ballot()), rows=(token,)))
            await store.put_client(client)
            await store.put_session(session)
            await store.record(security)
            page = await store.list_waiting(ANN, now=NOW, limit=9)
        for _ in range(2):
            async with place() as store:
                for held in waits.values():
                    assert await store.find_held(held.handle) == held
                assert await store.find_loaded(key) == Loaded(
                    request.held, request.snapshot, (a_ballot(),)
                )
                assert await store.find_events(key) == [an_event("opened")]
                assert await store.find_token(key.home, token.jti) == token
                assert await store.find_client(SHOP) == client
                assert await store.find_session(session.digest) == session
                assert list(await store.list_security_events(9)) == [security]
                assert await store.list_waiting(ANN, now=NOW, limit=9) == page

    async def test_a_store_at_work_says_so_and_a_closed_one_is_away(self) -> None:
        async with self.open_store() as store:
            await store.check()
            held = await open_request(store)
        for ask in (
            store.check(),
            store.find_loaded(held.key),
            store.apply(change(held.key, advance(Event.CANCEL))),
        ):
            with pytest.raises(StoreAway):
                await ask

    async def test_what_was_handed_over_before_closing_is_still_done(self) -> None:
        place = self.new_place()
        requests = [a_request() for _ in range(20)]
        async with place() as store:
            callers = [
                asyncio.create_task(store.apply(change(each.held.key, each))) for each in requests
            ]
            await asyncio.sleep(0)
        assert wins(await asyncio.gather(*callers)) == 20
        async with place() as store:
            for request in requests:
                assert await store.find_held(request.held.handle) == request.held

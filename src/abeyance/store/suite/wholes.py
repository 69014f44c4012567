"""The store as a whole: marks, seals, and what an earlier state of it must not do again."""
# ruff: noqa: S101

import os
from dataclasses import replace
from datetime import timedelta

from abeyance.parties.consent import Consent, ConsentId
from abeyance.parties.person import ConsoleSession, Invitation, PersonId
from abeyance.pending.change import CloseHome, SealedCopy, SpendCode
from abeyance.pending.message import Message, MessageKind
from abeyance.pending.request import Key
from abeyance.pending.states import Event, Stage
from abeyance.store.ports import Mark, Sealed
from abeyance.store.suite.devices import agree, open_device
from abeyance.store.suite.granted import (
    STALE,
    a_grant,
    found_refresh,
    open_family,
    open_grant,
)
from abeyance.store.suite.ground import (
    ANN,
    BEN,
    HOUR,
    NOW,
    SHOP,
    Suite,
    a_home,
    a_request,
    a_token,
    advance,
    change,
    covers,
    open_in,
    open_request,
)

DAY = timedelta(days=1)


def a_consent(person: PersonId) -> Consent:
    return Consent(
        id=ConsentId(os.urandom(8).hex()),
        person=person,
        client=SHOP,
        client_name="The shop",
        scope=frozenset({"accounts"}),
        resources=frozenset(),
        granted_at=NOW,
        confirmed_at=NOW,
    )


def a_callback(key: Key) -> Message:
    return Message(
        n=key.n,
        seq=0,
        kind=MessageKind.CALLBACK,
        to=SHOP,
        sealed=b"told",
        due_at=NOW,
        on_end=True,
        until=NOW + HOUR,
    )


class WholeSuite(Suite):
    """Marks, and what an earlier state of a store must not do again."""

    async def test_a_mark_stays_until_it_is_taken_off(self) -> None:
        place = self.new_place()
        async with place() as store:
            await store.put_mark(Mark.COPY, "then")
            await store.put_mark(Mark.COPY, "now")
            await store.put_mark(Mark.MOVED, "later")
        async with place() as store:
            assert await store.find_mark(Mark.COPY) == "now"
            await store.put_mark(Mark.COPY, None)
            assert await store.find_mark(Mark.COPY) is None
            assert await store.find_mark(Mark.MOVED) == "later"

    @covers("DTR-POLL-03")
    async def test_every_home_from_which_a_token_could_come_by_itself_is_found(self) -> None:
        async with self.open_store() as store:
            held = {stage: await open_in(store, stage) for stage in Stage}
            with_code, _ = await open_grant(store)
            with_family, _ = await open_family(store)
            answered = await open_device(store)
            await agree(store, answered)
            await open_device(store)  # nobody has answered: somebody will, or will not
            spent, code = await open_grant(store)
            await store.apply(change(Key(spent, 1), SpendCode(code.handle.digest, NOW)))
            revived = {held[Stage.APPROVED].key.home, with_code, with_family, answered.home}
            assert set(await store.list_revived(now=NOW, limit=99)) == revived
            assert len(await store.list_revived(now=NOW, limit=2)) == 2
            for home in revived:
                await store.apply(change(Key(home, 1), CloseHome(Event.STALE, STALE, at=NOW)))
            assert list(await store.list_revived(now=NOW, limit=99)) == []

    async def test_open_requests_are_listed_page_by_page_each_once(self) -> None:
        async with self.open_store() as store:
            held = [await open_request(store) for _ in range(5)]
            held.append(await open_in(store, Stage.AWAITING_INTERACTION))
            await open_in(store, Stage.APPROVED)
            await open_in(store, Stage.DENIED)
            await open_request(store, a_request(lifetime=HOUR / 2))
            seen: list[Key] = []
            page = await store.list_open(after=None, now=NOW + HOUR / 2, limit=4)
            while page:
                seen += page
                page = await store.list_open(after=page[-1], now=NOW + HOUR / 2, limit=4)
            assert seen == sorted((each.key for each in held), key=lambda key: (key.home, key.n))

    @covers("OAUTH-SEC-05", "OAUTH-DEFER-12")
    async def test_what_rests_sealed_is_listed_and_replaced_only_if_it_still_stands(self) -> None:
        async with self.open_store() as store:
            held = [(await open_request(store)).key for _ in range(4)]
            for key in held[:3]:
                await store.apply(change(key, rows=(SealedCopy(1, b"copy"),)))
            for key in held[1:]:
                await store.apply(change(key, rows=(a_callback(key),)))
            seen: list[Sealed] = []
            page = await store.list_sealed(after=None, limit=2)
            while page:
                assert len(page) <= 2
                seen += page
                page = await store.list_sealed(after=page[-1], limit=2)
            expected = [Sealed(key, None, b"copy") for key in held[:3]]
            expected += [Sealed(key, 0, b"told") for key in held[1:]]
            assert len(seen) == len(expected)
            assert {*seen} == {*expected}
            copy, message = seen[0], seen[-1]
            for each in (copy, message):
                assert await store.replace_sealed(each, b"anew")
                assert not await store.replace_sealed(each, b"later")
            assert await store.find_sealed(copy.key) == b"anew"
            [claimed] = [
                each
                for each in await store.claim_messages(now=NOW, lease=NOW + HOUR, limit=9)
                if each.key == message.key
            ]
            assert (claimed.sealed, claimed.attempt) == (b"anew", 1)

    async def test_it_is_known_whether_anything_waits_that_is_older(self) -> None:
        async with self.open_store() as store:
            assert not await store.is_waiting_since(NOW + HOUR, now=NOW)
            held = await open_request(store)
            assert not await store.is_waiting_since(NOW, now=NOW)
            assert await store.is_waiting_since(NOW + HOUR, now=NOW)
            assert not await store.is_waiting_since(NOW + HOUR, now=NOW + HOUR)
            await store.apply(change(held.key, advance(Event.APPROVE)))
            assert not await store.is_waiting_since(NOW + HOUR, now=NOW)

    @covers("OAUTH-AUTHZ-12", "OAUTH-AT-06")
    async def test_answers_that_may_have_been_taken_back_are_forgotten(self) -> None:
        async with self.open_store() as store:
            session = ConsoleSession(os.urandom(32), ANN, NOW, NOW)
            await store.put_session(session)
            await store.put_invitation(Invitation(b"i" * 32, ANN, NOW + DAY))
            for person in (ANN, BEN):
                await store.put_consent(a_consent(person), new=True)
            home, token = await open_family(store, replace(a_grant(BEN), live_until=NOW + DAY))
            await open_request(store, a_request(home=home))
            elsewhere = a_home()
            issued = a_token(elsewhere)
            await store.apply(change(Key(elsewhere, 1), rows=(issued,)))
            await store.forget_answers(now=NOW)
            assert list(await store.list_sessions(ANN)) == []
            assert await store.find_invitation(b"i" * 32) is None
            assert [each.person for each in await store.list_consents()] == [BEN]
            found = await store.find_token(elsewhere, issued.jti)
            assert found is not None
            assert found.revoked_at == NOW
            assert (await found_refresh(store, home, token)).family.ended_at is None

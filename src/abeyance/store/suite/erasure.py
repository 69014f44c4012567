"""Taking a person out of everything."""
# ruff: noqa: S101

import os
from dataclasses import replace
from typing import Final

import pytest

from abeyance.parties.person import ConsoleSession, Invitation, Person, PersonId
from abeyance.pending.change import (
    Applied,
    AuditEvent,
    CastVote,
    Change,
    RecordInteraction,
    TokenRecord,
)
from abeyance.pending.handles import HandleHash
from abeyance.pending.request import Held
from abeyance.pending.votes import ReviewPlan
from abeyance.store.ports import AsAsker, AsReviewer, SecurityEvent, Store, Wanted, Whose
from abeyance.store.suite.devices import agree, open_device
from abeyance.store.suite.granted import a_grant, an_interaction, found_refresh, open_family
from abeyance.store.suite.ground import (
    ANN,
    BEN,
    NOW,
    Suite,
    a_ballot,
    a_request,
    a_snapshot,
    a_token,
    change,
    covers,
    loaded,
    open_request,
)
from abeyance.store.suite.kept import a_consent

ZOE: Final = PersonId("zoe")
GONE: Final = Person(id=PersonId("erased-1"), name="Gone", roles=frozenset(), enabled=False)
TOGETHER: Final = ReviewPlan(frozenset({ANN, BEN}), approvals=2)


async def erase(store: Store, person: PersonId, *, limit: int = 500) -> None:
    after = None
    while True:
        page = await store.erase_person(person, GONE, limit=limit, after=after)
        if page.next is None:
            return
        after = page.next


async def count(store: Store, whose: Whose) -> int:
    return await store.count_requests(Wanted(whose=whose), now=NOW, at_most=99)


async def a_decided_request(store: Store) -> Held:
    """Of Zoe's client, asked for by nobody, on which Ann and Ben have voted; Ann has acted."""
    snapshot = replace(a_snapshot(plan=TOGETHER), client_owner=ZOE)
    held = await open_request(store, a_request(snapshot=snapshot))
    steps = (
        RecordInteraction(1, an_interaction()),
        CastVote(1, a_ballot(ANN)),
        CastVote(1, a_ballot(BEN, version=2)),
    )
    event = AuditEvent(
        n=1, at=NOW, event="opened", actor="person:ann", detail={"act": {"sub": "ann"}, "x": "ann"}
    )
    assert isinstance(await store.apply(change(held.key, *steps, rows=(event,))), Applied)
    return held


class ErasureSuite(Suite):
    """Taking a person out of everything."""

    @covers("SEC-STORE-16", "OAUTH-LOG-07")
    @pytest.mark.parametrize("limit", [1, 2, 500])
    async def test_what_others_rely_on_names_who_comes_instead(self, limit: int) -> None:
        async with self.open_store() as store:
            held = await a_decided_request(store)
            for actor, detail in (
                ("person:ann", "page, password"),
                ("person:anna", "ann shop"),
                ("operator", "person ann: closed, 0 ended"),
                ("operator", "annie"),
            ):
                await store.record(SecurityEvent(NOW, "signal", actor, detail))
            await store.record(SecurityEvent(NOW, "client_added", "operator", "ann"))
            before = await loaded(store, held.key)
            await erase(store, ANN, limit=limit)
            after = await loaded(store, held.key)
            assert after.snapshot == replace(
                before.snapshot,
                plan=replace(TOGETHER, reviewers=frozenset({GONE.id, BEN})),
            )
            of_ann, of_ben = before.ballots
            assert after.ballots == (replace(of_ann, voter=GONE.id), of_ben)
            [done] = after.interactions
            assert (done.person, done.person_name, done.answers) == (GONE.id, "", ())
            [event] = await store.find_events(held.key)
            assert (event.actor, event.detail) == (
                "person:erased-1",
                {"act": {"sub": "erased-1"}, "x": "ann"},
            )
            events = await store.list_security_events(9)
            assert [(each.actor, each.detail) for each in reversed(events)] == [
                ("person:erased-1", "page, password"),
                ("person:anna", "erased-1 shop"),
                ("operator", "person erased-1: closed, 0 ended"),
                ("operator", "annie"),
                ("operator", "ann"),
            ]
            assert await count(store, AsReviewer(ANN)) == 0
            assert await count(store, AsReviewer(GONE.id)) == 1
            assert await store.count_waiting(ANN, now=NOW, at_most=9) == 0
            assert await store.count_waiting(BEN, now=NOW, at_most=9) == 1
            await erase(store, ZOE, limit=limit)
            assert (await loaded(store, held.key)).snapshot.client_owner == GONE.id
            assert await count(store, AsAsker(ZOE)) == 0

    @covers("SEC-STORE-16")
    @pytest.mark.parametrize("limit", [1, 500])
    async def test_what_was_theirs_is_gone_and_what_is_not_theirs_stays(self, limit: int) -> None:
        async with self.open_store() as store:
            theirs: dict[PersonId, tuple[HandleHash, Held, TokenRecord, bytes]] = {}
            for person in (ANN, BEN):
                await store.put_person(Person(id=person, name="A name", roles=frozenset()))
                home, refresh = await open_family(store, a_grant(person))
                token = replace(a_token(home), subject=person)
                snapshot = replace(a_snapshot(), person=person, person_name="A name")
                request = a_request(home=home, snapshot=snapshot)
                assert isinstance(await store.apply(Change(home, (request,), (token,))), Applied)
                digest = os.urandom(32)
                await store.put_session(ConsoleSession(digest, person, NOW, NOW))
                await store.put_invitation(Invitation(digest, person, NOW))
                assert await store.put_consent(a_consent(person), new=True)
                handle = HandleHash(home, refresh.digest)
                theirs[person] = handle, request.held, token, digest
            kept = await store.find_refresh(theirs[BEN][0])
            await erase(store, ANN, limit=limit)
            handle, held, token, digest = theirs[ANN]
            home = held.key.home
            assert await store.find_person(ANN) is None
            assert await store.find_person(GONE.id) == GONE
            assert await store.find_grant(home) is None
            assert await store.find_refresh(handle) is None
            assert await store.find_token(home, token.jti) is None
            assert await store.find_loaded(held.key) is None
            late = await store.find_held(held.handle)
            assert late is not None
            assert late.client == held.client
            assert await store.find_session(digest) is None
            assert await store.find_invitation(digest) is None
            assert await store.list_consents(person=ANN) == []
            handle, held, token, digest = theirs[BEN]
            assert await store.find_refresh(handle) == kept
            assert await store.find_token(held.key.home, token.jti) == token
            assert (await loaded(store, held.key)).snapshot.person == BEN
            assert await store.find_session(digest) is not None
            assert await store.find_invitation(digest) is not None
            assert len(await store.list_consents(person=BEN)) == 1
            assert await store.find_person(BEN) is not None

    @covers("SEC-STORE-16")
    async def test_a_device_that_they_agreed_to_is_forgotten_and_others_are_not(self) -> None:
        async with self.open_store() as store:
            agreed, waiting = await open_device(store), await open_device(store)
            await agree(store, agreed)
            before = await store.find_device(waiting.home)
            await erase(store, ANN)
            assert await store.find_device(agreed.home) is None
            assert await store.find_device(waiting.home) == before

    async def test_erasing_again_or_somebody_unknown_changes_nothing_else(self) -> None:
        async with self.open_store() as store:
            held = await a_decided_request(store)
            home, token = await open_family(store, a_grant(BEN))
            before = await loaded(store, held.key), await found_refresh(store, home, token)
            await erase(store, PersonId("nobody"))
            await erase(store, PersonId("nobody"))
            assert await loaded(store, held.key) == before[0]
            assert await found_refresh(store, home, token) == before[1]

    async def test_a_cursor_of_somebody_else_erases_nothing(self) -> None:
        async with self.open_store() as store:
            held = await a_decided_request(store)
            before = await loaded(store, held.key)
            for cursor in ("", "x", "[]", "[99]", "[-1]"):
                with pytest.raises(ValueError, match="cursor"):
                    await store.erase_person(ANN, GONE, limit=9, after=cursor)
            assert await loaded(store, held.key) == before

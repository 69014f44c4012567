"""Clients, people, sessions, invitations, the security log."""
# ruff: noqa: S101

import asyncio
import os
from dataclasses import replace
from datetime import timedelta

from abeyance.parties.client import Client, ClientId
from abeyance.parties.person import ConsoleSession, Invitation, Person, Role
from abeyance.store.ports import SecurityEvent
from abeyance.store.suite.ground import ANN, BEN, HOUR, NOW, SHOP, TICK, Suite, covers


class PartySuite(Suite):
    """Clients, people, sessions, invitations, the security log."""

    # --- clients and people

    async def test_a_client_is_found_as_it_was_last_put(self) -> None:
        client = Client(
            id=SHOP,
            name="The shop",
            auth_method="client_secret_basic",
            secret_digests=(os.urandom(32), os.urandom(32)),
            grant_types=frozenset({"client_credentials"}),
            scope=frozenset({"a", "b"}),
            resources=frozenset({"https://api.example/"}),
            owner="carla",
            id_token_alg="EdDSA",
            default_max_age=timedelta(minutes=5),
            pkce_optional=True,
        )
        async with self.open_store() as store:
            assert await store.find_client(SHOP) is None
            await store.put_client(client)
            assert await store.find_client(SHOP) == client
            fenced = replace(client, enabled=False)
            await store.put_client(fenced)
            assert await store.find_client(SHOP) == fenced
            another = replace(client, id=ClientId("another"))
            await store.put_client(another)
            assert list(await store.list_clients()) == [another, fenced]

    @covers("SEC-RACE-08")
    async def test_a_fence_is_seen_by_whoever_looks_after_it_was_acknowledged(self) -> None:
        client = Client(id=SHOP, name="The shop", auth_method="client_secret_basic")
        fenced = replace(client, enabled=False)
        async with self.open_store() as store:
            for _ in range(20):
                await store.put_client(client)
                readers = [asyncio.create_task(store.find_client(SHOP)) for _ in range(5)]
                await store.put_client(fenced)
                assert await store.find_client(SHOP) == fenced
                await asyncio.gather(*readers)
                assert await store.find_client(SHOP) == fenced

    async def test_a_person_is_found_as_it_was_last_put(self) -> None:
        ann = Person(id=ANN, name="Ann", roles=frozenset(Role), password_hash="$argon2id$x")
        ann = replace(ann, email="ann@example.com", email_verified=True)
        async with self.open_store() as store:
            assert await store.find_person(ANN) is None
            await store.put_person(ann)
            assert await store.find_person(ANN) == ann
            await store.put_person(replace(ann, enabled=False))
            ben = Person(id=BEN, name="Ben", roles=frozenset({Role.REVIEWER}))
            await store.put_person(ben)
            assert list(await store.list_people()) == [replace(ann, enabled=False), ben]

    # --- sessions and invitations

    @covers("OAUTH-SESS-01")
    async def test_a_session_lasts_until_it_is_ended(self) -> None:
        session = ConsoleSession(os.urandom(32), ANN, NOW, NOW)
        async with self.open_store() as store:
            assert await store.find_session(session.digest) is None
            await store.put_session(session)
            used = replace(session, seen_at=NOW + HOUR)
            await store.put_session(used)
            assert await store.find_session(session.digest) == used
            await store.end_session(session.digest)
            assert await store.find_session(session.digest) is None
            await store.end_session(session.digest)

    async def test_a_session_that_was_ended_is_not_raised_by_a_late_use(self) -> None:
        session = ConsoleSession(os.urandom(32), ANN, NOW, NOW)
        async with self.open_store() as store:
            await store.put_session(session)
            await store.end_session(session.digest)
            await store.put_session(replace(session, seen_at=NOW + HOUR))
            assert await store.find_session(session.digest) is None

    async def test_all_sessions_of_a_person_end_at_once_and_nobody_elses(self) -> None:
        anns = [ConsoleSession(os.urandom(32), ANN, NOW, NOW) for _ in range(3)]
        bens = ConsoleSession(os.urandom(32), BEN, NOW, NOW)
        async with self.open_store() as store:
            for session in (*anns, bens):
                await store.put_session(session)
            await store.end_sessions_of(ANN)
            assert [await store.find_session(each.digest) for each in anns] == [None] * 3
            assert await store.find_session(bens.digest) == bens

    @covers("SEC-OPS-03")
    async def test_an_invitation_is_used_once(self) -> None:
        invitation = Invitation(os.urandom(32), ANN, NOW + HOUR)
        people = [
            Person(id=ANN, name="Ann", roles=frozenset(), password_hash=f"hash-{number}")
            for number in range(10)
        ]
        async with self.open_store() as store:
            await store.put_invitation(invitation)
            assert await store.find_invitation(invitation.digest) == invitation
            used = await asyncio.gather(
                *(store.accept_invitation(invitation.digest, person, NOW) for person in people)
            )
            assert sum(used) == 1
            assert await store.find_person(ANN) == people[used.index(True)]
            assert await store.find_invitation(invitation.digest) is None

    @covers("SEC-OPS-03", "OAUTH-SESS-13")
    async def test_an_accepted_invitation_takes_older_links_and_sessions_with_it(self) -> None:
        older, used, bens = (
            Invitation(os.urandom(32), each, NOW + HOUR) for each in (ANN, ANN, BEN)
        )
        session = ConsoleSession(os.urandom(32), ANN, NOW, NOW)
        ann = Person(id=ANN, name="Ann", roles=frozenset(), password_hash="hash")
        async with self.open_store() as store:
            for invitation in (older, used, bens):
                await store.put_invitation(invitation)
            await store.put_session(session)
            assert await store.accept_invitation(used.digest, ann, NOW)
            assert not await store.accept_invitation(older.digest, ann, NOW)
            assert await store.find_invitation(bens.digest) == bens
            assert await store.find_session(session.digest) is None

    @covers("SEC-OPS-03")
    async def test_an_invitation_that_is_late_or_anothers_changes_nothing(self) -> None:
        invitation = Invitation(os.urandom(32), ANN, NOW + HOUR)
        ann, ben = (Person(id=each, name=each, roles=frozenset()) for each in (ANN, BEN))
        async with self.open_store() as store:
            await store.put_invitation(invitation)
            digest = invitation.digest
            assert not await store.accept_invitation(digest, ann, NOW + HOUR)
            assert not await store.accept_invitation(digest, ben, NOW)
            assert not await store.accept_invitation(os.urandom(32), ann, NOW)
            assert list(await store.list_people()) == []
            assert await store.accept_invitation(digest, ann, NOW + HOUR - TICK)

    async def test_security_events_are_listed_the_newest_first(self) -> None:
        events = [
            SecurityEvent(NOW + number * TICK, "signed_in", f"person:{number}", "password")
            for number in range(5)
        ]
        async with self.open_store() as store:
            for event in events:
                await store.record(event)
            assert list(await store.list_security_events(3)) == events[:1:-1]

    async def test_news_that_many_notice_at_once_is_recorded_once(self) -> None:
        first, second = (SecurityEvent(NOW, "key", "system", each) for each in ("one", "two"))
        async with self.open_store() as store:
            for event in (first, second, first):
                noted = await asyncio.gather(*(store.record_news(event) for _ in range(8)))
                assert sum(noted) == 1
                await store.record(SecurityEvent(NOW, "signed_in", "person:ann", "one"))
            events = await store.list_security_events(10)
            assert [each.detail for each in events if each.event == "key"] == ["one", "two", "one"]

"""Consents, sessions that were ended by force, and what is kept for a while."""
# ruff: noqa: S101

import asyncio
import os
from dataclasses import replace
from datetime import timedelta

from abeyance.parties.client import Client, ClientId
from abeyance.parties.consent import Consent, ConsentId
from abeyance.parties.person import ConsoleSession, Person, PersonId, Role
from abeyance.pending.authorization import AuthorizationRequest, PushedRequest
from abeyance.pending.challenge import ChallengeSession
from abeyance.pending.change import Applied, Change, OpenGrant
from abeyance.pending.identity import NO_DEMAND, Demand, Prompt
from abeyance.pending.reservation import Reservation
from abeyance.store.ports import Remembered
from abeyance.store.suite.granted import a_grant
from abeyance.store.suite.ground import (
    ANN,
    ASKED,
    BEN,
    HOUR,
    NOW,
    SHOP,
    TICK,
    Suite,
    a_home,
    covers,
)

# Fingerprints of calls.
ONE, TWO, THREE = (bytes([number]) * 32 for number in (1, 2, 3))


def a_consent(
    person: PersonId = ANN, client: ClientId = SHOP, after: timedelta = timedelta(0)
) -> Consent:
    return Consent(
        id=ConsentId(os.urandom(8).hex()),
        person=person,
        client=client,
        client_name="The shop",
        scope=frozenset({"accounts", "payments"}),
        resources=frozenset({"https://api.example/"}),
        granted_at=NOW,
        confirmed_at=NOW + after,
        pairs=frozenset({("accounts", "https://api.example/")}),
    )


def an_authorization(*, state: str | None = None) -> AuthorizationRequest:
    return AuthorizationRequest(
        id=os.urandom(32),
        home=a_home(),
        client=SHOP,
        redirect_uri="https://shop.example/callback?a=%7e",
        response_mode="form_post",
        state=state,
        asked=ASKED,
        challenge="c" * 43,
        dpop_jkt=None,
        hinted=True,
        began_at=NOW,
        expires_at=NOW + HOUR,
        demand=NO_DEMAND
        if state is None
        else Demand(
            prompts=frozenset(Prompt),
            max_age=timedelta(seconds=7),
            person=PersonId("ann"),
            login_hint="ann",
            nonce="n",
        ),
    )


def a_pushed(*parameters: tuple[str, str]) -> PushedRequest:
    return PushedRequest(
        id=os.urandom(32),
        home=a_home(),
        client=SHOP,
        parameters=parameters,
        signed=bool(parameters),
        began_at=NOW,
        expires_at=NOW + HOUR,
    )


def a_challenge(name: str | None = None, *, failures: int = 0) -> ChallengeSession:
    return ChallengeSession(
        id=os.urandom(32),
        client=SHOP,
        jkt=name,
        parameters=(("scope", "a"), ("resource", "b"), ("resource", "a")),
        signed=name is None,
        name=name,
        failures=failures,
        began_at=NOW,
        expires_at=NOW + HOUR,
    )


def a_session(person: PersonId = ANN, after: timedelta = timedelta(0)) -> ConsoleSession:
    return ConsoleSession(os.urandom(32), person, NOW, NOW + after)


class KeptSuite(Suite):
    """Consents, sessions that were ended by force, and what is kept for a while."""

    # --- replacing what was seen

    async def test_a_client_is_replaced_only_by_who_saw_it_as_it_stands(self) -> None:
        first = Client(id=SHOP, name="The shop", auth_method="client_secret_basic")
        others = [replace(first, name=f"Shop {number}") for number in range(10)]
        async with self.open_store() as store:
            assert not await store.replace_client(first, others[0])
            assert await store.find_client(SHOP) is None
            assert await store.replace_client(None, first)
            assert not await store.replace_client(None, others[0])
            assert not await store.replace_client(others[0], others[1])
            assert await store.find_client(SHOP) == first
            won = await asyncio.gather(*(store.replace_client(first, each) for each in others))
            assert sum(won) == 1
            assert await store.find_client(SHOP) == others[won.index(True)]

    async def test_a_person_is_replaced_only_by_who_saw_them_as_they_stand(self) -> None:
        first = Person(id=ANN, name="Ann", roles=frozenset({Role.REVIEWER}))
        others = [replace(first, name=f"Ann {number}") for number in range(10)]
        async with self.open_store() as store:
            assert not await store.replace_person(first, others[0])
            assert await store.find_person(ANN) is None
            assert await store.replace_person(None, first)
            assert not await store.replace_person(None, others[0])
            assert not await store.replace_person(others[0], others[1])
            assert await store.find_person(ANN) == first
            won = await asyncio.gather(*(store.replace_person(first, each) for each in others))
            assert sum(won) == 1
            assert await store.find_person(ANN) == others[won.index(True)]

    # --- consents

    @covers("OAUTH-AUTHZ-12")
    async def test_a_consent_is_found_as_it_was_last_put_until_it_is_dropped(self) -> None:
        place = self.new_place()
        first = a_consent()
        wider = replace(first, scope=first.scope | {"more"}, confirmed_at=NOW + TICK)
        async with place() as store:
            assert await store.find_consent(ANN, SHOP) is None
            assert not await store.drop_consent(ANN, SHOP)
            assert await store.put_consent(first, new=True)
            assert not await store.put_consent(replace(first, id=ConsentId("other")), new=True)
            assert await store.put_consent(wider, new=False)
        async with place() as store:
            assert await store.find_consent(ANN, SHOP) == wider
            assert await store.find_consent(BEN, SHOP) is None
            assert await store.find_consent(ANN, ClientId("other")) is None
            dropped = await asyncio.gather(*(store.drop_consent(ANN, SHOP) for _ in range(5)))
            assert sum(dropped) == 1
            assert await store.find_consent(ANN, SHOP) is None

    @covers("OAUTH-AUTHZ-12", "SEC-RACE-09")
    async def test_a_withdrawal_is_not_undone_by_who_agreed_before_it(self) -> None:
        first = a_consent()
        again = replace(first, id=ConsentId("again"))
        async with self.open_store() as store:
            await store.put_consent(first, new=True)
            await store.drop_consent(ANN, SHOP)
            assert not await store.put_consent(first, new=False)
            assert await store.find_consent(ANN, SHOP) is None
            assert await store.put_consent(again, new=True)
            assert not await store.put_consent(first, new=False)
            assert await store.find_consent(ANN, SHOP) == again

    @covers("OAUTH-AUTHZ-12")
    async def test_consents_are_listed_by_person_and_client_the_newest_first(self) -> None:
        other = ClientId("other")
        anns, bens, latest = (
            a_consent(),
            a_consent(BEN, after=HOUR),
            a_consent(ANN, other, 2 * HOUR),
        )
        async with self.open_store() as store:
            for consent in (bens, latest, anns):
                await store.put_consent(consent, new=True)
            assert list(await store.list_consents()) == [latest, bens, anns]
            assert list(await store.list_consents(person=ANN)) == [latest, anns]
            assert list(await store.list_consents(client=SHOP)) == [bens, anns]
            assert list(await store.list_consents(person=ANN, client=other)) == [latest]
            assert list(await store.list_consents(person=BEN, client=other)) == []

    # --- sessions that were ended by force

    @covers("OAUTH-RT-10", "SEC-RACE-09")
    async def test_a_session_that_somebody_ended_is_known_as_such(self) -> None:
        by_itself, forced, hosts = a_session(), a_session(), a_session()
        async with self.open_store() as store:
            for session in (by_itself, forced):
                await store.put_session(session)
            await store.end_session(by_itself.digest)
            await store.end_session(forced.digest, forced=True)
            await store.end_session(hosts.digest, forced=True)
            ended = (by_itself, forced, hosts)
            told = [await store.is_ended_by_force(each.digest) for each in ended]
            assert told == [False, True, True]
            assert not await store.is_ended_by_force(os.urandom(32))
            for session in ended:
                await store.put_session(session)
                assert await store.find_session(session.digest) is None
            await store.end_session(forced.digest)
            assert await store.is_ended_by_force(forced.digest)
            await store.end_session(by_itself.digest, forced=True)
            assert await store.is_ended_by_force(by_itself.digest)

    @covers("OAUTH-SESS-13")
    async def test_all_sessions_but_one_end_by_force_and_are_named(self) -> None:
        async with self.open_store() as store:
            anns = [a_session(after=number * HOUR) for number in range(3)]
            bens = a_session(BEN)
            for session in (*anns, bens):
                await store.put_session(session)
            assert list(await store.list_sessions(ANN)) == anns[::-1]
            ended = await store.end_sessions_of(ANN, but=anns[0].digest)
            assert set(ended) == {each.digest for each in anns[1:]}
            assert list(await store.list_sessions(ANN)) == [anns[0]]
            assert list(await store.list_sessions(BEN)) == [bens]
            forced = [await store.is_ended_by_force(each.digest) for each in (*anns, bens)]
            assert forced == [False, True, True, False]
            assert await store.end_sessions_of(ANN) == [anns[0].digest]

    # --- authorization requests

    @covers("OAUTH-RURI-10", "OAUTH-RURI-11", "OAUTH-AUTHZ-03")
    async def test_an_authorization_request_is_kept_as_it_was_checked(self) -> None:
        place = self.new_place()
        kept = [an_authorization(state=state) for state in (None, "s", "é\u0000 +%&")]
        async with place() as store:
            for request in kept:
                await store.put_authorization(request)
        async with place() as store:
            for request in kept:
                assert await store.find_authorization(request.id) == request
            assert await store.find_authorization(os.urandom(32)) is None

    # --- sessions of the challenge endpoint

    @covers("OAUTH-FIPA-05")
    async def test_a_challenge_is_continued_once_however_many_try(self) -> None:
        place, first = self.new_place(), a_challenge()
        nexts = [a_challenge("ann", failures=number) for number in range(1, 9)]
        async with place() as store:
            assert await store.turn_challenge(None, first, now=NOW)
            assert await store.find_challenge(first.id) == first
            turned = await asyncio.gather(
                *(store.turn_challenge(first.id, each, now=NOW) for each in nexts)
            )
            assert turned.count(True) == 1
        async with place() as store:
            assert await store.find_challenge(first.id) is None
            found = [await store.find_challenge(each.id) for each in nexts]
            assert found == [each if won else None for each, won in zip(nexts, turned, strict=True)]

    @covers("OAUTH-FIPA-05")
    async def test_a_challenge_ends_with_its_time_and_with_its_answer(self) -> None:
        late, answered, after = a_challenge(), a_challenge(), a_challenge()
        async with self.open_store() as store:
            for each in (late, answered):
                assert await store.turn_challenge(None, each, now=NOW)
            assert await store.turn_challenge(answered.id, None, now=NOW)
            assert not await store.turn_challenge(answered.id, None, now=NOW)
            assert not await store.turn_challenge(late.id, after, now=NOW + HOUR)
            for each in (answered, after):
                assert await store.find_challenge(each.id) is None

    # --- pushed requests

    @covers("OAUTH-PAR-12", "OAUTH-AUTHZ-03")
    async def test_a_pushed_request_is_kept_as_it_was_sent(self) -> None:
        place = self.new_place()
        kept = [a_pushed(), a_pushed(("resource", "b"), ("resource", "a"), ("state", "é +%&"))]
        async with place() as store:
            for request in kept:
                await store.put_pushed(request)
        async with place() as store:
            for request in kept:
                assert await store.find_pushed(request.id) == request
            assert await store.find_pushed(os.urandom(32)) is None

    @covers("OAUTH-PAR-07")
    async def test_a_pushed_request_is_gone_when_its_grant_has_begun(self) -> None:
        request, other = a_pushed(), a_pushed()
        async with self.open_store() as store:
            await store.put_pushed(request)
            await store.put_pushed(other)
            change = Change(request.home, (OpenGrant(a_grant()),), ())
            assert isinstance(await store.apply(change), Applied)
            assert await store.find_pushed(request.id) is None
            assert await store.find_pushed(other.id) == other

    # --- reservations

    @covers("EXT-IDEMP-01")
    async def test_a_key_is_reserved_once_however_many_want_it(self) -> None:
        place, key, until = self.new_place(), os.urandom(32), NOW + HOUR
        async with place() as store:
            assert await store.find_reservation(key, now=NOW) is None
            wanted = [Reservation(key, a_home(), until) for _ in range(20)]
            stands = await asyncio.gather(*(store.reserve(each, now=NOW) for each in wanted))
            assert len(set(stands)) == 1
            assert stands[0] in wanted
            other = Reservation(os.urandom(32), a_home(), until)
            assert await store.reserve(other, now=NOW) == other
        async with place() as store:
            assert await store.find_reservation(key, now=until - TICK) == stands[0]

    async def test_a_reservation_is_free_again_when_its_time_is_over(self) -> None:
        key, until = os.urandom(32), NOW + HOUR
        async with self.open_store() as store:
            first = await store.reserve(Reservation(key, a_home(), until), now=NOW)
            later = Reservation(key, a_home(), until + HOUR)
            assert await store.reserve(later, now=until - TICK) == first
            assert await store.find_reservation(key, now=until) is None
            assert await store.reserve(later, now=until) == later

    # --- calls

    async def test_a_call_is_new_once_and_its_answer_is_kept(self) -> None:
        place, key, until = self.new_place(), os.urandom(32), NOW + HOUR
        async with place() as store:
            began = await asyncio.gather(
                *(store.begin_call(key, ONE, now=NOW, until=until) for _ in range(20))
            )
            assert began.count(None) == 1
            assert began.count(Remembered(ONE, None)) == 19
            await store.end_call(key, b"answer")
        async with place() as store:
            known = await store.begin_call(key, TWO, now=NOW, until=until)
            assert known == Remembered(ONE, b"answer")
            other = await store.begin_call(os.urandom(32), ONE, now=NOW, until=until)
            assert other is None

    async def test_a_call_is_forgotten_if_nothing_came_of_it_or_its_time_is_over(self) -> None:
        key, until = os.urandom(32), NOW + HOUR
        async with self.open_store() as store:
            assert await store.begin_call(key, ONE, now=NOW, until=until) is None
            await store.end_call(key, None)
            assert await store.begin_call(key, TWO, now=NOW, until=until) is None
            await store.end_call(key, b"answer")
            known = await store.begin_call(key, TWO, now=until - TICK, until=2 * HOUR + NOW)
            assert known == Remembered(TWO, b"answer")
            assert await store.begin_call(key, THREE, now=until, until=until + HOUR) is None

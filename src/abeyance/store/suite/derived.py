"""Assertions that were used, what is derived from a token, and grants that lack a part."""
# ruff: noqa: S101

import os
from dataclasses import replace
from datetime import timedelta

from abeyance.parties.client import ClientId
from abeyance.pending.change import (
    Applied,
    Change,
    CloseHome,
    DerivedFrom,
    OpenGrant,
    Superseded,
    UseAssertion,
)
from abeyance.pending.credentials import Assertion, FoundAssertion
from abeyance.pending.exchanged import Exchanged, Source, Target
from abeyance.pending.handles import Home
from abeyance.pending.identity import Identity
from abeyance.pending.request import Success
from abeyance.pending.states import Event
from abeyance.store.ports import OfPerson
from abeyance.store.suite.granted import STALE, a_grant
from abeyance.store.suite.ground import (
    ANN,
    HOUR,
    NOW,
    SHOP,
    Suite,
    a_home,
    a_request,
    a_token,
    covers,
    loaded,
    open_request,
    race,
    wins,
)


def an_assertion(client: ClientId = SHOP, jkt: str | None = None) -> Assertion:
    return Assertion(
        issuer="https://idp.example",
        subject="00u1",
        jti="Zoë's",
        digest=b"d" * 32,
        client=client,
        jkt=jkt,
        used_at=NOW,
        expires_at=NOW + timedelta(minutes=5),
    )


class DerivedSuite(Suite):
    """Assertions that were used, what is derived from a token, and grants that lack a part."""

    @covers("EXT-GRANT-05", "OAUTH-JWTB-02", "EXT-IDJAG-03")
    async def test_an_assertion_is_used_once_and_remembered(self) -> None:
        place, home = self.new_place(), a_home()
        use, grant = UseAssertion(an_assertion()), OpenGrant(a_grant())
        async with place() as store:
            assert await store.find_assertion(home) is None
            assert await store.apply(Change(home, (use, grant))) == Applied(None)
        async with place() as store:
            found = FoundAssertion(home, an_assertion(), a_grant(), 1)
            assert await store.find_assertion(home) == found
            assert await store.apply(Change(home, (use,))) == Superseded(use, None)
            await open_request(store, a_request(home=home))
            assert await store.find_assertion(home) == replace(found, next_n=2)

    @covers("OAUTH-DEC-09")
    async def test_used_again_it_must_be_the_same_client_key_and_assertion(self) -> None:
        async with self.open_store() as store:
            home, first = a_home(), an_assertion(jkt="a-thumbprint")
            steps = (UseAssertion(first, again=True), OpenGrant(a_grant()))
            assert await store.apply(Change(home, steps)) == Applied(None)
            for other in (
                replace(first, client=ClientId("other")),
                replace(first, jkt="another"),
                replace(first, jkt=None),
                replace(first, digest=b"e" * 32),
            ):
                wrong = UseAssertion(other, again=True)
                assert await store.apply(Change(home, (wrong,))) == Superseded(wrong, None)
            later = UseAssertion(replace(first, used_at=NOW + HOUR), again=True)
            assert await store.apply(Change(home, (later,))) == Applied(None)
            found = await store.find_assertion(home)
            assert found is not None
            assert found.assertion == first
            await store.apply(Change(home, (CloseHome(Event.STALE, STALE, NOW),)))
            assert await store.apply(Change(home, (later,))) == Superseded(later, None)

    @covers("OAUTH-JWTB-02", "SEC-JOSE-26")
    async def test_of_simultaneous_uses_one_wins(self) -> None:
        async with self.open_store() as store:
            home = a_home()
            steps = (UseAssertion(an_assertion()), OpenGrant(a_grant()))
            answers = await race(store, *(Change(home, steps) for _ in range(20)))
            assert wins(answers) == 1

    @covers("OAUTH-TX-11")
    async def test_what_was_derived_is_found_by_its_token_and_by_its_home(self) -> None:
        async with self.open_store() as store:
            home = a_home()
            one, other = a_token(home), a_token(home)
            await store.apply(Change(home, (), (one, other)))
            of_one = sorted([a_home() for _ in range(5)])
            of_other = a_home()
            for each in of_one:
                row = DerivedFrom(Source(home, one.jti))
                assert await store.apply(Change(each, (), (row, row))) == Applied(None)
            row = DerivedFrom(Source(home, other.jti))
            await store.apply(Change(of_other, (), (row, DerivedFrom(Source(home, b"")))))

            async def found(jti: bytes | None, after: Home | None = None) -> list[Home]:
                return list(await store.list_derived(home, jti, after=after, limit=3))

            assert await found(one.jti) == of_one[:3]
            assert await found(one.jti, of_one[2]) == of_one[3:]
            assert await found(one.jti, of_one[4]) == []
            assert await found(other.jti) == await found(b"") == [of_other]
            everything = sorted([*of_one, of_other])
            assert await found(None) == everything[:3]
            assert await found(None, everything[2]) == everything[3:]
            elsewhere = await store.list_derived(a_home(), None, after=None, limit=3)
            assert list(elsewhere) == []

    @covers("EXT-BOUND-02")
    async def test_a_token_keeps_the_end_of_what_it_rests_on(self) -> None:
        async with self.open_store() as store:
            home = a_home()
            token = replace(a_token(home), until=NOW + HOUR)
            await store.apply(Change(home, (), (token,)))
            assert await store.find_token(home, token.jti) == token

    @covers("EXT-GRANT-04", "OAUTH-DEFER-03", "DTR-INV-01")
    async def test_what_was_exchanged_is_frozen_with_the_request(self) -> None:
        async with self.open_store() as store:
            for exchanged in (
                Exchanged(
                    subject_type="urn:a",
                    issued_type="urn:b",
                    actor_type="urn:c",
                    source=Source(a_home(), os.urandom(32)),
                    until=NOW + HOUR,
                ),
                Exchanged(
                    subject_type="urn:a",
                    issued_type="urn:b",
                    target=Target("https://as.example", "there"),
                ),
            ):
                home = a_home()
                step = a_request(home=home)
                snapshot = replace(
                    step.snapshot,
                    success=Success.ID_JAG,
                    asserted_by="https://idp.example",
                    actor={"sub": "one", "act": {"sub": "two"}},
                    exchanged=exchanged,
                    identity=Identity(nonce="n", acr=None, amr=("pwd",)),
                )
                held = await open_request(store, replace(step, snapshot=snapshot))
                assert (await loaded(store, held.key)).snapshot == snapshot

    async def test_a_grant_without_session_consent_or_sign_in_is_found_as_it_was_made(self) -> None:
        async with self.open_store() as store:
            home = a_home()
            grant = replace(a_grant(), session=None, consent=None, auth_time=None)
            await store.apply(Change(home, (OpenGrant(grant),)))
            assert await store.find_grant(home) == grant
            assert await store.find_grant(a_home()) is None
            homes = await store.find_open_homes(OfPerson(ANN), now=NOW, limit=9)
            assert list(homes) == [home]

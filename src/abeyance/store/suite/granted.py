"""Grants, codes and families with defaults, for the suite."""
# ruff: noqa: S101

import os
from datetime import timedelta
from typing import Final

from abeyance.parties.client import ClientId
from abeyance.parties.consent import ConsentId
from abeyance.parties.person import PersonId
from abeyance.pending.change import Applied, Change, LiveUntil, NewFamily, OpenGrant, SpendCode
from abeyance.pending.credentials import (
    Code,
    Family,
    FoundCode,
    FoundRefresh,
    RefreshToken,
    UserGrant,
)
from abeyance.pending.handles import HandleHash, HandleKind, Home, mint_handle
from abeyance.pending.identity import Identity
from abeyance.pending.interaction import Interaction
from abeyance.pending.states import Denied, Outcome
from abeyance.store.ports import Store
from abeyance.store.suite.ground import ANN, ASKED, HOUR, NARROWED, NOW, SHOP, a_home

SESSION: Final = b"s" * 32
IDLE: Final = timedelta(days=14)
MOST: Final = timedelta(days=90)
STALE: Final = Denied(Outcome.PRECONDITION_FAILED)


def a_grant(person: PersonId = ANN, client: ClientId = SHOP, session: bytes = SESSION) -> UserGrant:
    return UserGrant(
        client=client,
        person=person,
        session=session,
        consent=ConsentId("a-consent"),
        auth_time=NOW - HOUR,
        opened_at=NOW,
        live_until=NOW + HOUR,
    )


def a_handle(kind: HandleKind, home: Home) -> HandleHash:
    return mint_handle(kind, home, os.urandom(32))[1]


def a_code(home: Home) -> Code:
    return Code(
        handle=a_handle(HandleKind.AUTHORIZATION_CODE, home),
        redirect_uri="https://shop.example/callback",
        challenge="c" * 43,
        granted=ASKED,
        dpop_jkt="a-thumbprint",
        hinted=True,
        issued_at=NOW,
        expires_at=NOW + timedelta(minutes=1),
        identity=Identity(nonce="n", acr="urn:example:high", amr=("pwd", "otp")),
    )


def a_refresh(home: Home, generation: int = 1) -> RefreshToken:
    digest = a_handle(HandleKind.REFRESH_TOKEN, home).digest
    return RefreshToken(digest=digest, generation=generation, issued_at=NOW)


def a_family(token: RefreshToken) -> Family:
    return Family(
        generation=token.generation,
        head=token.digest,
        granted=NARROWED,
        jkt="a-thumbprint",
        approved=True,
        opened_at=NOW,
        idle_until=NOW + IDLE,
        until=NOW + MOST,
    )


def an_interaction(number: int = 1) -> Interaction:
    return Interaction(
        number=number,
        step="statement",
        title="Say something about it",
        note="Which shop?",
        person=ANN,
        person_name="Ann",
        answers=(("Your statement", "Zoë's, 東"), ("Ticked", "yes")),
        vouched=False,
        at=NOW,
    )


async def open_grant(store: Store, grant: UserGrant | None = None) -> tuple[Home, Code]:
    """A grant in the store, with a code that nobody has shown."""
    home = a_home()
    code = a_code(home)
    answer = await store.apply(Change(home, (OpenGrant(grant or a_grant()),), (code,)))
    assert answer == Applied(None)
    return home, code


async def open_family(store: Store, grant: UserGrant | None = None) -> tuple[Home, RefreshToken]:
    """A home whose code was spent for a family."""
    home, code = await open_grant(store, grant)
    token = a_refresh(home)
    rows = (NewFamily(a_family(token), token), LiveUntil(NOW + MOST))
    spend = SpendCode(code.handle.digest, NOW)
    assert await store.apply(Change(home, (spend,), rows)) == Applied(None)
    return home, token


async def found_code(store: Store, code: Code) -> FoundCode:
    found = await store.find_code(code.handle)
    assert found is not None
    return found


async def found_refresh(store: Store, home: Home, token: RefreshToken) -> FoundRefresh:
    found = await store.find_refresh(HandleHash(home, token.digest))
    assert found is not None
    return found

"""Tokens that a request shows as its grant's credential: are they what it says they are?

Signature, kind, issuer, audience, life, revocation and the people behind them are judged
here, where keys and store are; what a token is good for, the grant judges. Nothing is
used up.

Source: OAUTH-TX-02, -03, -11; OAUTH-JWTB-02, -03; OAUTH-IDJAG-04.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from abeyance.access.access import Access
from abeyance.access.scope import parse_scope
from abeyance.acts.house import House
from abeyance.acts.introspect import live_claims
from abeyance.grants.grant import Recognised, Role, Shown
from abeyance.oauth.minting import parse_jti
from abeyance.parties.client import Client
from abeyance.parties.person import Person, PersonId
from abeyance.parties.trust import TrustedIssuer, Use
from abeyance.pending.exchanged import Source
from abeyance.pending.handles import HOME_BYTES, HandleKind, Home, parse_handle
from abeyance.proofs.binding import read_confirmation
from abeyance.proofs.issued import (
    claimed_issuer,
    is_id_jag,
    verify_id_token,
    verify_issued,
)
from abeyance.proofs.jwk import KeySet
from abeyance.proofs.jws import BadToken, numeric_date, read_jti
from abeyance.wire import names
from abeyance.wire.errors import OAuthError
from abeyance.wire.strict_json import Json, JsonObject


async def recognise(house: House, client: Client, shown: Iterable[Shown]) -> list[Recognised]:
    """Those of the tokens that hold, in their order."""
    found = [await _recognise(house, client, each) for each in shown]
    return [each for each in found if each is not None]


async def _recognise(house: House, client: Client, shown: Shown) -> Recognised | None:
    try:
        match shown.type:
            case names.URN_ACCESS_TOKEN:
                return await _access_token(house, shown)
            case names.URN_REFRESH_TOKEN:
                return await _refresh_token(house, shown)
            case names.URN_ID_TOKEN:
                return await _id_token(house, client, shown)
            case names.URN_JWT:
                return await _issued(house, client, shown)
            case _:
                return None
    except (BadToken, OAuthError):
        return None


# --- tokens of ours


async def _access_token(house: House, shown: Shown) -> Recognised | None:
    claims = await live_claims(house, shown.token.reveal())
    place = None if claims is None else parse_jti(str(claims.get("jti")))
    record = None if place is None else await house.store.find_token(*place)
    if claims is None or place is None or record is None:
        return None
    return Recognised(
        role=shown.role,
        type=shown.type,
        claims=claims,
        subject=record.subject,
        person=await _person(house, record.subject),
        expires_at=record.expires_at,
        access=_access(house, claims),
        client=record.client,
        source=Source(*place),
        until=record.until,
        auth_time=_instant(claims.get("auth_time")),
        jkt=_confirmation(claims),
    )


async def _refresh_token(house: House, shown: Shown) -> Recognised | None:
    """As in a refresh, but that nothing turns: the live one of a family that lives."""
    handle = parse_handle(HandleKind.REFRESH_TOKEN, shown.token.reveal())
    found = None if handle is None else await house.store.find_refresh(handle)
    if found is None or found.token.digest != found.family.head:
        return None
    family, grant, now = found.family, found.grant, house.clock.now()
    person = await _person(house, grant.person)
    if grant.ended_at is not None or not family.is_alive(now) or person is None:
        return None
    return Recognised(
        role=shown.role,
        type=shown.type,
        claims={},
        subject=grant.person,
        person=person,
        expires_at=min(family.idle_until, family.until),
        access=family.granted,
        client=grant.client,
        source=Source(found.home, b""),
        until=family.until,
        auth_time=grant.auth_time,
        jkt=family.jkt,
    )


async def _id_token(house: House, client: Client, shown: Shown) -> Recognised | None:
    claims = verify_id_token(
        shown.token.reveal(),
        issuer=house.endpoints.issuer,
        client_id=client.id,
        keys=house.keys.published,
        now=house.clock.now(),
    )
    person = await _person(house, str(claims["sub"]))
    if person is None or not await _stands(house, client, person, claims):
        return None
    return Recognised(
        role=shown.role,
        type=shown.type,
        claims=claims,
        subject=person.id,
        person=person,
        expires_at=_end(claims),
        client=client.id,
        auth_time=_instant(claims.get("auth_time")),
    )


async def _stands(house: House, client: Client, person: Person, claims: JsonObject) -> bool:
    """Does the consent stand on which this ID token rests? Nothing else of it can be revoked."""
    consent = await house.store.find_consent(person.id, client.id)
    issued = numeric_date(claims, "iat")
    return (
        consent is not None and issued is not None and int(consent.granted_at.timestamp()) <= issued
    )


# --- what others have signed


async def _issued(house: House, client: Client, shown: Shown) -> Recognised | None:
    text = shown.token.reveal()
    issuer = house.trust.issuers.get(claimed_issuer(text))
    if issuer is None or issuer.issuer == house.endpoints.issuer:
        return None
    id_jag = is_id_jag(text)
    use = _use(shown.role, id_jag=id_jag)
    if use is None or use not in issuer.uses:
        return None
    keys = await _keys(house, issuer, text)
    if keys is None:
        return None
    audiences = [house.endpoints.issuer]
    if issuer.token_endpoint_audience and not id_jag:
        audiences.append(house.endpoints.token)
    claims = verify_issued(
        text,
        id_jag=id_jag,
        issuer=issuer.issuer,
        keys=keys,
        algorithms=issuer.algorithms,
        audiences=audiences,
        max_life=issuer.max_life,
        now=house.clock.now(),
    )
    person = await _mapped(house, issuer, claims)
    if person is None:
        return None
    found = Recognised(
        role=shown.role,
        type=shown.type,
        claims=claims,
        subject=person.id,
        person=person,
        expires_at=_end(claims),
        auth_time=_instant(claims.get("auth_time")),
        jkt=_confirmation(claims),
        issuer=issuer,
        id_jag=id_jag,
        digest=shown.token.digest(),
    )
    if shown.role is not Role.ASSERTION:
        return found
    home = _home(house, issuer, read_jti(claims), found.expires_at)
    return replace(
        found,
        home=home,
        used=await house.store.find_assertion(home),
        consent=await house.store.find_consent(person.id, client.id),
    )


def _use(role: Role, *, id_jag: bool) -> Use | None:
    match role:
        case Role.ASSERTION:
            return Use.ID_JAG if id_jag else Use.JWT_BEARER
        case Role.SUBJECT:
            return None if id_jag else Use.SUBJECT
        case Role.ACTOR:
            return None if id_jag else Use.ACTOR


async def _keys(house: House, issuer: TrustedIssuer, signed: str) -> KeySet | None:
    """Keys are those that the operator wrote down, or that stand where the operator said, and for
    as long (OAUTH-JWTB-02).
    """
    if issuer.keys_until is not None and house.clock.now() >= issuer.keys_until:
        return None
    if issuer.jwks_uri is None:
        return issuer.keys
    return await house.issuer_keys.of(issuer.issuer, issuer.jwks_uri, signed)


async def _mapped(house: House, issuer: TrustedIssuer, claims: JsonObject) -> Person | None:
    tenant = claims.get("tenant")
    if tenant is not None and not isinstance(tenant, str):
        return None
    person = issuer.person_of(tenant, str(claims["sub"]))
    return None if person is None else await _person(house, person)


def _home(house: House, issuer: TrustedIssuer, jti: str, expires_at: datetime) -> Home:
    """Where everything that comes of this assertion lives; nobody without our key can tell."""
    # By an instant of its own that is never to come, so that it has one home through every
    # change of the root, at every process.
    keys = house.keys.derived_at(expires_at - issuer.max_life)
    name = b"assertion\0" + issuer.issuer.encode() + b"\0" + jti.encode()
    return Home(hmac.digest(keys.assertion_key, name, hashlib.sha256)[:HOME_BYTES])


# --- claims


async def _person(house: House, subject: str) -> Person | None:
    """The person, if it is one and they may act now (OAUTH-TX-11)."""
    if subject.startswith("client:"):
        return None
    person = await house.store.find_person(PersonId(subject))
    return person if person is not None and person.enabled else None


def _access(house: House, claims: JsonObject) -> Access:
    audience = claims.get("aud")
    details = claims.get(names.AUTHORIZATION_DETAILS, [])
    scope = str(claims.get(names.SCOPE, ""))
    return Access(
        scope=parse_scope(scope) if scope else frozenset(),
        resources=frozenset(map(str, audience if isinstance(audience, list) else [audience])),
        details=tuple(details) if isinstance(details, list) else (),
        lifetime=house.terms.approval,
    )


def _confirmation(claims: JsonObject) -> str | None:
    return read_confirmation(claims.get("cnf"))


def _end(claims: JsonObject) -> datetime:
    return _instant(claims["exp"]) or datetime.fromtimestamp(0, UTC)


def _instant(value: Json) -> datetime | None:
    """A time that was checked to be a number, if it is one that a calendar has."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        return None

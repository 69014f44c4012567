"""`jwt-bearer` (RFC 7523; OAUTH-JWTB, EXT-GRANT-05), and ID-JAGs redeemed by it (EXT-IDJAG).

Another issuer vouches for a person. The first use of an assertion is an insert at a
home that its issuer and `jti` make, so it is used once, also by two requests at
the same time, and also where the answer is "not yet". An ID-JAG may be presented again by the
same client with the same key (OAUTH-DEC-09); while its request waits, that is this
request. One text for whatever is wrong.

A person who has not agreed here is asked at `interaction_uri`, unless the operator
takes the issuer's word for that too.
"""

from typing import Final

from abeyance.access.canonical import canonical_json
from abeyance.access.resources import parse_resources
from abeyance.access.scope import Scope, parse_scope
from abeyance.grants.grant import (
    Behind,
    Claimed,
    Grant,
    Presented,
    Recognised,
    Reused,
    Role,
    Shown,
)
from abeyance.oauth.asking import Bounds
from abeyance.parties.trust import TrustedIssuer, Use
from abeyance.pending.change import OpenGrant, Step, UseAssertion
from abeyance.pending.credentials import Assertion, UserGrant
from abeyance.pending.exchanged import read_chain
from abeyance.proofs.binding import proves
from abeyance.proofs.jws import read_jti
from abeyance.wire import names
from abeyance.wire.errors import InvalidGrant, InvalidRequest, OAuthError
from abeyance.wire.form import Form
from abeyance.wire.secret import Secret
from abeyance.wire.strict_json import Json, JsonObject

_REFUSED: Final = "The assertion is not valid for this request"


def _shows(form: Form) -> tuple[Shown, ...]:
    assertion = form.get(names.ASSERTION)
    if assertion is None:
        raise InvalidRequest("The request lacks the credential of its grant")
    return (Shown(Role.ASSERTION, names.URN_JWT, Secret(assertion)),)


def _claim(shown: Presented) -> Claimed | Reused:
    token = shown.token(Role.ASSERTION)
    if token is None or token.issuer is None or token.home is None or token.person is None:
        raise InvalidGrant(_REFUSED)
    if not _is_right(shown, token, token.issuer):
        raise InvalidGrant(_REFUSED)
    used = token.used
    behind = Behind(
        person=token.person.id,
        session=None,
        consent=None if token.consent is None else token.consent.id,
        auth_time=token.auth_time,
    )
    steps: tuple[Step, ...] = (UseAssertion(_evidence(shown, token), again=token.id_jag),)
    if used is None:
        steps += (OpenGrant(_grant(shown, behind)),)
    claimed = Claimed(
        subject=token.person.id,
        behind=behind,
        home=token.home,
        n=1 if used is None else used.next_n,
        spends=steps,
        holds=steps,
        bounds=_bounds(shown, token, token.issuer),
        joins=token.id_jag,
        must_agree=not token.issuer.consents,
        agreed=token.consent,
        asserted_by=token.issuer.issuer,
        actor=_actor(token.claims),
    )
    if used is not None and not token.id_jag:
        return Reused(token.home, claimed, ends=False)
    return claimed


def _is_right(shown: Presented, token: Recognised, issuer: TrustedIssuer) -> bool:
    client, key, used = shown.client, shown.key, token.used
    if client.id not in issuer.clients or token.role is not Role.ASSERTION:
        return False
    if (Use.ID_JAG if token.id_jag else Use.JWT_BEARER) not in issuer.uses:
        return False
    if client.is_public and (token.id_jag or not issuer.public_clients):
        return False
    if token.id_jag and token.claims.get("client_id") != client.id:
        return False
    # A bound one is worth nothing without its key (OAUTH-IDJAG-05).
    if not proves(key, token.jkt):
        return False
    if "cnf" in token.claims and token.jkt is None:
        return False
    if used is None:
        return True
    first = used.assertion
    return (
        used.grant.ended_at is None
        and first.digest == token.digest
        and first.client == client.id
        and first.jkt == (None if key is None else key.bound)
    )


def _evidence(shown: Presented, token: Recognised) -> Assertion:
    """Who vouched for whom, in which assertion; the assertion itself is not kept (EXT-IDJAG-03)."""
    claims = token.claims
    return Assertion(
        issuer=str(claims["iss"]),
        subject=str(claims["sub"]),
        jti=read_jti(claims),
        digest=token.digest,
        client=shown.client.id,
        jkt=None if shown.key is None else shown.key.bound,
        used_at=shown.now,
        expires_at=token.expires_at,
    )


def _grant(shown: Presented, behind: Behind) -> UserGrant:
    return UserGrant(
        client=shown.client.id,
        person=behind.person,
        session=None,
        consent=behind.consent,
        auth_time=behind.auth_time,
        opened_at=shown.now,
        live_until=shown.now,
    )


def _bounds(shown: Presented, token: Recognised, issuer: TrustedIssuer) -> Bounds:
    """At most what the assertion says, if it says something, and what its issuer may say."""
    claims = token.claims
    try:
        return Bounds(
            scope=_scope(claims, issuer),
            resources=_resources(claims),
            details=None
            if names.AUTHORIZATION_DETAILS not in claims
            else shown.types.parse(canonical_json(claims[names.AUTHORIZATION_DETAILS]).decode()),
        )
    except (OAuthError, ValueError, TypeError):
        raise InvalidGrant(_REFUSED) from None


def _scope(claims: JsonObject, issuer: TrustedIssuer) -> Scope | None:
    if names.SCOPE not in claims:
        return issuer.scope
    text = claims[names.SCOPE]
    if not isinstance(text, str):
        raise TypeError("the scope is not a string")
    said = parse_scope(text)
    return said if issuer.scope is None else said & issuer.scope


def _resources(claims: JsonObject) -> frozenset[str] | None:
    value: Json = claims.get(names.RESOURCE)
    if value is None:
        return None
    several = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in several):
        raise TypeError("a resource is not a string")
    return parse_resources(tuple(str(each) for each in several))


def _actor(claims: JsonObject) -> JsonObject | None:
    """Whom the issuer says to act; the name is theirs, so it is said whose (RFC 8693 §4.1)."""
    try:
        return read_chain(claims.get("act"), str(claims["iss"]))
    except ValueError:
        raise InvalidGrant(_REFUSED) from None


JWT_BEARER: Final = Grant(name=names.GRANT_JWT_BEARER, claim=_claim, shows=_shows)

"""Grants of people, codes, families and refresh tokens: columns to dataclasses and back.

The orders of columns are those of `sql.py`.
"""

from datetime import datetime, timedelta
from typing import Any

from abeyance.parties.client import ClientId
from abeyance.parties.consent import ConsentId
from abeyance.parties.person import PersonId
from abeyance.pending.authorization import AuthorizationRequest
from abeyance.pending.credentials import Assertion, Code, Family, RefreshToken, UserGrant
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.identity import NO_DEMAND, Demand, Prompt
from abeyance.store.sql.db import Row
from abeyance.store.sql.rows import (
    instant,
    micros,
    parse_access,
    parse_json,
    render_json,
)
from abeyance.store.sql.rows_snapshot import identity_document, parse_identity
from abeyance.wire.strict_json import JsonObject


def grant_values(grant: UserGrant) -> dict[str, Any]:
    """What a grant lacks is an empty value: the columns were made when none lacked anything."""
    return {
        "client": grant.client,
        "person": grant.person,
        "session": grant.session or b"",
        "consent": grant.consent or "",
        "auth_time": _micros(grant.auth_time) or 0,
        "opened_at": micros(grant.opened_at),
        "live_until": micros(grant.live_until),
        "ended_at": _micros(grant.ended_at),
    }


def parse_grant(row: Row) -> UserGrant:
    """Read the columns `sql.USER_GRANT`."""
    (client, person, session, consent, auth_time, opened_at, live_until, ended_at) = row
    return UserGrant(
        client=ClientId(client),
        person=PersonId(person),
        session=session or None,
        consent=ConsentId(consent) if consent else None,
        auth_time=instant(auth_time) if auth_time else None,
        opened_at=instant(opened_at),
        live_until=instant(live_until),
        ended_at=_instant(ended_at),
    )


def code_values(code: Code) -> dict[str, Any]:
    document: dict[str, Any] = {
        "redirect_uri": code.redirect_uri,
        "challenge": code.challenge,
        "granted": code.granted.to_json(),
        "dpop_jkt": code.dpop_jkt,
        "hinted": code.hinted,
    }
    if code.identity is not None:
        document["identity"] = identity_document(code.identity)
    return {
        "digest": code.handle.digest,
        "document": render_json(document),
        "issued_at": micros(code.issued_at),
        "expires_at": micros(code.expires_at),
        "spent_at": _micros(code.spent_at),
    }


def parse_code(home: Home, row: Row) -> Code:
    """Read digest, document, issued_at, expires_at, spent_at."""
    (digest, document, issued_at, expires_at, spent_at) = row
    said = parse_json(document)
    return Code(
        handle=HandleHash(home, digest),
        redirect_uri=said["redirect_uri"],
        challenge=said["challenge"],
        granted=parse_access(said["granted"]),
        dpop_jkt=said["dpop_jkt"],
        hinted=said["hinted"],
        issued_at=instant(issued_at),
        expires_at=instant(expires_at),
        spent_at=_instant(spent_at),
        identity=parse_identity(said.get("identity")),
    )


def family_values(family: Family) -> dict[str, Any]:
    return {
        "generation": family.generation,
        "head": family.head,
        "granted": render_json(family.granted.to_json()),
        "jkt": family.jkt,
        "approved": int(family.approved),
        "opened_at": micros(family.opened_at),
        "idle_until": micros(family.idle_until),
        "until": micros(family.until),
        "ended_at": _micros(family.ended_at),
    }


def parse_family(row: Row) -> Family:
    """Read the columns `sql.FAMILY`."""
    (generation, head, granted, jkt, approved, opened_at, idle_until, until, ended_at) = row
    return Family(
        generation=generation,
        head=head,
        granted=parse_access(parse_json(granted)),
        jkt=jkt,
        approved=bool(approved),
        opened_at=instant(opened_at),
        idle_until=instant(idle_until),
        until=instant(until),
        ended_at=_instant(ended_at),
    )


def refresh_values(token: RefreshToken) -> dict[str, Any]:
    return {
        "digest": token.digest,
        "generation": token.generation,
        "issued_at": micros(token.issued_at),
        "spent_at": _micros(token.spent_at),
        "successor": token.successor,
    }


def parse_refresh(row: Row) -> RefreshToken:
    """Read the columns `sql.REFRESH`."""
    (digest, generation, issued_at, spent_at, successor) = row
    return RefreshToken(
        digest=digest,
        generation=generation,
        issued_at=instant(issued_at),
        spent_at=_instant(spent_at),
        successor=successor,
    )


def assertion_values(assertion: Assertion) -> dict[str, Any]:
    return {
        "issuer": assertion.issuer,
        "subject": assertion.subject,
        "jti": assertion.jti,
        "digest": assertion.digest,
        "client": assertion.client,
        "jkt": assertion.jkt,
        "used_at": micros(assertion.used_at),
        "expires_at": micros(assertion.expires_at),
    }


def parse_assertion(row: Row) -> Assertion:
    """Read the columns `sql.ASSERTION`."""
    (issuer, subject, jti, digest, client, jkt, used_at, expires_at) = row
    return Assertion(
        issuer=issuer,
        subject=subject,
        jti=jti,
        digest=digest,
        client=ClientId(client),
        jkt=jkt,
        used_at=instant(used_at),
        expires_at=instant(expires_at),
    )


def authorization_document(request: AuthorizationRequest) -> str:
    return render_json(
        {
            "home": request.home.hex(),
            "client": request.client,
            "redirect_uri": request.redirect_uri,
            "response_mode": request.response_mode,
            "state": request.state,
            "asked": request.asked.to_json(),
            "challenge": request.challenge,
            "dpop_jkt": request.dpop_jkt,
            "hinted": request.hinted,
            "began_at": micros(request.began_at),
            "demand": _demand(request.demand),
        }
    )


def _demand(demand: Demand) -> JsonObject | None:
    if demand == NO_DEMAND:
        return None
    return {
        "prompts": sorted(demand.prompts),
        "max_age": None if demand.max_age is None else int(demand.max_age.total_seconds()),
        "person": demand.person,
        "login_hint": demand.login_hint,
        "nonce": demand.nonce,
    }


def _parse_demand(said: Any) -> Demand:
    if said is None:
        return NO_DEMAND
    return Demand(
        prompts=frozenset(map(Prompt, said["prompts"])),
        max_age=None if said["max_age"] is None else timedelta(seconds=said["max_age"]),
        person=said["person"],
        login_hint=said["login_hint"],
        nonce=said["nonce"],
    )


def parse_authorization(digest: bytes, document: str, expires_at: int) -> AuthorizationRequest:
    said = parse_json(document)
    return AuthorizationRequest(
        id=digest,
        home=Home(bytes.fromhex(said["home"])),
        client=ClientId(said["client"]),
        redirect_uri=said["redirect_uri"],
        response_mode=said["response_mode"],
        state=said["state"],
        asked=parse_access(said["asked"]),
        challenge=said["challenge"],
        dpop_jkt=said["dpop_jkt"],
        hinted=said["hinted"],
        began_at=instant(said["began_at"]),
        expires_at=instant(expires_at),
        demand=_parse_demand(said.get("demand")),
    )


def _micros(at: datetime | None) -> int | None:
    return None if at is None else micros(at)


def _instant(value: int | None) -> datetime | None:
    return None if value is None else instant(value)

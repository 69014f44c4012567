"""Columns to dataclasses and back; the orders of columns are those of `sql.py`.

Instants are whole microseconds since 1970, UTC. What is cold is JSON; what it
says never depends on how a dataclass happens to be laid out today.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, assert_never

import msgspec

from abeyance.access.access import Access
from abeyance.access.scope import parse_scope
from abeyance.parties.client import Client, ClientId
from abeyance.parties.person import Person, PersonId, Role
from abeyance.pending.change import AuditEvent, TokenRecord
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.request import Binding, Held, Key, Snapshot
from abeyance.pending.states import (
    Approved,
    AwaitingInteraction,
    Cancelled,
    Denied,
    Outcome,
    Pending,
    Redeemed,
    Stage,
    State,
    stage_of,
)
from abeyance.pending.votes import Ballot, ReviewPlan, Verdict
from abeyance.proofs.jwk import KeySet, parse_public_jwk
from abeyance.wire.strict_json import Json, JsonObject

Row = Sequence[Any]  # one row as the driver gives it; typed from here on

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

# --- instants and JSON


def micros(at: datetime) -> int:
    """Exact; raises `TypeError` for an instant without a zone."""
    return (at - _EPOCH) // _MICROSECOND


def instant(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


def render_json(value: Json) -> str:
    return _ENCODER.encode(value).decode()


def parse_json(text: str) -> Any:
    return msgspec.json.decode(text)


def _plain(value: object) -> object:
    match value:
        case Mapping():
            return dict(value)
        case Sequence():
            return list(value)
        case _:
            raise NotImplementedError(type(value))


_ENCODER: Final = msgspec.json.Encoder(order="sorted", enc_hook=_plain)

# --- the request, hot


def held_values(held: Held) -> dict[str, Any]:
    return {
        "home": held.key.home,
        "n": held.key.n,
        "version": held.version,
        "state": stage_of(held.state).value,
        "client": held.client,
        "jkt": held.binding.jkt,
        "digest": held.handle.digest,
        "opened_at": micros(held.opened_at),
        "decide_by": micros(held.decide_by),
        "expires_at": micros(held.expires_at),
        "interval": held.interval // _MICROSECOND,
        "detail": state_detail(held.state),
    }


def parse_held(row: Row) -> Held:
    """Read the columns `sql.HELD`."""
    (home, n, version, state, detail, client, jkt, digest, opened, decide, expires, interval) = row
    return Held(
        Key(home, n),
        version,
        parse_state(state, detail),
        ClientId(client),
        Binding(jkt),
        HandleHash(home, digest),
        instant(opened),
        instant(decide),
        instant(expires),
        timedelta(microseconds=interval),
    )


def state_detail(state: State) -> str | None:
    """What the state says beyond its name."""
    match state:
        case Pending() | Cancelled() | Redeemed():
            return None
        case AwaitingInteraction(number):
            return render_json({"number": number})
        case Approved(granted, until):
            return render_json({"granted": granted.to_json(), "until": micros(until)})
        case Denied(outcome, remark):
            return render_json({"outcome": outcome, "remark": remark})
        case never:
            assert_never(never)


def parse_state(state: str, detail: str | None) -> State:
    if state in _SILENT:
        return _SILENT[state]
    said = parse_json(detail or "")
    match Stage(state):
        case Stage.AWAITING_INTERACTION:
            return AwaitingInteraction(said["number"])
        case Stage.APPROVED:
            return Approved(parse_access(said["granted"]), instant(said["until"]))
        case Stage.DENIED:
            return Denied(Outcome(said["outcome"]), said["remark"])
        case other:
            raise ValueError(f"{other} has no detail")


_SILENT: Final[Mapping[str, State]] = {
    Stage.PENDING: Pending(),
    Stage.CANCELLED: Cancelled(),
    Stage.REDEEMED: Redeemed(),
}


def parse_access(said: Any) -> Access:
    return Access(
        scope=parse_scope(said["scope"]) if said["scope"] else frozenset(),
        resources=frozenset(said["resources"]),
        details=tuple(said["authorization_details"]),
        lifetime=timedelta(seconds=said["lifetime"]),
    )


# --- the snapshot, cold


def snapshot_document(snapshot: Snapshot) -> str:
    """All but `client` and `binding`: those are columns of the request that no update changes."""
    plan = snapshot.plan
    return render_json(
        {
            "client_name": snapshot.client_name,
            "client_owner": snapshot.client_owner,
            "grant_type": snapshot.grant_type,
            "subject": snapshot.subject,
            "asked": snapshot.asked.to_json(),
            "plan": {
                "reviewers": sorted(plan.reviewers),
                "approvals": plan.approvals,
                "denials": plan.denials,
            },
            "rule": snapshot.rule,
            "policy_version": snapshot.policy_version,
        }
    )


def parse_snapshot(held: Held, document: str) -> Snapshot:
    said = parse_json(document)
    plan = said["plan"]
    return Snapshot(
        client=held.client,
        client_name=said["client_name"],
        client_owner=said["client_owner"],
        grant_type=said["grant_type"],
        subject=said["subject"],
        asked=parse_access(said["asked"]),
        binding=held.binding,
        plan=ReviewPlan(frozenset(plan["reviewers"]), plan["approvals"], plan["denials"]),
        rule=said["rule"],
        policy_version=said["policy_version"],
    )


# --- votes, tokens, audit


def ballot_values(ballot: Ballot) -> dict[str, Any]:
    return {
        "voter": ballot.voter,
        "verdict": ballot.verdict.value,
        "granted": None if ballot.granted is None else render_json(ballot.granted.to_json()),
        "reason": ballot.reason,
        "shareable": int(ballot.shareable),
        "seen": ballot.seen,
        "shown": render_json(ballot.shown),
        "version": ballot.version,
        "at": micros(ballot.at),
        "authenticated": ballot.authenticated,
    }


def parse_ballot(row: Row) -> Ballot:
    """Read the columns `sql.BALLOT`."""
    (voter, verdict, granted, reason, shareable, seen, shown, version, at, authenticated) = row
    return Ballot(
        voter=voter,
        verdict=Verdict(verdict),
        granted=None if granted is None else parse_access(parse_json(granted)),
        reason=reason,
        shareable=bool(shareable),
        seen=seen,
        shown=parse_json(shown),
        version=version,
        at=instant(at),
        authenticated=authenticated,
    )


def token_values(token: TokenRecord) -> dict[str, Any]:
    return {
        "jti": token.jti,
        "n": token.n,
        "client": token.client,
        "subject": token.subject,
        "issued_at": micros(token.issued_at),
        "expires_at": micros(token.expires_at),
        "revoked_at": None if token.revoked_at is None else micros(token.revoked_at),
    }


def parse_token(row: Row) -> TokenRecord:
    """Read the columns `sql.TOKEN`."""
    (jti, n, client, subject, issued_at, expires_at, revoked_at) = row
    return TokenRecord(
        jti=jti,
        n=n,
        client=ClientId(client),
        subject=subject,
        issued_at=instant(issued_at),
        expires_at=instant(expires_at),
        revoked_at=None if revoked_at is None else instant(revoked_at),
    )


def event_values(event: AuditEvent) -> dict[str, Any]:
    return {
        "n": event.n,
        "at": micros(event.at),
        "event": event.event,
        "actor": event.actor,
        "detail": render_json(event.detail),
    }


def parse_event(row: Row) -> AuditEvent:
    """Read the columns `sql.EVENT`."""
    (n, at, event, actor, detail) = row
    said: JsonObject = parse_json(detail)
    return AuditEvent(n=n, at=instant(at), event=event, actor=actor, detail=said)


def parse_home(row: Row) -> Home:
    return Home(row[0])


def parse_count(value: Any) -> int:
    """A number that the database has counted; the driver's types say less than SQL does."""
    return int(value)


# --- clients and people


def client_document(client: Client) -> str:
    return render_json(
        {
            "id": client.id,
            "name": client.name,
            "auth_method": client.auth_method,
            "secret_digests": [digest.hex() for digest in client.secret_digests],
            "keys": None if client.keys is None else _key_set(client.keys),
            "assertion_alg": client.assertion_alg,
            "legacy_assertion_audience": client.legacy_assertion_audience,
            "grant_types": sorted(client.grant_types),
            "scope": sorted(client.scope),
            "default_scope": sorted(client.default_scope),
            "resources": sorted(client.resources),
            "details_types": sorted(client.details_types),
            "dpop_bound_access_tokens": client.dpop_bound_access_tokens,
            "owner": client.owner,
            "enabled": client.enabled,
            "declared": client.declared,
        }
    )


def parse_client(document: str) -> Client:
    said = parse_json(document)
    return Client(
        id=ClientId(said["id"]),
        name=said["name"],
        auth_method=said["auth_method"],
        secret_digests=tuple(map(bytes.fromhex, said["secret_digests"])),
        keys=None if said["keys"] is None else _parse_key_set(said["keys"]),
        assertion_alg=said["assertion_alg"],
        legacy_assertion_audience=said["legacy_assertion_audience"],
        grant_types=frozenset(said["grant_types"]),
        scope=frozenset(said["scope"]),
        default_scope=frozenset(said["default_scope"]),
        resources=frozenset(said["resources"]),
        details_types=frozenset(said["details_types"]),
        dpop_bound_access_tokens=said["dpop_bound_access_tokens"],
        owner=said["owner"],
        enabled=said["enabled"],
        declared=said["declared"],
    )


def person_document(person: Person) -> str:
    return render_json(
        {
            "id": person.id,
            "name": person.name,
            "roles": sorted(person.roles),
            "password_hash": person.password_hash,
            "enabled": person.enabled,
            "declared": person.declared,
        }
    )


def parse_person(document: str) -> Person:
    said = parse_json(document)
    return Person(
        id=PersonId(said["id"]),
        name=said["name"],
        roles=frozenset(map(Role, said["roles"])),
        password_hash=said["password_hash"],
        enabled=said["enabled"],
        declared=said["declared"],
    )


def _key_set(keys: KeySet) -> JsonObject:
    # Not `render_jwks`, which names the keys that their owner has not named.
    return {"keys": [key.jwk for key in keys.keys], "skipped": list(keys.skipped)}


def _parse_key_set(said: Any) -> KeySet:
    return KeySet(tuple(map(parse_public_jwk, said["keys"])), tuple(said["skipped"]))

"""Columns to dataclasses and back; the orders of columns are those of `sql.py`.

Instants are whole microseconds since 1970, UTC. What is cold is JSON; what it
says never depends on how a dataclass happens to be laid out today.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, assert_never

import msgspec

from abeyance.access.access import Access
from abeyance.access.scope import parse_scope
from abeyance.parties.client import ClientId
from abeyance.pending.change import AuditEvent, TokenRecord
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.request import Binding, Held, Key
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
from abeyance.pending.votes import Ballot, Verdict
from abeyance.store.sql.db import Row
from abeyance.wire.strict_json import Json, JsonObject

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_UNBOUND: Final = Binding(None)

# --- instants and JSON


def micros(at: datetime) -> int:
    """Exact; raises `TypeError` for an instant without a zone."""
    return (at - _EPOCH) // _MICROSECOND


def instant(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


@lru_cache(maxsize=256)
def _duration(micros: int) -> timedelta:
    """Of intervals there are few."""
    return timedelta(microseconds=micros)


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
        "jkt": held.binding.bound,
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
        _UNBOUND if jkt is None else Binding(jkt),
        HandleHash(home, digest),
        instant(opened),
        instant(decide),
        instant(expires),
        _duration(interval),
    )


def render_binding(binding: Binding) -> JsonObject:
    # Stored under the name of its first kind, before a certificate could stand there too.
    return {"jkt": binding.bound}


def parse_binding(said: Any) -> Binding:
    return Binding(said["jkt"])


def state_detail(state: State) -> str | None:
    """What the state says beyond its name."""
    match state:
        case Pending() | Cancelled() | Redeemed():
            return None
        case AwaitingInteraction() as awaiting:
            return render_json(_awaiting_members(awaiting))
        case Approved(granted, until):
            return render_json({"granted": granted.to_json(), "until": micros(until)})
        case Denied(outcome, remark):
            return render_json({"outcome": outcome, "remark": remark})
        case never:
            assert_never(never)


def _awaiting_members(awaiting: AwaitingInteraction) -> JsonObject:
    members: dict[str, Json] = {
        "number": awaiting.number,
        "step": awaiting.step,
        "note": awaiting.note,
    }
    if awaiting.until is not None:
        members |= {
            "until": micros(awaiting.until),
            "lapses": awaiting.lapses,
            "arrived": awaiting.arrived,
        }
    return members


def parse_state(state: str, detail: str | None) -> State:
    if state in _SILENT:
        return _SILENT[state]
    said = parse_json(detail or "")
    match Stage(state):
        case Stage.AWAITING_INTERACTION:
            until = said.get("until")
            return AwaitingInteraction(
                said["number"],
                said.get("step", "confirm"),
                said.get("note"),
                None if until is None else instant(until),
                said.get("lapses", 0),
                said.get("arrived", False),
            )
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
        "until": None if token.until is None else micros(token.until),
    }


def parse_token(row: Row) -> TokenRecord:
    """Read the columns `sql.TOKEN`."""
    (jti, n, client, subject, issued_at, expires_at, revoked_at, until) = row
    return TokenRecord(
        jti=jti,
        n=n,
        client=ClientId(client),
        subject=subject,
        issued_at=instant(issued_at),
        expires_at=instant(expires_at),
        revoked_at=None if revoked_at is None else instant(revoked_at),
        until=None if until is None else instant(until),
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


def parse_bytes(value: Any) -> bytes:
    return bytes(value)

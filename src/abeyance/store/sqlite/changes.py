"""A `Change` in SQL: each step one conditional statement at the change's home.

The lists of states come from `pending.states`; the clocks of the events are
here (`_CLOCK`). Nothing is read before it is written: a step that finds no row
to change has lost, and what it met is read in the same transaction, after what
the steps before it did has been taken back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, assert_never

import apsw

from abeyance.parties.client import Client
from abeyance.pending.change import (
    Advance,
    Applied,
    AuditEvent,
    CastVote,
    Change,
    CloseHome,
    Open,
    Pulse,
    RevokeToken,
    Row,
    Step,
    Superseded,
    TokenRecord,
)
from abeyance.pending.handles import Home
from abeyance.pending.request import Held, Key
from abeyance.pending.states import OPEN, Event, State, stage_after, stage_of, stages_before
from abeyance.store.sqlite import rows
from abeyance.store.sqlite.requests import find_at
from abeyance.store.sqlite.sql import (
    BALLOT,
    EVENT,
    HELD,
    OPEN_STATES,
    TOKEN,
    sql,
    sql_list,
)

T = TypeVar("T")

_BUCKETS: Final = 64
_CLOCK: Final[Mapping[Event, str | None]] = {
    Event.INTERACTION_ASKED: "expires_at",
    Event.INTERACTION_DONE: "expires_at",
    Event.APPROVE: "decide_by",
    Event.DENY: "decide_by",
    Event.CANCEL: "expires_at",
    Event.STALE: None,
    Event.REDEEM: "expires_at",
}


@dataclass(frozen=True, slots=True)
class Written(Generic[T]):
    """What a write answers, and what the store's memory must hear of it."""

    answer: T
    moved: tuple[Held, ...] = ()
    client: Client | None = None


def apply(db: apsw.Connection, change: Change) -> Written[Applied | Superseded]:
    """Apply all of `change` or nothing. The caller has set the savepoint `change`."""
    moved: list[Held] = []
    for step in change.steps:
        left = _take(db, change.home, step)
        if left is None:
            db.execute("ROLLBACK TO change")
            return Written(Superseded(step, _met(db, change.home, step)))
        moved += left
    for row in change.rows:
        _add(db, change.home, row)
    return Written(Applied(_left_by_last(db, change, moved)), tuple(moved))


def _take(db: apsw.Connection, home: Home, step: Step) -> tuple[Held, ...] | None:
    """Do one step: the requests that it moved, or `None` if it lost."""
    match step:
        case Open():
            return _open(db, home, step)
        case Advance():
            return _advance(db, home, step)
        case CastVote(n, ballot):
            cast = {"home": home, "n": n, **rows.ballot_values(ballot)}
            return () if db.execute(CAST_VOTE, cast).fetchall() else None
        case CloseHome():
            return _close(db, home, step)
        case RevokeToken(jti, client, at):
            revoke = {"home": home, "jti": jti, "client": client, "at": rows.micros(at)}
            return () if db.execute(REVOKE_TOKEN, revoke).fetchall() else None
        case never:
            assert_never(never)


def _met(db: apsw.Connection, home: Home, step: Step) -> Held | None:
    match step:
        case Open(held):
            return find_at(db, held.key)
        case Advance(n) | CastVote(n):
            return find_at(db, Key(home, n))
        case CloseHome() | RevokeToken():
            return None
        case never:
            assert_never(never)


def _left_by_last(db: apsw.Connection, change: Change, moved: list[Held]) -> Held | None:
    match change.steps[-1:]:
        case (Open() | Advance(),):
            return moved[-1]
        case (CastVote(n),):
            return find_at(db, Key(change.home, n))
        case _:
            return None


# --- opening

OPEN_REQUEST: Final = sql(
    """
    INSERT INTO request ({held})
    SELECT :home, :n, :version, :state, :detail, :client, :jkt, :digest,
           :opened_at, :decide_by, :expires_at, :interval
     WHERE :at_most > (SELECT count(*)
                         FROM request
                        WHERE client_id = :client
                          AND state IN ({open})
                          AND expires_at > :opened_at)
    RETURNING n
    """,
    held=HELD,
    open=OPEN_STATES,
)

ADD_SNAPSHOT: Final = """
    INSERT INTO snapshot (home, n, document)
    VALUES (:home, :n, :document)
    """

ADD_TO_INBOX: Final = """
    INSERT INTO inbox (home, n, reviewer, decide_by)
    SELECT :home, :n, value, :decide_by
      FROM json_each(:reviewers)
    """


def _open(db: apsw.Connection, home: Home, step: Open) -> tuple[Held, ...] | None:
    held, snapshot = step.held, step.snapshot
    if held.key.home != home:
        raise ValueError("a request opens at the home of its change")
    if (held.client, held.binding) != (snapshot.client, snapshot.binding):
        raise ValueError("a request has the client and the key of its snapshot")
    values = rows.held_values(held)
    if not db.execute(OPEN_REQUEST, values | {"at_most": step.at_most}).fetchall():
        return None
    at = {"home": home, "n": held.key.n}
    db.execute(ADD_SNAPSHOT, at | {"document": rows.snapshot_document(snapshot)})
    if stage_of(held.state) in OPEN:
        reviewers = rows.render_json(sorted(snapshot.plan.reviewers))
        db.execute(ADD_TO_INBOX, at | {"decide_by": values["decide_by"], "reviewers": reviewers})
    return (held,)


# --- moving


def _advance_sql(event: Event, *, resolves: bool) -> str:
    column = _CLOCK[event]
    return sql(
        """
        UPDATE request
           SET version = version + 1{and_state}
         WHERE home = :home AND n = :n
           AND (:version IS NULL OR version = :version)
           AND state IN ({before}){and_clock}
        RETURNING {held}
        """,
        and_state=", state = :state, detail = :detail" if resolves else "",
        before=sql_list(stages_before(event)),
        and_clock=f" AND {column} > :alive_at" if column else "",
        held=HELD,
    )


ADVANCE: Final = {event: _advance_sql(event, resolves=True) for event in Event}
RAISE_VERSION: Final = {event: _advance_sql(event, resolves=False) for event in Event}

CLOSE_HOME: Final = {
    event: sql(
        """
        UPDATE request
           SET version = version + 1, state = :state, detail = :detail
         WHERE home = :home
           AND state IN ({before})
        RETURNING {held}
        """,
        before=sql_list(stages_before(event)),
        held=HELD,
    )
    for event in Event
}

CLEAR_INBOX: Final = """
    DELETE FROM inbox
     WHERE home = :home AND n = :n
    """


def _advance(db: apsw.Connection, home: Home, step: Advance) -> tuple[Held, ...] | None:
    where: dict[str, Any] = {"home": home, "n": step.n, "version": step.version}
    if _CLOCK[step.event]:
        where["alive_at"] = rows.micros(step.alive_at)
    if step.to is None:
        found = db.execute(RAISE_VERSION[step.event], where).fetchall()
    else:
        found = db.execute(ADVANCE[step.event], where | _to(step.event, step.to)).fetchall()
    if not found:
        return None
    held = rows.parse_held(found[0])
    _leave_inbox(db, held)
    return (held,)


def _close(db: apsw.Connection, home: Home, step: CloseHome) -> tuple[Held, ...]:
    where = {"home": home} | _to(step.event, step.to)
    closed = tuple(map(rows.parse_held, db.execute(CLOSE_HOME[step.event], where).fetchall()))
    for held in closed:
        _leave_inbox(db, held)
    return closed


def _leave_inbox(db: apsw.Connection, held: Held) -> None:
    if stage_of(held.state) not in OPEN:
        db.execute(CLEAR_INBOX, {"home": held.key.home, "n": held.key.n})


def _to(event: Event, state: State) -> dict[str, Any]:
    stage = stage_of(state)
    if all(stage_after(before, event) is not stage for before in stages_before(event)):
        raise ValueError(f"{event} never leads to {stage}")
    return {"state": stage.value, "detail": rows.state_detail(state)}


# --- votes, tokens, rows

CAST_VOTE: Final = sql(
    """
    INSERT INTO vote (home, n, {ballot})
    VALUES (:home, :n, :voter, :verdict, :granted, :reason, :shareable, :seen, :shown,
            :version, :at, :authenticated)
    ON CONFLICT (home, n, voter) DO NOTHING
    RETURNING n
    """,
    ballot=BALLOT,
)

REVOKE_TOKEN: Final = """
    UPDATE token
       SET revoked_at = :at
     WHERE home = :home AND jti = :jti
       AND client_id = :client
       AND revoked_at IS NULL
    RETURNING n
    """

ADD_TOKEN: Final = sql(
    """
    INSERT INTO token (home, {token})
    VALUES (:home, :jti, :n, :client, :subject, :issued_at, :expires_at, :revoked_at)
    """,
    token=TOKEN,
)

ADD_EVENT: Final = sql(
    """
    INSERT INTO audit (home, seq, {event})
    VALUES (:home, (SELECT 1 + coalesce(max(seq), 0) FROM audit WHERE home = :home),
            :n, :at, :event, :actor, :detail)
    """,
    event=EVENT,
)

ADD_PULSE: Final = """
    INSERT INTO pulse (bucket, beats)
    VALUES (:bucket, 1)
    ON CONFLICT (bucket) DO UPDATE SET beats = beats + 1
    """


def _add(db: apsw.Connection, home: Home, row: Row) -> None:
    match row:
        case TokenRecord():
            db.execute(ADD_TOKEN, {"home": home, **rows.token_values(row)})
        case AuditEvent():
            db.execute(ADD_EVENT, {"home": home, **rows.event_values(row)})
        case Pulse():
            beat(db, home)
        case never:
            assert_never(never)


def beat(db: apsw.Connection, home: Home) -> None:
    """Write something that means nothing."""
    db.execute(ADD_PULSE, {"bucket": home[0] % _BUCKETS})

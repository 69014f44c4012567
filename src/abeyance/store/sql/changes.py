"""A `Change` in SQL: each step one conditional statement at the change's home.

The lists of states come from `pending.states`; the clocks of the events are
here (`_CLOCK`). Nothing is read before it is written: a step that finds no row
to change has lost, and what it met is read in the same transaction, after what
the steps before it did has been taken back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Generic, TypeVar, assert_never

from abeyance.parties.client import Client
from abeyance.pending.change import (
    Advance,
    AnswerDevice,
    Applied,
    AuditEvent,
    BindDevice,
    CastVote,
    Change,
    ClaimDevice,
    CloseHome,
    ContestDevice,
    DerivedFrom,
    EndStanding,
    HoldFamily,
    LiveUntil,
    NewFamily,
    NoteArrival,
    Open,
    OpenDevice,
    OpenGrant,
    Pulse,
    RecordInteraction,
    Recover,
    Reseal,
    RevokeToken,
    Row,
    SealedCopy,
    SpendCode,
    SpendDevice,
    Step,
    Superseded,
    TokenRecord,
    TurnFamily,
    UseAssertion,
)
from abeyance.pending.credentials import Code
from abeyance.pending.handles import Home
from abeyance.pending.message import Message
from abeyance.pending.repetition import Delivery, Repetition
from abeyance.pending.request import Held, Key, Snapshot
from abeyance.pending.standing import StandingApproval
from abeyance.pending.states import (
    OPEN,
    TRANSITIONS,
    Event,
    Stage,
    State,
    stage_after,
    stage_of,
    stages_before,
)
from abeyance.store.sql import (
    changes_grants,
    devices,
    outbox,
    repetitions,
    reviewing,
    rows,
    rows_snapshot,
)
from abeyance.store.sql.db import Db
from abeyance.store.sql.inbox import A_TURN, LAST_TURN
from abeyance.store.sql.requests import find_at, find_holding_row
from abeyance.store.sql.text import (
    BALLOT,
    EVENT,
    HELD,
    OPEN_STATES,
    STATE,
    TOKEN,
    each_of,
    named,
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
    forgotten: tuple[bytes, ...] = ()  # digests of handles
    posted: bool = False  # a message may have fallen due
    client: Client | None = None
    replaced: bool = False  # there was another `client` before it


async def apply(db: Db, change: Change) -> Written[Applied | Superseded]:
    """Apply all of `change` or nothing."""
    await db.hold(change.home)
    moved: list[Held] = []
    for step in change.steps:
        left = await _take(db, change.home, step)
        if left is None:
            await db.undo()
            return Written(Superseded(step, await _met(db, change.home, step)))
        moved += left
    for row in change.rows:
        await _add(db, change.home, row)
    posted = any(isinstance(row, Message) and row.due_at is not None for row in change.rows)
    return Written(
        Applied(await _left_by_last(db, change, moved)),
        tuple(moved),
        posted=posted or any(stage_of(held.state) not in OPEN for held in moved),
    )


async def _take(db: Db, home: Home, step: Step) -> tuple[Held, ...] | None:
    """Do one step: the requests that it moved, or `None` if it lost."""
    match step:
        case Open():
            return await _open(db, home, step)
        case Advance():
            return await _advance(db, home, step)
        case CastVote(n, ballot):
            cast = {"home": home, "n": n, **rows.ballot_values(ballot)}
            return () if await db.rows(CAST_VOTE, cast) else None
        case RecordInteraction():
            return await _record_interaction(db, home, step)
        case NoteArrival():
            return await _note_arrival(db, home, step)
        case OpenGrant():
            return _won(await changes_grants.open_grant(db, home, step))
        case UseAssertion():
            return _won(await changes_grants.use_assertion(db, home, step))
        case SpendCode():
            return _won(await changes_grants.spend_code(db, home, step))
        case HoldFamily():
            return _won(await changes_grants.hold_family(db, home, step))
        case TurnFamily():
            return _won(await changes_grants.turn_family(db, home, step))
        case CloseHome():
            return await _close(db, home, step)
        case Recover():
            return _won(await repetitions.recover(db, home, step))
        case OpenDevice():
            return _won(await devices.open_device(db, home, step))
        case BindDevice():
            return _won(await devices.bind_device(db, home, step))
        case ClaimDevice():
            return _won(await devices.claim_device(db, home, step))
        case ContestDevice():
            return _won(await devices.contest_device(db, home, step))
        case AnswerDevice():
            return _won(await devices.answer_device(db, home, step))
        case SpendDevice():
            return _won(await devices.spend_device(db, home, step))
        case RevokeToken(jti, client, at):
            revoke = {"home": home, "jti": jti, "client": client, "at": rows.micros(at)}
            return () if await db.rows(REVOKE_TOKEN, revoke) else None
        case EndStanding():
            return _won(await reviewing.end_standing(db, home, step))
        case never:
            assert_never(never)


def _won(won: bool) -> tuple[Held, ...] | None:
    return () if won else None


async def _met(db: Db, home: Home, step: Step) -> Held | None:
    match step:
        case Open(held, holds_family=True):
            return await find_at(db, held.key) or await find_holding_row(db, home, held.opened_at)
        case Open(held):
            return await find_at(db, held.key)
        case Advance(n) | CastVote(n) | RecordInteraction(n) | NoteArrival(n):
            return await find_at(db, Key(home, n))
        case _:
            return None


async def _left_by_last(db: Db, change: Change, moved: list[Held]) -> Held | None:
    match change.steps[-1:]:
        case (Open() | Advance() | NoteArrival(),):
            return moved[-1]
        case (CastVote(n) | RecordInteraction(n),):
            return await find_at(db, Key(change.home, n))
        case _:
            return None


# --- opening

OPEN_REQUEST: Final = sql(
    """
    INSERT INTO request ({held}, holds_family)
    SELECT :home, :n, :version, :state, :detail, :client, :jkt, :digest,
           :opened_at, :decide_by, :expires_at, :interval, :holds_family
     WHERE :most_of_client > (SELECT count(*)
                                FROM request
                               WHERE client_id = :client
                                 AND state IN ({open})
                                 AND expires_at > :opened_at)
       AND (:person IS NULL
            OR :most_of_person > (SELECT count(*)
                                    FROM (SELECT DISTINCT home, n
                                            FROM inbox
                                           WHERE person = :person
                                             AND decide_by > :opened_at
                                           LIMIT :most_of_person) AS theirs))
       AND (:holds_family = 0
            OR NOT EXISTS (SELECT 1
                             FROM request
                            WHERE home = :home
                              AND holds_family = 1
                              AND {of_state} IN ({open})
                              AND expires_at > :opened_at))
    ON CONFLICT DO NOTHING
    RETURNING n
    """,
    held=HELD,
    of_state=STATE,
    open=OPEN_STATES,
)

ADD_SNAPSHOT: Final = """
    INSERT INTO snapshot (home, n, document)
    VALUES (:home, :n, :document)
    """

# Beyond a few of one client, the others come first (SEC-DOS-09). Whoever has as many of this
# client's as may be is left out, and then the request does not open (EXT-QUEUE-01).
ADD_TO_INBOX: Final = """
    WITH asked AS MATERIALIZED (
        SELECT column1 AS reviewer,
               (SELECT count(*)
                  FROM (SELECT 1
                          FROM inbox
                         WHERE client_id = :client
                           AND reviewer = column1
                           AND decide_by > :opened_at
                         LIMIT :most_of_reviewer) AS theirs) AS waiting
          FROM (VALUES {reviewers}) AS reviewers)
    INSERT INTO inbox (home, n, reviewer, decide_by, client_id, person, turn)
    SELECT :home, :n, reviewer, :decide_by, :client, :person,
           CASE WHEN waiting < :in_turns THEN waiting ELSE :in_turns END / :a_turn
      FROM asked
     WHERE waiting < :most_of_reviewer
    RETURNING n
    """


async def _open(db: Db, home: Home, step: Open) -> tuple[Held, ...] | None:
    held, snapshot = step.held, step.snapshot
    if held.key.home != home:
        raise ValueError("a request opens at the home of its change")
    if (held.client, held.binding) != (snapshot.client, snapshot.binding):
        raise ValueError("a request has the client and the key of its snapshot")
    # Others of this client, or about this person, may be opening at other homes.
    await db.hold(b"client " + snapshot.client.encode())
    if snapshot.person is not None:
        await db.hold(b"person " + snapshot.person.encode())
    values = rows.held_values(held)
    conditions = {
        "person": snapshot.person,
        "most_of_client": step.at_most.client,
        "most_of_person": step.at_most.person,
        "most_of_reviewer": step.at_most.reviewer,
        "holds_family": int(step.holds_family),
    }
    if not await db.rows(OPEN_REQUEST, values | conditions):
        return None
    at = {"home": home, "n": held.key.n}
    await db.rows(ADD_SNAPSHOT, at | {"document": rows_snapshot.snapshot_document(snapshot)})
    await _add_concerns(db, at | {"opened_at": values["opened_at"]}, snapshot)
    if stage_of(held.state) in OPEN and snapshot.plan.reviewers:
        reviewers = sorted(snapshot.plan.reviewers)
        turns = {"a_turn": A_TURN, "in_turns": A_TURN * LAST_TURN}
        added = await db.rows(
            sql(ADD_TO_INBOX, reviewers=each_of("reviewer", len(reviewers))),
            values | conditions | turns | named("reviewer", reviewers),
        )
        if len(added) < len(reviewers):
            return None
    return (held,)


ADD_CONCERNS: Final = """
    INSERT INTO concern (person, part, opened_at, home, n)
    SELECT column1, :part, :opened_at, :home, :n
      FROM (VALUES {people}) AS people
    """


async def _add_concerns(db: Db, at: dict[str, Any], snapshot: Snapshot) -> None:
    askers = {snapshot.client_owner, snapshot.person} - {None}
    for part, people in (("reviewer", snapshot.plan.reviewers), ("asker", askers)):
        if people:
            await db.rows(
                sql(ADD_CONCERNS, people=each_of("person", len(people))),
                at | {"part": part} | named("person", people),
            )


# --- moving


def _advance_sql(event: Event, *, resolves: bool) -> str:
    column = _CLOCK[event]
    return sql(
        """
        UPDATE request
           SET version = version + 1{and_state}
         WHERE home = :home AND n = :n
           AND (:version IS NULL OR version = :version)
           AND {of_state} IN ({before}){and_clock}
        RETURNING {held}
        """,
        of_state=STATE,
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
           AND {of_state} IN ({before})
           AND (:at IS NULL OR expires_at > :at)
        RETURNING {held}
        """,
        of_state=STATE,
        before=sql_list(stages_before(event)),
        held=HELD,
    )
    for event in Event
}

CLEAR_INBOX: Final = """
    DELETE FROM inbox
     WHERE home = :home AND n = :n
    """


async def _advance(db: Db, home: Home, step: Advance) -> tuple[Held, ...] | None:
    where: dict[str, Any] = {"home": home, "n": step.n, "version": step.version}
    if _CLOCK[step.event]:
        where["alive_at"] = rows.micros(step.alive_at)
    if step.to is None:
        found = await db.rows(RAISE_VERSION[step.event], where)
    else:
        found = await db.rows(ADVANCE[step.event], where | _to(step.event, step.to))
    if not found:
        return None
    held = rows.parse_held(found[0])
    await _leave_inbox(db, held)
    await _tell(db, held, step.alive_at, quiet=step.quiet)
    return (held,)


async def _close(db: Db, home: Home, step: CloseHome) -> tuple[Held, ...]:
    at = None if step.at is None else rows.micros(step.at)
    where = {"home": home, "at": at} | _to(step.event, step.to)
    closed = tuple(map(rows.parse_held, await db.rows(CLOSE_HOME[step.event], where)))
    for held in closed:
        await _leave_inbox(db, held)
        await _tell(db, held, step.at or held.opened_at)
    await changes_grants.end_home(db, home, step)
    return closed


async def _leave_inbox(db: Db, held: Held) -> None:
    stage = stage_of(held.state)
    if stage not in OPEN:
        await db.rows(CLEAR_INBOX, {"home": held.key.home, "n": held.key.n})
    if not TRANSITIONS[stage]:
        await changes_grants.drop_sealed(db, held.key.home, held.key.n)


async def _tell(db: Db, held: Held, at: datetime, *, quiet: bool = False) -> None:
    """Whoever waits to hear of the end of this request hears of it now."""
    stage = stage_of(held.state)
    if stage in OPEN:
        return
    if quiet or stage is Stage.REDEEMED:
        await outbox.suppress(db, held.key)
    await outbox.fall_due(db, held.key, at)


def _to(event: Event, state: State) -> dict[str, Any]:
    stage = stage_of(state)
    if all(stage_after(before, event) is not stage for before in stages_before(event)):
        raise ValueError(f"{event} never leads to {stage}")
    return {"state": stage.value, "detail": rows.state_detail(state)}


# --- interactions, votes, tokens, rows

RECORD_INTERACTION: Final = """
    INSERT INTO interaction (home, n, number, document)
    VALUES (:home, :n, :number, :document)
    ON CONFLICT DO NOTHING
    RETURNING n
    """


async def _record_interaction(
    db: Db, home: Home, step: RecordInteraction
) -> tuple[Held, ...] | None:
    done = step.interaction
    record = {
        "home": home,
        "n": step.n,
        "number": done.number,
        "document": rows_snapshot.interaction_document(done),
    }
    return _won(bool(await db.rows(RECORD_INTERACTION, record)))


NOTE_ARRIVAL: Final = sql(
    """
    UPDATE request
       SET detail = :arrived
     WHERE home = :home AND n = :n
       AND {of_state} = :state AND detail = :seen
       AND expires_at > :at
    RETURNING {held}
    """,
    of_state=STATE,
    held=HELD,
)


async def _note_arrival(db: Db, home: Home, step: NoteArrival) -> tuple[Held, ...] | None:
    where = {
        "home": home,
        "n": step.n,
        "state": stage_of(step.seen).value,
        "seen": rows.state_detail(step.seen),
        "arrived": rows.state_detail(replace(step.seen, arrived=True)),
        "at": rows.micros(step.at),
    }
    found = await db.rows(NOTE_ARRIVAL, where)
    return tuple(map(rows.parse_held, found)) or None


CAST_VOTE: Final = sql(
    """
    INSERT INTO vote (home, n, {ballot})
    VALUES (:home, :n, :voter, :verdict, :granted, :reason, :shareable, :seen, :shown,
            :version, :at, :authenticated)
    ON CONFLICT DO NOTHING
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
    VALUES (:home, :jti, :n, :client, :subject, :issued_at, :expires_at, :revoked_at,
            :until)
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
    ON CONFLICT (bucket) DO UPDATE SET beats = pulse.beats + 1
    """


async def _add(db: Db, home: Home, row: Row) -> None:
    match row:
        case TokenRecord():
            await db.rows(ADD_TOKEN, {"home": home, **rows.token_values(row)})
        case AuditEvent():
            await db.rows(ADD_EVENT, {"home": home, **rows.event_values(row)})
        case Pulse():
            await beat(db, home)
        case Code():
            await changes_grants.add_code(db, home, row)
        case NewFamily():
            await changes_grants.add_family(db, home, row)
        case LiveUntil():
            await changes_grants.live_until(db, home, row)
        case DerivedFrom():
            await changes_grants.add_derived(db, home, row)
        case Reseal():
            await outbox.reseal(db, home, row)
        case SealedCopy():
            await changes_grants.add_sealed(db, home, row)
        case Repetition():
            await repetitions.add_repetition(db, home, row)
        case Delivery():
            await repetitions.keep_delivery(db, home, row)
        case Message():
            await outbox.add_message(db, home, row)
        case StandingApproval():
            await reviewing.add_standing(db, home, row)
        case never:
            assert_never(never)


async def beat(db: Db, home: Home) -> None:
    """Write something that means nothing."""
    await db.rows(ADD_PULSE, {"bucket": home[0] % _BUCKETS})

"""A `Change` in SQL: each step one conditional statement at the change's home.

Nothing is read before it is written: a step that finds no row to change has
lost, and what it met is read in the same transaction, after what the steps
before it did has been taken back. How a request opens is in `changes_opening`,
how it moves and ends in `changes_moving`, what a grant leaves in
`changes_grants`.
"""

from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar, assert_never

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
from abeyance.pending.request import Held, Key
from abeyance.pending.standing import StandingApproval
from abeyance.pending.states import (
    OPEN,
    stage_of,
)
from abeyance.store.sql import (
    changes_grants,
    changes_moving,
    changes_opening,
    devices,
    outbox,
    repetitions,
    reviewing,
    rows,
    rows_snapshot,
)
from abeyance.store.sql.db import Db
from abeyance.store.sql.requests import find_at, find_holding_row
from abeyance.store.sql.text import (
    BALLOT,
    EVENT,
    HELD,
    STATE,
    TOKEN,
    sql,
)

T = TypeVar("T")

_BUCKETS: Final = 64


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
            return await changes_opening.open_request(db, home, step)
        case Advance():
            return await changes_moving.advance(db, home, step)
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
            return await changes_moving.close_home(db, home, step)
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

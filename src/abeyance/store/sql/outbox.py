"""Messages that wait to be sent: they fall due with their request, are leased and settled."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from abeyance.pending.change import Reseal
from abeyance.pending.handles import Home
from abeyance.pending.message import Claimed, Done, Message, MessageKind, RetryAt, Settled
from abeyance.pending.request import Key
from abeyance.store.sql.db import Db
from abeyance.store.sql.rows import instant, micros, parse_bytes, parse_count

ADD_MESSAGE: Final = """
    INSERT INTO outbox (home, n, seq, kind, "to", sealed, due_at, on_end, until)
    VALUES (:home, :n, :seq, :kind, :to, :sealed, :due_at, :on_end, :until)
    """

RESEAL: Final = """
    UPDATE outbox
       SET sealed = :sealed
     WHERE home = :home AND n = :n AND seq = :seq
    """

FALL_DUE: Final = """
    UPDATE outbox
       SET due_at = :at
     WHERE home = :home AND n = :n
       AND on_end = 1 AND attempt = 0
       AND (due_at IS NULL OR due_at > :at)
    """

# Whoever has collected knows; whoever has withdrawn asked not to be told (DTR-CANC-02).
SUPPRESS: Final = """
    DELETE FROM outbox
     WHERE home = :home AND n = :n
       AND kind = 'callback'
    """

DROP_LATE: Final = """
    WITH late AS /*! MATERIALIZED */ (
        SELECT home, n, seq
          FROM outbox
         WHERE until <= :now
         LIMIT :limit
        /*! FOR UPDATE SKIP LOCKED */)
    DELETE FROM outbox
     WHERE (home, n, seq) IN (SELECT home, n, seq FROM late)
    """

# Whoever claims at the same moment takes the next ones, and waits for nobody who has stopped.
CLAIM: Final = """
    WITH due AS /*! MATERIALIZED */ (
        SELECT home, n, seq
          FROM outbox
         WHERE due_at <= :now AND until > :now
         ORDER BY due_at
         LIMIT :limit
        /*! FOR UPDATE SKIP LOCKED */)
    UPDATE outbox
       SET due_at = :lease, attempt = attempt + 1
     WHERE (home, n, seq) IN (SELECT home, n, seq FROM due)
       AND due_at <= :now
    RETURNING home, n, seq, kind, "to", sealed, attempt, due_at, until
    """

# Whose claim it is: an attempt that did not count leaves its number to the next, the lease is its
# own. Compared so that no planner goes by the instants instead of by the home.
IS_CLAIMED: Final = """
    SELECT 1
      FROM outbox
     WHERE home = :home AND n = :n AND seq = :seq
       AND attempt = :attempt AND coalesce(due_at, 0) = :lease
    """

FORGET: Final = """
    DELETE FROM outbox
     WHERE home = :home AND n = :n AND seq = :seq
       AND attempt = :attempt AND coalesce(due_at, 0) = :lease
    """

TRY_AGAIN: Final = """
    UPDATE outbox
       SET due_at = :at, attempt = attempt - :back
     WHERE home = :home AND n = :n AND seq = :seq
       AND attempt = :attempt AND coalesce(due_at, 0) = :lease
    """

NEXT: Final = """
    SELECT min(at)
      FROM (SELECT min(due_at) AS at FROM outbox WHERE due_at IS NOT NULL
             UNION ALL
            SELECT min(until) FROM outbox) AS instants
    """


async def add_message(db: Db, home: Home, row: Message) -> None:
    await db.rows(
        ADD_MESSAGE,
        {
            "home": home,
            "n": row.n,
            "seq": row.seq,
            "kind": row.kind.value,
            "to": row.to,
            "sealed": row.sealed,
            "due_at": None if row.due_at is None else micros(row.due_at),
            "on_end": int(row.on_end),
            "until": micros(row.until),
        },
    )


async def reseal(db: Db, home: Home, row: Reseal) -> None:
    await db.rows(RESEAL, {"home": home, "n": row.n, "seq": row.seq, "sealed": row.sealed})


async def fall_due(db: Db, key: Key, at: datetime) -> None:
    """The request has ended: tell those who wait for that."""
    await db.rows(FALL_DUE, {"home": key.home, "n": key.n, "at": micros(at)})


async def suppress(db: Db, key: Key) -> None:
    """Its client is told nothing any more."""
    await db.rows(SUPPRESS, {"home": key.home, "n": key.n})


async def claim(db: Db, now: datetime, lease: datetime, limit: int) -> Sequence[Claimed]:
    await db.rows(DROP_LATE, {"now": micros(now), "limit": limit})
    values = {"now": micros(now), "lease": micros(lease), "limit": limit}
    return [_claimed(row) for row in await db.rows(CLAIM, values)]


async def is_claimed(db: Db, claimed: Claimed) -> bool:
    return bool(await db.rows(IS_CLAIMED, _claim_of(claimed)))


async def settle(db: Db, claimed: Claimed, settled: Settled) -> None:
    """Whoever comes after the lease changes nothing: then it is another's attempt."""
    where = _claim_of(claimed)
    match settled:
        case Done():
            await db.rows(FORGET, where)
        case RetryAt(at, counts):
            await db.rows(TRY_AGAIN, where | {"at": micros(at), "back": 0 if counts else 1})


async def next_at(db: Db) -> datetime | None:
    [(at,)] = await db.rows(NEXT)
    return None if at is None else instant(parse_count(at))


def _claim_of(claimed: Claimed) -> dict[str, Any]:
    return {
        "home": claimed.key.home,
        "n": claimed.key.n,
        "seq": claimed.seq,
        "attempt": claimed.attempt,
        "lease": micros(claimed.leased_until),
    }


def _claimed(row: Sequence[Any]) -> Claimed:
    home, n, seq, kind, to, sealed, attempt, leased_until, until = row
    return Claimed(
        key=Key(Home(parse_bytes(home)), parse_count(n)),
        seq=parse_count(seq),
        kind=MessageKind(kind),
        to=to,
        sealed=None if sealed is None else parse_bytes(sealed),
        attempt=parse_count(attempt),
        leased_until=instant(parse_count(leased_until)),
        until=instant(parse_count(until)),
    )

"""Reads of requests and tokens, each by its key."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from abeyance.pending.change import AuditEvent, TokenRecord
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.interaction import Interaction
from abeyance.pending.request import Held, Key, Loaded
from abeyance.pending.votes import Ballot
from abeyance.store.sql import grants, rows, rows_snapshot
from abeyance.store.sql.db import Db
from abeyance.store.sql.text import (
    BALLOT,
    EVENT,
    HELD,
    OPEN_STATES,
    STATE,
    TOKEN,
    sql,
)

FIND_HELD: Final = sql(
    """
    SELECT {held}
      FROM request
     WHERE home = :home AND handle_digest = :digest
    """,
    held=HELD,
)

FIND_AT: Final = sql(
    """
    SELECT {held}
      FROM request
     WHERE home = :home AND n = :n
    """,
    held=HELD,
)

FIND_KEPT: Final = sql(
    """
    SELECT {held}
      FROM request
     WHERE home = :home AND (:n IS NULL OR n = :n) AND disposed = 0
     ORDER BY n
    """,
    held=HELD,
)

FIND_SNAPSHOT: Final = """
    SELECT document
      FROM snapshot
     WHERE home = :home AND n = :n
    """

LIST_BALLOTS: Final = sql(
    """
    SELECT {ballot}
      FROM vote
     WHERE home = :home AND n = :n
     ORDER BY version, voter
    """,
    ballot=BALLOT,
)

FIND_TOKEN: Final = sql(
    """
    SELECT {token}
      FROM token
     WHERE home = :home AND jti = :jti
    """,
    token=TOKEN,
)

LIST_EVENTS: Final = sql(
    """
    SELECT {event}
      FROM audit
     WHERE home = :home AND n = :n
     ORDER BY seq
    """,
    event=EVENT,
)

LIST_INTERACTIONS: Final = """
    SELECT number, document
      FROM interaction
     WHERE home = :home AND n = :n
     ORDER BY number
    """

FIND_HOLDING: Final = sql(
    """
    SELECT {held}
      FROM request
     WHERE home = :home
       AND holds_family = 1
       AND {of_state} IN ({open})
       AND expires_at > :now
    """,
    held=HELD,
    of_state=STATE,
    open=OPEN_STATES,
)

FIND_SEALED: Final = "SELECT value FROM sealed WHERE home = :home AND n = :n"


async def find_held(db: Db, handle: HandleHash) -> Held | None:
    where = {"home": handle.home, "digest": handle.digest}
    found = await db.rows(FIND_HELD, where)
    return rows.parse_held(found[0]) if found else None


async def find_at(db: Db, key: Key) -> Held | None:
    found = await db.rows(FIND_AT, _at(key))
    return rows.parse_held(found[0]) if found else None


async def find_loaded(db: Db, key: Key) -> Loaded | None:
    found = await db.rows(FIND_KEPT, _at(key))
    return await load(db, rows.parse_held(found[0])) if found else None


async def list_loaded(db: Db, home: Home) -> Sequence[Loaded]:
    found = await db.rows(FIND_KEPT, {"home": home, "n": None})
    return [await load(db, rows.parse_held(row)) for row in found]


async def load(db: Db, held: Held) -> Loaded:
    """Add what is cold; in the transaction in which `held` was read."""
    [[document]] = await db.rows(FIND_SNAPSHOT, _at(held.key))
    snapshot = rows_snapshot.parse_snapshot(held, str(document))
    return Loaded(
        held,
        snapshot,
        await list_ballots(db, held.key),
        await list_interactions(db, held.key),
        await grants.find_family(db, held.key.home),
    )


async def list_ballots(db: Db, key: Key) -> tuple[Ballot, ...]:
    return tuple(rows.parse_ballot(row) for row in await db.rows(LIST_BALLOTS, _at(key)))


async def find_token(db: Db, home: Home, jti: bytes) -> TokenRecord | None:
    found = await db.rows(FIND_TOKEN, {"home": home, "jti": jti})
    return rows.parse_token(found[0]) if found else None


async def list_events(db: Db, key: Key) -> Sequence[AuditEvent]:
    return [rows.parse_event(row) for row in await db.rows(LIST_EVENTS, _at(key))]


async def list_interactions(db: Db, key: Key) -> tuple[Interaction, ...]:
    found = await db.rows(LIST_INTERACTIONS, _at(key))
    return tuple(
        rows_snapshot.parse_interaction(rows.parse_count(number), str(document))
        for number, document in found
    )


async def find_holding_row(db: Db, home: Home, now: datetime) -> Held | None:
    where = {"home": home, "now": rows.micros(now)}
    found = await db.rows(FIND_HOLDING, where)
    return rows.parse_held(found[0]) if found else None


async def find_holding(db: Db, home: Home, now: datetime) -> Loaded | None:
    held = await find_holding_row(db, home, now)
    return None if held is None else await load(db, held)


async def find_sealed(db: Db, key: Key) -> bytes | None:
    found = await db.rows(FIND_SEALED, _at(key))
    return rows.parse_bytes(found[0][0]) if found else None


def _at(key: Key) -> dict[str, bytes | int]:
    return {"home": key.home, "n": key.n}

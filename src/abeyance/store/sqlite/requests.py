"""Reads of requests and tokens, each by its key."""

from collections.abc import Sequence
from typing import Final

import apsw

from abeyance.parties.client import ClientId
from abeyance.pending.change import AuditEvent, TokenRecord
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.request import Held, Key, Loaded
from abeyance.pending.votes import Ballot
from abeyance.store.sqlite import rows
from abeyance.store.sqlite.sql import (
    BALLOT,
    DECIDED_STATES,
    EVENT,
    HELD,
    OPEN_STATES,
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
     ORDER BY rowid
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

LIST_OPEN_HOMES: Final = sql(
    """
    SELECT home
      FROM request
     WHERE client_id = :client AND state IN ({open})
    UNION ALL
    SELECT home
      FROM request
     WHERE client_id = :client AND state IN ({decided})
     LIMIT :limit
    """,
    open=OPEN_STATES,
    decided=DECIDED_STATES,
)


def find_held(db: apsw.Connection, handle: HandleHash) -> Held | None:
    where = {"home": handle.home, "digest": handle.digest}
    found = db.execute(FIND_HELD, where).fetchall()
    return rows.parse_held(found[0]) if found else None


def find_at(db: apsw.Connection, key: Key) -> Held | None:
    found = db.execute(FIND_AT, _at(key)).fetchall()
    return rows.parse_held(found[0]) if found else None


def find_loaded(db: apsw.Connection, key: Key) -> Loaded | None:
    held = find_at(db, key)
    return None if held is None else load(db, held)


def load(db: apsw.Connection, held: Held) -> Loaded:
    """Add what is cold; in the transaction in which `held` was read."""
    [[document]] = db.execute(FIND_SNAPSHOT, _at(held.key))
    snapshot = rows.parse_snapshot(held, str(document))
    return Loaded(held, snapshot, list_ballots(db, held.key))


def list_ballots(db: apsw.Connection, key: Key) -> tuple[Ballot, ...]:
    return tuple(rows.parse_ballot(row) for row in db.execute(LIST_BALLOTS, _at(key)))


def find_token(db: apsw.Connection, home: Home, jti: bytes) -> TokenRecord | None:
    found = db.execute(FIND_TOKEN, {"home": home, "jti": jti}).fetchall()
    return rows.parse_token(found[0]) if found else None


def list_events(db: apsw.Connection, key: Key) -> Sequence[AuditEvent]:
    return [rows.parse_event(row) for row in db.execute(LIST_EVENTS, _at(key))]


def list_open_homes(db: apsw.Connection, client: ClientId, limit: int) -> Sequence[Home]:
    """Each home once, even if several of its requests are open."""
    found = db.execute(LIST_OPEN_HOMES, {"client": client, "limit": limit})
    return list(dict.fromkeys(map(rows.parse_home, found)))


def _at(key: Key) -> dict[str, bytes | int]:
    return {"home": key.home, "n": key.n}

"""What rests sealed, for sealing it anew: copies of handles, and what callbacks take."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from abeyance.pending.handles import Home
from abeyance.pending.request import Key
from abeyance.store.ports import Sealed
from abeyance.store.sql.db import Db
from abeyance.store.sql.rows import micros, parse_bytes, parse_count
from abeyance.store.sql.text import OPEN_STATES, sql

LIST_COPIES: Final = """
    SELECT home, n, value
      FROM sealed
     WHERE (home, n) > (:home, :n)
     ORDER BY home, n
     LIMIT :limit
    """

LIST_MESSAGES: Final = """
    SELECT home, n, sealed, seq
      FROM outbox
     WHERE kind = 'callback' AND sealed IS NOT NULL AND (home, n, seq) > (:home, :n, :seq)
     ORDER BY home, n, seq
     LIMIT :limit
    """

REPLACE_COPY: Final = """
    UPDATE sealed
       SET value = :value
     WHERE home = :home AND n = :n AND value = :before
    RETURNING 1
    """

REPLACE_MESSAGE: Final = """
    UPDATE outbox
       SET sealed = :value
     WHERE home = :home AND n = :n AND seq = :seq AND sealed = :before
    RETURNING 1
    """

IS_WAITING_SINCE: Final = sql(
    """
    SELECT EXISTS (SELECT 1
                     FROM request
                    WHERE state IN ({open}) AND expires_at > :now AND opened_at < :at)
    """,
    open=OPEN_STATES,
)

_START: Final[Mapping[str, Any]] = {"home": b"", "n": 0, "seq": -1}


async def list_sealed(db: Db, after: Sealed | None, limit: int) -> Sequence[Sealed]:
    """The copies first, then the messages."""
    page: list[Sealed] = []
    if after is None or after.seq is None:
        found = await db.rows(LIST_COPIES, _place(after) | {"limit": limit})
        page = [Sealed(_key(row), None, parse_bytes(row[2])) for row in found]
        after = None
    if len(page) < limit:
        found = await db.rows(LIST_MESSAGES, _place(after) | {"limit": limit - len(page)})
        page += [Sealed(_key(row), parse_count(row[3]), parse_bytes(row[2])) for row in found]
    return page


async def replace_sealed(db: Db, before: Sealed, value: bytes) -> bool:
    await db.hold(before.key.home)
    where = _place(before) | {"before": before.value, "value": value}
    return bool(await db.rows(REPLACE_COPY if before.seq is None else REPLACE_MESSAGE, where))


async def is_waiting_since(db: Db, at: datetime, now: datetime) -> bool:
    [(found,)] = await db.rows(IS_WAITING_SINCE, {"at": micros(at), "now": micros(now)})
    return bool(found)


def _place(at: Sealed | None) -> dict[str, Any]:
    if at is None:
        return dict(_START)
    return {"home": at.key.home, "n": at.key.n, "seq": at.seq}


def _key(row: Sequence[Any]) -> Key:
    return Key(Home(parse_bytes(row[0])), parse_count(row[1]))

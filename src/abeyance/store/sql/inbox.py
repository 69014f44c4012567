"""What waits for a reviewer, page by page: in turns, and in each the nearest deadline first.

The first `A_TURN` of each client are in the first turn, the next in the second, and so on,
so that a client that asks a lot does not hide what others ask (SEC-DOS-09).
"""

import hashlib
import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from abeyance.parties.person import PersonId
from abeyance.pending.request import Held
from abeyance.store.ports import Page
from abeyance.store.sql import requests, rows
from abeyance.store.sql.db import Db
from abeyance.store.sql.text import HELD, sql
from abeyance.wire.base64url import parse_base64url, render_base64url

A_TURN: Final = 5
LAST_TURN: Final = 20

LIST_WAITING: Final = sql(
    """
    SELECT {held}
      FROM (SELECT home, n
              FROM inbox
             WHERE reviewer = :reviewer AND turn = :turn
               AND (decide_by, home, n) > (:decide_by, :home, :n)
             ORDER BY decide_by, home, n
             LIMIT :limit) AS waiting
      JOIN request USING (home, n)
     ORDER BY decide_by, home, n
    """,
    held=HELD,
)

COUNT_WAITING: Final = sql(
    """
    SELECT count(*)
      FROM (SELECT 1
              FROM inbox
             WHERE reviewer = :reviewer AND turn IN ({turns}) AND decide_by > :now
             LIMIT :at_most) AS waiting
    """,
    turns=", ".join(map(str, range(LAST_TURN + 1))),
)

_POSITION: Final = struct.Struct(">Bq16sQ")
_LAST_HOME: Final = b"\xff" * 16
_LAST_N: Final = 2**63 - 1
_CHECKSUM: Final = 6


@dataclass(frozen=True, slots=True, order=True)
class _Position:
    turn: int
    decide_by: int
    home: bytes
    n: int


async def list_waiting(
    db: Db, reviewer: PersonId, now: datetime, limit: int, cursor: str | None
) -> Page:
    """One row more than asked is read, to know whether there is a next page."""
    start = _Position(0, rows.micros(now), _LAST_HOME, _LAST_N)
    after = start if cursor is None else parse_cursor(reviewer, cursor)
    found: list[tuple[int, Held]] = []
    for turn in range(after.turn, LAST_TURN + 1):
        found += [
            (turn, held) for held in await _list_turn(db, reviewer, turn, after, start, limit + 1)
        ]
        if len(found) > limit:
            break
    shown = found[:limit]
    following = None
    if shown and len(found) > limit:
        turn, last = shown[-1]
        position = _Position(turn, rows.micros(last.decide_by), last.key.home, last.key.n)
        following = render_cursor(reviewer, position)
    return Page(tuple([await requests.load(db, held) for _, held in shown]), following)


async def _list_turn(
    db: Db,
    reviewer: PersonId,
    turn: int,
    after: _Position,
    start: _Position,
    limit: int,
) -> list[Held]:
    """What of one turn comes behind the cursor and has not run out."""
    first = start if after.turn < turn else after
    behind = max((first.decide_by, first.home, first.n), (start.decide_by, start.home, start.n))
    where = dict(zip(("decide_by", "home", "n"), behind, strict=True))
    listed = await db.rows(
        LIST_WAITING, {**where, "reviewer": reviewer, "turn": turn, "limit": limit}
    )
    return [rows.parse_held(row) for row in listed]


async def count_waiting(db: Db, reviewer: PersonId, now: datetime, at_most: int) -> int:
    where = {"reviewer": reviewer, "now": rows.micros(now), "at_most": at_most}
    [[count]] = await db.rows(COUNT_WAITING, where)
    return rows.parse_count(count)


def render_cursor(reviewer: PersonId, position: _Position) -> str:
    packed = _POSITION.pack(position.turn, position.decide_by, position.home, position.n)
    return render_base64url(packed + _checksum(reviewer, packed))


def parse_cursor(reviewer: PersonId, cursor: str) -> _Position:
    """Raises `ValueError` for anything but a cursor of this reviewer's list.

    The checksum is against accidents: a cursor opens nothing but its own list.
    """
    raw = parse_base64url(cursor)
    packed = raw[: _POSITION.size]
    if len(raw) != _POSITION.size + _CHECKSUM or raw[_POSITION.size :] != _checksum(
        reviewer, packed
    ):
        raise ValueError("not a cursor of this list")
    turn, decide_by, home, n = _POSITION.unpack(packed)
    if n > _LAST_N or turn > LAST_TURN:
        raise ValueError("not a cursor of this list")
    return _Position(turn, decide_by, home, n)


def _checksum(reviewer: PersonId, packed: bytes) -> bytes:
    return hashlib.sha256(b"inbox\0" + reviewer.encode() + b"\0" + packed).digest()[:_CHECKSUM]

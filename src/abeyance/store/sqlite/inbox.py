"""What waits for a reviewer, oldest deadline first, page by page."""

import hashlib
import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import apsw

from abeyance.parties.person import PersonId
from abeyance.store.ports import Page
from abeyance.store.sqlite import requests, rows
from abeyance.store.sqlite.sql import HELD, sql
from abeyance.wire.base64url import parse_base64url, render_base64url

LIST_WAITING: Final = sql(
    """
    SELECT {held}
      FROM (SELECT home, n
              FROM inbox
             WHERE reviewer = :reviewer
               AND (decide_by, home, n) > (:decide_by, :home, :n)
             ORDER BY decide_by, home, n
             LIMIT :limit)
      JOIN request USING (home, n)
     ORDER BY decide_by, home, n
    """,
    held=HELD,
)

COUNT_WAITING: Final = """
    SELECT count(*)
      FROM (SELECT 1
              FROM inbox
             WHERE reviewer = :reviewer AND decide_by > :now
             LIMIT :at_most)
    """

_POSITION: Final = struct.Struct(">q16sQ")
_LAST_HOME: Final = b"\xff" * 16
_LAST_N: Final = 2**63 - 1
_CHECKSUM: Final = 6


@dataclass(frozen=True, slots=True, order=True)
class _Position:
    decide_by: int
    home: bytes
    n: int


def list_waiting(
    db: apsw.Connection, reviewer: PersonId, now: datetime, limit: int, cursor: str | None
) -> Page:
    """One row more than asked is read, to know whether there is a next page."""
    after = _Position(rows.micros(now), _LAST_HOME, _LAST_N)
    if cursor is not None:
        after = max(after, parse_cursor(reviewer, cursor))
    found = [
        rows.parse_held(row)
        for row in db.execute(
            LIST_WAITING,
            {
                "reviewer": reviewer,
                "decide_by": after.decide_by,
                "home": after.home,
                "n": after.n,
                "limit": limit + 1,
            },
        ).fetchall()
    ]
    shown = found[:limit]
    following = None
    if shown and len(found) > limit:
        last = shown[-1]
        position = _Position(rows.micros(last.decide_by), last.key.home, last.key.n)
        following = render_cursor(reviewer, position)
    return Page(tuple(requests.load(db, held) for held in shown), following)


def count_waiting(db: apsw.Connection, reviewer: PersonId, now: datetime, at_most: int) -> int:
    where = {"reviewer": reviewer, "now": rows.micros(now), "at_most": at_most}
    [[count]] = db.execute(COUNT_WAITING, where)
    return rows.parse_count(count)


def render_cursor(reviewer: PersonId, position: _Position) -> str:
    packed = _POSITION.pack(position.decide_by, position.home, position.n)
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
    decide_by, home, n = _POSITION.unpack(packed)
    if n > _LAST_N:
        raise ValueError("not a cursor of this list")
    return _Position(decide_by, home, n)


def _checksum(reviewer: PersonId, packed: bytes) -> bytes:
    return hashlib.sha256(b"inbox\0" + reviewer.encode() + b"\0" + packed).digest()[:_CHECKSUM]

"""Requests of any state, the newest first, page by page.

By whom they concern (`concern`) or by time; what else is wanted is looked at row
by row, so a page reads as far as it must and no further.
"""

import hashlib
import struct
from datetime import datetime
from typing import Any, Final

from abeyance.pending.states import OPEN, Stage
from abeyance.store.ports import AsAsker, AsReviewer, Ended, OfAll, Page, Wanted, Whose
from abeyance.store.sql import requests, rows
from abeyance.store.sql.db import Db
from abeyance.store.sql.text import HELD, sql, sql_list
from abeyance.wire.base64url import parse_base64url, render_base64url

_OF_PERSON: Final = """
    SELECT {columns}
      FROM concern
      JOIN request USING (home, n)
     WHERE concern.person = :person AND concern.part = :part
       AND (concern.opened_at, concern.home, concern.n) < (:opened_at, :home, :n)
       AND {wanted}
     ORDER BY concern.opened_at DESC, concern.home DESC, concern.n DESC
     LIMIT :limit
    """

_OF_ALL: Final = """
    SELECT {columns}
      FROM request
     WHERE (request.opened_at, request.home, request.n) < (:opened_at, :home, :n)
       AND {wanted}
     ORDER BY request.opened_at DESC, request.home DESC, request.n DESC
     LIMIT :limit
    """

_COUNT: Final = "SELECT count(*) FROM ({of}) AS wanted"

_ENDED: Final = {
    Ended.WAITING: f"state IN ({sql_list(OPEN)}) AND expires_at > :now",
    Ended.EXPIRED: f"state IN ({sql_list(OPEN)}) AND expires_at <= :now",
    Ended.APPROVED: f"state = '{Stage.APPROVED}' AND expires_at > :now",
    Ended.LAPSED: f"state = '{Stage.APPROVED}' AND expires_at <= :now",
    Ended.REDEEMED: f"state = '{Stage.REDEEMED}'",
    Ended.DENIED: f"state = '{Stage.DENIED}'",
    Ended.CANCELLED: f"state = '{Stage.CANCELLED}'",
}

_DECIDED_BY: Final = sql(
    """state NOT IN ({undecided})
       AND EXISTS (SELECT 1
                     FROM vote
                    WHERE vote.home = request.home
                      AND vote.n = request.n
                      AND vote.voter = :decided_by)""",
    undecided=sql_list((*OPEN, Stage.CANCELLED)),
)

_COLUMNS: Final = ", ".join(f"request.{name.strip()}" for name in HELD.split(","))
_POSITION: Final = struct.Struct(">q16sQ")
_NEWEST: Final = (2**63 - 1, b"\xff" * 16, 2**63 - 1)
_CHECKSUM: Final = 6


async def list_requests(
    db: Db, wanted: Wanted, now: datetime, limit: int, cursor: str | None
) -> Page:
    """One row more than asked is read, to know whether there is a next page."""
    after = _NEWEST if cursor is None else _parse_cursor(wanted, cursor)
    text, where = _statement(wanted, _COLUMNS, now)
    opened_at, home, n = after
    found = await db.rows(
        text, where | {"opened_at": opened_at, "home": home, "n": n, "limit": limit + 1}
    )
    shown = [rows.parse_held(row) for row in found[:limit]]
    following = None
    if shown and len(found) > limit:
        last = shown[-1]
        position = (rows.micros(last.opened_at), last.key.home, last.key.n)
        following = _render_cursor(wanted, position)
    return Page(tuple([await requests.load(db, held) for held in shown]), following)


async def count_requests(db: Db, wanted: Wanted, now: datetime, at_most: int) -> int:
    text, where = _statement(wanted, "1", now)
    opened_at, home, n = _NEWEST
    where |= {"opened_at": opened_at, "home": home, "n": n, "limit": at_most}
    [[count]] = await db.rows(sql(_COUNT, of=text), where)
    return rows.parse_count(count)


def _statement(wanted: Wanted, columns: str, now: datetime) -> tuple[str, dict[str, Any]]:
    where: dict[str, Any] = {}
    conditions = ["disposed = 0"]
    if wanted.ended is not None:
        conditions.append(_ENDED[wanted.ended])
        if ":now" in _ENDED[wanted.ended]:
            where["now"] = rows.micros(now)
    if wanted.client is not None:
        conditions.append("client_id = :client")
        where["client"] = wanted.client
    if wanted.decided_by is not None:
        conditions.append(_DECIDED_BY)
        where["decided_by"] = wanted.decided_by
    text, whose = _whose(wanted.whose)
    return sql(text, columns=columns, wanted=" AND ".join(conditions)), where | whose


def _whose(whose: Whose) -> tuple[str, dict[str, Any]]:
    match whose:
        case AsReviewer(person):
            return _OF_PERSON, {"person": person, "part": "reviewer"}
        case AsAsker(person):
            return _OF_PERSON, {"person": person, "part": "asker"}
        case OfAll():
            return _OF_ALL, {}


def _render_cursor(wanted: Wanted, position: tuple[int, bytes, int]) -> str:
    packed = _POSITION.pack(*position)
    return render_base64url(packed + _checksum(wanted, packed))


def _parse_cursor(wanted: Wanted, cursor: str) -> tuple[int, bytes, int]:
    """Raises `ValueError` for anything but a cursor of this list; it opens nothing else."""
    raw = parse_base64url(cursor)
    packed = raw[: _POSITION.size]
    if len(raw) != _POSITION.size + _CHECKSUM or raw[_POSITION.size :] != _checksum(wanted, packed):
        raise ValueError("not a cursor of this list")
    opened_at, home, n = _POSITION.unpack(packed)
    if n > _NEWEST[2]:
        raise ValueError("not a cursor of this list")
    return opened_at, home, n


def _checksum(wanted: Wanted, packed: bytes) -> bytes:
    return hashlib.sha256(b"history\0" + repr(wanted).encode() + b"\0" + packed).digest()[
        :_CHECKSUM
    ]

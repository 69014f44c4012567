"""What an earlier state of a store must not do again: a decision since then is not in it.

Nothing here is hot: no server runs on the store meanwhile.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from abeyance.pending.handles import Home
from abeyance.pending.request import Key
from abeyance.store.sql.db import Db
from abeyance.store.sql.rows import micros, parse_bytes, parse_count, parse_home
from abeyance.store.sql.text import DECIDED_STATES, OPEN_STATES, sql

LIST_REVIVED: Final = sql(
    """
    SELECT home
      FROM request
     WHERE state IN ({decided}) AND expires_at > :now
    UNION
    SELECT home
      FROM user_grant
     WHERE ended_at IS NULL AND live_until > :now
       AND (EXISTS (SELECT 1
                      FROM family
                     WHERE family.home = user_grant.home AND ended_at IS NULL)
            OR EXISTS (SELECT 1
                         FROM code
                        WHERE code.home = user_grant.home
                          AND spent_at IS NULL AND expires_at > :now)
            OR EXISTS (SELECT 1
                         FROM device
                        WHERE device.home = user_grant.home
                          AND stage = 'agreed' AND expires_at > :now))
     LIMIT :limit
    """,
    decided=DECIDED_STATES,
)

LIST_OPEN: Final = sql(
    """
    SELECT home, n
      FROM request
     WHERE state IN ({open}) AND expires_at > :now AND (home, n) > (:home, :n)
     ORDER BY home, n
     LIMIT :limit
    """,
    open=OPEN_STATES,
)

# A consent stays where somebody is still to decide about what rests on it.
FORGET_ANSWERS: Final = (
    "UPDATE session SET ended = 1 WHERE ended = 0",
    sql(
        """
        DELETE FROM consent
         WHERE NOT EXISTS (
            SELECT 1
              FROM user_grant
              JOIN request ON request.home = user_grant.home
             WHERE user_grant.person = consent.person
               AND user_grant.client_id = consent.client
               AND user_grant.ended_at IS NULL
               AND request.state IN ({open}) AND request.expires_at > :now)
        """,
        open=OPEN_STATES,
    ),
    "DELETE FROM invitation",
    "UPDATE standing_approval SET ended_at = :now WHERE ended_at IS NULL",
    "UPDATE initial_token SET remaining = 0",
    "DELETE FROM authorization_request",
    "DELETE FROM pushed_request",
    "DELETE FROM challenge_session",
    "UPDATE token SET revoked_at = :now WHERE revoked_at IS NULL AND expires_at > :now",
)


async def list_revived(db: Db, now: datetime, limit: int) -> Sequence[Home]:
    found = await db.rows(LIST_REVIVED, {"now": micros(now), "limit": limit})
    return list(map(parse_home, found))


async def list_open(db: Db, after: Key | None, now: datetime, limit: int) -> Sequence[Key]:
    where = {
        "home": b"" if after is None else after.home,
        "n": 0 if after is None else after.n,
        "now": micros(now),
        "limit": limit,
    }
    found = await db.rows(LIST_OPEN, where)
    return [Key(Home(parse_bytes(home)), parse_count(n)) for home, n in found]


async def forget_answers(db: Db, now: datetime) -> None:
    for statement in FORGET_ANSWERS:
        await db.rows(statement, {"now": micros(now)})

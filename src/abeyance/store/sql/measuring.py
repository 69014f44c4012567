"""How much there is, for those who watch: bounded, since a count reads what it counts."""

from datetime import datetime
from typing import Final

from abeyance.store.ports import Measured
from abeyance.store.sql.db import Db
from abeyance.store.sql.rows import instant, micros, parse_count
from abeyance.store.sql.text import OPEN_STATES, sql

WAITING: Final = sql(
    """
    SELECT count(*), min(opened_at)
      FROM (SELECT opened_at
              FROM request
             WHERE state IN ({open}) AND expires_at > :now
             LIMIT :at_most) AS waiting
    """,
    open=OPEN_STATES,
)

MESSAGES: Final = """
    SELECT count(*)
      FROM (SELECT 1
              FROM outbox
             WHERE until > :now
             LIMIT :at_most) AS messages
    """


async def measure(db: Db, now: datetime, at_most: int) -> Measured:
    values = {"now": micros(now), "at_most": at_most}
    [(waiting, oldest)] = await db.rows(WAITING, values)
    [(messages,)] = await db.rows(MESSAGES, values)
    return Measured(
        waiting=parse_count(waiting),
        oldest=None if oldest is None else instant(parse_count(oldest)),
        messages=parse_count(messages),
    )

"""Leases: which process does what only one of them shall do, and until when.

One conditional statement each, so that of two who ask at once one hears no. Whoever dies
while holding one is waited for until its time is over, and no longer.
"""

from datetime import datetime
from typing import Final

from abeyance.store.ports import Work
from abeyance.store.sql.db import Db
from abeyance.store.sql.rows import micros

TAKE: Final = """
    INSERT INTO lease (work, holder, until)
    VALUES (:work, :holder, :until)
    ON CONFLICT (work) DO UPDATE
       SET holder = excluded.holder, until = excluded.until
     WHERE lease.holder = excluded.holder OR lease.until <= :now
    RETURNING until
    """


async def take_lease(db: Db, work: Work, holder: bytes, now: datetime, until: datetime) -> bool:
    values = {"work": work.value, "holder": holder, "now": micros(now), "until": micros(until)}
    return bool(await db.rows(TAKE, values))

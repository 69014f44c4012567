"""Reservations: whoever writes a key first has it, until its time is over."""

from datetime import datetime
from typing import Final

from abeyance.pending.handles import Home
from abeyance.pending.reservation import Reservation
from abeyance.store.sql.db import Db
from abeyance.store.sql.rows import instant, micros, parse_bytes, parse_count

# What is over goes when something new comes, a little at a time.
DROP_RESERVATIONS: Final = """
    DELETE FROM reservation
     WHERE key IN (SELECT key FROM reservation WHERE until <= :now LIMIT 100)
    """

RESERVE: Final = """
    INSERT INTO reservation (key, home, until)
    VALUES (:key, :home, :until)
    ON CONFLICT (key) DO UPDATE
       SET home = excluded.home, until = excluded.until
     WHERE reservation.until <= :now
    """

FIND_RESERVATION: Final = """
    SELECT home, until
      FROM reservation
     WHERE key = :key AND until > :now
    """


async def reserve(db: Db, wanted: Reservation, now: datetime) -> Reservation:
    await db.rows(DROP_RESERVATIONS, {"now": micros(now)})
    await db.rows(
        RESERVE,
        {
            "key": wanted.key,
            "home": wanted.home,
            "until": micros(wanted.until),
            "now": micros(now),
        },
    )
    return await find_reservation(db, wanted.key, now) or wanted


async def find_reservation(db: Db, key: bytes, now: datetime) -> Reservation | None:
    for home, until in await db.rows(FIND_RESERVATION, {"key": key, "now": micros(now)}):
        return Reservation(key, Home(parse_bytes(home)), instant(parse_count(until)))
    return None

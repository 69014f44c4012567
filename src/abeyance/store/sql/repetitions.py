"""Requests that may be sent again, and what they were turned into (EXT-IDEMP)."""

from typing import Any, Final

from abeyance.pending.change import Recover
from abeyance.pending.handles import Home
from abeyance.pending.repetition import Delivery, Repetition
from abeyance.pending.states import Stage
from abeyance.store.sql import rows
from abeyance.store.sql.db import Db, Row
from abeyance.store.sql.text import sql, sql_list

ADD_REPETITION: Final = """
    INSERT INTO repetition (home, n, key, fingerprint)
    VALUES (:home, :n, :key, :fingerprint)
    """

FIND_REPETITION: Final = """
    SELECT n, fingerprint, recoveries, granted, until, generation
      FROM repetition
     WHERE home = :home AND key = :key
     ORDER BY n DESC
     LIMIT 1
    """

KEEP_DELIVERY: Final = """
    UPDATE repetition
       SET granted = :granted, until = :until, generation = :generation
     WHERE home = :home AND n = :n
    """

RECOVER: Final = sql(
    """
    UPDATE repetition
       SET recoveries = recoveries + 1
     WHERE home = :home AND n = :n
       AND recoveries < :at_most
       AND EXISTS (SELECT 1
                     FROM request
                    WHERE home = :home AND n = :n AND state IN ({redeemed}))
    RETURNING n
    """,
    redeemed=sql_list([Stage.REDEEMED]),
)

REVOKE_ALL: Final = """
    UPDATE token
       SET revoked_at = :at
     WHERE home = :home AND n = :n AND revoked_at IS NULL
    """


async def add_repetition(db: Db, home: Home, row: Repetition) -> None:
    values = {"home": home, "n": row.n, "key": row.key, "fingerprint": row.fingerprint}
    await db.rows(ADD_REPETITION, values)


async def find_repetition(db: Db, home: Home, key: bytes) -> Repetition | None:
    for row in await db.rows(FIND_REPETITION, {"home": home, "key": key}):
        return _parse(row, key)
    return None


async def keep_delivery(db: Db, home: Home, row: Delivery) -> None:
    values = {
        "home": home,
        "n": row.n,
        "granted": rows.render_json(row.granted.to_json()),
        "until": rows.micros(row.until),
        "generation": row.generation,
    }
    await db.rows(KEEP_DELIVERY, values)


async def recover(db: Db, home: Home, step: Recover) -> bool:
    where: dict[str, Any] = {"home": home, "n": step.n}
    if not await db.rows(RECOVER, where | {"at_most": step.at_most}):
        return False
    await db.rows(REVOKE_ALL, where | {"at": rows.micros(step.at)})
    return True


def _parse(row: Row, key: bytes) -> Repetition:
    (n, fingerprint, recoveries, granted, until, generation) = row
    delivery = None
    if granted is not None:
        access = rows.parse_access(rows.parse_json(granted))
        delivery = Delivery(n, access, rows.instant(until), generation)
    return Repetition(n, key, fingerprint, recoveries, delivery)

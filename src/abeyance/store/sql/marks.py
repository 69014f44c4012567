"""What is true of the store as a whole."""

from typing import Final

from abeyance.store.ports import Mark
from abeyance.store.sql.db import Db

FIND_MARK: Final = "SELECT value FROM mark WHERE name = :name"
DROP_MARK: Final = "DELETE FROM mark WHERE name = :name"
PUT_MARK: Final = """
    INSERT INTO mark (name, value)
    VALUES (:name, :value)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
    """


async def find_mark(db: Db, mark: Mark) -> str | None:
    for (value,) in await db.rows(FIND_MARK, {"name": mark.value}):
        return str(value)
    return None


async def put_mark(db: Db, mark: Mark, value: str | None) -> None:
    if value is None:
        await db.rows(DROP_MARK, {"name": mark.value})
    else:
        await db.rows(PUT_MARK, {"name": mark.value, "value": value})

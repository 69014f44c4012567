"""All of a SQLite store, read at one moment or written in one transaction."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from abeyance.store.archive import BadArchive, Row
from abeyance.store.sqlite import schema
from abeyance.store.sqlite.connection import connect_reader, connect_writer


class Tables:
    """`archive.Target` within a transaction."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    async def columns(self, table: str) -> Sequence[str]:
        return [str(row[1]) for row in self._db.execute(f"PRAGMA table_info({table})")]

    async def rows(self, table: str, columns: Sequence[str]) -> AsyncIterator[Row]:
        for row in self._db.execute(f"SELECT {_names(columns)} FROM {table}"):  # noqa: S608 - ours
            yield row

    async def add(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        values = ", ".join("?" * len(columns))
        insert = f"INSERT INTO {table} ({_names(columns)}) VALUES ({values})"  # noqa: S608 - ours
        try:
            self._db.executemany(insert, rows)
        except (apsw.ConstraintError, apsw.MismatchError):
            raise BadArchive(f"has a row that no {table} can be") from None


@contextmanager
def moment(path: Path) -> Iterator[tuple[int, Tables]]:
    """The version of the schema, and one moment of the store; a server may run on it."""
    with closing(connect_reader(path, None)) as db:
        db.execute("BEGIN")
        yield schema.find_version(db), Tables(db)
        db.execute("ROLLBACK")


@contextmanager
def transaction(path: Path) -> Iterator[Tables]:
    """One transaction on a store that nobody else has open; taken back if the block fails."""
    with closing(connect_writer(path, None)) as db, db:
        yield Tables(db)


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f'"{each}"' for each in columns)

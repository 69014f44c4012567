"""Copies of the file: made while a server runs, checked, and put back.

A copy is one moment of the store: it is read within one transaction, which no writer waits for.
(The write-ahead log grows meanwhile, since it cannot be taken over into the file.) It is a file
of its own, without a log beside it, and its owner's alone.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import apsw

from abeyance.store.drafted import NotCopied, drafted
from abeyance.store.ports import Mark
from abeyance.store.sql.marks import PUT_MARK
from abeyance.store.sqlite import schema
from abeyance.store.sqlite.connection import AWAY
from abeyance.store.sqlite.lock import FileLock

_PAGES: Final = 1_000  # in one go


def back_up(database: Path, to: Path, *, at: str | None) -> None:
    """Copy a database, whether or not a server runs on it. `at` is when, in words; `None`: it
    has moved, and nothing comes after this copy.

    `to` is there whole and checked, or not at all. Raises `NotCopied`, `StoreTooNew`.
    """
    with drafted(to) as draft, _reported(database):
        _copy(database, draft)
        check(draft)
        with closing(_open(draft)) as db:
            schema.migrate(db)  # of a server that is older than this program
            if at is not None:
                db.execute(PUT_MARK, {"name": Mark.COPY.value, "value": at})


@contextmanager
def put_back(copy: Path, database: Path) -> Iterator[Path]:
    """Bring a copy where the database will be, as `brought` does."""
    with brought(database) as draft, _reported(copy):
        _copy(copy, draft)
        check(draft)
        yield draft


@contextmanager
def brought(database: Path) -> Iterator[Path]:
    """An empty file to work on, which becomes the database when the block has gone well.

    Raises `NotCopied` if there is a database already, and `StoreInUse`.
    """
    lock = FileLock.take(database.resolve())
    try:
        with drafted(database) as draft:
            yield draft
    finally:
        lock.release()


def check(path: Path) -> None:
    """Raises `NotCopied` for a file that is damaged, or no store of ours."""
    with closing(_open(path, apsw.SQLITE_OPEN_READONLY)) as db:
        found = db.execute("PRAGMA integrity_check(1)").fetchall()
        dangling = db.execute("PRAGMA foreign_key_check").fetchall()
        if found != [("ok",)] or dangling:
            raise NotCopied(path, "is damaged", "Use another copy.")
        if not schema.find_version(db):
            raise NotCopied(path, "is no store of Abeyance", "Name the file of a backup.")


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except AWAY as fault:
        raise NotCopied(path, f"cannot be copied ({fault})", "See to the disk.") from fault


def _copy(path: Path, to: Path) -> None:
    if not path.exists():
        raise NotCopied(path, "is not there", "Name another file, or check the data folder.")
    with closing(_open(path, apsw.SQLITE_OPEN_READWRITE)) as source, closing(_open(to)) as target:
        source.execute("PRAGMA query_only = ON")
        # Within one transaction, or each write of the server would begin the copy anew.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        with target.backup("main", source, "main") as copying:
            while not copying.done:
                copying.step(_PAGES)
        source.execute("ROLLBACK")
        target.execute("PRAGMA journal_mode = DELETE").fetchall()


def _open(path: Path, flags: int = apsw.SQLITE_OPEN_READWRITE) -> apsw.Connection:
    db = apsw.Connection(str(path), flags=flags)
    db.set_busy_timeout(5_000)
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "synchronous = FULL"):
        db.execute(f"PRAGMA {pragma}").fetchall()
    return db

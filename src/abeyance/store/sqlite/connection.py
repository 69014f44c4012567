"""Connections that keep their word: what COMMIT acknowledged survives a power cut.

FULL, because NORMAL does not sync at COMMIT: it survives a kill, not a power
cut (`tests/store/test_powercut.py` shows both). Checkpoints are the writer's
business, at moments of its choice. `secure_delete` overwrites what is deleted.
"""

import os
from pathlib import Path
from typing import Final

import apsw

from abeyance.store.ports import StoreAway
from abeyance.store.sqlite.lock import PRIVATE

SYNCHRONOUS: Final = "FULL"
# The switch to a write-ahead log ends by deleting a rollback journal. If a power cut brought that
# back, SQLite would take back everything that the log has gained since: EXTRA syncs the folder.
WHILE_SWITCHING: Final = "EXTRA"
_PRAGMAS: Final = (
    "busy_timeout = 5000",
    "fullfsync = 1",  # macOS only: there, a plain fsync leaves the data in the drive's cache
    "checkpoint_fullfsync = 1",
    "secure_delete = ON",
    "foreign_keys = ON",
    "recursive_triggers = ON",  # so that REPLACE cannot get past an append-only trigger
    "trusted_schema = OFF",
    "cell_size_check = ON",
    "temp_store = MEMORY",
    "cache_size = -16384",  # KiB
    f"journal_size_limit = {16 << 20}",
)

# What says "not now" of the disk or the machine, and nothing about the change.
AWAY: Final = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.ConnectionClosedError,
    apsw.CorruptError,
    apsw.FullError,
    apsw.InterruptError,
    apsw.IOError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.NotADBError,
    apsw.PermissionsError,
    apsw.ProtocolError,
    apsw.ReadOnlyError,
)


def prepare_file(path: Path) -> None:
    """Make the file if it is not there, readable by its owner alone, as its WAL will be."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE)
    os.close(descriptor)  # before any connection exists: closing would drop SQLite's locks
    path.chmod(PRIVATE)


def connect_writer(path: Path, vfs: str | None) -> apsw.Connection:
    db = _connect(path, vfs)
    db.execute(f"PRAGMA synchronous = {WHILE_SWITCHING}")
    [[mode]] = db.execute("PRAGMA journal_mode = WAL")
    if mode != "wal":
        raise StoreAway(f"{path} cannot keep a write-ahead log here (journal mode {mode})")
    db.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
    db.wal_autocheckpoint(0)
    return db


def connect_reader(path: Path, vfs: str | None) -> apsw.Connection:
    db = _connect(path, vfs)
    db.execute("PRAGMA query_only = ON")
    return db


def _connect(path: Path, vfs: str | None) -> apsw.Connection:
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs)
    # One plan for a statement, whatever is bound: SQLite would otherwise prepare each statement
    # with a bound LIMIT anew, every time it runs.
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    for pragma in _PRAGMAS:
        db.execute(f"PRAGMA {pragma}").fetchall()
    return db

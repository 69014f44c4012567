"""The schema, each file in one transaction: one that is cut short leaves the version before it."""

from collections.abc import Sequence
from importlib import resources
from typing import Final

import apsw

from abeyance.store.migrations import (
    OLDEST_SAID_FROM,
    Migration,
    Version,
    missing,
    read_migrations,
)
from abeyance.store.sql.rows import parse_count

FOLDER: Final = resources.files("abeyance.store.sqlite") / "migrations"

_RUNS_WITH: Final = "UPDATE schema_version SET oldest = ? WHERE version = ?"


def migrate(db: apsw.Connection, migrations: Sequence[Migration] | None = None) -> None:
    """Bring the schema to the newest version. Raises `StoreTooNew` for one that is not for us."""
    known = read_migrations(FOLDER) if migrations is None else migrations
    for migration in missing(known, _find(db)):
        _take(db, migration)


def find_version(db: apsw.Connection) -> int:
    """The version of the schema, 0 for an empty file."""
    if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'schema_version'").fetchall():
        return 0
    [[version]] = db.execute("SELECT coalesce(max(version), 0) FROM schema_version")
    return parse_count(version)


def _find(db: apsw.Connection) -> Version:
    version = find_version(db)
    if version < OLDEST_SAID_FROM:
        return Version(version, version)
    [[oldest]] = db.execute("SELECT max(coalesce(oldest, version)) FROM schema_version")
    return Version(version, parse_count(oldest))


def _take(db: apsw.Connection, migration: Migration) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute(migration.sql).fetchall()
        db.execute("INSERT INTO schema_version (version) VALUES (?)", (migration.version,))
        if migration.oldest is not None:
            db.execute(_RUNS_WITH, (migration.oldest, migration.version))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise

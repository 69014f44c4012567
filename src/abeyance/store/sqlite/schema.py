"""The schema as numbered plain SQL, each file in one transaction.

A migration that is cut short leaves the version before it. Files are additive
before a deploy and subtractive after it; a published file is never edited.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

import apsw

from abeyance.store.ports import StoreTooNew
from abeyance.store.sqlite.rows import parse_count

_FOLDER: Final = resources.files("abeyance.store.sqlite") / "migrations"


@dataclass(frozen=True, slots=True)
class Migration:
    """What takes the schema to `version` from the one before."""

    version: int
    sql: str


def read_migrations() -> tuple[Migration, ...]:
    """Read the numbered files, in order; their numbers must have no gap."""
    names = sorted(each.name for each in _FOLDER.iterdir() if each.name.endswith(".sql"))
    found = tuple(
        Migration(int(name.split("_")[0]), (_FOLDER / name).read_text("utf-8")) for name in names
    )
    if [each.version for each in found] != list(range(1, len(found) + 1)):
        raise AssertionError("the numbers of the migrations must be 1, 2, 3 ...")
    return found


def migrate(db: apsw.Connection, migrations: Sequence[Migration] | None = None) -> None:
    """Bring the schema to the newest version. Raises `StoreTooNew` for one beyond it."""
    known = read_migrations() if migrations is None else migrations
    newest = known[-1].version
    there = find_version(db)
    if there > newest:
        raise StoreTooNew(
            f"the database has schema {there}, this program knows {newest}:"
            " use the newer program, or restore a backup from before it"
        )
    for migration in known[there:]:
        _take(db, migration)


def find_version(db: apsw.Connection) -> int:
    """The version of the schema, 0 for an empty file."""
    if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'schema_version'").fetchall():
        return 0
    [[version]] = db.execute("SELECT coalesce(max(version), 0) FROM schema_version")
    return parse_count(version)


def _take(db: apsw.Connection, migration: Migration) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute(migration.sql).fetchall()
        db.execute("INSERT INTO schema_version (version) VALUES (?)", (migration.version,))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise

"""Numbered files of plain SQL, in a folder of their own for each engine.

A published file is never edited. One that only adds says in a line of its own which older
programs may run beside it and after it,

    -- runs with programs of schema 11

and one that takes away comes in a later release, when none of those runs any more. So old and
new processes can share a database while they are replaced one by one, and the program can go
back. docs/operations.md, "Upgrades", has the rules.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Final

from abeyance.store.ports import StoreTooNew

OLDEST_SAID_FROM: Final = 11  # the schema from which a database says who may use it
_OLDEST: Final = re.compile(r"^-- runs with programs of schema ([0-9]{1,6})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    """What takes the schema to `version` from the one before."""

    version: int
    sql: str

    @property
    def oldest(self) -> int | None:
        """The schema that the oldest program knows which may run on it; `None`: this one."""
        said = _OLDEST.search(self.sql)
        return None if said is None else int(said[1])


@dataclass(frozen=True, slots=True)
class Version:
    """The schema of a database (0: it is empty), and the least that a program must know."""

    schema: int
    oldest: int


def read_migrations(folder: Traversable) -> tuple[Migration, ...]:
    """Read the numbered files, in order; their numbers must have no gap."""
    files = sorted(
        (each for each in folder.iterdir() if each.name.endswith(".sql")),
        key=lambda each: each.name,
    )
    found = tuple(
        Migration(int(each.name.split("_")[0]), each.read_text("utf-8")) for each in files
    )
    if [each.version for each in found] != list(range(1, len(found) + 1)):
        raise AssertionError("the numbers of the migrations must be 1, 2, 3 ...")
    return found


def missing(known: Sequence[Migration], there: Version) -> Sequence[Migration]:
    """What is to be done at a database. Raises `StoreTooNew`."""
    newest = known[-1].version
    if there.oldest > newest:
        raise StoreTooNew(
            f"the database has schema {there.schema}, for programs that know {there.oldest} or"
            f" more; this one knows {newest}: use a newer one, or restore a backup from before"
        )
    return known[there.schema :]

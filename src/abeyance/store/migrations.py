"""Numbered files of plain SQL, in a folder of their own for each engine.

Files are additive before a deploy and subtractive after it; a published file is never edited.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable

from abeyance.store.ports import StoreTooNew


@dataclass(frozen=True, slots=True)
class Migration:
    """What takes the schema to `version` from the one before."""

    version: int
    sql: str


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


def missing(known: Sequence[Migration], there: int) -> Sequence[Migration]:
    """What is to be done at a database of version `there`. Raises `StoreTooNew`."""
    newest = known[-1].version
    if there > newest:
        raise StoreTooNew(
            f"the database has schema {there}, this program knows {newest}:"
            " use the newer program, or restore a backup from before it"
        )
    return known[there:]

"""The server's database, looked at from outside: who committed, and how much there is."""

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from abeyance.access.canonical import canonical_json

# What the client asked; `lifetime` is the policy's and so no part of it.
_PARAMETERS: Final = ("authorization_details", "resources", "scope")


@dataclass(frozen=True, slots=True)
class Mark:
    """`version` changes with every commit of another connection (PRAGMA data_version)."""

    version: int
    log_bytes: int


class Watch:
    """A reader of its own on the database; it never writes."""

    def __init__(self, path: Path) -> None:
        self._log = path.with_name(path.name + "-wal")
        self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)

    def mark(self) -> Mark:
        return Mark(self._number("PRAGMA data_version"), self._log.stat().st_size)

    def database_bytes(self) -> int:
        """What the file has once the log is folded in."""
        return self._number("PRAGMA page_count") * self._number("PRAGMA page_size")

    def waiting(self) -> int:
        return self._number("SELECT count(*) FROM request WHERE state = 'pending'")

    def payload_bytes(self) -> float:
        """The canonical JSON of what was asked, on average over (up to) a thousand requests."""
        found = self._db.execute("SELECT document FROM snapshot LIMIT 1000").fetchall()
        payloads = [
            canonical_json({name: json.loads(document)["asked"][name] for name in _PARAMETERS})
            for (document,) in found
        ]
        return sum(map(len, payloads)) / len(payloads)

    def close(self) -> None:
        self._db.close()

    def _number(self, sql: str) -> int:
        [(number,)] = self._db.execute(sql).fetchall()
        return int(number)

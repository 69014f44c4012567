"""Plans of the statements that a store sends, beside a crowd of copies of what lies there."""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import asyncpg
import pytest

from abeyance.store.postgres.session import Bare
from abeyance.store.sql.db import Row
from tests.postgres.databases import Database

Asked: TypeAlias = dict[str, tuple[Any, ...]]  # each statement once, with what it was asked with
Node: TypeAlias = Mapping[str, Any]

# Everybody's rows are copied under new homes; who asked, who decides and when differ as well.
CROWD: Final = 20_000
OWN: Final = {
    "home": "decode(md5(g::text), 'hex')",
    "source_home": "decode(md5(g::text), 'hex')",
    "handle_digest": "sha256(g::text::bytea)",
    "jti": "decode(md5(g::text), 'hex') || jti",
    "client_id": "'client ' || g % 500",
    "reviewer": "'person ' || g % 500",
    "person": "'person ' || g % 500",
    **{name: f"{name} + g::bigint * 60000000" for name in ("due_at", "until", "expires_at", "at")},
}
Crowd: TypeAlias = Mapping[str, Mapping[str, str]]  # per table, what the copies have
BUSY: Final[Crowd] = {
    "request": {
        "state": "CASE g % 20 WHEN 0 THEN 'approved' ELSE 'pending' END",
        "detail": "CASE g % 20 WHEN 0 THEN '{}' END",
    },
}
QUIET: Final[Crowd] = {
    "request": {"state": "'redeemed'", "detail": "NULL"},
    "user_grant": {"ended_at": "1"},
    "standing_approval": {"ended_at": "1"},
}
SCANS: Final = ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan")


@dataclass(frozen=True, slots=True)
class Access:
    """How a statement comes to rows of a table: by `condition` on an index, or empty."""

    statement: str
    table: str
    scan: str
    condition: str

    def is_by(self, columns: str) -> bool:
        """Is one of these (a regular expression) compared first?"""
        return re.match(rf"\(+({columns})\b", self.condition) is not None


@asynccontextmanager
async def recorded(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asked]:
    """What is asked meanwhile, as it is sent."""
    asked: Asked = {}
    send = Bare.fetch

    async def fetch(self: Bare, text: str, arguments: Sequence[Any]) -> Sequence[Row]:
        asked.setdefault(text, tuple(arguments))
        return await send(self, text, arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Bare, "fetch", fetch)
        yield asked


async def plans_of(asked: Asked, database: Database, crowd: Crowd) -> Sequence[Access]:
    """How each statement comes to rows of the tables that are filled with homes."""
    db = await database.connect()
    try:
        filled = await fill(db, crowd)
        found = []
        for text, arguments in asked.items():
            [[plan]] = await db.fetch("EXPLAIN (FORMAT JSON) " + text, *arguments)
            for node in walk(json.loads(plan)[0]["Plan"]):
                table, scan = node.get("Relation Name"), node["Node Type"]
                if table in filled and scan in SCANS:
                    found.append(Access(text, table, scan, condition_of(node)))
        return found
    finally:
        await db.close()


async def fill(db: "asyncpg.Connection[asyncpg.Record]", crowd: Crowd) -> set[str]:
    """Lay copies of what lies there under other homes; return the tables that have them."""
    tables = await db.fetch(
        """
        SELECT conrelid::regclass::text
          FROM pg_constraint
         WHERE contype = 'p' AND connamespace = 'public'::regnamespace
           AND pg_get_constraintdef(oid) ~ '^PRIMARY KEY \\((source_)?home[,)]'
        """
    )
    filled = set()
    # Without triggers: the copies point at each other in any order.
    await db.execute("SET session_replication_role = replica")
    for (table,) in tables:
        columns = await db.fetch(
            "SELECT column_name, quote_ident(column_name) FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = $1",
            table,
        )
        names = ", ".join(quoted for _, quoted in columns)
        own: Mapping[str, str] = {**OWN, **crowd.get(table, {})}
        values = ", ".join(own.get(name, quoted) for name, quoted in columns)
        said = await db.execute(
            f"INSERT INTO {table} ({names}) SELECT {values}"
            f" FROM {table}, generate_series(1, {CROWD}) AS g ON CONFLICT DO NOTHING"
        )
        if int(said.split()[-1]) >= CROWD:
            filled.add(table)
    await db.execute("VACUUM ANALYZE")
    return filled


def walk(node: Node) -> Iterator[Node]:
    yield node
    for part in node.get("Plans", ()):
        yield from walk(part)


def condition_of(node: Node) -> str:
    """By what the rows are found; empty where all are looked at."""
    return " ".join(part["Index Cond"] for part in walk(node) if "Index Cond" in part)

"""What the server asks PostgreSQL stays at one home, as the statements' own plans say.

The statements are those that a running server sends; their plans are of tables in which
20,000 other requests lie.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import asyncpg
import pytest

from abeyance.store.postgres.session import Bare
from abeyance.store.sql.db import Row
from tests.postgres.databases import Database
from tests.served import Served, keeping_in, serve

Asked: TypeAlias = dict[str, tuple[Any, ...]]  # each statement once, with what it was asked with
Node: TypeAlias = Mapping[str, Any]

# Everybody's rows are copied under new homes; who asked and who decides differ as well.
CROWD: Final = 20_000
OWN: Final = {
    "home": "decode(md5(g::text), 'hex')",
    "handle_digest": "sha256(g::text::bytea)",
    "jti": "decode(md5(g::text), 'hex') || jti",
    "client_id": "'client ' || g % 500",
    "reviewer": "'person ' || g % 500",
    "person": "'person ' || g % 500",
}
# Most wait. Some are approved: where statistics know of none, PostgreSQL reads the index of those
# instead of the key, which is as quick until many are.
OF_REQUESTS: Final = {
    "state": "CASE g % 20 WHEN 0 THEN 'approved' ELSE 'pending' END",
    "detail": "CASE g % 20 WHEN 0 THEN '{}' END",
}
ACCESS: Final = ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan")


@pytest.fixture
async def running(database: Database, tmp_path: Path) -> AsyncIterator[Served]:
    with keeping_in(database.url):
        async with serve(tmp_path) as served:
            yield served


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


async def test_what_happens_to_a_request_touches_its_home_alone(
    running: Served, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = [await running.s1.defer() for _ in range(4)]
    async with recorded(monkeypatch) as asked:
        for code in codes:
            assert (await running.s1.poll(code)).error == "authorization_pending"
        await running.approve(codes[0])
        assert (await running.s1.poll(codes[0])).status == 200
        assert (await running.s1.poll(codes[0])).error == "invalid_grant"
        await running.deny(codes[1])
        assert (await running.s1.poll(codes[1])).error == "access_denied"
        assert (await running.s1.revoke(codes[2])).status == 200
        assert (await running.s1.poll(codes[2])).error == "access_denied"
    by_table = await plans_of(asked, database)
    assert {"request", "snapshot", "inbox", "audit"} <= by_table.keys()
    strayed = {
        f"{table}: {node['Node Type']} ({condition_of(node)})"
        for table, nodes in by_table.items()
        for node in nodes
        if "(home = " not in condition_of(node)
    }
    assert strayed == set()


async def test_what_opens_a_request_counts_by_whose_it_is(
    running: Served, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota is over all homes of a client or a reviewer: this alone looks beyond a home."""
    async with recorded(monkeypatch) as asked:
        await running.s1.defer()
    by_table = await plans_of(asked, database)
    assert {"request", "inbox"} <= by_table.keys()
    strayed = {
        f"{table}: {node['Node Type']} ({condition_of(node)})"
        for table, nodes in by_table.items()
        for node in nodes
        if not re.search(r"\((home|client_id|reviewer|person) = ", condition_of(node))
    }
    assert strayed == set()


async def plans_of(asked: Asked, database: Database) -> Mapping[str, Sequence[Node]]:
    """How each statement comes to rows of the tables that are filled with homes."""
    db = await database.connect()
    try:
        filled = await fill(db)
        found: dict[str, list[Node]] = {}
        for text, arguments in asked.items():
            [[plan]] = await db.fetch("EXPLAIN (FORMAT JSON) " + text, *arguments)
            for node in walk(json.loads(plan)[0]["Plan"]):
                table = node.get("Relation Name")
                if table in filled and node["Node Type"] in ACCESS:
                    found.setdefault(table, []).append(node)
        return found
    finally:
        await db.close()


async def fill(db: "asyncpg.Connection[asyncpg.Record]") -> set[str]:
    """Lay copies of what lies there under other homes; return the tables that have them."""
    tables = await db.fetch(
        """
        SELECT conrelid::regclass::text
          FROM pg_constraint
         WHERE contype = 'p' AND connamespace = 'public'::regnamespace
           AND pg_get_constraintdef(oid) ~ '^PRIMARY KEY \\(home[,)]'
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
        own = OWN | OF_REQUESTS if table == "request" else OWN
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

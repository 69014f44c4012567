"""Reads of what people granted: codes, refresh tokens, families, and what rests on whom."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from abeyance.pending.credentials import Family, FoundAssertion, FoundCode, FoundRefresh, UserGrant
from abeyance.pending.handles import HandleHash, Home
from abeyance.store.ports import Ground, OfClient, OfConsent, OfPerson, OfSession
from abeyance.store.sql import rows, rows_grants
from abeyance.store.sql.db import Db
from abeyance.store.sql.text import (
    ASSERTION,
    DECIDED_STATES,
    FAMILY,
    OPEN_STATES,
    REFRESH,
    USER_GRANT,
    sql,
)

FIND_CODE: Final = """
    SELECT digest, document, issued_at, expires_at, spent_at
      FROM code
     WHERE home = :home AND digest = :digest
    """

FIND_REFRESH: Final = sql(
    """
    SELECT {refresh}
      FROM refresh_token
     WHERE home = :home AND digest = :digest
    """,
    refresh=REFRESH,
)

FIND_FAMILY: Final = sql("SELECT {family} FROM family WHERE home = :home", family=FAMILY)
FIND_GRANT: Final = sql("SELECT {grant} FROM user_grant WHERE home = :home", grant=USER_GRANT)
NEXT_N: Final = """
    SELECT 1 + CASE WHEN past_n > last_n THEN past_n ELSE last_n END
      FROM (SELECT past_n,
                   coalesce((SELECT max(n) FROM request WHERE home = :home), 0) AS last_n
              FROM user_grant
             WHERE home = :home) AS numbers
    """


async def find_code(db: Db, handle: HandleHash) -> FoundCode | None:
    where = {"home": handle.home, "digest": handle.digest}
    found = await db.rows(FIND_CODE, where)
    grant = await find_grant(db, handle.home) if found else None
    if grant is None:
        return None
    return FoundCode(handle.home, rows_grants.parse_code(handle.home, found[0]), grant)


async def find_refresh(db: Db, handle: HandleHash) -> FoundRefresh | None:
    where = {"home": handle.home, "digest": handle.digest}
    found = await db.rows(FIND_REFRESH, where)
    grant = await find_grant(db, handle.home) if found else None
    family = await find_family(db, handle.home) if found else None
    if grant is None or family is None:
        return None
    [[next_n]] = await db.rows(NEXT_N, {"home": handle.home})
    token = rows_grants.parse_refresh(found[0])
    return FoundRefresh(handle.home, token, family, grant, rows.parse_count(next_n))


async def find_family(db: Db, home: Home) -> Family | None:
    found = await db.rows(FIND_FAMILY, {"home": home})
    return rows_grants.parse_family(found[0]) if found else None


async def find_grant(db: Db, home: Home) -> UserGrant | None:
    found = await db.rows(FIND_GRANT, {"home": home})
    return rows_grants.parse_grant(found[0]) if found else None


# --- assertions, and what is derived

FIND_ASSERTION: Final = sql(
    "SELECT {assertion} FROM assertion WHERE home = :home", assertion=ASSERTION
)

LIST_DERIVED: Final = """
    SELECT DISTINCT home
      FROM derived
     WHERE source_home = :source_home
       AND (:jti IS NULL OR source_jti = :jti)
       AND home > :after
     ORDER BY home
     LIMIT :limit
    """


async def find_assertion(db: Db, home: Home) -> FoundAssertion | None:
    found = await db.rows(FIND_ASSERTION, {"home": home})
    grant = await find_grant(db, home) if found else None
    if grant is None:
        return None
    [[next_n]] = await db.rows(NEXT_N, {"home": home})
    assertion = rows_grants.parse_assertion(found[0])
    return FoundAssertion(home, assertion, grant, rows.parse_count(next_n))


async def list_derived(
    db: Db, home: Home, jti: bytes | None, after: Home | None, limit: int
) -> Sequence[Home]:
    where = {"source_home": home, "jti": jti, "after": after or b"", "limit": limit}
    return list(map(rows.parse_home, await db.rows(LIST_DERIVED, where)))


# --- what rests on whom

_LIVING: Final = """
    SELECT home
      FROM user_grant
     WHERE {whose} AND ended_at IS NULL AND live_until > :now
     LIMIT :limit
    """

HOMES_OF_CLIENT: Final = sql(
    """
    SELECT home FROM request
     WHERE client_id = :client AND state IN ({open}) AND expires_at > :now
    UNION
    SELECT home FROM request
     WHERE client_id = :client AND state IN ({decided}) AND expires_at > :now
    UNION
    SELECT home FROM user_grant
     WHERE client_id = :client AND ended_at IS NULL AND live_until > :now
     LIMIT :limit
    """,
    open=OPEN_STATES,
    decided=DECIDED_STATES,
)
HOMES_OF_PERSON: Final = sql(_LIVING, whose="person = :person")
HOMES_OF_CONSENT: Final = sql(_LIVING, whose="person = :person AND client_id = :client")
HOMES_OF_SESSION: Final = sql(_LIVING, whose="session = :session")


async def list_open_homes(db: Db, of: Ground, now: datetime, limit: int) -> Sequence[Home]:
    """Each home once, even if several things live there."""
    text, whose = _statement(of)
    found = await db.rows(text, whose | {"now": rows.micros(now), "limit": limit})
    return list(map(rows.parse_home, found))


def _statement(of: Ground) -> tuple[str, dict[str, Any]]:
    match of:
        case OfClient(client):
            return HOMES_OF_CLIENT, {"client": client}
        case OfPerson(person):
            return HOMES_OF_PERSON, {"person": person}
        case OfConsent(person, client):
            return HOMES_OF_CONSENT, {"person": person, "client": client}
        case OfSession(digest):
            return HOMES_OF_SESSION, {"session": digest}

"""What a person's grant leaves, in SQL: each step one conditional statement at its home."""

from typing import Final

from abeyance.pending.change import (
    CloseHome,
    DerivedFrom,
    HoldFamily,
    LiveUntil,
    NewFamily,
    OpenGrant,
    SealedCopy,
    SpendCode,
    TurnFamily,
    UseAssertion,
)
from abeyance.pending.credentials import Code, RefreshToken
from abeyance.pending.handles import Home
from abeyance.store.sql import devices, rows, rows_grants
from abeyance.store.sql.db import Db
from abeyance.store.sql.text import ASSERTION, FAMILY, GRANT_LIVES, REFRESH, USER_GRANT, sql

# --- the grant itself

OPEN_GRANT: Final = sql(
    """
    INSERT INTO user_grant (home, {grant})
    VALUES (:home, :client, :person, :session, :consent, :auth_time, :opened_at, :live_until,
            :ended_at)
    ON CONFLICT DO NOTHING
    RETURNING 1
    """,
    grant=USER_GRANT,
)

LIVE_UNTIL: Final = """
    UPDATE user_grant
       SET live_until = CASE WHEN live_until > :until THEN live_until ELSE :until END
     WHERE home = :home
    """


async def open_grant(db: Db, home: Home, step: OpenGrant) -> bool:
    values = {"home": home, **rows_grants.grant_values(step.grant)}
    return bool(await db.rows(OPEN_GRANT, values))


async def live_until(db: Db, home: Home, row: LiveUntil) -> None:
    await db.rows(LIVE_UNTIL, {"home": home, "until": rows.micros(row.until)})


# --- assertions, and what is derived

USE_ASSERTION: Final = sql(
    """
    INSERT INTO assertion (home, {assertion})
    VALUES (:home, :issuer, :subject, :jti, :digest, :client, :jkt, :used_at, :expires_at)
    ON CONFLICT (home) DO UPDATE
       SET uses = assertion.uses + 1
     WHERE :again = 1
       AND assertion.client_id = excluded.client_id
       AND assertion.jkt IS NOT DISTINCT FROM excluded.jkt
       AND assertion.digest = excluded.digest
       AND {grant_lives}
    RETURNING 1
    """,
    assertion=ASSERTION,
    grant_lives=GRANT_LIVES,
)

ADD_DERIVED: Final = """
    INSERT INTO derived (source_home, source_jti, home)
    VALUES (:source_home, :source_jti, :home)
    ON CONFLICT DO NOTHING
    """


async def use_assertion(db: Db, home: Home, step: UseAssertion) -> bool:
    use = {
        "home": home,
        "again": int(step.again),
        **rows_grants.assertion_values(step.assertion),
    }
    return bool(await db.rows(USE_ASSERTION, use))


async def add_derived(db: Db, home: Home, row: DerivedFrom) -> None:
    source = {"source_home": row.source.home, "source_jti": row.source.jti}
    await db.rows(ADD_DERIVED, source | {"home": home})


# --- codes

ADD_CODE: Final = """
    INSERT INTO code (home, digest, document, issued_at, expires_at, spent_at)
    VALUES (:home, :digest, :document, :issued_at, :expires_at, :spent_at)
    """

SPEND_CODE: Final = sql(
    """
    UPDATE code
       SET spent_at = :at
     WHERE home = :home AND digest = :digest
       AND spent_at IS NULL
       AND expires_at > :at
       AND {grant_lives}
    RETURNING 1
    """,
    grant_lives=GRANT_LIVES,
)


async def add_code(db: Db, home: Home, code: Code) -> None:
    if code.handle.home != home:
        raise ValueError("a code is of the home of its change")
    await db.rows(ADD_CODE, {"home": home, **rows_grants.code_values(code)})


async def spend_code(db: Db, home: Home, step: SpendCode) -> bool:
    spend = {"home": home, "digest": step.digest, "at": rows.micros(step.at)}
    return bool(await db.rows(SPEND_CODE, spend))


# --- families

_ALIVE: Final = "ended_at IS NULL AND idle_until > :at AND until > :at"

# An update, though it changes nothing: where several writers are, it takes the row.
HOLD_FAMILY: Final = sql(
    """
    UPDATE family
       SET generation = generation
     WHERE home = :home AND {alive}
    RETURNING 1
    """,
    alive=_ALIVE,
)

USE_FAMILY: Final = sql(
    """
    UPDATE family
       SET idle_until = CASE WHEN :idle_until < until THEN :idle_until ELSE until END
     WHERE home = :home AND generation = :generation AND {alive}
    RETURNING 1
    """,
    alive=_ALIVE,
)

TURN_FAMILY: Final = sql(
    """
    UPDATE family
       SET generation = generation + 1, head = :head,
           idle_until = CASE WHEN :idle_until < until THEN :idle_until ELSE until END
     WHERE home = :home AND generation = :generation AND {alive}
    RETURNING 1
    """,
    alive=_ALIVE,
)

SPEND_REFRESH: Final = """
    UPDATE refresh_token
       SET spent_at = :at, successor = :successor
     WHERE home = :home AND generation = :generation
    """

# The first use of a token ends the grace of the one before it (OAUTH-RT-07).
FORGET_SUCCESSORS: Final = """
    UPDATE refresh_token
       SET successor = NULL
     WHERE home = :home AND generation < :generation AND successor IS NOT NULL
    """

ADD_FAMILY: Final = sql(
    """
    INSERT INTO family (home, {family})
    VALUES (:home, :generation, :head, :granted, :jkt, :approved, :opened_at, :idle_until,
            :until, :ended_at)
    """,
    family=FAMILY,
)

ADD_REFRESH: Final = sql(
    """
    INSERT INTO refresh_token (home, {refresh})
    VALUES (:home, :digest, :generation, :issued_at, :spent_at, :successor)
    """,
    refresh=REFRESH,
)


async def hold_family(db: Db, home: Home, step: HoldFamily) -> bool:
    where = {"home": home, "at": rows.micros(step.at)}
    return bool(await db.rows(HOLD_FAMILY, where))


async def turn_family(db: Db, home: Home, step: TurnFamily) -> bool:
    where = {
        "home": home,
        "generation": step.generation,
        "at": rows.micros(step.at),
        "idle_until": rows.micros(step.idle_until),
    }
    if step.head is None:
        return bool(await db.rows(USE_FAMILY, where))
    if not await db.rows(TURN_FAMILY, where | {"head": step.head.digest}):
        return False
    at = {"home": home, "generation": step.generation}
    await db.rows(FORGET_SUCCESSORS, at)
    await db.rows(SPEND_REFRESH, at | {"at": where["at"], "successor": step.successor})
    await _add_refresh(db, home, step.head)
    return True


async def add_family(db: Db, home: Home, row: NewFamily) -> None:
    await db.rows(ADD_FAMILY, {"home": home, **rows_grants.family_values(row.family)})
    await _add_refresh(db, home, row.token)


async def _add_refresh(db: Db, home: Home, token: RefreshToken) -> None:
    await db.rows(ADD_REFRESH, {"home": home, **rows_grants.refresh_values(token)})


# --- sealed copies, and the end of a home

ADD_SEALED: Final = "INSERT INTO sealed (home, n, value) VALUES (:home, :n, :value)"
DROP_SEALED: Final = "DELETE FROM sealed WHERE home = :home AND n = :n"

END_HOME: Final = (
    "UPDATE user_grant SET ended_at = :at WHERE home = :home AND ended_at /*! + 0 */ IS NULL",
    "UPDATE code SET spent_at = :at WHERE home = :home AND spent_at IS NULL",
    "UPDATE family SET ended_at = :at WHERE home = :home AND ended_at IS NULL",
    devices.END_DEVICE,
    "UPDATE token SET revoked_at = :at WHERE home = :home AND revoked_at IS NULL",
)


async def add_sealed(db: Db, home: Home, row: SealedCopy) -> None:
    await db.rows(ADD_SEALED, {"home": home, "n": row.n, "value": row.sealed})


async def drop_sealed(db: Db, home: Home, n: int) -> None:
    """Its request has ended, so it is shown no more."""
    await db.rows(DROP_SEALED, {"home": home, "n": n})


async def end_home(db: Db, home: Home, step: CloseHome) -> None:
    """End what lives at a home besides its requests."""
    if step.at is None:
        return
    where = {"home": home, "at": rows.micros(step.at)}
    for statement in END_HOME:
        await db.rows(statement, where)

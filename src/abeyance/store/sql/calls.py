"""What is kept for a while: authorization requests that wait for their person, and calls of
the admin API that carry an idempotency key. What has expired goes when something new comes.
"""

from datetime import datetime
from typing import Final

from abeyance.pending.authorization import AuthorizationRequest
from abeyance.store.ports import Remembered, TooManyAuthorizations
from abeyance.store.sql.db import Db
from abeyance.store.sql.rows import micros, parse_bytes, parse_count
from abeyance.store.sql.rows_grants import authorization_document, parse_authorization

MOST_AUTHORIZATIONS: Final = 100_000

DROP_AUTHORIZATIONS: Final = """
    DELETE FROM authorization_request
     WHERE digest IN (SELECT digest
                        FROM authorization_request
                       WHERE expires_at <= :now
                       LIMIT 100)
    """

PUT_AUTHORIZATION: Final = """
    INSERT INTO authorization_request (digest, document, expires_at)
    SELECT :digest, :document, :expires_at
     WHERE :most > (SELECT count(*) FROM authorization_request)
    RETURNING 1
    """

FIND_AUTHORIZATION: Final = """
    SELECT document, expires_at
      FROM authorization_request
     WHERE digest = :digest
    """


async def put_authorization(db: Db, request: AuthorizationRequest) -> None:
    """Raises `TooManyAuthorizations`."""
    await db.rows(DROP_AUTHORIZATIONS, {"now": micros(request.began_at)})
    values = {
        "digest": request.id,
        "document": authorization_document(request),
        "expires_at": micros(request.expires_at),
        "most": MOST_AUTHORIZATIONS,
    }
    if not await db.rows(PUT_AUTHORIZATION, values):
        raise TooManyAuthorizations


async def find_authorization(db: Db, digest: bytes) -> AuthorizationRequest | None:
    for document, expires_at in await db.rows(FIND_AUTHORIZATION, {"digest": digest}):
        return parse_authorization(digest, str(document), parse_count(expires_at))
    return None


# --- calls

DROP_CALLS: Final = """
    DELETE FROM call
     WHERE key IN (SELECT key FROM call WHERE until <= :now LIMIT 100)
    """

BEGIN_CALL: Final = """
    INSERT INTO call (key, fingerprint, until)
    VALUES (:key, :fingerprint, :until)
    ON CONFLICT (key) DO NOTHING
    RETURNING 1
    """

FIND_CALL: Final = "SELECT fingerprint, answer FROM call WHERE key = :key"
KEEP_ANSWER: Final = "UPDATE call SET answer = :answer WHERE key = :key"
FORGET_CALL: Final = "DELETE FROM call WHERE key = :key"


async def begin_call(
    db: Db, key: bytes, fingerprint: bytes, now: datetime, until: datetime
) -> Remembered | None:
    await db.rows(DROP_CALLS, {"now": micros(now)})
    values = {"key": key, "fingerprint": fingerprint, "until": micros(until)}
    if await db.rows(BEGIN_CALL, values):
        return None
    for known, answer in await db.rows(FIND_CALL, {"key": key}):
        return Remembered(parse_bytes(known), None if answer is None else parse_bytes(answer))
    return None


async def end_call(db: Db, key: bytes, answer: bytes | None) -> None:
    if answer is None:
        await db.rows(FORGET_CALL, {"key": key})
    else:
        await db.rows(KEEP_ANSWER, {"key": key, "answer": answer})

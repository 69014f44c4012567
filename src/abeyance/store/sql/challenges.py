"""Sessions of the authorization challenge endpoint: each answer ends one and begins the next."""

from datetime import datetime
from typing import Final

from abeyance.parties.client import ClientId
from abeyance.pending.challenge import ChallengeSession
from abeyance.store.ports import TooManyAuthorizations
from abeyance.store.sql.db import Db
from abeyance.store.sql.rows import instant, micros, parse_count, parse_json, render_json

MOST_CHALLENGES: Final = 100_000

DROP_CHALLENGES: Final = """
    DELETE FROM challenge_session
     WHERE digest IN (SELECT digest
                        FROM challenge_session
                       WHERE expires_at <= :now
                       LIMIT 100)
    """

END_CHALLENGE: Final = """
    DELETE FROM challenge_session
     WHERE digest = :digest AND expires_at > :now
    RETURNING 1
    """

COUNT_CHALLENGES: Final = "SELECT count(*) FROM challenge_session"

PUT_CHALLENGE: Final = """
    INSERT INTO challenge_session (digest, document, expires_at)
    VALUES (:digest, :document, :expires_at)
    """

FIND_CHALLENGE: Final = """
    SELECT document, expires_at
      FROM challenge_session
     WHERE digest = :digest
    """


async def turn_challenge(
    db: Db, before: bytes | None, after: ChallengeSession | None, now: datetime
) -> bool:
    """Raises `TooManyAuthorizations`, with nothing changed."""
    await db.rows(DROP_CHALLENGES, {"now": micros(now)})
    if before is None:
        [[count]] = await db.rows(COUNT_CHALLENGES)
        if parse_count(count) >= MOST_CHALLENGES:
            raise TooManyAuthorizations
    elif not await db.rows(END_CHALLENGE, {"digest": before, "now": micros(now)}):
        return False
    if after is not None:
        document = {
            "client": after.client,
            "jkt": after.jkt,
            "parameters": [list(pair) for pair in after.parameters],
            "signed": after.signed,
            "name": after.name,
            "failures": after.failures,
            "began_at": micros(after.began_at),
        }
        values = {
            "digest": after.id,
            "document": render_json(document),
            "expires_at": micros(after.expires_at),
        }
        await db.rows(PUT_CHALLENGE, values)
    return True


async def find_challenge(db: Db, digest: bytes) -> ChallengeSession | None:
    for document, expires_at in await db.rows(FIND_CHALLENGE, {"digest": digest}):
        said = parse_json(str(document))
        return ChallengeSession(
            id=digest,
            client=ClientId(said["client"]),
            jkt=said["jkt"],
            parameters=tuple((name, value) for name, value in said["parameters"]),
            signed=said["signed"],
            name=said["name"],
            failures=said["failures"],
            began_at=instant(said["began_at"]),
            expires_at=instant(parse_count(expires_at)),
        )
    return None

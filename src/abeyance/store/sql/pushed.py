"""Pushed authorization requests: kept until they expire, found until they are answered."""

from typing import Final

from abeyance.parties.client import ClientId
from abeyance.pending.authorization import PushedRequest
from abeyance.pending.handles import Home
from abeyance.store.ports import TooManyAuthorizations
from abeyance.store.sql.db import Db
from abeyance.store.sql.rows import (
    instant,
    micros,
    parse_bytes,
    parse_count,
    parse_json,
    render_json,
)

MOST_PUSHED: Final = 100_000

DROP_PUSHED: Final = """
    DELETE FROM pushed_request
     WHERE digest IN (SELECT digest
                        FROM pushed_request
                       WHERE expires_at <= :now
                       LIMIT 100)
    """

PUT_PUSHED: Final = """
    INSERT INTO pushed_request (digest, home, client_id, document, expires_at)
    SELECT :digest, :home, :client, :document, :expires_at
     WHERE :most > (SELECT count(*) FROM pushed_request)
    RETURNING 1
    """

# Whoever answers takes the home: from then on the reference leads nowhere.
FIND_PUSHED: Final = """
    SELECT home, client_id, document, expires_at
      FROM pushed_request
     WHERE digest = :digest
       AND NOT EXISTS (SELECT 1
                         FROM user_grant
                        WHERE user_grant.home = pushed_request.home)
    """


async def put_pushed(db: Db, request: PushedRequest) -> None:
    """Raises `TooManyAuthorizations`."""
    await db.rows(DROP_PUSHED, {"now": micros(request.began_at)})
    values = {
        "digest": request.id,
        "home": request.home,
        "client": request.client,
        "document": render_json(
            {
                "parameters": [list(pair) for pair in request.parameters],
                "signed": request.signed,
                "began_at": micros(request.began_at),
            }
        ),
        "expires_at": micros(request.expires_at),
        "most": MOST_PUSHED,
    }
    if not await db.rows(PUT_PUSHED, values):
        raise TooManyAuthorizations


async def find_pushed(db: Db, digest: bytes) -> PushedRequest | None:
    for home, client, document, expires_at in await db.rows(FIND_PUSHED, {"digest": digest}):
        said = parse_json(str(document))
        return PushedRequest(
            id=digest,
            home=Home(parse_bytes(home)),
            client=ClientId(str(client)),
            parameters=tuple((name, value) for name, value in said["parameters"]),
            signed=said["signed"],
            began_at=instant(said["began_at"]),
            expires_at=instant(parse_count(expires_at)),
        )
    return None

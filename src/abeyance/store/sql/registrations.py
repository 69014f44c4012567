"""Clients that registered by themselves: with the client, or not at all."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from abeyance.parties.client import Client, ClientId
from abeyance.parties.registration import InitialToken, Registration
from abeyance.store.ports import Registered
from abeyance.store.sql.db import Db
from abeyance.store.sql.parties import find_client, put_client, replace_client
from abeyance.store.sql.rows import instant, micros, parse_bytes, parse_json, render_json
from abeyance.wire.strict_json import JsonObject

COUNT: Final = "SELECT count(*) FROM registration"

USE_INITIAL_TOKEN: Final = """
    UPDATE initial_token
       SET remaining = remaining - 1
     WHERE digest = :digest AND remaining > 0 AND expires_at > :now
    RETURNING 1
    """

PUT_REGISTRATION: Final = """
    INSERT INTO registration (client_id, token, registered_at, metadata)
    VALUES (:client_id, :token, :registered_at, :metadata)
    """

FIND_REGISTRATION: Final = """
    SELECT token, registered_at, metadata
      FROM registration
     WHERE client_id = :client_id
    """

CHANGE_REGISTRATION: Final = """
    UPDATE registration
       SET metadata = :metadata
     WHERE client_id = :client_id
    RETURNING 1
    """

DROP_REGISTRATION: Final = """
    DELETE FROM registration
     WHERE client_id = :client_id
    RETURNING 1
    """

PUT_INITIAL_TOKEN: Final = """
    INSERT INTO initial_token (digest, note, remaining, expires_at)
    VALUES (:digest, :note, :remaining, :expires_at)
    """

LIST_INITIAL_TOKENS: Final = """
    SELECT digest, note, remaining, expires_at
      FROM initial_token
     WHERE expires_at > :now
     ORDER BY digest
    """

DROP_INITIAL_TOKEN: Final = "DELETE FROM initial_token WHERE digest = :digest RETURNING 1"


_COUNTED: Final = b"registrations"


async def register(
    db: Db,
    client: Client,
    registration: Registration,
    initial: bytes | None,
    most: int,
    now: datetime,
) -> Registered:
    """What is refused is refused before anything is written."""
    await db.hold(_COUNTED)
    [[count]] = await db.rows(COUNT)
    if int(count) >= most:
        return Registered.FULL
    if await find_client(db, client.id) is not None:
        return Registered.TAKEN
    if initial is not None:
        used = await db.rows(USE_INITIAL_TOKEN, {"digest": initial, "now": micros(now)})
        if not used:
            return Registered.NO_TOKEN
    await put_client(db, client)
    await db.rows(
        PUT_REGISTRATION,
        {
            "client_id": registration.client,
            "token": registration.token,
            "registered_at": micros(registration.registered_at),
            "metadata": render_json(registration.metadata),
        },
    )
    return Registered.DONE


async def find_registration(db: Db, client: ClientId) -> Registration | None:
    for token, registered_at, metadata in await db.rows(FIND_REGISTRATION, {"client_id": client}):
        return Registration(
            client=client,
            token=parse_bytes(token),
            registered_at=instant(registered_at),
            metadata=parse_json(str(metadata)),
        )
    return None


async def replace_registration(db: Db, before: Client, after: Client, metadata: JsonObject) -> bool:
    changed = {"client_id": after.id, "metadata": render_json(metadata)}
    await db.hold(after.id.encode())
    if await find_client(db, after.id) != before:
        return False
    return bool(await db.rows(CHANGE_REGISTRATION, changed)) and await replace_client(
        db, before, after
    )


async def drop_registration(db: Db, client: ClientId) -> bool:
    return bool(await db.rows(DROP_REGISTRATION, {"client_id": client}))


async def put_initial_token(db: Db, token: InitialToken) -> None:
    await db.rows(
        PUT_INITIAL_TOKEN,
        {
            "digest": token.digest,
            "note": token.note,
            "remaining": token.left,
            "expires_at": micros(token.expires_at),
        },
    )


async def list_initial_tokens(db: Db, now: datetime) -> Sequence[InitialToken]:
    return [
        InitialToken(
            digest=parse_bytes(digest),
            note=str(note),
            left=int(remaining),
            expires_at=instant(expires_at),
        )
        for digest, note, remaining, expires_at in await db.rows(
            LIST_INITIAL_TOKENS, {"now": micros(now)}
        )
    ]


async def drop_initial_token(db: Db, digest: bytes) -> bool:
    return bool(await db.rows(DROP_INITIAL_TOKEN, {"digest": digest}))

"""Clients, people, sessions, consents, invitations and the security log.

Reference data: a client and a person are one document each, keyed by name.
What is used once is used by deleting it in the statement that finds it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from abeyance.parties.client import Client, ClientId
from abeyance.parties.consent import Consent
from abeyance.parties.person import ConsoleSession, Invitation, Person, PersonId
from abeyance.store.ports import SecurityEvent
from abeyance.store.sql.db import Db
from abeyance.store.sql.rows import instant, micros, parse_bytes, parse_json
from abeyance.store.sql.rows_parties import (
    client_document,
    consent_document,
    parse_client,
    parse_consent,
    parse_person,
    person_document,
)

# --- clients and people

FIND_CLIENT: Final = "SELECT document FROM client WHERE id = :id"
LIST_CLIENTS: Final = "SELECT document FROM client ORDER BY id"
PUT_CLIENT: Final = """
    INSERT INTO client (id, document)
    VALUES (:id, :document)
    ON CONFLICT (id) DO UPDATE SET document = excluded.document
    """

FIND_PERSON: Final = "SELECT document FROM person WHERE id = :id"
LIST_PEOPLE: Final = "SELECT document FROM person ORDER BY id"
PUT_PERSON: Final = """
    INSERT INTO person (id, document)
    VALUES (:id, :document)
    ON CONFLICT (id) DO UPDATE SET document = excluded.document
    """


async def find_client(db: Db, client: ClientId) -> Client | None:
    found = await db.rows(FIND_CLIENT, {"id": client})
    return parse_client(str(found[0][0])) if found else None


async def list_clients(db: Db) -> Sequence[Client]:
    return [parse_client(str(document)) for (document,) in await db.rows(LIST_CLIENTS)]


async def put_client(db: Db, client: Client) -> None:
    await db.hold(client.id.encode())
    await db.rows(PUT_CLIENT, {"id": client.id, "document": client_document(client)})


async def replace_client(db: Db, before: Client | None, after: Client) -> bool:
    await db.hold(after.id.encode())
    if await find_client(db, after.id) != before:
        return False
    await put_client(db, after)
    return True


async def find_person(db: Db, person: PersonId) -> Person | None:
    found = await db.rows(FIND_PERSON, {"id": person})
    return parse_person(str(found[0][0])) if found else None


async def list_people(db: Db) -> Sequence[Person]:
    return [parse_person(str(document)) for (document,) in await db.rows(LIST_PEOPLE)]


async def put_person(db: Db, person: Person) -> None:
    await db.hold(person.id.encode())
    await db.rows(PUT_PERSON, {"id": person.id, "document": person_document(person)})


async def replace_person(db: Db, before: Person | None, after: Person) -> bool:
    await db.hold(after.id.encode())
    if await find_person(db, after.id) != before:
        return False
    await put_person(db, after)
    return True


# --- sessions

FIND_SESSION: Final = """
    SELECT digest, person, signed_in_at, seen_at
      FROM session
     WHERE digest = :digest AND ended /*! + 0 */ = 0
    """

PUT_SESSION: Final = """
    INSERT INTO session (digest, person, signed_in_at, seen_at)
    VALUES (:digest, :person, :signed_in_at, :seen_at)
    ON CONFLICT (digest) DO UPDATE SET
        seen_at = CASE WHEN session.seen_at > excluded.seen_at
                       THEN session.seen_at ELSE excluded.seen_at END
    """

END_SESSION: Final = "UPDATE session SET ended = 1 WHERE digest = :digest"

# Also of one that was never here, such as a host application's.
END_BY_FORCE: Final = """
    INSERT INTO session (digest, person, signed_in_at, seen_at, ended, forced)
    VALUES (:digest, '', 0, 0, 1, 1)
    ON CONFLICT (digest) DO UPDATE SET ended = 1, forced = 1
    """

END_SESSIONS_OF: Final = """
    UPDATE session
       SET ended = 1, forced = 1
     WHERE person = :person AND forced = 0 AND digest IS DISTINCT FROM :but
    RETURNING digest
    """

IS_ENDED_BY_FORCE: Final = "SELECT 1 FROM session WHERE digest = :digest AND forced = 1"

LIST_SESSIONS: Final = """
    SELECT digest, person, signed_in_at, seen_at
      FROM session
     WHERE person = :person AND ended = 0
     ORDER BY seen_at DESC
    """


async def find_session(db: Db, digest: bytes) -> ConsoleSession | None:
    for digest_, person, signed_in_at, seen_at in await db.rows(FIND_SESSION, {"digest": digest}):
        return ConsoleSession(
            bytes(digest_), PersonId(person), instant(signed_in_at), instant(seen_at)
        )
    return None


async def put_session(db: Db, session: ConsoleSession) -> None:
    """Begin a session or note its use; one that has ended stays ended."""
    await db.rows(
        PUT_SESSION,
        {
            "digest": session.digest,
            "person": session.person,
            "signed_in_at": micros(session.signed_in_at),
            "seen_at": micros(session.seen_at),
        },
    )


async def list_sessions(db: Db, person: PersonId) -> Sequence[ConsoleSession]:
    found = await db.rows(LIST_SESSIONS, {"person": person})
    return [
        ConsoleSession(bytes(digest), PersonId(whose), instant(signed_in_at), instant(seen_at))
        for digest, whose, signed_in_at, seen_at in found
    ]


async def end_session(db: Db, digest: bytes, forced: bool) -> None:
    await db.rows(END_BY_FORCE if forced else END_SESSION, {"digest": digest})


async def end_sessions_of(db: Db, person: PersonId, but: bytes | None = None) -> Sequence[bytes]:
    """By force, those too that had ended otherwise: what was granted in them ends now."""
    found = await db.rows(END_SESSIONS_OF, {"person": person, "but": but})
    return [parse_bytes(row[0]) for row in found]


async def is_ended_by_force(db: Db, digest: bytes) -> bool:
    return bool(await db.rows(IS_ENDED_BY_FORCE, {"digest": digest}))


# --- consents

FIND_CONSENT: Final = """
    SELECT person, client, document
      FROM consent
     WHERE person = :person AND client = :client
    """

ADD_CONSENT: Final = """
    INSERT INTO consent (person, client, document)
    VALUES (:person, :client, :document)
    ON CONFLICT (person, client) DO NOTHING
    RETURNING 1
    """

CHANGE_CONSENT: Final = """
    UPDATE consent
       SET document = :document
     WHERE person = :person
       AND client = :client
       AND document = :before
    RETURNING 1
    """

DROP_CONSENT: Final = """
    DELETE FROM consent
     WHERE person = :person AND client = :client
    RETURNING 1
    """

LIST_CONSENTS: Final = """
    SELECT person, client, document
      FROM consent
     WHERE (:person IS NULL OR person = :person)
       AND (:client IS NULL OR client = :client)
    """


async def find_consent(db: Db, person: PersonId, client: ClientId) -> Consent | None:
    found = list(await db.rows(FIND_CONSENT, {"person": person, "client": client}))
    return parse_consent(*map(str, found[0])) if found else None


async def put_consent(db: Db, consent: Consent, *, new: bool) -> bool:
    values = {
        "person": consent.person,
        "client": consent.client,
        "document": consent_document(consent),
    }
    if new:
        return bool(await db.rows(ADD_CONSENT, values))
    for *_, before in await db.rows(FIND_CONSENT, values):
        if parse_json(str(before))["id"] == consent.id:
            return bool(await db.rows(CHANGE_CONSENT, values | {"before": before}))
    return False


async def drop_consent(db: Db, person: PersonId, client: ClientId) -> bool:
    return bool(await db.rows(DROP_CONSENT, {"person": person, "client": client}))


async def list_consents(
    db: Db, person: PersonId | None, client: ClientId | None
) -> Sequence[Consent]:
    found = await db.rows(LIST_CONSENTS, {"person": person, "client": client})
    consents = [parse_consent(*map(str, row)) for row in found]
    return sorted(consents, key=lambda consent: consent.confirmed_at, reverse=True)


# --- invitations

PUT_INVITATION: Final = """
    INSERT INTO invitation (digest, person, expires_at)
    VALUES (:digest, :person, :expires_at)
    """

FIND_INVITATION: Final = """
    SELECT digest, person, expires_at
      FROM invitation
     WHERE digest = :digest
    """

USE_INVITATION: Final = """
    DELETE FROM invitation
     WHERE digest = :digest AND person = :person AND expires_at > :now
    RETURNING person
    """

VOID_INVITATIONS: Final = "DELETE FROM invitation WHERE person = :person"


async def put_invitation(db: Db, invitation: Invitation) -> None:
    await db.rows(
        PUT_INVITATION,
        {
            "digest": invitation.digest,
            "person": invitation.person,
            "expires_at": micros(invitation.expires_at),
        },
    )


async def find_invitation(db: Db, digest: bytes) -> Invitation | None:
    for digest_, person, expires_at in await db.rows(FIND_INVITATION, {"digest": digest}):
        return Invitation(bytes(digest_), PersonId(person), instant(expires_at))
    return None


async def accept_invitation(db: Db, digest: bytes, person: Person, now: datetime) -> bool:
    use = {"digest": digest, "person": person.id, "now": micros(now)}
    await db.hold(person.id.encode())
    if not await db.rows(USE_INVITATION, use):
        return False
    await db.rows(VOID_INVITATIONS, {"person": person.id})
    await end_sessions_of(db, person.id)
    await put_person(db, person)
    return True


# --- the security log

ADD_SECURITY_EVENT: Final = """
    INSERT INTO security_event (at, event, actor, detail)
    VALUES (:at, :event, :actor, :detail)
    """

LIST_SECURITY_EVENTS: Final = """
    SELECT at, event, actor, detail
      FROM security_event
     ORDER BY seq DESC
     LIMIT :limit
    """

# The newest of its kind, if it is not too far back: the log may be long.
LATEST_OF_KIND: Final = """
    SELECT detail
      FROM (SELECT seq, event, detail
              FROM security_event
             ORDER BY seq DESC
             LIMIT 1000) AS latest
     WHERE event = :event
     ORDER BY seq DESC
     LIMIT 1
    """


async def record(db: Db, event: SecurityEvent) -> None:
    await db.rows(
        ADD_SECURITY_EVENT,
        {
            "at": micros(event.at),
            "event": event.event,
            "actor": event.actor,
            "detail": event.detail,
        },
    )


async def record_news(db: Db, event: SecurityEvent) -> bool:
    await db.hold(event.event.encode())
    for (detail,) in await db.rows(LATEST_OF_KIND, {"event": event.event}):
        if detail == event.detail:
            return False
    await record(db, event)
    return True


async def list_security_events(db: Db, limit: int) -> Sequence[SecurityEvent]:
    found = await db.rows(LIST_SECURITY_EVENTS, {"limit": limit})
    return [
        SecurityEvent(instant(at), str(event), str(actor), str(detail))
        for at, event, actor, detail in found
    ]

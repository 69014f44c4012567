"""Clients, people, sessions, invitations and the security log.

Reference data: a client and a person are one document each, keyed by name.
What is used once is used by deleting it in the statement that finds it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import apsw

from abeyance.parties.client import Client, ClientId
from abeyance.parties.person import ConsoleSession, Invitation, Person, PersonId
from abeyance.store.ports import SecurityEvent
from abeyance.store.sqlite.rows import (
    client_document,
    instant,
    micros,
    parse_client,
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


def find_client(db: apsw.Connection, client: ClientId) -> Client | None:
    found = db.execute(FIND_CLIENT, {"id": client}).fetchall()
    return parse_client(str(found[0][0])) if found else None


def list_clients(db: apsw.Connection) -> Sequence[Client]:
    return [parse_client(str(document)) for (document,) in db.execute(LIST_CLIENTS)]


def put_client(db: apsw.Connection, client: Client) -> None:
    db.execute(PUT_CLIENT, {"id": client.id, "document": client_document(client)})


def find_person(db: apsw.Connection, person: PersonId) -> Person | None:
    found = db.execute(FIND_PERSON, {"id": person}).fetchall()
    return parse_person(str(found[0][0])) if found else None


def list_people(db: apsw.Connection) -> Sequence[Person]:
    return [parse_person(str(document)) for (document,) in db.execute(LIST_PEOPLE)]


def put_person(db: apsw.Connection, person: Person) -> None:
    db.execute(PUT_PERSON, {"id": person.id, "document": person_document(person)})


# --- sessions

FIND_SESSION: Final = """
    SELECT digest, person, signed_in_at, seen_at
      FROM session
     WHERE digest = :digest AND ended = 0
    """

PUT_SESSION: Final = """
    INSERT INTO session (digest, person, signed_in_at, seen_at)
    VALUES (:digest, :person, :signed_in_at, :seen_at)
    ON CONFLICT (digest) DO UPDATE SET seen_at = max(seen_at, excluded.seen_at)
    """

END_SESSION: Final = "UPDATE session SET ended = 1 WHERE digest = :digest"

END_SESSIONS_OF: Final = "UPDATE session SET ended = 1 WHERE person = :person AND ended = 0"


def find_session(db: apsw.Connection, digest: bytes) -> ConsoleSession | None:
    for digest_, person, signed_in_at, seen_at in db.execute(FIND_SESSION, {"digest": digest}):
        return ConsoleSession(
            bytes(digest_), PersonId(person), instant(signed_in_at), instant(seen_at)
        )
    return None


def put_session(db: apsw.Connection, session: ConsoleSession) -> None:
    """Begin a session or note its use; one that has ended stays ended."""
    db.execute(
        PUT_SESSION,
        {
            "digest": session.digest,
            "person": session.person,
            "signed_in_at": micros(session.signed_in_at),
            "seen_at": micros(session.seen_at),
        },
    )


def end_session(db: apsw.Connection, digest: bytes) -> None:
    db.execute(END_SESSION, {"digest": digest})


def end_sessions_of(db: apsw.Connection, person: PersonId) -> None:
    db.execute(END_SESSIONS_OF, {"person": person})


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


def put_invitation(db: apsw.Connection, invitation: Invitation) -> None:
    db.execute(
        PUT_INVITATION,
        {
            "digest": invitation.digest,
            "person": invitation.person,
            "expires_at": micros(invitation.expires_at),
        },
    )


def find_invitation(db: apsw.Connection, digest: bytes) -> Invitation | None:
    for digest_, person, expires_at in db.execute(FIND_INVITATION, {"digest": digest}):
        return Invitation(bytes(digest_), PersonId(person), instant(expires_at))
    return None


def accept_invitation(db: apsw.Connection, digest: bytes, person: Person, now: datetime) -> bool:
    use = {"digest": digest, "person": person.id, "now": micros(now)}
    if not db.execute(USE_INVITATION, use).fetchall():
        return False
    db.execute(VOID_INVITATIONS, {"person": person.id})
    end_sessions_of(db, person.id)
    put_person(db, person)
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


def record(db: apsw.Connection, event: SecurityEvent) -> None:
    db.execute(
        ADD_SECURITY_EVENT,
        {
            "at": micros(event.at),
            "event": event.event,
            "actor": event.actor,
            "detail": event.detail,
        },
    )


def list_security_events(db: apsw.Connection, limit: int) -> Sequence[SecurityEvent]:
    found = db.execute(LIST_SECURITY_EVENTS, {"limit": limit})
    return [
        SecurityEvent(instant(at), str(event), str(actor), str(detail))
        for at, event, actor, detail in found
    ]

"""What protects reviewers: refusals that are remembered, approvals that answer again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from abeyance.parties.client import ClientId
from abeyance.pending.change import EndStanding
from abeyance.pending.handles import Home
from abeyance.pending.refusals import REMEMBERED, Refusals
from abeyance.pending.request import Key
from abeyance.pending.standing import StandingApproval
from abeyance.store.sql.db import Db
from abeyance.store.sql.rows import (
    instant,
    micros,
    parse_access,
    parse_binding,
    parse_count,
    parse_json,
    render_binding,
    render_json,
)
from abeyance.store.sql.text import sql
from abeyance.wire.strict_json import JsonObject

MOST_STANDING: Final = 100  # that one look-up reads

# --- refusals

DROP_REFUSALS: Final = """
    DELETE FROM refusal
     WHERE essence IN (SELECT essence FROM refusal WHERE last_at <= :forgotten LIMIT 100)
    """

NOTE_REFUSAL: Final = """
    INSERT INTO refusal (essence, count, last_at)
    VALUES (:essence, 1, :at)
    ON CONFLICT (essence) DO UPDATE SET count = refusal.count + 1, last_at = :at
    """

FIND_REFUSALS: Final = """
    SELECT count, last_at
      FROM refusal
     WHERE essence = :essence AND last_at > :forgotten
    """

FORGET_REFUSALS: Final = "DELETE FROM refusal WHERE essence = :essence"


async def note_refusal(db: Db, essence: bytes, at: datetime) -> None:
    await db.rows(DROP_REFUSALS, {"forgotten": micros(at - REMEMBERED)})
    await db.rows(NOTE_REFUSAL, {"essence": essence, "at": micros(at)})


async def find_refusals(db: Db, essence: bytes, now: datetime) -> Refusals | None:
    where = {"essence": essence, "forgotten": micros(now - REMEMBERED)}
    for count, last_at in await db.rows(FIND_REFUSALS, where):
        return Refusals(parse_count(count), instant(parse_count(last_at)))
    return None


async def forget_refusals(db: Db, essence: bytes) -> None:
    await db.rows(FORGET_REFUSALS, {"essence": essence})


# --- standing approvals

_STANDING: Final = "home, n, client_id, subject, approver, document, until, ended_at"

ADD_STANDING: Final = sql(
    """
    INSERT INTO standing_approval ({columns})
    VALUES (:home, :n, :client, :subject, :approver, :document, :until, :ended_at)
    """,
    columns=_STANDING,
)

FIND_STANDING: Final = sql(
    """
    SELECT {columns}
      FROM standing_approval
     WHERE client_id = :client AND subject = :subject
       AND ended_at IS NULL AND until > :now
     ORDER BY until DESC
     LIMIT :most
    """,
    columns=_STANDING,
)

FIND_STANDING_AT: Final = sql(
    """
    SELECT {columns}
      FROM standing_approval
     WHERE home = :home AND n = :n
    """,
    columns=_STANDING,
)

LIST_STANDING: Final = sql(
    """
    SELECT {columns}
      FROM standing_approval
     WHERE ended_at IS NULL AND until > :now
       AND (:approver IS NULL OR approver = :approver)
     ORDER BY until, home, n
     LIMIT :most
    """,
    columns=_STANDING,
)

END_STANDING: Final = """
    UPDATE standing_approval
       SET ended_at = :at
     WHERE home = :home AND n = :n
       AND ended_at /*! + 0 */ IS NULL AND until > :at
    RETURNING n
    """


async def add_standing(db: Db, home: Home, approval: StandingApproval) -> None:
    document: JsonObject = {
        "binding": render_binding(approval.binding),
        "rule": approval.rule,
        "way": approval.way,
        "actor": approval.actor,
        "granted": approval.granted.to_json(),
        "approved_at": micros(approval.approved_at),
    }
    values = {
        "home": home,
        "n": approval.key.n,
        "client": approval.client,
        "subject": approval.subject,
        "approver": approval.approver,
        "document": render_json(document),
        "until": micros(approval.until),
        "ended_at": None if approval.ended_at is None else micros(approval.ended_at),
    }
    await db.rows(ADD_STANDING, values)


async def end_standing(db: Db, home: Home, step: EndStanding) -> bool:
    where = {"home": home, "n": step.n, "at": micros(step.at)}
    return bool(await db.rows(END_STANDING, where))


async def find_standing(
    db: Db, client: ClientId, subject: str, now: datetime
) -> Sequence[StandingApproval]:
    where = {"client": client, "subject": subject, "now": micros(now), "most": MOST_STANDING}
    return [_parse(row) for row in await db.rows(FIND_STANDING, where)]


async def find_standing_at(db: Db, key: Key) -> StandingApproval | None:
    found = await db.rows(FIND_STANDING_AT, {"home": key.home, "n": key.n})
    return _parse(found[0]) if found else None


async def list_standing(
    db: Db, approver: str | None, now: datetime, limit: int
) -> Sequence[StandingApproval]:
    where = {"approver": approver, "now": micros(now), "most": limit}
    return [_parse(row) for row in await db.rows(LIST_STANDING, where)]


def _parse(row: Sequence[Any]) -> StandingApproval:
    (home, n, client, subject, approver, document, until, ended_at) = row
    said = parse_json(document)
    return StandingApproval(
        key=Key(Home(home), n),
        client=ClientId(client),
        subject=subject,
        binding=parse_binding(said["binding"]),
        rule=said["rule"],
        way=said.get("way", {}),  # an older one, which answers nothing: somebody is asked again
        actor=said["actor"],
        granted=parse_access(said["granted"]),
        approver=approver,
        approved_at=instant(said["approved_at"]),
        until=instant(until),
        ended_at=None if ended_at is None else instant(ended_at),
    )

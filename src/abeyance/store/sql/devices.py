"""Device sessions in SQL: each step one conditional statement, by home."""

from typing import Any, Final

from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.change import (
    AnswerDevice,
    BindDevice,
    ClaimDevice,
    ContestDevice,
    OpenDevice,
    SpendDevice,
)
from abeyance.pending.device import Claim, Device, DeviceStage, FoundDevice
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.request import Binding
from abeyance.store.sql.db import Db, Row
from abeyance.store.sql.grants import find_grant
from abeyance.store.sql.rows import (
    instant,
    micros,
    parse_access,
    parse_json,
    render_json,
)
from abeyance.store.sql.rows_snapshot import identity_document, parse_identity
from abeyance.store.sql.text import GRANT_LIVES, sql
from abeyance.wire.strict_json import Json

OPEN_DEVICE: Final = """
    INSERT INTO device (home, digest, client_id, document, jkt, address, stage,
                        opened_at, decide_by, expires_at)
    SELECT :home, :digest, :client, :document, :jkt, :address, :stage,
           :opened_at, :decide_by, :expires_at
     WHERE :from_one > (SELECT count(*)
                          FROM device
                         WHERE client_id = :client
                           AND address = :address
                           AND expires_at > :opened_at
                           AND stage IN ('waiting', 'agreed'))
       AND :at_most > (SELECT count(*) FROM device WHERE expires_at > :opened_at)
    ON CONFLICT DO NOTHING
    RETURNING 1
    """

BIND_DEVICE: Final = """
    UPDATE device
       SET jkt = :jkt
     WHERE home = :home AND jkt IS NULL
    RETURNING 1
    """

CLAIM_DEVICE: Final = """
    UPDATE device
       SET claim_person = :person, claim_session = :session, claim_until = :until
     WHERE home = :home
       AND stage = 'waiting'
       AND decide_by > :at
       AND (claim_until IS NULL
            OR claim_until <= :at
            OR (claim_person = :person AND claim_session = :session))
    RETURNING 1
    """

CONTEST_DEVICE: Final = """
    UPDATE device
       SET stage = CASE WHEN contested_by <> :person THEN 'denied' ELSE stage END,
           contested_by = coalesce(contested_by, :person)
     WHERE home = :home
       AND stage = 'waiting'
       AND decide_by > :at
       AND claim_person <> :person
    RETURNING 1
    """

ANSWER_DEVICE: Final = """
    UPDATE device
       SET stage = :stage
     WHERE home = :home
       AND stage = 'waiting'
       AND decide_by > :at
       AND claim_until > :at
       AND claim_person = :person
       AND claim_session = :session
    RETURNING 1
    """

SPEND_DEVICE: Final = sql(
    """
    UPDATE device
       SET stage = 'spent'
     WHERE home = :home
       AND stage = 'agreed'
       AND expires_at > :at
       AND {grant_lives}
    RETURNING 1
    """,
    grant_lives=GRANT_LIVES,
)

FIND_DEVICE: Final = """
    SELECT digest, client_id, document, jkt, address, stage, claim_person, claim_session,
           claim_until, opened_at, decide_by, expires_at
      FROM device
     WHERE home = :home
    """

END_DEVICE: Final = """
    UPDATE device
       SET stage = 'denied'
     WHERE home = :home AND stage IN ('waiting', 'agreed')
    """


async def open_device(db: Db, home: Home, step: OpenDevice) -> bool:
    device = step.device
    if device.home != home:
        raise ValueError("a device session opens at the home of its change")
    await db.hold(b"devices of " + device.client.encode())
    document: dict[str, Json] = {"asked": device.asked.to_json(), "hinted": device.hinted}
    if device.identity is not None:
        document["identity"] = identity_document(device.identity)
    values = {
        "home": home,
        "digest": device.handle.digest,
        "client": device.client,
        "document": render_json(document),
        "jkt": device.binding.bound,
        "address": device.address,
        "stage": device.stage,
        "opened_at": micros(device.opened_at),
        "decide_by": micros(device.decide_by),
        "expires_at": micros(device.expires_at),
        "from_one": step.from_one,
        "at_most": step.at_most,
    }
    return await _won(db, OPEN_DEVICE, values)


async def bind_device(db: Db, home: Home, step: BindDevice) -> bool:
    return await _won(db, BIND_DEVICE, {"home": home, "jkt": step.jkt})


async def claim_device(db: Db, home: Home, step: ClaimDevice) -> bool:
    values = {"home": home, "at": micros(step.at), **_claim_values(step.claim)}
    return await _won(db, CLAIM_DEVICE, values | {"until": micros(step.claim.until)})


async def contest_device(db: Db, home: Home, step: ContestDevice) -> bool:
    return await _won(
        db, CONTEST_DEVICE, {"home": home, "person": step.person, "at": micros(step.at)}
    )


async def answer_device(db: Db, home: Home, step: AnswerDevice) -> bool:
    stage = DeviceStage.AGREED if step.agrees else DeviceStage.DENIED
    values = {"home": home, "at": micros(step.at), "stage": stage, **_claim_values(step.claim)}
    return await _won(db, ANSWER_DEVICE, values)


async def spend_device(db: Db, home: Home, step: SpendDevice) -> bool:
    return await _won(db, SPEND_DEVICE, {"home": home, "at": micros(step.at)})


async def find_device(db: Db, home: Home) -> FoundDevice | None:
    for row in await db.rows(FIND_DEVICE, {"home": home}):
        device = _parse(home, row)
        agreed = device.stage in (DeviceStage.AGREED, DeviceStage.SPENT)
        return FoundDevice(device, await find_grant(db, home) if agreed else None)
    return None


def _parse(home: Home, row: Row) -> Device:
    (
        digest, client, document, jkt, address, stage, person, session, until,
        opened_at, decide_by, expires_at,
    ) = row  # fmt: skip
    said = parse_json(document)
    return Device(
        handle=HandleHash(home, digest),
        client=ClientId(client),
        asked=parse_access(said["asked"]),
        binding=Binding(jkt),
        hinted=said["hinted"],
        address=address,
        opened_at=instant(opened_at),
        decide_by=instant(decide_by),
        expires_at=instant(expires_at),
        identity=parse_identity(said.get("identity")),
        stage=DeviceStage(stage),
        claim=None if until is None else Claim(PersonId(person), session, instant(until)),
    )


def _claim_values(claim: Claim) -> dict[str, Any]:
    return {"person": claim.person, "session": claim.session}


async def _won(db: Db, statement: str, values: dict[str, Any]) -> bool:
    return bool(await db.rows(statement, values))

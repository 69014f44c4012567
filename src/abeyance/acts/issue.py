"""A token at once (OAUTH section 9, T8 to T10): mint in memory, apply, and only then answer."""

from datetime import datetime

from abeyance.acts.asked import Asked
from abeyance.acts.dispose import close_home, stands
from abeyance.acts.house import House
from abeyance.acts.memory import holds
from abeyance.acts.openid import find_identity_key
from abeyance.acts.standing import derived_stands
from abeyance.oauth.success import CHANCE_BYTES, Issuing, succeed
from abeyance.pending.change import (
    AuditEvent,
    Change,
    DerivedFrom,
    OpenGrant,
    SpendCode,
    Superseded,
    TurnFamily,
)
from abeyance.pending.disclosure import request_name
from abeyance.pending.handles import HOME_BYTES, Home
from abeyance.pending.standing import StandingApproval
from abeyance.wire.errors import InvalidGrant
from abeyance.wire.strict_json import Json, JsonObject


async def issue(
    house: House, asked: Asked, rule: str, memory: StandingApproval | None = None
) -> JsonObject | None:
    """`memory`: an earlier approval by which it is issued, and with which it ends."""
    now, claimed, refreshing = house.clock.now(), asked.claimed, asked.claimed.refreshing
    home = claimed.home or Home(house.random(HOME_BYTES))
    # A refresh of what was approved ends with the approval, which the family's end is, and is for
    # what was looked at: of an approval, that is the resource that is asked for now.
    ceiling = claimed.ceiling if memory is None else None
    succeeded = succeed(
        claimed.success,
        Issuing(
            client=asked.client,
            subject=claimed.subject,
            access=asked.access,
            resources=(ceiling or asked.access).resources,
            key=asked.key,
            home=home,
            n=0,
            until=_until(asked, memory),
            auth_time=None if claimed.behind is None else claimed.behind.auth_time,
            of_person=claimed.behind is not None,
            issuer=house.endpoints.issuer,
            signing=house.keys.signing,
            lives=house.terms.lives,
            chance=house.random(CHANCE_BYTES),
            now=now,
            actor=claimed.actor,
            exchanged=claimed.exchanged,
            identity=claimed.identity,
            identity_key=find_identity_key(
                house, asked.client, claimed.identity, asked.access.scope
            ),
        ),
        house.types,
        family=None if refreshing is None else refreshing.family,
        presented=None if refreshing is None else refreshing.presented,
        again=None if refreshing is None else refreshing.again,
    )
    issued = AuditEvent(
        n=0,
        at=now,
        event="issued",
        actor=f"client:{asked.client.id}",
        detail=_told(asked, rule, memory),
    )
    derived = () if memory is None else (DerivedFrom(memory.source),)
    change = Change(
        home,
        (*claimed.spends, *succeeded.steps),
        (*claimed.rows, *succeeded.rows, *derived, issued),
    )
    match await house.store.apply(change):
        case Superseded(lost=TurnFamily() | OpenGrant()):
            return None
        case Superseded(lost=SpendCode()):
            await end_spent_twice(house, asked, home)
            raise InvalidGrant("The grant has been used already")
        case Superseded():
            raise InvalidGrant("The grant has been used already")
    # What began with this token is behind the fences only now: see `dispose`.
    if asked.claimed.begins and not (
        await stands(house, asked.client.id, claimed.behind)
        and await derived_stands(house, claimed.source)
    ):
        await close_home(house, home, why="stale")
        raise asked.grant.refuses("The grant has been withdrawn")
    if memory is not None and not await holds(house, memory):
        await close_home(house, home, why="stale")
        raise asked.grant.refuses("The approval has been withdrawn")
    house.counters.issued.inc()
    return succeeded.answer


def _until(asked: Asked, memory: StandingApproval | None) -> datetime | None:
    """The end of what this rests on."""
    ends = [asked.claimed.until, None if memory is None else memory.until]
    return min((end for end in ends if end is not None), default=None)


def _told(asked: Asked, rule: str, memory: StandingApproval | None) -> JsonObject:
    """Whoever posed as another, or acted for them, is in the audit (OAUTH-TX-08)."""
    told: dict[str, Json] = {"rule": rule}
    if memory is not None:
        told |= {"approval": request_name(memory.key), "approved_by": memory.approver}
    claimed = asked.claimed
    if claimed.exchanged is not None:
        told |= {"subject": claimed.subject, "impersonates": claimed.exchanged.impersonates}
    if claimed.actor is not None:
        told["act"] = claimed.actor
    if claimed.asserted_by is not None:
        told["asserted_by"] = claimed.asserted_by
    return told


async def end_spent_twice(house: House, asked: Asked, home: Home) -> None:
    """Two requests that were right in every part showed one code at once (OAUTH-CODE-05)."""
    house.counters.reuses.inc()
    await close_home(house, home, why="credential_reuse", actor=f"client:{asked.client.id}")

"""A person types what their device shows, sees who asks for what, and answers once (DEV-VER).

To confirm a code claims it for one browser session of one person; only there it can be
answered, for five minutes. A wrong code, one that is over, used or claimed by somebody else
all take the same reads and writes and are told alike (DEV-UC-07).

Source: RFC 8628 §3.3, §5.1 to §5.4; DEV-UC-04 to -07, DEV-VER-01 to -10, DEV-XD-03.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, auto

import structlog

from abeyance.access.canonical import digest
from abeyance.acts.authorize import NotShown, Over, consent_to
from abeyance.acts.dispose import close_home, stands
from abeyance.acts.house import House
from abeyance.grants.grant import Behind
from abeyance.parties.client import Client
from abeyance.parties.consent import ConsentId
from abeyance.parties.person import ConsoleSession, Person
from abeyance.pending.change import (
    AnswerDevice,
    Applied,
    AuditEvent,
    Change,
    ClaimDevice,
    ContestDevice,
    LiveUntil,
    OpenGrant,
    Superseded,
)
from abeyance.pending.credentials import UserGrant
from abeyance.pending.device import CLAIM, DEFERRAL, Claim, Device, DeviceStage
from abeyance.pending.disclosure import disclose_access
from abeyance.pending.handles import HOME_BYTES, Home
from abeyance.pending.request import Key
from abeyance.pending.states import Redeemed
from abeyance.pending.user_code import hash_user_code, normalize_user_code
from abeyance.policy.decider import Issue, Question
from abeyance.store.ports import SecurityEvent
from abeyance.wire import names
from abeyance.wire.errors import TooManyRequests
from abeyance.wire.strict_json import JsonObject

_log = structlog.get_logger("abeyance.device")


class Said(Enum):
    """What the person answers."""

    YES = auto()
    NO = auto()
    NOT_MINE = auto()  # they did not start this: somebody else may be after them


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A code that this person has confirmed. `seen` is the digest of what they are shown."""

    device: Device
    client: Client
    shown: JsonObject
    seen: str


async def confirm(
    house: House, text: str, person: Person, session: ConsoleSession, *, address: str | None
) -> Home | None:
    """Claim what this code stands for; `None` for whatever cannot be claimed.

    `address`: whose tries are counted together; `None` where addresses tell nobody apart.
    Raises `TooManyRequests` where too many were wrong, also for a right one.
    """
    limits, tick = house.limits, house.clock.tick()
    places: tuple[Hashable, ...] = (("account", person.id),)
    if address is not None:
        places += (("address", address),)
    waits = [limits.session_guesses.wait(session.digest, tick)]
    waits += [limits.guesses.wait(place, tick) for place in places]
    if blocked := [wait for wait in waits if wait is not None]:
        raise TooManyRequests("Too many wrong codes", max(blocked))
    # Counted before it is known: guesses that come all at once must not all find the door open.
    limits.session_guesses.fail(session.digest, tick)
    for place in places:
        limits.guesses.fail(place, tick)
    code = normalize_user_code(text)
    home = None if code is None else await _claim(house, code, person, session)
    if home is not None:
        limits.session_guesses.forgive(session.digest, tick)
        for place in places:
            limits.guesses.forgive(place, tick)
    elif limits.guessing.take("all", tick):
        _log.error("user codes are being guessed", address=address)
    return home


async def _claim(house: House, code: str, person: Person, session: ConsoleSession) -> Home | None:
    now = house.clock.now()
    reserved = None
    for keys in house.keys.known:
        key = hash_user_code(code, keys.user_code_key)
        reserved = reserved or await house.store.find_reservation(key, now=now)
    # What is not there is looked for all the same.
    home = Home(house.random(HOME_BYTES)) if reserved is None else reserved.home
    found = await house.store.find_device(home)
    client = None if found is None else await house.store.find_client(found.device.client)
    if client is not None and not _may_ask(client):
        home = Home(house.random(HOME_BYTES))
    actor = f"person:{person.id}"
    claim = Claim(person.id, session.digest, now + CLAIM)
    claimed = AuditEvent(n=0, at=now, event="device_claimed", actor=actor, detail={})
    change = Change(home, (ClaimDevice(claim, now),), (claimed,))
    if isinstance(await house.store.apply(change), Applied):
        return home
    contested = AuditEvent(n=0, at=now, event="device_contested", actor=actor, detail={})
    await house.store.apply(Change(home, (ContestDevice(person.id, now),), (contested,)))
    return None


async def stand(house: House, home: Home, person: Person, session: ConsoleSession) -> Confirmed:
    """What this person has confirmed in this session. Raises `Over`."""
    found = await house.store.find_device(home)
    now = house.clock.now()
    if found is None:
        raise Over
    device, claim = found.device, found.device.claim
    if claim is None or not claim.is_of(person.id, session.digest):
        raise Over
    if device.stage is DeviceStage.WAITING and (now >= claim.until or not device.is_open(now)):
        raise Over
    client = await house.store.find_client(device.client)
    if client is None or not _may_ask(client):
        raise Over
    shown = disclose_access(device.asked, house.types, scopes=house.scopes)
    seen = digest(
        {
            "client": {"id": client.id, "name": client.name},
            "person": person.id,
            "address": device.address,
            "shown": shown,
        }
    )
    return Confirmed(device=device, client=client, shown=shown, seen=seen)


async def answer(
    house: House, home: Home, person: Person, session: ConsoleSession, said: Said, seen: str
) -> None:
    """Record the answer, once. Raises `Over`, and `NotShown` for a yes to something else."""
    confirmed = await stand(house, home, person, session)
    device, claim = confirmed.device, confirmed.device.claim
    if claim is None or device.stage is not DeviceStage.WAITING:
        raise Over
    if said is Said.YES:
        if seen != confirmed.seen:
            raise NotShown
        await _agree(house, confirmed, claim, person, session)
        return
    now, actor = house.clock.now(), f"person:{person.id}"
    declined = AuditEvent(n=0, at=now, event="declined", actor=actor, detail={})
    change = Change(home, (AnswerDevice(claim, agrees=False, at=now),), (declined,))
    if isinstance(await house.store.apply(change), Superseded):
        raise Over
    if said is Said.NOT_MINE:
        detail = f"{device.client} from {device.address}"
        await house.store.record(SecurityEvent(now, "device_not_started", actor, detail))


async def _agree(
    house: House, confirmed: Confirmed, claim: Claim, person: Person, session: ConsoleSession
) -> None:
    device, client, now = confirmed.device, confirmed.client, house.clock.now()
    consent, remember = await consent_to(house, device.asked, client, person)
    grant = _grant(house, device, person, session, consent.id)
    granted = AuditEvent(
        n=0,
        at=now,
        event="granted",
        actor=f"person:{person.id}",
        detail={"client": client.id, "granted": device.asked.to_json()},
    )
    change = Change(
        device.home,
        (AnswerDevice(claim, agrees=True, at=now), OpenGrant(grant)),
        (LiveUntil(device.expires_at), granted),
    )
    if isinstance(await house.store.apply(change), Superseded):
        raise Over
    # As at the authorization endpoint: see `authorize.issue_code`.
    await remember()
    if not await stands(house, client.id, Behind.of(grant)):
        await close_home(house, device.home, why="stale")
        raise Over


def _grant(
    house: House, device: Device, person: Person, session: ConsoleSession, consent: ConsentId
) -> UserGrant:
    now = house.clock.now()
    return UserGrant(
        client=device.client,
        person=person.id,
        session=session.digest,
        consent=consent,
        auth_time=session.signed_in_at,
        opened_at=now,
        live_until=now,
    )


async def is_last_word(house: House, confirmed: Confirmed, person: Person) -> bool:
    """Is nobody else asked after this person's yes (DEV-VER-09)?"""
    device = confirmed.device
    if device.stage is DeviceStage.SPENT:
        loaded = await house.store.find_loaded(Key(device.home, DEFERRAL))
        return loaded is None or isinstance(loaded.held.state, Redeemed)
    verdict = await house.decider.decide(
        Question(
            client=confirmed.client,
            grant_type=names.GRANT_DEVICE_CODE,
            subject=person.id,
            asked=device.asked,
            bound=device.binding.bound is not None,
            at=house.clock.now(),
            person=person.id,
        )
    )
    return isinstance(verdict, Issue)


def _may_ask(client: Client) -> bool:
    return client.enabled and names.GRANT_DEVICE_CODE in client.grant_types

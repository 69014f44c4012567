"""Ending what rests on a ground that is gone: pushed, before anybody is told it is gone.

First the fence (the disabled client or person, the forgotten consent, the session
ended by force), then a sweep over every home that rests on it, page by page until
none is left, and only then the acknowledgement. Whoever begins something new
writes first and looks at the fences then (`check_ground`), so one of the two
always sees the other.

Source: OAUTH-DEFER-09, OAUTH-CLI-05, OAUTH-AUTHZ-12, EXT-STALE-01, -04, reading 18.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from abeyance.acts.house import House
from abeyance.grants.grant import Behind
from abeyance.parties.client import Client, ClientId
from abeyance.parties.person import Person, PersonId
from abeyance.pending.change import AuditEvent, Change, CloseHome
from abeyance.pending.handles import Home
from abeyance.pending.states import Denied, Event, Outcome
from abeyance.store.ports import (
    Ground,
    OfClient,
    OfConsent,
    OfPerson,
    OfSession,
    SecurityEvent,
)

_PAGE: Final = 100


async def close(house: House, ground: Ground) -> int:
    """Close every home that rests on this; return how many there were."""
    closed = 0
    while homes := await house.store.find_open_homes(ground, now=house.clock.now(), limit=_PAGE):
        for home in homes:
            await close_home(house, home, why="stale")
        closed += len(homes)
    return closed


async def close_home(house: House, home: Home, *, why: str, actor: str = "system") -> None:
    """End all that lives at a home, its requests, grant, codes, family and tokens, and all that
    was derived from those.
    """
    await _close_one(house, home, why, actor)
    await close_derived(house, home, None)


async def _close_one(house: House, home: Home, why: str, actor: str) -> None:
    now = house.clock.now()
    await house.store.apply(
        Change(
            home,
            (CloseHome(Event.STALE, Denied(Outcome.PRECONDITION_FAILED), at=now),),
            (AuditEvent(n=0, at=now, event=why, actor=actor, detail={}),),
        )
    )


async def close_derived(house: House, home: Home, jti: bytes | None) -> None:
    """End what was derived from a revoked token there, or (`None`) from anything there, and
    what was derived from that (OAUTH-TX-11). A list, since chains have no bound of ours.
    """
    waits = [(home, jti)]
    while waits:
        source, token = waits.pop()
        after = None
        while page := await house.store.list_derived(source, token, after=after, limit=_PAGE):
            for each in page:
                await _close_one(house, each, "stale", "system")
                waits.append((each, None))
            after = page[-1]


# --- the four grounds


async def disable_client(house: House, client: Client, *, by: str) -> None:
    """A disabled client gets nothing any more, and nothing of it waits (OAUTH-CLI-05)."""
    await set_client(house, client.id, enabled=False)
    await close(house, OfClient(client.id))
    await _note(house, "client_disabled", by, client.id)


async def set_client(house: House, client: ClientId, *, enabled: bool) -> None:
    """Write the switch and nothing else: what somebody changes meanwhile stays changed.

    It is somebody's word, so that a configuration which declares the client says less.
    """
    while (before := await house.store.find_client(client)) is not None:
        after = replace(before, enabled=enabled, barred=not enabled)
        if await house.store.replace_client(before, after):
            return


async def set_person(house: House, person: PersonId, *, enabled: bool) -> None:
    """As `set_client`."""
    while (before := await house.store.find_person(person)) is not None:
        after = replace(before, enabled=enabled, barred=not enabled)
        if await house.store.replace_person(before, after):
            return


async def close_client(house: House, client: ClientId) -> int:
    """Sweep a client whose fence stands."""
    return await close(house, OfClient(client))


async def disable_person(house: House, person: Person, *, by: str) -> None:
    """A disabled person is signed out, and what they granted or asked for ends."""
    await set_person(house, person.id, enabled=False)
    await house.store.end_sessions_of(person.id)
    await close(house, OfPerson(person.id))
    await _note(house, "person_disabled", by, person.id)


async def withdraw_consent(house: House, person: PersonId, client: ClientId, *, by: str) -> bool:
    """Take back what a person let a client do; `False` if there was nothing."""
    known = await house.store.drop_consent(person, client)
    # Swept in any case: an earlier withdrawal may have been cut short behind its fence.
    closed = await close(house, OfConsent(person, client))
    if known:
        await _note(house, "consent_withdrawn", by, f"{person} {client}")
    return known or closed > 0


async def end_sessions(house: House, person: PersonId, *, by: str, but: bytes | None = None) -> int:
    """End a person's sessions by force, and what was granted in them (reading 18)."""
    ended = await house.store.end_sessions_of(person, but=but)
    for digest in ended:
        await close(house, OfSession(digest))
    await _note(house, "sessions_ended", by, person)
    return len(ended)


async def end_session(house: House, person: PersonId, digest: bytes, *, by: str) -> None:
    """End one session by force."""
    await house.store.end_session(digest, forced=True)
    await close(house, OfSession(digest))
    await _note(house, "session_ended", by, person)


async def sign_out(house: House, digest: bytes) -> None:
    """A plain end of a session; it ends grants only where the house says so (reading 18)."""
    await house.store.end_session(digest)
    if house.terms.stale_with_any_end:
        await close(house, OfSession(digest))


# --- what whoever begins something asks


async def stands(house: House, client: ClientId, behind: Behind | None) -> bool:
    """Does everything still hold that this rests on? Every read sees the latest commit."""
    present = await house.store.find_client(client)
    if present is None or not present.enabled:
        return False
    if behind is None:
        return True
    person = await house.store.find_person(behind.person)
    if person is None or not person.enabled:
        return False
    if behind.consent is not None:
        consent = await house.store.find_consent(behind.person, client)
        if consent is None or consent.id != behind.consent:
            return False
    if behind.session is None:
        return True
    if house.terms.stale_with_any_end:
        session = await house.store.find_session(behind.session)
        if session is None:
            return False
        return not (house.terms.sessions_run_out and session.is_over(house.clock.now()))
    return not await house.store.is_ended_by_force(behind.session)


async def _note(house: House, event: str, actor: str, detail: str) -> None:
    at: datetime = house.clock.now()
    await house.store.record(SecurityEvent(at, event, actor, detail))

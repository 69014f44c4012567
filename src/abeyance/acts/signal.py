"""A word from outside: the ground of a person, a client or a session has changed.

What this house owns is pushed by itself (`dispose`). Of what others own (an account system, a
device register, a fraud team) it hears here: close what rests on it, or ask the policy once
more and close what it would deny by now. Nothing is ever granted by a signal.

Source: EXT-STALE-01, -04; EXT-EVENTS-01 (the hook).
"""

from collections.abc import AsyncIterator
from typing import Final, assert_never

from abeyance.acts.dispose import close, close_home, stands
from abeyance.acts.house import House
from abeyance.acts.rejudge import ask_again
from abeyance.acts.standing import actor_stands, derived_stands, still_allowed
from abeyance.grants.grant import Behind
from abeyance.pending.request import Loaded
from abeyance.pending.states import Approved, AwaitingInteraction, Pending
from abeyance.policy.decider import Deny
from abeyance.store.ports import (
    AsAsker,
    Ended,
    Ground,
    OfAll,
    OfClient,
    OfConsent,
    OfPerson,
    OfSession,
    SecurityEvent,
    Wanted,
)

_PAGE: Final = 100
_OF_A_SESSION: Final = 1_000
SIGNAL: Final = "ground_changed"


async def ground_changed(
    house: House, ground: Ground, *, end: bool, by: str, reason: str | None = None
) -> int:
    """Close what rests on this, or (`end` false) what the policy would deny by now.

    Returns how many grants and requests were closed. Done when it returns: whoever polls
    after that is told so.
    """
    closed = await close(house, ground) if end else await _recheck(house, ground)
    detail = f"{_name(ground)}: {'closed' if end else 'checked'}, {closed} ended"
    if reason is not None:
        detail += f" ({reason})"
    await house.store.record(SecurityEvent(house.clock.now(), SIGNAL, by, detail))
    return closed


async def _recheck(house: House, ground: Ground) -> int:
    closed = set()
    async for loaded in _living(house, ground):
        home = loaded.held.key.home
        if home not in closed and not await _still_holds(house, loaded):
            await close_home(house, home, why="stale")
            closed.add(home)
    return len(closed)


async def _living(house: House, ground: Ground) -> AsyncIterator[Loaded]:
    """What waits or is approved and rests on this, page by page."""
    if isinstance(ground, OfSession):
        # A browser session has few, and an index finds them.
        now = house.clock.now()
        for home in await house.store.find_open_homes(ground, now=now, limit=_OF_A_SESSION):
            for loaded in await house.store.list_loaded(home):
                if isinstance(loaded.held.state_at(now), Pending | AwaitingInteraction | Approved):
                    yield loaded
        return
    for ended in (Ended.WAITING, Ended.APPROVED):
        wanted, cursor = _wanted(ground, ended), None
        while True:
            page = await house.store.list_requests(
                wanted, now=house.clock.now(), limit=_PAGE, cursor=cursor
            )
            for loaded in page.items:
                if _rests_on(loaded, ground):
                    yield loaded
            if page.next is None:
                break
            cursor = page.next


async def _still_holds(house: House, loaded: Loaded) -> bool:
    """Would it be asked to wait, or granted, if it came now?"""
    snapshot = loaded.snapshot
    client = await house.store.find_client(snapshot.client)
    if (
        client is None
        or snapshot.grant_type not in client.grant_types
        or not still_allowed(house, snapshot, snapshot.asked, client)
        or not await stands(house, client.id, Behind.of_snapshot(snapshot))
        or not await derived_stands(house, snapshot.source)
        or not await actor_stands(house, snapshot.actor)
    ):
        return False
    return not isinstance(await ask_again(house, client, loaded), Deny)


def _wanted(ground: OfClient | OfConsent | OfPerson, ended: Ended) -> Wanted:
    match ground:
        case OfClient(client):
            return Wanted(whose=OfAll(), ended=ended, client=client)
        case OfConsent(person, client):
            return Wanted(whose=AsAsker(person), ended=ended, client=client)
        case OfPerson(person):
            return Wanted(whose=AsAsker(person), ended=ended)
        case never:
            assert_never(never)


def _rests_on(loaded: Loaded, ground: OfClient | OfConsent | OfPerson) -> bool:
    """A list of somebody's requests has those of their clients too."""
    match ground:
        case OfClient():
            return True
        case OfConsent(person, _) | OfPerson(person):
            return loaded.snapshot.person == person
        case never:
            assert_never(never)


def _name(ground: Ground) -> str:
    match ground:
        case OfClient(client):
            return f"client {client}"
        case OfConsent(person, client):
            return f"person {person} at client {client}"
        case OfPerson(person):
            return f"person {person}"
        case OfSession():
            return "a session"
        case never:
            assert_never(never)

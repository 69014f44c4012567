"""Erasing a person: what they were goes, what others rely on stays under a pseudonym.

First the fence and the sweep, as if they were disabled; then every table, page by page; at the
end their own row. One that was cut short is done by calling again. It cannot be taken back.

Source: OAUTH-LOG-07, SEC-STORE-16.
"""

from dataclasses import replace
from typing import Final

from abeyance.acts.dispose import close
from abeyance.acts.house import House
from abeyance.parties.person import Person, PersonId
from abeyance.store.ports import OfPerson, SecurityEvent

_PAGE: Final = 500  # rows
ERASED: Final = "erased-"
_NAME: Final = "Somebody who was erased"


def pseudonym_of(house: House, person: PersonId) -> PersonId:
    """Who they are from then on: the same for the same id, and only this house can tell."""
    return PersonId(f"{ERASED}{house.keys.pseudonym(person)}")


async def find_erased(house: House, person: PersonId) -> Person | None:
    """Nobody gets the id of somebody who was erased: at resources it would be them."""
    for pseudonym in house.keys.pseudonyms(person):
        erased = await house.store.find_person(PersonId(f"{ERASED}{pseudonym}"))
        if erased is not None:
            return erased
    return None


async def erase_person(house: House, person: Person, *, by: str) -> PersonId:
    """Take this person out of everything; return the pseudonym. Raises `StoreAway`."""
    becomes = Person(
        id=pseudonym_of(house, person.id),
        name=_NAME,
        roles=frozenset(),
        enabled=False,
        declared=False,
    )
    await _put_up_the_fence(house, person.id)
    await house.store.end_sessions_of(person.id)
    await close(house, OfPerson(person.id))
    for client in await house.store.list_clients():
        if client.owner == person.id:
            await house.store.replace_client(client, replace(client, owner=None))
    after = None
    while True:
        page = await house.store.erase_person(person.id, becomes, limit=_PAGE, after=after)
        if page.next is None:
            break
        after = page.next
    actor = f"person:{becomes.id}" if by == f"person:{person.id}" else by
    event = SecurityEvent(house.clock.now(), "person_erased", actor, becomes.id)
    await house.store.record(event)
    return becomes.id


async def _put_up_the_fence(house: House, person: PersonId) -> None:
    while (before := await house.store.find_person(person)) is not None:
        bare = replace(before, name=_NAME, password_hash=None, email=None, enabled=False)
        if await house.store.replace_person(before, bare):
            return

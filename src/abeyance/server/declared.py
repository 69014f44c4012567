"""What the configuration declares belongs to it: each start brings it into the store.

What has left the file is disabled, and what waits for it is closed, before the
server answers anybody (OAUTH-CLI-05). What was not declared is left alone, and what
somebody has disabled stays so: another process may stop and start at any time.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from abeyance.acts.administer import invite_person
from abeyance.acts.dispose import close, close_client
from abeyance.acts.house import House
from abeyance.parties.client import Client
from abeyance.parties.person import Person, PersonId, Role
from abeyance.store.ports import OfPerson, SecurityEvent
from abeyance.wire.secret import Secret

_FIRST: Final = PersonId("admin")


async def bring_in(house: House, clients: Sequence[Client], people: Sequence[Person]) -> None:
    """Write what is declared, disable what no longer is."""
    await _bring_in_clients(house, clients)
    await _bring_in_people(house, people)


async def invite_first_administrator(house: House) -> Secret | None:
    """Make the one-time link by which the first administrator sets a password.

    `None` if somebody can sign in as administrator already. There is no default
    account and no default secret (SEC-OPS-03): until the link is used, nobody
    can sign in.
    """
    people = {person.id: person for person in await house.store.list_people()}
    if any(
        person.enabled and person.password_hash and Role.ADMINISTRATOR in person.roles
        for person in people.values()
    ):
        return None
    if _FIRST in people and people[_FIRST].declared:
        return None
    await house.store.put_person(
        people.get(_FIRST)
        or Person(
            id=_FIRST,
            name="Administrator",
            roles=frozenset({Role.ADMINISTRATOR, Role.REVIEWER}),
            declared=False,
        )
    )
    first = await house.store.find_person(_FIRST)
    return None if first is None else await invite_person(house, first, by="system")


async def _bring_in_clients(house: House, clients: Sequence[Client]) -> None:
    declared = {client.id for client in clients}
    stored = {client.id: client for client in await house.store.list_clients()}
    for client in clients:
        before = stored.get(client.id)
        if before is not None and not before.enabled:
            await close_client(house, client.id)  # as below: that sweep may have been cut short
        await _declare_client(house, client, before)
    for gone in stored.values():
        if not gone.declared or gone.id in declared:
            continue
        # The fence first, then the sweep: whoever opens a request looks at the fence.
        if gone.enabled:
            await house.store.put_client(replace(gone, enabled=False))
            await _note(house, "client_disabled", gone.id)
        # Each time: the start that disabled it may have been cut short before its sweep.
        await close_client(house, gone.id)


async def _declare_client(house: House, client: Client, before: Client | None) -> None:
    while True:
        after = client
        if before is not None and before.barred:
            after = replace(client, enabled=False, barred=True)
        if before == after:
            return
        # Never a plain write: it would enable what somebody disables just now.
        if await house.store.replace_client(before, after):
            await _note(house, "client_declared", client.id)
            return
        before = await house.store.find_client(client.id)


async def _bring_in_people(house: House, people: Sequence[Person]) -> None:
    declared = {person.id for person in people}
    stored = {person.id: person for person in await house.store.list_people()}
    for person in people:
        before = stored.get(person.id)
        # Sessions first: a start that is cut short in between does both again.
        if before is not None and before.password_hash != person.password_hash:
            await house.store.end_sessions_of(person.id)
        await _declare_person(house, person, before)
    for gone in stored.values():
        if not gone.declared or gone.id in declared:
            continue
        # The fence first, then the sweep, each time: a start may be cut short in between.
        if gone.enabled:
            await house.store.put_person(replace(gone, enabled=False))
            await _note(house, "person_disabled", gone.id)
        await house.store.end_sessions_of(gone.id)
        await close(house, OfPerson(gone.id))


async def _declare_person(house: House, person: Person, before: Person | None) -> None:
    """As `_declare_client`."""
    while True:
        after = person
        if before is not None and before.barred:
            after = replace(person, enabled=False, barred=True)
        if before == after:
            return
        if await house.store.replace_person(before, after):
            await _note(house, "person_declared", person.id)
            return
        before = await house.store.find_person(person.id)


async def _note(house: House, event: str, name: str) -> None:
    await house.store.record(SecurityEvent(house.clock.now(), event, "configuration", name))

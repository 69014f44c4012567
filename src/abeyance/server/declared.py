"""What the configuration declares belongs to it: each start brings it into the store.

What has left the file is disabled, and what waits for it is closed, before the
server answers anybody (OAUTH-CLI-05). What was not declared is left alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from abeyance.acts.dispose import close_client
from abeyance.acts.house import House
from abeyance.parties.client import Client
from abeyance.parties.person import Invitation, Person, PersonId, Role
from abeyance.store.ports import SecurityEvent
from abeyance.wire.base64url import render_base64url
from abeyance.wire.secret import Secret

INVITATION_LIFE: Final = timedelta(minutes=15)  # SEC-OPS-03
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
    token = Secret(render_base64url(house.random(32)))
    await house.store.put_invitation(
        Invitation(token.digest(), _FIRST, house.clock.now() + INVITATION_LIFE)
    )
    return Secret(f"{house.endpoints.console}/welcome/{token.reveal()}")


async def _bring_in_clients(house: House, clients: Sequence[Client]) -> None:
    declared = {client.id for client in clients}
    stored = {client.id: client for client in await house.store.list_clients()}
    for client in clients:
        before = stored.get(client.id)
        if before is not None and not before.enabled:
            await close_client(house, client.id)  # as below: that sweep may have been cut short
        if before != client:
            await house.store.put_client(client)
            await _note(house, "client_declared", client.id)
    for gone in stored.values():
        if not gone.declared or gone.id in declared:
            continue
        # The fence first, then the sweep: whoever opens a request looks at the fence.
        if gone.enabled:
            await house.store.put_client(replace(gone, enabled=False))
            await _note(house, "client_disabled", gone.id)
        # Each time: the start that disabled it may have been cut short before its sweep.
        await close_client(house, gone.id)


async def _bring_in_people(house: House, people: Sequence[Person]) -> None:
    declared = {person.id for person in people}
    stored = {person.id: person for person in await house.store.list_people()}
    for person in people:
        before = stored.get(person.id)
        if before != person:
            # Sessions first: a start that is cut short in between does both again.
            if before is not None and before.password_hash != person.password_hash:
                await house.store.end_sessions_of(person.id)
            await house.store.put_person(person)
            await _note(house, "person_declared", person.id)
    for gone in stored.values():
        if gone.declared and gone.id not in declared and gone.enabled:
            await house.store.end_sessions_of(gone.id)
            await house.store.put_person(replace(gone, enabled=False))
            await _note(house, "person_disabled", gone.id)


async def _note(house: House, event: str, name: str) -> None:
    await house.store.record(SecurityEvent(house.clock.now(), event, "configuration", name))

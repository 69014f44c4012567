"""What administrators do to clients and people, besides ending things (`dispose`)."""

from datetime import timedelta
from typing import Final

from abeyance.acts.dispose import set_client, set_person
from abeyance.acts.house import House
from abeyance.parties.client import Client
from abeyance.parties.person import Invitation, Person
from abeyance.store.ports import SecurityEvent
from abeyance.wire.base64url import render_base64url
from abeyance.wire.secret import Secret

INVITATION_LIFE: Final = timedelta(minutes=15)  # SEC-OPS-03


async def enable_client(house: House, client: Client, *, by: str) -> None:
    """What ended while it was disabled stays ended (T-199, T-201)."""
    await set_client(house, client.id, enabled=True)
    await _note(house, "client_enabled", by, client.id)


async def enable_person(house: House, person: Person, *, by: str) -> None:
    """What ended while they were disabled stays ended (T-201)."""
    await set_person(house, person.id, enabled=True)
    await _note(house, "person_enabled", by, person.id)


async def invite_person(house: House, person: Person, *, by: str) -> Secret:
    """A one-time link by which the person sets a password; short, and never shown again."""
    token = Secret(render_base64url(house.random(32)))
    until = house.clock.now() + INVITATION_LIFE
    await house.store.put_invitation(Invitation(token.digest(), person.id, until))
    await _note(house, "person_invited", by, person.id)
    return Secret(f"{house.endpoints.issuer}/welcome/{token.reveal()}")


async def _note(house: House, event: str, actor: str, detail: str) -> None:
    await house.store.record(SecurityEvent(house.clock.now(), event, actor, detail))

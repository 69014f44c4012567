"""Who a client is, by the id that a request names.

Ids that are addresses are never declared or registered: such a client is what its document
says (OAUTH-CIMD-01), and nobody where documents are switched off.
"""

from collections.abc import Awaitable

from abeyance.acts.house import House
from abeyance.oauth.client_document import SCHEME
from abeyance.oauth.fapi import hold
from abeyance.parties.client import Client, ClientId


def find_client(house: House, client: ClientId) -> Awaitable[Client | None]:
    """Raises `TooManyRequests`, if documents would be asked for too often.

    Awaits nothing itself: this is on the way of every poll.
    """
    if house.terms.fapi:
        return _find_held(house, client)
    return _find(house, client)


def _find(house: House, client: ClientId) -> Awaitable[Client | None]:
    if not client.startswith(SCHEME):
        return house.store.find_client(client)
    if house.documents is None:
        return _nobody()
    return house.documents.find(house, client)


async def _find_held(house: House, client: ClientId) -> Client | None:
    """As the profile lets it be, also where it was registered before (OAUTH-FAPI-01, -02)."""
    found = await _find(house, client)
    return None if found is None else hold(found)


async def _nobody() -> None:
    return None

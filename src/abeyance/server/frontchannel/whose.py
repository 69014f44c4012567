"""Who answers for a client's being here, as people are told when asked (OAUTH-CIMD-05)."""

from collections.abc import Mapping
from typing import Any

from abeyance.acts.house import House
from abeyance.oauth.client_document import host_of_id
from abeyance.parties.client import Client, ClientId


async def facts_of_origin(house: House, client: Client) -> Mapping[str, Any]:
    """`described_at`: the host of its document; `by_itself`: it registered over HTTP."""
    return {
        "described_at": host_of_id(client.id),
        "by_itself": await _registered_itself(house, client.id),
    }


async def is_self_made(house: House, client: ClientId) -> bool:
    """Has nobody here looked at where it sends people?"""
    return host_of_id(client) is not None or await _registered_itself(house, client)


async def _registered_itself(house: House, client: ClientId) -> bool:
    return await house.store.find_registration(client) is not None

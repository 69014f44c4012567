"""Who answers for a client's being here, as people are told when asked (OAUTH-CIMD-05)."""

from collections.abc import Mapping
from typing import Any

from abeyance.acts.house import House
from abeyance.oauth.client_document import host_of_id
from abeyance.parties.client import Client


async def facts_of_origin(house: House, client: Client) -> Mapping[str, Any]:
    """`described_at`: the host of its document; `by_itself`: it registered over HTTP."""
    return {
        "described_at": host_of_id(client.id),
        "by_itself": await house.store.find_registration(client.id) is not None,
    }

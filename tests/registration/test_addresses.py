"""Addresses that a client would have us call: the whole corpus, at the door (SEC-SSRF-01 ff.)."""

from typing import Any, Final

import pytest

from abeyance.parties.client import ClientId
from tests.covers import covers
from tests.outbound.test_targets import NEVER
from tests.registration.house import MACHINE, Desk

GOOD: Final = "https://app.example.com/n"
WAYS: Final[dict[str, dict[str, Any]]] = {
    "deferred_client_notification_endpoint": {},
    "jwks_uri": {"token_endpoint_auth_method": "private_key_jwt"},
}


@covers("OAUTH-SSRF-01", "OAUTH-SSRF-07", "OAUTH-SSRF-08", "SEC-TM-20", "DTR-CB-06", "T-181")
@pytest.mark.parametrize("member", WAYS)
async def test_none_that_leads_inwards_is_registered_and_why_is_not_told(
    desk: Desk, member: str
) -> None:
    told = (await desk.register(**WAYS[member], **{member: GOOD})).json
    name = ClientId(told["client_id"])
    before = await desk.served.house.store.find_client(name)
    said = set()
    for url in [*NEVER, "https://private.example.com/"]:
        change = {**MACHINE, **WAYS[member], "client_id": name, member: url}
        answer = await desk.manage("PUT", told, change)
        assert (answer.status, answer.error) == (400, "invalid_client_metadata"), url
        said.add(answer.json["error_description"])
    assert len(said) == 1, said
    assert await desk.served.house.store.find_client(name) == before
    assert (desk.network.gets, desk.network.posts) == ([], [])

"""Initial access tokens, as administrators make and withdraw them."""

from pathlib import Path

import pytest

from tests.admin.office import CLIENT, CLIENTS, EXTRA, READ, ops
from tests.covers import covers
from tests.people.house import CONFIG, open_people
from tests.registration.house import Desk

TABLE = """
[registration]
enabled = true
scope = ["read"]
resources = ["https://ledger.example"]
grant_types = ["client_credentials"]
"""


@covers("OAUTH-DCR-01")
async def test_an_invitation_lets_in_as_many_as_it_says_and_can_be_withdrawn(
    tmp_path: Path,
) -> None:
    async with open_people(tmp_path, config=CONFIG + CLIENTS, extra=TABLE + EXTRA) as served:
        office, desk = await ops(served), Desk(served)
        made = (await office.post("/registration-tokens", {"uses": 2, "note": "for Ann"})).json
        assert (await desk.register(token=made["token"], client_name="Ann's")).status == 201
        [listed] = (await office.get("/registration-tokens")).json["items"]
        assert listed == {**made, "token": None, "left": 1}
        await served.house.store.check()
        assert (await office.call("DELETE", f"/registration-tokens/{made['id']}")).status == 204
        assert (await desk.register(token=made["token"], client_name="Ann's")).status == 401
        assert (await office.call("DELETE", f"/registration-tokens/{made['id']}")).status == 404
        events = [each.event for each in await served.house.store.list_security_events(20)]
        assert {"registration_token_made", "registration_token_withdrawn"} <= set(events)


@covers("OAUTH-DCR-01")
@pytest.mark.parametrize(
    "body",
    [
        {"uses": 0},
        {"uses": 1001},
        {"uses": 1, "expires_in": 1},
        {"uses": 1, "expires_in": 10**9},
        {},
        {"uses": "2"},
    ],
)
async def test_an_invitation_beyond_its_bounds_is_not_made(
    tmp_path: Path, body: dict[str, object]
) -> None:
    async with open_people(tmp_path, config=CONFIG + CLIENTS, extra=EXTRA) as served:
        office = await ops(served)
        assert (await office.post("/registration-tokens", body)).status in (400, 422)
        assert (await office.get("/registration-tokens")).json["items"] == []
        reader = await ops(served, READ)
        assert (await reader.post("/registration-tokens", {"uses": 1})).status == 403
        assert (await (await ops(served, CLIENT)).get("/registration-tokens")).status == 403

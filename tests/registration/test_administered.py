"""What an administrator has said of a client that registered itself outlasts what it says later."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from abeyance.acts.decide import NotCounted, Obstacle
from abeyance.parties.client import ClientId
from tests.admin.office import CLIENTS, EXTRA, ops
from tests.answer import Answer
from tests.covers import covers
from tests.people.house import CONFIG, open_people
from tests.registration.house import Desk
from tests.served import Served

TABLE: Final = """
[openid]
enabled = true

[registration]
enabled = true
open = true
scope = ["read", "openid"]
resources = ["https://ledger.example"]
grant_types = ["authorization_code", "client_credentials"]
"""
ROBOT: Final[dict[str, Any]] = {
    "client_name": "Robot of Ada's",
    "grant_types": ["client_credentials"],
    "token_endpoint_auth_method": "client_secret_post",
    "scope": "read",
}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_people(tmp_path, config=CONFIG + CLIENTS, extra=EXTRA + TABLE) as running:
        yield running


async def administer(served: Served, client: str, **changes: Any) -> dict[str, Any]:
    office = await ops(served)
    shown = await office.get(f"/clients/{client}")
    changed = await office.call(
        "PUT",
        f"/clients/{client}",
        shown.json["registration"] | changes,
        headers={"if-match": shown.header("etag") or ""},
    )
    assert changed.status == 200, changed.body
    told: dict[str, Any] = changed.json["registration"]
    return told


async def ask(served: Served, registered: Any) -> Answer:
    form = [
        ("grant_type", "client_credentials"),
        ("scope", "read"),
        ("client_id", registered["client_id"]),
        ("client_secret", registered["client_secret"]),
        ("completion_mode", "deferred"),
    ]
    return await served.post("/token", form)


@covers("OAUTH-DCR-04", "OAUTH-DCR-09", "SEC-UI-20", "EXT-DECIDE-03")
async def test_a_client_does_not_shake_off_whoever_answers_for_it(served: Served) -> None:
    desk = Desk(served)
    registered = (await desk.register(ROBOT, token=None)).json
    client = ClientId(registered["client_id"])
    await administer(served, client, owner="ada")
    again = await desk.manage("PUT", registered, ROBOT | {"client_id": client, "owner": "vic"})
    assert again.status == 200, again.body
    assert "owner" not in again.json
    present = await served.house.store.find_client(client)
    assert present is not None
    assert present.owner == "ada"
    waits = await ask(served, registered)
    own = await served.vote(waits.code, by="ada")
    assert isinstance(own, NotCounted)
    assert own.obstacle is Obstacle.OWN_REQUEST


@covers("OAUTH-OIDC-03", "OAUTH-OIDC-07", "OAUTH-CLI-01")
async def test_an_administrator_who_changes_a_name_loosens_nothing_else(served: Served) -> None:
    told = {
        "redirect_uris": ["https://app.example/cb"],
        "scope": "openid read",
        "default_max_age": 60,
        "id_token_signed_response_alg": "ES256",
    }
    registered = (await Desk(served).register(told, token=None)).json
    client = ClientId(registered["client_id"])
    before = await served.house.store.find_client(client)
    changed = await administer(served, client, client_name="Another name")
    after = await served.house.store.find_client(client)
    assert before is not None
    assert after is not None
    assert (after.name, after.default_max_age) == ("Another name", before.default_max_age)
    assert (changed["default_max_age"], changed["id_token_signed_response_alg"]) == (60, "ES256")


@covers("SEC-UI-08", "OAUTH-DCR-04")
@pytest.mark.parametrize("name", ["Webmill", "web-mill", "Webrnill", "W\u0435bmill"])
async def test_no_client_takes_the_name_of_one_that_was_looked_at(
    served: Served, name: str
) -> None:
    desk = Desk(served)
    refused = await desk.register(ROBOT | {"client_name": name}, token=None)
    assert (refused.status, refused.error) == (400, "invalid_client_metadata")
    one = (await desk.register(ROBOT, token=None)).json
    other = await desk.register(ROBOT, token=None)
    assert other.status == 201, "each copy of a program registers anew"
    renamed = await desk.manage("PUT", one, ROBOT | {"client_id": one["client_id"]})
    assert renamed.status == 200
    told = ROBOT | {"client_id": one["client_id"], "client_name": name}
    assert (await desk.manage("PUT", one, told)).error == "invalid_client_metadata"


@covers("OAUTH-DCR-10", "OAUTH-PARAM-01")
@pytest.mark.parametrize("client", ["a%00b", "%00", "a%0ab", "%ff", "%C3%A9", "a%7f"])
async def test_no_store_is_asked_for_a_client_that_nobody_could_be(
    served: Served, client: str
) -> None:
    for method in ("GET", "DELETE"):
        answer = await Desk(served).call(method, f"/register?client_id={client}", token="x" * 43)
        assert (answer.status, answer.error) == (400, "invalid_request")

"""Who is let in to the API, and what everybody else is told (OAUTH-AT-08 to -10)."""

from typing import Any

import pytest

from abeyance.acts import dispose
from abeyance.proofs.dpop import make_proof
from abeyance.server.admin.routes import ROUTES
from abeyance.wire.secret import Secret
from tests.admin.office import ALL, READ, Desk, desk, ops
from tests.console.house import Tab
from tests.covers import covers
from tests.people.house import web
from tests.served import Served


def path_of(route: Any) -> str:
    parts = {"client_id": "web", "person_id": "uma", "request_id": f"{'0' * 32}.1"}
    path = str(route.path)
    for name, value in parts.items():
        path = path.replace("{" + name + "}", value)
    return path


@covers("OAUTH-AT-09", "OAUTH-SESS-12")
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_no_route_answers_without_a_token(served: Served, route: Any) -> None:
    answer = await served.send(route.method, "/admin" + path_of(route), headers=[])
    assert answer.status == 401
    challenge = answer.header("www-authenticate") or ""
    assert challenge.startswith("Bearer, DPoP algs=")
    assert "error" not in challenge
    assert answer.json["code"] == "token_required"
    assert answer.header("content-type") == "application/problem+json"
    assert answer.header("cache-control") == "no-store"


@covers("OAUTH-AT-08", "OAUTH-AT-09")
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_no_route_answers_without_its_scope(served: Served, route: Any) -> None:
    others = " ".join(scope for scope in ALL.split() if scope != route.scope)
    answer = await (await ops(served, others)).call(route.method, path_of(route))
    assert answer.status == 403
    assert f'error="insufficient_scope", scope="{route.scope}"' in (
        answer.header("www-authenticate") or ""
    )


@covers("OAUTH-SESS-12")
async def test_the_cookie_of_an_administrator_opens_nothing(served: Served) -> None:
    tab = Tab(served)
    await tab.sign_in("ada")
    answer = (await tab.get("/admin/clients")).answer
    assert answer.status == 401


async def refuse(answer: Any, error: str, status: int = 401) -> None:
    assert answer.status == status
    assert f'error="{error}"' in (answer.header("www-authenticate") or "")


@covers("OAUTH-AT-08")
async def test_a_token_for_another_resource_is_not_accepted(served: Served) -> None:
    form = [("grant_type", "client_credentials"), ("scope", "now")]
    answer = await web(served, "robot").post("/token", form)
    other = Desk(served, answer.json["access_token"])
    await refuse(await other.get("/clients"), "invalid_token")


@covers("OAUTH-AT-08", "OAUTH-REVO-08")
async def test_a_token_that_has_ended_is_not_accepted(served: Served) -> None:
    caller = await ops(served)
    assert (await caller.get("/clients")).status == 200
    await web(served, "ops").post("/revoke", [("token", caller.token)])
    await refuse(await caller.get("/clients"), "invalid_token")
    caller = await ops(served)
    served.clock.move(700)
    await refuse(await caller.get("/clients"), "invalid_token")


@covers("OAUTH-CLI-05", "EXT-STALE-04")
async def test_a_disabled_client_or_person_is_not_accepted(served: Served) -> None:
    caller, ada = await ops(served), await desk(served, "ada")
    assert (await ada.get("/clients")).status == 200
    house = served.house
    person = next(each for each in await house.store.list_people() if each.id == "ada")
    await dispose.disable_person(house, person, by="test")
    await refuse(await ada.get("/clients"), "invalid_token")
    client = next(each for each in await house.store.list_clients() if each.id == "ops")
    await dispose.disable_client(house, client, by="test")
    await refuse(await caller.get("/clients"), "invalid_token")


@covers("OAUTH-AT-10", "SEC-JOSE-40", "OAUTH-DPOP-10", "OAUTH-DPOP-21")
async def test_a_bound_token_needs_its_key_this_request_and_itself(served: Served) -> None:
    ada = await desk(served, "ada")
    assert (await ada.get("/clients")).status == 200
    await refuse(await ada.get("/clients", scheme="Bearer"), "invalid_token")
    await refuse(await ada.get("/clients", headers={"dpop": "x"}), "invalid_dpop_proof")
    bare = Desk(served, ada.token)
    await refuse(await bare.get("/clients", scheme="DPoP"), "invalid_dpop_proof")
    stolen = Desk(served, ada.token, served.keys["d2"], count=500)
    await refuse(await stolen.get("/clients"), "invalid_token")


@covers("SEC-JOSE-39", "OAUTH-DPOP-12")
async def test_a_proof_is_for_one_token_one_place_and_once(served: Served) -> None:
    ada, rita = await desk(served, "ada"), await desk(served, "rita")
    key = served.keys["d1"]

    def proof(jti: str, **changes: Any) -> dict[str, str]:
        given: dict[str, Any] = {
            "method": "GET",
            "url": served.house.endpoints.admin + "/clients",
            "now": served.clock.now(),
            "access_token": Secret(ada.token),
        } | changes
        return {"dpop": make_proof(key, jti=jti, **given)}

    good = proof("one-proof-0000001")
    assert (await ada.get("/clients", headers=good)).status == 200
    await refuse(await ada.get("/clients", headers=good), "invalid_dpop_proof")
    foreign: list[dict[str, Any]] = [
        {"access_token": Secret(rita.token)},
        {"access_token": None},
        {"method": "POST"},
        {"url": served.house.endpoints.admin + "/people"},
    ]
    for n, changes in enumerate(foreign):
        answer = await ada.get("/clients", headers=proof(f"bad-proof-000{n}", **changes))
        await refuse(answer, "invalid_dpop_proof")


@covers("OAUTH-AT-08", "OAUTH-AT-09")
async def test_a_token_goes_in_one_field_and_nowhere_else(served: Served) -> None:
    caller = await ops(served)
    path = f"/admin/clients?access_token={caller.token}"
    assert (await served.send("GET", path, headers=[])).status == 401
    two = [("authorization", f"Bearer {caller.token}")] * 2
    await refuse(await served.send("GET", "/admin/clients", headers=two), "invalid_request", 400)
    lower = await caller.get("/clients", headers={"authorization": f"bearer {caller.token}"})
    assert lower.status == 200
    basic = await caller.get("/clients", headers={"authorization": "Basic eDp5"})
    assert basic.status == 401
    rubbish = await caller.get("/clients", headers={"authorization": "Bearer"})
    assert rubbish.status == 400


@covers("OAUTH-AT-09")
async def test_what_was_sent_is_never_echoed(served: Served) -> None:
    planted = 'planted"\\<script>'
    caller = await ops(served)
    for answer in (
        await caller.get("/clients", headers={"authorization": f"Bearer {planted}"}),
        await caller.get(f"/clients/{planted.replace(chr(34), '%22')}"),
        await caller.get("/clients?limit=planted"),
        await caller.post("/clients", {"planted": 1}),
        await caller.call("BREW", "/clients"),
    ):
        assert 400 <= answer.status < 500
        assert b"<script>" not in answer.body
        assert "planted" not in (answer.header("www-authenticate") or "")


async def test_other_methods_and_addresses_are_told_apart(served: Served) -> None:
    caller = await ops(served)
    answer = await caller.call("DELETE", "/clients")
    assert (answer.status, answer.header("allow")) == (405, "GET, POST")
    assert (await caller.get("/nowhere")).status == 404
    assert (await caller.get("/clients/a/b/c")).status == 404


@covers("OAUTH-CORS-01")
async def test_no_page_elsewhere_may_read_it(served: Served) -> None:
    caller = await ops(served, READ)
    answer = await caller.get("/clients", headers={"origin": "https://spa.example"})
    assert answer.status == 200
    assert not [name for name, _ in answer.headers if name.startswith("access-control")]
    preflight = await served.send(
        "OPTIONS", "/admin/clients", headers=[("origin", "https://spa.example")]
    )
    assert preflight.status in (401, 405)

"""How far a token reaches, how addresses are spelled, what is written beside decisions, races."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from abeyance.proofs.dpop import make_proof
from abeyance.server.admin.app import AdminApi
from abeyance.server.admin.problems import Problem
from abeyance.server.admin.route import AdminRequest, Caller
from abeyance.server.admin.routes import ROUTES
from abeyance.server.admin.scopes import SCOPES
from abeyance.server.settings import load_settings
from abeyance.wire.secret import Secret
from tests.admin.office import ALL, CLIENT, PEOPLE, READ, desk, ops
from tests.admin.test_admission import path_of
from tests.admin.test_conventions import BODIES, KEY
from tests.admin.test_resources import NEW, seen, waiting
from tests.covers import covers
from tests.people.house import web
from tests.served import Served


@covers("OAUTH-AT-08")
async def test_nobody_registers_a_client_that_may_administer_more_than_they(
    served: Served,
) -> None:
    most, less = await ops(served), await ops(served, f"{READ} {CLIENT}")
    place = {"resources": [served.house.endpoints.admin]}
    wide, narrow = {"scope": f"{READ} {PEOPLE}"} | place, {"scope": READ} | place
    refused = await less.post("/clients", NEW | wide)
    assert (refused.status, refused.json["code"]) == (403, "beyond_you")
    assert (await less.get("/clients/new")).status == 404

    made = await less.post("/clients", NEW | narrow)
    assert made.status == 201
    tag = {"if-match": made.header("etag") or ""}
    body = made.json["registration"]
    refused = await less.call("PUT", "/clients/new", body | wide, headers=tag)
    assert (refused.status, refused.json["code"]) == (403, "beyond_you")
    widened = await most.call("PUT", "/clients/new", body | wide, headers=tag)
    assert widened.status == 200

    # What has more by now is out of reach: its secret, and its redirects.
    before = await served.house.store.list_clients()
    tag = {"if-match": widened.header("etag") or ""}
    for answer in (
        await less.post("/clients/new/secret"),
        await less.call("PUT", "/clients/new", body, headers=tag),
    ):
        assert (answer.status, answer.json["code"]) == (403, "beyond_you")
    assert await served.house.store.list_clients() == before


@covers("OAUTH-DPOP-06", "OAUTH-DPOP-10")
@pytest.mark.parametrize(
    "path", ["/people/ann@as.example", "/people/ann%40as.example", "/people/ann%40as%2Eexample"]
)
async def test_a_proof_is_for_the_address_as_it_was_spelled(served: Served, path: str) -> None:
    ada = await desk(served, "ada")
    made = await ada.post("/people", {"id": "ann@as.example", "name": "Ann"})
    assert made.status == 201
    assert (await ada.get(path)).json["id"] == "ann@as.example"
    other = make_proof(
        served.keys["d1"],
        method="GET",
        url=served.house.endpoints.admin + "/people/uma",
        now=served.clock.now(),
        jti="for-another-place-01",
        access_token=Secret(ada.token),
    )
    assert (await ada.get(path, headers={"dpop": other})).status == 401


@covers("OAUTH-DPOP-06")
@pytest.mark.parametrize(
    "path",
    [
        "/people/a%20b",
        "/people/%00",
        "/people/%F0%9F%98%80",
        "/people/%FF",
        "/%22",
    ],
)
async def test_a_strange_address_is_nothing_and_no_fault(served: Served, path: str) -> None:
    ada = await desk(served, "ada")
    assert (await ada.get(path)).status == 404
    assert (await (await ops(served)).get(path)).status == 404


@covers("SEC-UI-07", "SEC-DOS-19", "EXT-OUTCOME-03")
async def test_what_is_written_beside_a_decision_has_no_control_characters(served: Served) -> None:
    code, name = await waiting(served)
    rita = await desk(served, "rita")
    stands = await seen(rita, name)
    hostile = "Not\x1b[2J now"
    for verb, body, member in (
        ("deny", stands | {"reason": hostile, "share": True}, "reason"),
        ("deny", stands | {"reason": " \r\n "}, "reason"),
        ("approve", stands | {"note": hostile}, "note"),
        ("approve", stands | {"note": "x" * 2001}, "note"),
        ("ask", {"step": "address", "note": hostile}, "note"),
    ):
        answer = await rita.post(f"/requests/{name}/{verb}", body)
        assert (answer.status, answer.json["member"]) == (422, member), body
    assert (await served.held(code)).version == stands["version"]
    body = stands | {"reason": "Not now.\r\nAsk later.", "share": True}
    assert (await rita.post(f"/requests/{name}/deny", body)).json["outcome"] == "denied"
    served.clock.move(10)
    await served.registers("web", "outcome")
    assert (await web(served).poll(code)).json["deferral_remark"] == "Not now. Ask later."


@covers("EXT-EVID-01", "EXT-DECIDE-02")
async def test_votes_are_told_with_what_they_grant_and_by_which_way(served: Served) -> None:
    _, name = await waiting(served, scope="read write")
    rita = await desk(served, "rita")
    stands = await seen(rita, name)
    assert (await rita.get(f"/requests/{name}")).json["votes"] == []
    choice = {"items": ["scope:read"], "lifetime": 600}
    answer = await rita.post(
        f"/requests/{name}/approve", stands | {"choice": choice, "note": "Enough."}
    )
    [vote] = answer.json["votes"]
    assert (vote["person_id"], vote["person_name"]) == ("rita", "Rita Renner")
    assert (vote["verdict"], vote["reason"], vote["shared"]) == ("approve", "Enough.", False)
    assert (vote["by_way_of"], vote["seen"]) == ("access token of desk", stands["seen"])
    assert vote["granted"]["scope"] == "read"


async def test_nobody_is_invited_where_a_host_application_signs_people_in(
    served: Served, tmp_path: Path
) -> None:
    ada = await desk(served, "ada")
    await ada.post("/people", {"id": "neo", "name": "Neo"})
    api = AdminApi(
        served.house, load_settings(tmp_path / "abeyance.toml", environ={}).known, hosted=True
    )
    route, parts = api.find("POST", "/people/neo/invite")
    caller = Caller(actor="x", owner="x", scope=frozenset(SCOPES), client=None, person=None)
    request = AdminRequest(caller=caller, parts=parts, query={}, body=b"", if_match=None)
    with pytest.raises(Problem) as refused:
        await api.answer(route, request)
    assert (refused.value.status, refused.value.code) == (409, "hosted")
    assert (await ada.post("/people/neo/invite")).status == 201


async def test_of_two_changes_at_once_one_is_lost_and_told_so(served: Served) -> None:
    caller = await ops(served)
    made = await caller.post("/clients", NEW)
    tag = {"if-match": made.header("etag") or ""}
    body = made.json["registration"]
    answers = await asyncio.gather(
        *(
            caller.call("PUT", "/clients/new", body | {"client_name": name}, headers=tag)
            for name in ("One", "Two", "Three")
        )
    )
    [won] = [answer for answer in answers if answer.status == 200]
    assert [answer.status for answer in answers].count(412) == 2
    assert (await caller.get("/clients/new")).json["registration"] == won.json["registration"]


async def test_a_call_that_is_sent_twice_at_once_happens_once(served: Served) -> None:
    caller = await ops(served)
    post = [caller.post("/clients", NEW, headers=KEY) for _ in range(3)]
    answers = await asyncio.gather(*post)
    assert {(each.status, each.json.get("code")) for each in answers} <= {
        (201, None),
        (409, "in_progress"),
    }
    told = {each.json["client_secret"] for each in answers if each.status == 201}
    assert len(told) == 1
    assert (await caller.get("/clients/new")).json["secrets"] == 1


WRITING = [route for route in ROUTES if route.body is not None]


@pytest.mark.parametrize("route", WRITING, ids=lambda route: f"{route.method} {route.path}")
async def test_no_route_stumbles_over_a_body(served: Served, route: Any) -> None:
    ada = await desk(served, "ada", ALL)
    before = await served.house.store.list_clients(), await served.house.store.list_people()
    for body in (*BODIES.values(), b"", b"null", b"{}", b'{"__proto__":{}}', b"\x00"):
        answer = await ada.call(route.method, path_of(route), body, headers={"if-match": '"x"'})
        assert 400 <= answer.status < 500
        assert answer.header("content-type") == "application/problem+json"
        assert b"Traceback" not in answer.body
    after = await served.house.store.list_clients(), await served.house.store.list_people()
    assert after == before

"""Pages, versions, repeated calls, strange bodies, and the document that describes it all."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abeyance.oauth.metadata import Endpoints
from abeyance.server.admin.openapi import describe
from abeyance.server.admin.problems import Problem
from abeyance.server.admin.route import AdminRequest, Caller, read_body
from abeyance.server.admin.routes import ROUTES
from abeyance.store.ports import StoreAway
from tests.admin.office import desk, ops
from tests.covers import covers
from tests.served import Served

KEY = {"idempotency-key": "0b5c1a9e-7d0a-4d0e-9b5a-5a6c1f2e3d4c"}
NEW = {
    "client_id": "new",
    "client_name": "New one",
    "scope": "read",
    "resources": ["https://ledger.example"],
}


async def test_a_list_is_told_page_by_page_each_once(served: Served) -> None:
    caller = await ops(served)
    seen: list[str] = []
    path = "/clients?limit=3"
    while True:
        page = (await caller.get(path)).json
        seen += [each["client_id"] for each in page["items"]]
        assert len(page["items"]) <= 3
        if page["next"] is None:
            break
        path = f"/clients?limit=3&cursor={page['next']}"
    assert seen == sorted(seen)
    assert len(seen) == len(set(seen)) == len(await served.house.store.list_clients())


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "limit=-1", "cursor=%21", "more=1", "limit=1&limit=2"],
)
async def test_a_query_that_cannot_be_read_is_named(served: Served, query: str) -> None:
    answer = await (await ops(served)).get(f"/clients?{query}")
    assert (answer.status, answer.json["code"]) == (400, "malformed")


async def test_a_change_needs_the_version_that_was_seen(served: Served) -> None:
    caller = await ops(served)
    made = await caller.post("/clients", NEW)
    body = made.json["registration"]
    unseen = await caller.call("PUT", "/clients/new", body)
    assert (unseen.status, unseen.json["code"]) == (428, "if_match_required")
    tag = made.header("etag") or ""
    changed = await caller.call(
        "PUT", "/clients/new", body | {"client_name": "Newer"}, headers={"if-match": tag}
    )
    assert changed.status == 200
    assert changed.header("etag") != tag
    lost = await caller.call("PUT", "/clients/new", body, headers={"if-match": tag})
    assert (lost.status, lost.json["code"]) == (412, "changed")
    shown = await caller.get("/clients/new")
    assert shown.json["registration"]["client_name"] == "Newer"
    assert shown.header("etag") == changed.header("etag")


async def test_a_call_that_is_repeated_happens_once_and_is_answered_alike(served: Served) -> None:
    caller = await ops(served)
    first = await caller.post("/clients", NEW, headers=KEY)
    again = await caller.post("/clients", NEW, headers=KEY)
    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body
    assert first.json["client_secret"]
    assert again.header("etag") == first.header("etag")
    without = await caller.post("/clients", NEW)
    assert (without.status, without.json["code"]) == (409, "exists")


async def test_a_key_belongs_to_one_call_of_one_caller(served: Served) -> None:
    caller, ada = await ops(served), await desk(served, "ada")
    await caller.post("/clients", NEW, headers=KEY)
    other = await caller.post("/clients", NEW | {"client_name": "Else"}, headers=KEY)
    assert (other.status, other.json["code"]) == (422, "key_reused")
    mine = await ada.post("/clients", NEW, headers=KEY)
    assert mine.status == 409, "another caller's key is another key"
    served.clock.move(86_401)
    late = await (await ops(served)).post("/clients", NEW, headers=KEY)
    assert late.status == 409, "a day later it is a call of its own"


async def test_a_call_that_failed_may_be_repeated_with_its_key(served: Served) -> None:
    caller = await ops(served)
    bad = await caller.post("/clients", NEW | {"scope": "unheard-of"}, headers=KEY)
    assert bad.status == 422
    assert (await caller.post("/clients", NEW, headers=KEY)).status == 201


async def test_a_call_that_was_cut_short_keeps_its_key(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = await ops(served)
    replace = type(served.house.store).replace_client

    async def cut(store: Any, before: Any, after: Any) -> bool:
        await replace(store, before, after)
        raise StoreAway("the line broke after it was written")

    with monkeypatch.context() as broken:
        broken.setattr(type(served.house.store), "replace_client", cut)
        assert (await caller.post("/clients", NEW, headers=KEY)).status == 503
    again = await caller.post("/clients", NEW, headers=KEY)
    assert (again.status, again.json["code"]) == (409, "in_progress")
    assert (await caller.get("/clients/new")).status == 200
    served.answers.clear()  # the 503 was wanted


@pytest.mark.parametrize("key", ["short", "x" * 201, "ü" * 20])
async def test_a_key_that_could_be_guessed_is_refused(served: Served, key: str) -> None:
    caller = await ops(served)
    answer = await caller.post("/clients", NEW, headers={"idempotency-key": key})
    assert answer.status == 400
    assert (await caller.get("/clients/new")).status == 404


@covers("SEC-STORE-01")
async def test_the_kept_answer_does_not_rest_in_the_clear(served: Served, tmp_path: Path) -> None:
    caller = await ops(served)
    secret = (await caller.post("/clients", NEW, headers=KEY)).json["client_secret"]
    assert "abeyance.db-wal" in (kept := files_with(tmp_path, b""))
    assert kept
    assert files_with(tmp_path, secret.encode()) == set()


def files_with(folder: Path, content: bytes) -> set[str]:
    return {
        file.name for file in folder.rglob("*") if file.is_file() and content in file.read_bytes()
    }


BODIES = {
    "no JSON": b"{",
    "a list": b"[]",
    "a name twice": b'{"client_id":"a","client_id":"b"}',
    "not UTF-8": b'{"client_id":"\xff"}',
    "too deep": b"[" * 2000,
    "another type": b'{"client_id":7,"client_name":"x"}',
    "a member too many": json.dumps(NEW | {"enabled": True}).encode(),
    "a member too few": b'{"client_id":"new"}',
    "a lone surrogate": b'{"client_id":"new","client_name":"\\ud800"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_a_body_that_cannot_be_read_changes_nothing(served: Served, body: bytes) -> None:
    caller = await ops(served)
    before = await served.house.store.list_clients()
    answer = await caller.post("/clients", body)
    assert answer.status == 400
    assert answer.json["code"] == "malformed"
    assert await served.house.store.list_clients() == before


@covers("OAUTH-DEC-14")
async def test_a_body_of_another_kind_or_size_is_refused(served: Served) -> None:
    caller = await ops(served)
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await caller.post("/clients", b"a=b", headers=form)).status == 415
    packed = {"content-encoding": "gzip"}
    assert (await caller.post("/clients", NEW, headers=packed)).status == 415
    large = await caller.post("/clients", b'{"client_name":"' + b"x" * 70_000 + b'"}')
    assert large.status == 413


CALLER = Caller(actor="x", owner="x", scope=frozenset(), client=None, person=None)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.sampled_from([route.body for route in ROUTES if route.body]), JSON | st.binary())
def test_any_body_is_read_or_refused(kind: Any, value: Any) -> None:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    request = AdminRequest(caller=CALLER, parts={}, query={}, body=body, if_match=None)
    try:
        found: Any = read_body(request, kind)
    except Problem as problem:
        found = problem
    assert isinstance(found, kind) or found.status == 400


# --- the document


def document() -> dict[str, Any]:
    value: dict[str, Any] = json.loads(
        json.dumps(describe(Endpoints("https://as.example"), ROUTES))
    )
    return value


async def test_the_document_is_served_to_everybody(served: Served) -> None:
    answer = await served.send("GET", "/admin/openapi.json", headers=[])
    assert answer.status == 200
    assert answer.json == json.loads(json.dumps(describe(served.house.endpoints, ROUTES)))


def test_the_document_names_every_route_and_no_other() -> None:
    told = document()
    assert told["openapi"] == "3.1.0"
    named = {
        (method.upper(), path)
        for path, operations in told["paths"].items()
        for method in operations
    }
    assert named == {(route.method, route.path) for route in ROUTES}
    ids = [each["operationId"] for path in told["paths"].values() for each in path.values()]
    assert len(ids) == len(set(ids))


def test_the_page_for_people_lists_every_call_with_its_scope() -> None:
    page = (Path(__file__).parents[2] / "docs" / "admin-api.md").read_text("utf-8")
    told = re.findall(r"^\| `([A-Z]+) (/\S+)` \| `(\w+)` \| (.+) \|$", page, re.MULTILINE)
    assert told == [
        (route.method, route.path, route.scope.partition(":")[2], route.summary) for route in ROUTES
    ]


def test_every_reference_of_the_document_leads_somewhere() -> None:
    told = document()
    text = json.dumps(told)
    names = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert names
    assert names <= told["components"]["schemas"].keys()
    for path, operations in told["paths"].items():
        for operation in operations.values():
            declared = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert declared == set(re.findall(r"\{(\w+)\}", path))
            [scope] = operation["security"][0]["oauth"]
            flows = told["components"]["securitySchemes"]["oauth"]["flows"]
            assert scope in flows["clientCredentials"]["scopes"]


def test_no_two_routes_answer_the_same_address() -> None:
    samples = [(route.method, re.sub(r"\{\w+\}", "x", route.path)) for route in ROUTES]
    assert len(samples) == len(set(samples))

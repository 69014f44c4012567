"""What the API does: clients, people, consents, requests, decisions."""

from typing import Any

import pytest

from abeyance.parties.person import PersonId
from abeyance.pending.states import Denied
from abeyance.pending.votes import Verdict
from abeyance.proofs.jwk import KeySet, render_jwks
from abeyance.server.pages.desk import render_request_id
from tests.admin.office import READ, Desk, desk, desk_client, ops
from tests.config import SECRET
from tests.covers import covers
from tests.people.house import Flow, key_of, web
from tests.served import Served, make_key

NEW = {
    "client_id": "new",
    "client_name": "New one",
    "scope": "read now",
    "resources": ["https://ledger.example"],
}


# --- clients


@covers("OAUTH-CLI-01")
async def test_a_registered_client_gets_tokens_with_the_secret_that_was_told_once(
    served: Served,
) -> None:
    caller = await ops(served)
    made = await caller.post("/clients", NEW)
    assert made.status == 201
    secret = made.json["client_secret"]
    form = [("grant_type", "client_credentials"), ("client_id", "new"), ("scope", "now")]
    token = await served.post("/token", [*form, ("client_secret", secret)])
    assert token.status in (200, 401)
    assert "client_secret" not in (await caller.get("/clients/new")).json or (
        (await caller.get("/clients/new")).json["client_secret"] is None
    )
    changed = await caller.call(
        "PUT",
        "/clients/new",
        made.json["registration"] | {"token_endpoint_auth_method": "client_secret_post"},
        headers={"if-match": made.header("etag") or ""},
    )
    assert changed.status == 200
    token = await served.post("/token", [*form, ("client_secret", secret)])
    assert token.status == 200


@covers("OAUTH-JAR-07", "OAUTH-PAR-10", "OAUTH-FIPA-01", "OAUTH-DEC-11")
async def test_how_a_client_s_requests_must_come_is_registered_and_told(served: Served) -> None:
    caller = await ops(served)
    demands = {
        "require_pushed_authorization_requests": True,
        "require_signed_request_object": True,
        "request_object_signing_alg": "ES256",
        "first_party": True,
        "pushes_redirect_uris": True,
        "deferred_client_notification_endpoint": "https://cb.example/deferred",
    }
    body = NEW | demands | {
        "grant_types": ["authorization_code"],
        "redirect_uris": ["https://new.example/cb"],
        "jwks": render_jwks(KeySet((make_key().public,), ())),
    }  # fmt: skip
    made = await caller.post("/clients", body)
    assert made.status == 201, made.body
    told = (await caller.get("/clients/new")).json["registration"]
    assert {name: told[name] for name in demands} == demands
    browser = {"allowed_origins": ["https://new.example"]}
    refused = await caller.post("/clients", body | browser | {"client_id": "other"})
    assert refused.status == 422
    assert "first_party" in str(refused.json)


async def test_a_new_secret_stands_beside_the_one_before(served: Served) -> None:
    caller = await ops(served)
    post = {"token_endpoint_auth_method": "client_secret_post"}
    secrets = [(await caller.post("/clients", NEW | post)).json["client_secret"]]
    secrets += [(await caller.post("/clients/new/secret")).json["client_secret"] for _ in range(2)]
    form = [("grant_type", "client_credentials"), ("client_id", "new"), ("scope", "now")]
    statuses = [
        (await served.post("/token", [*form, ("client_secret", secret)])).status
        for secret in secrets
    ]
    assert statuses == [401, 200, 200]


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown scope": ({"scope": "unheard-of"}, "scope"),
    "an unknown resource": ({"resources": ["https://else.example"]}, "resources"),
    "no resource": ({"resources": []}, "resources"),
    "an unknown owner": ({"owner": "nobody"}, "owner"),
    "an unknown method": ({"token_endpoint_auth_method": "tls"}, "token_endpoint_auth_method"),
    "a redirect that is none": (
        {"grant_types": ["authorization_code"], "redirect_uris": ["javascript:alert(1)"]},
        "redirect_uris",
    ),
    "a fragment": (
        {"grant_types": ["authorization_code"], "redirect_uris": ["https://a.example/#x"]},
        "redirect_uris",
    ),
    "an unknown grant": ({"grant_types": ["password"]}, "grant_types"),
    "an id with a slash": ({"client_id": "a/b"}, "client_id"),
    "a name that cannot be seen": ({"client_name": "a\u202eb"}, "client_name"),
    "an unknown kind": ({"application_type": "robot"}, "application_type"),
    "a callback into a private network": (
        {"deferred_client_notification_endpoint": "https://private.example/"},
        "deferred_client_notification_endpoint",
    ),
    "a callback without encryption": (
        {"deferred_client_notification_endpoint": "http://cb.example/"},
        "deferred_client_notification_endpoint",
    ),
    "keys that are none": (
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{"kty": "oct"}]}},
        "jwks",
    ),
}


@covers("OAUTH-RURI-01", "OAUTH-CLI-03", "OAUTH-SSRF-07")
@pytest.mark.parametrize(("changes", "member"), UNFIT.values(), ids=UNFIT.keys())
async def test_what_the_configuration_would_refuse_is_refused_here(
    served: Served, changes: dict[str, Any], member: str
) -> None:
    caller = await ops(served)
    before = await served.house.store.list_clients()
    answer = await caller.post("/clients", NEW | changes)
    assert (answer.status, answer.json["member"]) == (422, member)
    assert "network" not in str(answer.json), "where a name leads is nobody's business"
    assert await served.house.store.list_clients() == before


@covers("OAUTH-CLI-05", "EXT-STALE-01")
async def test_disabling_a_client_ends_what_waits_before_it_is_answered(served: Served) -> None:
    caller = await ops(served)
    flow = Flow(web(served))
    code = await flow.deferred()
    answer = await caller.post("/clients/web/disable")
    assert (answer.status, answer.json["enabled"]) == (200, False)
    held = await served.held(code)
    assert isinstance(held.state, Denied)
    assert (await caller.post("/clients/web/enable")).json["enabled"] is True
    served.clock.move(10)
    assert (await flow.client.poll(code)).error == "access_denied"


async def test_what_the_configuration_declares_is_not_changed_here(served: Served) -> None:
    caller = await ops(served)
    shown = await caller.get("/clients/web")
    tag = {"if-match": shown.header("etag") or ""}
    answer = await caller.call("PUT", "/clients/web", shown.json["registration"], headers=tag)
    assert (answer.status, answer.json["code"]) == (409, "declared")
    assert (await caller.post("/clients/web/secret")).json["code"] == "declared"
    assert (await caller.post("/people/uma/invite")).json["code"] == "declared"


async def test_nobody_saws_off_the_branch_they_sit_on(served: Served) -> None:
    caller, ada = await ops(served), await desk(served, "ada")
    assert (await caller.post("/clients/ops/disable")).json["code"] == "yourself"
    assert (await ada.post("/people/ada/disable")).json["code"] == "yourself"
    assert (await caller.get("/clients")).status == 200


async def test_administration_by_a_person_takes_an_administrator(served: Served) -> None:
    rita = await desk(served, "rita")
    for method, path, body in (
        ("GET", "/clients", None),
        ("POST", "/clients", NEW),
        ("GET", "/people", None),
        ("POST", "/clients/web/disable", None),
        ("POST", "/people/uma/disable", None),
        ("GET", "/requests?whose=all", None),
    ):
        answer = await rita.call(method, path, body)
        assert (answer.status, answer.json["code"]) == (403, "not_an_administrator"), path
    assert (await desk(served, "ada")).key is not None


# --- people


@covers("OAUTH-SESS-10", "SEC-OPS-03")
async def test_a_person_is_added_invited_changed_and_disabled(served: Served) -> None:
    caller = await ops(served)
    made = await caller.post("/people", {"id": "neo", "name": "Neo New", "roles": ["reviewer"]})
    assert (made.status, made.json["has_password"]) == (201, False)
    link = (await caller.post("/people/neo/invite")).json["link"]
    assert link.startswith("https://as.example/welcome/")
    tag = {"if-match": made.header("etag") or ""}
    told = {"name": "Neo", "roles": [], "email": "neo@example.com", "email_verified": True}
    changed = await caller.call("PUT", "/people/neo", told, headers=tag)
    assert {name: changed.json[name] for name in told} == told
    assert (await caller.post("/people/neo/disable")).json["enabled"] is False
    listed = (await caller.get("/people?role=reviewer")).json["items"]
    assert "neo" not in {each["id"] for each in listed}
    for bad, member in (
        ({"id": "Neo Two", "name": "x"}, "id"),
        ({"id": "two", "name": "\u202e"}, "name"),
        ({"id": "two", "name": "x", "roles": ["root"]}, "roles"),
        ({"id": "two", "name": "x", "email": "x <y@z>"}, "email"),
    ):
        answer = await caller.post("/people", bad)
        assert (answer.status, answer.json["member"]) == (422, member)


@covers("OAUTH-CLI-06", "EXT-STALE-03")
async def test_consents_are_listed_and_withdrawn_and_sessions_ended(served: Served) -> None:
    caller = await ops(served)
    flow = Flow(web(served))
    code = await flow.deferred()
    [consent] = (await caller.get("/people/uma/consents")).json["items"]
    assert (consent["client_id"], consent["scope"]) == ("web", "read")
    assert (await caller.call("DELETE", "/people/uma/consents/web")).status == 204
    assert isinstance((await served.held(code)).state, Denied)
    assert (await caller.call("DELETE", "/people/uma/consents/web")).status == 404
    other = Flow(web(served))
    code = await other.deferred()
    assert (await caller.get("/people/uma")).json["sessions"] == 2
    listed = (await caller.get("/people/uma/sessions?limit=1")).json
    [more] = (await caller.get(f"/people/uma/sessions?cursor={listed['next']}")).json["items"]
    [stored, other_stored] = await served.house.store.list_sessions(PersonId("uma"))
    assert len({listed["items"][0]["id"], more["id"]}) == 2
    assert stored.digest.hex() not in str(listed)
    assert other_stored.digest.hex() not in str(listed)
    assert (await caller.post("/people/uma/sign-out")).json["sessions"] == 0
    assert isinstance((await served.held(code)).state, Denied)


async def test_a_session_that_has_run_out_is_not_told(served: Served) -> None:
    await Flow(web(served)).deferred()
    assert (await (await ops(served)).get("/people/uma")).json["sessions"] == 1
    served.clock.move(13 * 3600)
    caller = await ops(served)
    assert (await caller.get("/people/uma")).json["sessions"] == 0
    assert (await caller.get("/people/uma/sessions")).json["items"] == []


# --- requests and decisions


async def waiting(served: Served, **asked: Any) -> tuple[str, str]:
    """A request of the web application; its deferral code, and its name here."""
    code = await Flow(web(served)).deferred(**asked)
    return code, render_request_id(await key_of(served, code))


async def seen(caller: Desk, name: str) -> dict[str, Any]:
    shown = (await caller.get(f"/requests/{name}")).json
    return {"seen": shown["seen"], "version": shown["version"]}


@covers("EXT-EVID-01", "EXT-DECIDE-02")
async def test_a_reviewer_reads_and_approves_as_in_the_console(served: Served) -> None:
    code, name = await waiting(served)
    rita = await desk(served, "rita")
    [listed] = (await rita.get("/requests?outcome=waiting")).json["items"]
    assert (listed["id"], listed["person_id"]) == (name, "uma")
    shown = (await rita.get(f"/requests/{name}")).json
    assert shown["decidable"] is True
    assert shown["disclosure"]["client"]["id"] == "web"
    answer = await rita.post(f"/requests/{name}/approve", await seen(rita, name) | {"note": "ok"})
    assert (answer.status, answer.json["outcome"]) == (200, "approved")
    loaded = await served.house.store.find_loaded(await key_of(served, code))
    assert loaded is not None
    [ballot] = loaded.ballots
    assert (ballot.voter, ballot.authenticated) == ("rita", "access token of desk")
    assert ballot.seen == shown["seen"]
    served.clock.move(10)
    assert (await web(served).poll(code)).status == 200
    story = (await rita.get(f"/requests/{name}")).json["story"]
    assert story[-1]["what"] == "collected the token"


@covers("EXT-NARROW-01", "SEC-UI-17")
async def test_less_can_be_approved_and_never_more(served: Served) -> None:
    details = {"authorization_details": '[{"type":"export","tables":["customers","leads"]}]'}
    code, name = await waiting(served, scope="read write", **details)
    rita = await desk(served, "rita")
    stands = await seen(rita, name)
    for wrong in (
        {"items": ["scope:admin"], "lifetime": 600},
        {"items": [], "lifetime": 600},
        {"items": ["scope:read"], "lifetime": 10**8},
        {"items": ["detail:0"], "lifetime": 600, "parts": {"detail:0": ["tables:salaries"]}},
        {"items": ["scope:read"], "lifetime": 0},
        {"items": ["scope:read"], "lifetime": 600, "limits": {"detail:0": {"budget": "x"}}},
    ):
        answer = await rita.post(f"/requests/{name}/approve", stands | {"choice": wrong})
        assert answer.status == 422, wrong
    choice = {"items": ["scope:read"], "lifetime": 600}
    answer = await rita.post(f"/requests/{name}/approve", stands | {"choice": choice})
    assert answer.json["outcome"] == "approved"
    served.clock.move(10)
    assert (await web(served).poll(code)).json["scope"] == "read"


@covers("SEC-UI-15", "SEC-UI-16")
async def test_a_decision_about_something_else_counts_for_nothing(served: Served) -> None:
    code, name = await waiting(served)
    rita = await desk(served, "rita")
    stands = await seen(rita, name)
    for changes in ({"seen": "sha-256:other"}, {"version": stands["version"] + 1}):
        answer = await rita.post(f"/requests/{name}/approve", stands | changes)
        assert (answer.status, answer.json["code"]) == (409, "changed")
    assert (await served.held(code)).version == stands["version"]


@covers("EXT-OUTCOME-03", "SEC-DOS-19")
async def test_a_denial_has_a_reason_which_may_be_shared(served: Served) -> None:
    code, name = await waiting(served)
    rita = await desk(served, "rita")
    stands = await seen(rita, name)
    for reason, share in (("", False), ("x" * 2001, False), ("x" * 241, True)):
        body = stands | {"reason": reason, "share": share}
        assert (await rita.post(f"/requests/{name}/deny", body)).status == 422
    body = stands | {"reason": "Not now.", "share": True}
    assert (await rita.post(f"/requests/{name}/deny", body)).json["outcome"] == "denied"
    again = await rita.post(f"/requests/{name}/deny", body)
    assert again.status == 409
    served.clock.move(10)
    await served.registers("web", "outcome")
    assert (await web(served).poll(code)).json["deferral_remark"] == "Not now."


@covers("EXT-DECIDE-03", "SEC-UI-20")
async def test_nobody_decides_their_own_and_no_client_decides_at_all(served: Served) -> None:
    _, name = await waiting(served)
    ada, caller, vic = await desk(served, "ada"), await ops(served), await desk(served, "vic")
    stands = await seen(ada, name)
    own = await ada.post(f"/requests/{name}/approve", stands)
    assert (own.status, own.json["code"]) == (403, "own_request")
    nobody = await caller.post(f"/requests/{name}/approve", stands)
    assert (nobody.status, nobody.json["code"]) == (403, "no_person")
    assert (await vic.post(f"/requests/{name}/approve", stands)).status == 404
    assert (await vic.get(f"/requests/{name}")).status == 404


async def test_a_client_has_no_part_in_its_own_request(served: Served) -> None:
    flow = Flow(desk_client(served), "uma")
    code = await flow.code(scope="read", resource="https://ledger.example")
    answer = await flow.redeem(code, defer=True)
    name = render_request_id(await key_of(served, answer.code))
    rita = await desk(served, "rita")
    refused = await rita.post(f"/requests/{name}/approve", await seen(rita, name))
    assert (refused.status, refused.json["code"]) == (403, "own_request")


@covers("EXT-INTERACT-03", "EXT-INTERACT-14")
async def test_a_reviewer_asks_for_a_step(served: Served) -> None:
    code, name = await waiting(served)
    rita = await desk(served, "rita")
    unknown = await rita.post(f"/requests/{name}/ask", {"step": "document"})
    assert unknown.status == 422
    asked = await rita.post(f"/requests/{name}/ask", {"step": "address", "note": "Please."})
    assert asked.json["awaited_step"] == "address"
    served.clock.move(10)
    assert (await web(served).poll(code)).error == "interaction_required"


@covers("SEC-UI-27")
async def test_an_administrator_ends_a_request_and_what_came_of_it(served: Served) -> None:
    code, name = await waiting(served)
    rita, caller = await desk(served, "rita"), await ops(served)
    assert (await rita.post(f"/requests/{name}/end")).json["code"] == "not_an_administrator"
    await served.vote(code, Verdict.APPROVE, by="rita")
    ended = await caller.post(f"/requests/{name}/end")
    assert ended.json["outcome"] == "denied"
    served.clock.move(10)
    assert (await web(served).poll(code)).error == "access_denied"
    for strange in ("x", f"{'0' * 32}.1", f"{'0' * 32}.0", "%00"):
        assert (await caller.get(f"/requests/{strange}")).status == 404


async def test_histories_are_filtered_and_paged(served: Served) -> None:
    for scope in ("read", "write", "read write"):
        code, _ = await waiting(served, scope=scope)
        await served.vote(code, Verdict.DENY, by="rita", reason="no")
    await waiting(served, scope="write")
    caller = await ops(served, READ)
    first = (await caller.get("/requests?outcome=denied&limit=2")).json
    rest = (await caller.get(f"/requests?outcome=denied&limit=2&cursor={first['next']}")).json
    assert [len(first["items"]), len(rest["items"]), rest["next"]] == [2, 1, None]
    assert first["items"][0]["deciders"] == ["Rita Renner"]
    by = (await caller.get("/requests?by=rita&client=web")).json["items"]
    assert len(by) == 3
    assert (await caller.get("/requests?outcome=fine")).status == 400
    assert (await caller.get("/requests?whose=mine")).status == 400
    assert (await caller.get("/requests?cursor=x")).status == 400


async def test_strings_of_clients_come_as_data_and_nothing_else(served: Served) -> None:
    caller = await ops(served)
    details = (
        '[{"type":"payment","amount":{"amount":"1.00","currency":"EUR"},"creditor":"</script>"}]'
    )
    _, name = await waiting(served, scope="read", authorization_details=details)
    answer = await caller.get(f"/requests/{name}")
    assert answer.header("content-type") == "application/json"
    assert answer.header("x-content-type-options") == "nosniff"
    assert "</script>" in answer.json["disclosure"]["items"][0]["title"]
    assert SECRET.encode() not in answer.body

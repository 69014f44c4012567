"""The authorization endpoint: where an answer may go, what it carries, what is refused where."""

import json
from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from abeyance.parties.client import ClientId
from tests.covers import covers
from tests.people.house import CALLBACK, ISSUER, Flow, back_at_client, challenge, public, web
from tests.served import Served

PAGES = ("/authorize", "/authorize/consent", "/sign-in", "/interact/" + "a" * 80, "/console/")


def location_of(page_header: str | None) -> str:
    assert page_header is not None
    return page_header


@covers("OAUTH-AUTHZ-01", "OAUTH-AUTHZ-03", "OAUTH-AUTHZ-04", "OAUTH-ISS-01", "OAUTH-RURI-08")
async def test_a_code_goes_to_the_redirect_uri_with_state_and_issuer(flow: Flow) -> None:
    state = "a b&c=d/+%20 ä ="
    page = await flow.answer(await flow.visit(state=state))
    location = location_of(page.answer.header("location"))
    assert location.startswith(CALLBACK + "&code="), "the registered query stays as it is"
    assert "#" not in location
    query = parse_qs(urlsplit(location).query)
    assert query.keys() == {"tenant", "code", "state", "iss"}
    assert query["state"] == [state]
    assert query["iss"] == [ISSUER]


@covers("OAUTH-AUTHZ-03")
@pytest.mark.parametrize("state", [None, ""])
async def test_no_state_comes_back_that_was_not_sent(flow: Flow, state: str | None) -> None:
    assert (await flow.come_back(state=state)).keys() == {"tenant", "code", "iss"}
    assert "state" not in await flow.come_back(state=state, scope="admin")


@covers("OAUTH-ISS-02", "OAUTH-ISS-03", "OAUTH-PKCE-08")
async def test_metadata_says_the_issuer_that_answers_carry(served: Served, flow: Flow) -> None:
    metadata = (await served.get("/.well-known/oauth-authorization-server")).json
    assert metadata["authorization_response_iss_parameter_supported"] is True
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    token = await flow.token()
    assert metadata["issuer"] == token.claims()["iss"] == (await flow.come_back())["iss"]
    assert metadata["authorization_endpoint"] == f"{ISSUER}/authorize"


@covers(
    "OAUTH-AUTHZ-01",
    "OAUTH-AUTHZ-02",
    "OAUTH-AUTHZ-04",
    "OAUTH-AUTHZ-05",
    "OAUTH-ISS-01",
    "OAUTH-PKCE-01",
    "OAUTH-PKCE-02",
    "OAUTH-PKCE-03",
    "OAUTH-RES-01",
    "OAUTH-RES-02",
    "OAUTH-DEC-02",
    "OAUTH-DEC-16",
)
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "web_message"}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "admin"}, "invalid_scope"),
        ({"scope": 'read "'}, "invalid_scope"),
        ({"resource": "https://mail.example"}, "invalid_target"),
        ({"resource": "ledger"}, "invalid_target"),
        ({"resource": "https://ledger.example#x"}, "invalid_target"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        ({"authorization_details": '[{"type":"rocket"}]'}, "invalid_authorization_details"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"code_challenge": "a" * 42}, "invalid_request"),
        ({"code_challenge": "a" * 44}, "invalid_request"),
        ({"code_challenge": "a" * 42 + "+"}, "invalid_request"),
        ({"dpop_jkt": "short"}, "invalid_request"),
        ({"request": "a.b.c"}, "request_not_supported"),
        ({"request_uri": "urn:x"}, "request_uri_not_supported"),
        ({"request": "a.b.c", "request_uri": "urn:x"}, "invalid_request"),
    ],
)
async def test_what_is_wrong_is_told_at_the_redirect_uri_before_anybody_signs_in(
    flow: Flow, changes: dict[str, str | None], error: str
) -> None:
    page = await flow.follow("/authorize?" + urlencode(flow.parameters(**changes)))
    location = location_of(page.answer.header("location"))
    assert location.startswith(CALLBACK + "&error=")
    back = back_at_client(page)
    assert back.keys() == {"tenant", "error", "error_description", "state", "iss"}
    assert (back["error"], back["state"], back["iss"]) == (error, "xyz", ISSUER)


@covers("OAUTH-AUTHZ-05", "OAUTH-CLI-04")
async def test_a_client_without_the_grant_is_told_so(served: Served, flow: Flow) -> None:
    client = await served.house.store.find_client(ClientId("web"))
    assert client is not None
    await served.house.store.put_client(replace(client, grant_types=frozenset({"refresh_token"})))
    assert (await flow.come_back())["error"] == "unauthorized_client"


@covers("OAUTH-PKCE-01")
async def test_a_public_client_must_bring_a_challenge_too(served: Served) -> None:
    back = await Flow(public(served)).come_back(code_challenge=None)
    assert back["error"] == "invalid_request"


@covers("OAUTH-RURI-02", "OAUTH-RURI-06", "OAUTH-AUTHZ-06")
@pytest.mark.parametrize(
    "uri",
    [
        None,  # two are registered
        "https://web.example/callback",
        "https://web.example/callback?tenant=7&x=1",
        "https://web.example/callback?tenant=7#",
        "https://web.example/callback/?tenant=7",
        "https://WEB.example/callback?tenant=7",
        "HTTPS://web.example/callback?tenant=7",
        "https://web.example:443/callback?tenant=7",
        "https://web.example/%63allback?tenant=7",
        "https://web.example/callback?tenant=%37",
        "https://web.example/x/../callback?tenant=7",
        "https://web.example@evil.example/callback?tenant=7",
        "https://web.example.evil.example/callback?tenant=7",
        "https://web.example\\@evil.example/callback?tenant=7",
        "http://web.example/callback?tenant=7",
        "//evil.example/",
        "javascript:alert(1)",
        "https://many.example/cb",  # of another client
        "https://evil.example/",
    ],
)
@pytest.mark.parametrize("worse", [{}, {"response_type": "token"}, {"scope": "admin"}])
async def test_no_redirect_goes_where_nothing_is_registered(
    flow: Flow, uri: str | None, worse: dict[str, str]
) -> None:
    asked = flow.parameters(redirect_uri=uri, **worse)
    page = await flow.tab.get("/authorize?" + urlencode(asked), follow=False)
    assert page.status == 400
    assert page.answer.header("location") is None
    assert "evil" not in page.html
    assert page.answer.header("refresh") is None


@covers("OAUTH-RURI-06", "OAUTH-AUTHZ-06")
@pytest.mark.parametrize("client", [None, "nobody", "WEB", "web ", "w" * 300, "<script>"])
async def test_an_unknown_client_gets_no_redirect(flow: Flow, client: str | None) -> None:
    asked = flow.parameters(client_id=client)
    page = await flow.tab.get("/authorize?" + urlencode(asked), follow=False)
    assert (page.status, page.answer.header("location")) == (400, None)
    assert "<script>" not in page.html


@covers("OAUTH-AUTHZ-06", "OAUTH-CLI-05")
async def test_a_disabled_client_gets_no_redirect(served: Served, flow: Flow) -> None:
    client = await served.house.store.find_client(ClientId("web"))
    assert client is not None
    await served.house.store.put_client(replace(client, enabled=False))
    page = await flow.tab.get("/authorize?" + urlencode(flow.parameters()), follow=False)
    assert (page.status, page.answer.header("location")) == (400, None)


@covers("OAUTH-AUTHZ-06", "OAUTH-PARAM-01", "OAUTH-PARAM-02")
@pytest.mark.parametrize(
    "more", ["&scope=read", "&redirect_uri=https%3A%2F%2Fevil.example", "&x=%ff", "&state=%00"]
)
async def test_what_cannot_be_read_is_told_on_a_page(flow: Flow, more: str) -> None:
    page = await flow.tab.get("/authorize?" + urlencode(flow.parameters()) + more, follow=False)
    assert (page.status, page.answer.header("location")) == (400, None)


@covers("OAUTH-RURI-07")
async def test_the_only_redirect_uri_need_not_be_sent(served: Served) -> None:
    many = Flow(web(served, "many"))
    asked = many.parameters(redirect_uri=None, resource="https://ledger.example")
    page = await many.signed_in(await many.follow("/authorize?" + urlencode(asked)))
    page = await many.answer(page)
    assert location_of(page.answer.header("location")).startswith("https://many.example/cb?code=")
    assert (await many.redeem(back_at_client(page)["code"], defer=True)).status == 400


@covers("OAUTH-RURI-03", "OAUTH-RURI-04", "OAUTH-RURI-10")
@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("http://127.0.0.1/callback", True),
        ("http://127.0.0.1:1/callback", True),
        ("http://127.0.0.1:65535/callback", True),
        ("http://127.0.0.1:65536/callback", False),
        ("http://127.0.0.1:0/callback", False),
        ("http://127.0.0.1:5000/callback/", False),
        ("http://127.0.0.1:5000/callback?x=1", False),
        ("http://127.0.0.2:5000/callback", False),
        ("http://localhost:5000/callback", False),
        ("http://[::1]:5000/callback", False),
        ("https://127.0.0.1:5000/callback", False),
        ("com.example.pocket:/cb", True),
        ("com.example.pocket://cb", False),
        ("com.example.pocket:/cb2", False),
    ],
)
async def test_a_loopback_address_may_have_any_port_and_nothing_else_may(
    served: Served, uri: str, found: bool
) -> None:
    app = Flow(public(served))
    page = await app.visit(redirect_uri=uri)
    assert page.status == (200 if found else 400)
    if found:
        page = await app.answer(page)
        assert location_of(page.answer.header("location")).startswith(f"{uri}?code=")


@covers("OAUTH-AUTHZ-02", "OAUTH-ISS-01", "OAUTH-AUTHZ-13", "OAUTH-SESS-04")
async def test_form_post_carries_the_same_in_a_page_that_may_lead_to_the_client(
    flow: Flow,
) -> None:
    page = await flow.answer(await flow.visit(response_mode="form_post"))
    assert page.status == 200
    form = page.forms[0]
    assert (form.action, form.method) == (CALLBACK, "post")
    assert form.fields.keys() == {"code", "state", "iss"}
    assert form.fields["iss"] == ISSUER
    policy = page.answer.header("content-security-policy") or ""
    assert "form-action 'self' https://web.example;" in policy
    assert "unsafe" not in policy
    assert page.answer.header("cache-control") == "no-store"
    failed = await flow.visit(response_mode="form_post", scope="admin", state='"><script>1')
    fields = failed.forms[0].fields
    assert (fields["error"], fields["state"]) == ("invalid_scope", '"><script>1')
    assert "<script>1" not in failed.html


@covers("OAUTH-FAPI-17", "OAUTH-HTTP-03", "OAUTH-HTTP-08")
async def test_a_request_may_be_posted_and_is_redirected_by_303_only(flow: Flow) -> None:
    page = await flow.tab.post("/authorize", flow.parameters(), headers={})
    assert page.status == 303
    assert location_of(page.answer.header("location")).startswith("/authorize/consent?tx=")
    seen = await flow.signed_in(await flow.onward(page))
    assert seen.form("/authorize/consent").fields.keys() == {"tx", "seen", "csrf"}


@covers("OAUTH-AUTHZ-07", "OAUTH-AUTHZ-08", "OAUTH-SESS-03")
async def test_nothing_but_a_post_of_the_signed_in_person_yields_a_code(flow: Flow) -> None:
    first = await flow.follow("/authorize?" + urlencode(flow.parameters()))
    assert first.path.startswith("/sign-in")
    page = await flow.signed_in(first)
    for method in ("GET", "HEAD"):
        seen = await flow.tab.get(page.path, method=method, follow=False)
        assert (seen.status, seen.answer.header("location")) == (200, None)
    asked = urlencode(page.form("/authorize/consent").fields | {"decision": "agree"})
    seen = await flow.tab.get(f"/authorize/consent?{asked}", follow=False)
    assert seen.status == 200
    assert "code" in back_at_client(await flow.answer(page))


@covers("OAUTH-AUTHZ-08", "OAUTH-CLI-06")
async def test_consent_is_remembered_where_nobody_can_pose_as_the_client(
    served: Served, flow: Flow
) -> None:
    await flow.code(scope="read write")
    page = await flow.visit(scope="read")
    assert "code" in back_at_client(page), "all of it was agreed to"
    assert (await flow.visit(scope="read now")).status == 200, "more was never agreed to"
    for asked in ({}, {"redirect_uri": "com.example.pocket:/cb"}):
        app = Flow(public(served))
        await app.code(**asked)
        assert (await app.visit(**asked)).status == 200
    spa = Flow(public(served, "spa"))
    await spa.code()
    assert "code" in back_at_client(await spa.visit())


@covers("OAUTH-CLI-06", "OAUTH-AUTHZ-08")
async def test_consent_to_one_act_is_not_consent_to_the_next(flow: Flow) -> None:
    payment = {
        "type": "payment",
        "amount": {"amount": "120.00", "currency": "EUR"},
        "creditor": "Acme",
    }
    asked = {"scope": None, "authorization_details": json.dumps([payment])}
    await flow.code(**asked)
    assert (await flow.visit(**asked)).status == 200


@covers("OAUTH-AUTHZ-11", "OAUTH-AUTHZ-09")
async def test_a_no_is_access_denied_and_cannot_be_turned_by_going_back(flow: Flow) -> None:
    page = await flow.visit()
    back = back_at_client(await flow.answer(page, "decline"))
    assert (back["error"], back["state"], back["iss"]) == ("access_denied", "xyz", ISSUER)
    again = await flow.answer(page)
    assert (again.status, again.answer.header("location")) == (410, None)
    old = await flow.tab.get(page.path, follow=False)
    assert old.answer.header("location") is None
    assert (await flow.answer(page)).status == 410


@covers("OAUTH-AUTHZ-09")
async def test_tabs_do_not_overwrite_each_other_and_each_answers_once(flow: Flow) -> None:
    one, two = await flow.visit(state="one"), await flow.visit(scope="write", state="two")
    first = await flow.answer(one)
    assert back_at_client(first)["state"] == "one"
    assert (await flow.answer(one)).status == 410
    assert back_at_client(await flow.answer(two))["state"] == "two"


@covers("OAUTH-AUTHZ-09")
async def test_a_request_runs_out(served: Served, flow: Flow) -> None:
    page = await flow.visit()
    served.clock.move(15 * 60)
    assert (await flow.tab.get(page.path)).status == 410
    assert (await flow.answer(page)).status == 410


@covers("OAUTH-FAPI-16", "OAUTH-CORS-01")
@pytest.mark.parametrize("path", PAGES)
async def test_pages_know_no_cross_origin_requests(flow: Flow, path: str) -> None:
    headers = {"origin": "https://spa.example", "access-control-request-method": "POST"}
    for method in ("OPTIONS", "GET"):
        answer = (await flow.tab.get(path, method=method, headers=headers, follow=False)).answer
        assert not [name for name, _ in answer.headers if name.startswith("access-control")]
        if method == "OPTIONS":
            assert answer.status in (403, 405)


@covers("OAUTH-PKCE-06", "OAUTH-RURI-11")
async def test_pages_carry_an_identifier_and_nothing_of_the_request(flow: Flow) -> None:
    sign_in = await flow.follow("/authorize?" + urlencode(flow.parameters()))
    page = await flow.signed_in(sign_in)
    for seen in (sign_in, page):
        assert challenge() not in seen.html + seen.path + str(flow.tab.given)
        assert CALLBACK not in seen.html + seen.path
    assert parse_qs(urlsplit(page.path).query).keys() == {"tx"}

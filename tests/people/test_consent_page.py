"""The consent page under attack: what it shows, whose forms it takes, what may frame it."""

import json
from dataclasses import replace
from urllib.parse import urlencode

import pytest

from abeyance.parties.client import ClientId
from tests.console.house import PASSWORD, Tab
from tests.covers import covers
from tests.people.house import Flow, back_at_client, public, web
from tests.served import Served

COOKIE = "__Host-abeyance"
BAIT = "</title><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}"
BIDI = "Acme\u202eknaB\u2066x\u200b"


async def nothing_granted(served: Served) -> bool:
    return not await served.house.store.list_consents(client=ClientId("web"))


@covers("OAUTH-FAPI-21", "OAUTH-AUTHZ-10")
async def test_the_page_says_who_asks_for_what_whose_where_and_for_how_long(flow: Flow) -> None:
    page = await flow.visit(scope="read write", completion_mode="deferred")
    for told in (
        "Let Webmill act for you?",
        "Uma Underwood uma",
        "Read the ledger",
        "Change the ledger",
        "The ledger https://ledger.example",
        "Webmill web",
        "Ada Admin answers for it",
        "You go on to web.example",
        "at most 90 days",
    ):
        assert told.replace(" ", "") in page.text.replace(" ", ""), told
    native = await Flow(public(flow.client.served)).visit()
    assert "a program on your device" in native.text


@covers("OAUTH-AUTHZ-10", "OAUTH-RAR-01", "SEC-UI-01", "SEC-UI-07", "OAUTH-SESS-05")
async def test_text_from_a_client_is_text(served: Served, flow: Flow) -> None:
    client = await served.house.store.find_client(ClientId("web"))
    assert client is not None
    await served.house.store.put_client(replace(client, name=BAIT + BIDI))
    payment = {
        "type": "payment",
        "amount": {"amount": "120.00", "currency": "EUR"},
        "creditor": "<svg/onload=alert(1)> \u202eknaB",
        "reason": BAIT + BIDI,
    }
    page = await flow.visit(authorization_details=json.dumps([payment]))
    assert page.status == 200
    for attack in ("<script>alert", "<img", "<svg/", "<svg onload", "\u202e", "\u200b"):
        assert attack not in page.html, attack
    assert "49" not in page.text
    assert "120.00 EUR" in page.text.replace("\xa0", " ")
    assert "U+202E" in page.text
    answered = await flow.answer(page)
    assert "code" in back_at_client(answered)
    await served.house.store.put_client(replace(client, name=BAIT))
    code = await flow.deferred_for(back_at_client(answered)["code"])
    account = await flow.tab.get("/account/")
    assert code not in account.html
    assert "<script>alert" not in account.html


@covers("SEC-UI-01", "OAUTH-SESS-05")
@pytest.mark.parametrize("name", ["state", "scope", "client_id", "redirect_uri", "response_type"])
async def test_a_parameter_never_stands_in_a_page_as_markup(flow: Flow, name: str) -> None:
    page = await flow.visit(**{name: BAIT})
    assert "<script>alert" not in page.html
    location = page.answer.header("location") or ""
    assert "<" not in location
    assert "\n" not in location


@covers("OAUTH-SESS-04", "SEC-UI-12", "OAUTH-AUTHZ-13")
async def test_no_page_between_client_and_us_can_be_framed_or_tells_where_it_was(
    flow: Flow,
) -> None:
    sign_in = await flow.follow("/authorize?" + urlencode(flow.parameters()))
    page = await flow.signed_in(sign_in)
    refused = await flow.tab.get("/authorize?client_id=nobody")
    for seen in (sign_in, page, refused):
        policy = seen.answer.header("content-security-policy") or ""
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert seen.answer.header("x-frame-options") == "DENY"
        assert seen.answer.header("referrer-policy") == "no-referrer"
        assert seen.answer.header("cache-control") == "no-store"
        # An application that opens it in a window of its own would lose that window.
        assert seen.answer.header("cross-origin-opener-policy") is None
    for seen in (sign_in, page):
        policy = seen.answer.header("content-security-policy") or ""
        assert "form-action 'self' https://web.example;" in policy


@covers("OAUTH-SESS-09", "OAUTH-RURI-11", "SEC-UI-17")
@pytest.mark.parametrize(
    "added",
    [
        {"scope": "read write never"},
        {"redirect_uri": "https://evil.example/"},
        {"client_id": "many"},
        {"resource": "https://mail.example"},
        {"code_challenge": "x" * 43},
        {"state": "other"},
        {"x": "1"},
    ],
)
async def test_a_form_with_a_field_more_is_refused(
    served: Served, flow: Flow, added: dict[str, str]
) -> None:
    page = await flow.visit()
    assert (await flow.answer(page, **added)).status == 400
    assert await nothing_granted(served)
    assert "code" in back_at_client(await flow.answer(page)), "the request still stands"


@covers("OAUTH-SESS-09", "OAUTH-SESS-03", "SEC-UI-13", "SEC-UI-16")
@pytest.mark.parametrize(
    ("name", "status"), [("tx", 410), ("csrf", 403), ("seen", 409), ("decision", 400)]
)
async def test_a_form_with_a_field_less_or_wrong_is_refused(
    served: Served, flow: Flow, name: str, status: int
) -> None:
    page = await flow.visit()
    form = page.form("/authorize/consent")
    whole = form.fields | {"decision": "agree"}
    less = {each: value for each, value in whole.items() if each != name}
    for fields in (less, whole | {name: "A" * 43}):
        answer = await flow.tab.post(form.action, fields)
        assert (answer.status, answer.answer.header("location")) == (status, None)
    assert await nothing_granted(served)


@covers("OAUTH-SESS-09", "SEC-UI-13", "SEC-UI-18")
async def test_a_form_of_another_request_or_another_session_is_refused(
    served: Served, flow: Flow
) -> None:
    mine, other = await flow.visit(scope="read"), await flow.visit(scope="write")
    vic = Flow(web(served), "vic")
    theirs = await vic.visit()
    fields = mine.form("/authorize/consent").fields | {"decision": "agree"}
    for changes in (
        {"tx": other.form("/authorize/consent").fields["tx"]},
        {"csrf": other.form("/authorize/consent").fields["csrf"]},
        {"csrf": theirs.form("/authorize/consent").fields["csrf"]},
    ):
        assert (await flow.tab.post("/authorize/consent", fields | changes)).status == 403
    seen = other.form("/authorize/consent").fields["seen"]
    assert (await flow.tab.post("/authorize/consent", fields | {"seen": seen})).status == 409
    # Another person who gets hold of the whole form, in their own browser or without one.
    assert (await vic.tab.post("/authorize/consent", fields)).status == 403
    signed_out = await Tab(served).post("/authorize/consent", fields)
    assert (signed_out.answer.header("location") or "").startswith("/sign-in?to=")
    assert await nothing_granted(served)


@covers("OAUTH-SESS-03", "SEC-UI-13")
@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "https://as.example.evil.example"},
        {},
    ],
)
async def test_a_form_that_another_site_sends_is_refused(
    served: Served, flow: Flow, headers: dict[str, str]
) -> None:
    page = await flow.visit()
    form = page.form("/authorize/consent")
    fields = form.fields | {"decision": "agree"}
    assert (await flow.tab.post(form.action, fields, headers=headers)).status == 403
    sign_in = await Tab(served).get("/sign-in")
    sign_in_form = sign_in.form("/sign-in")
    answer = await Tab(served).post("/sign-in", sign_in_form.fields, headers=headers)
    assert answer.status == 403
    assert await nothing_granted(served)
    ours = {"origin": "https://as.example"}
    assert "code" in back_at_client(await flow.tab.post(form.action, fields, headers=ours))


@covers("OAUTH-SESS-09", "SEC-UI-16")
async def test_a_yes_to_what_was_shown_is_no_yes_to_what_stands_now(
    served: Served, flow: Flow
) -> None:
    page = await flow.visit()
    client = await served.house.store.find_client(ClientId("web"))
    assert client is not None
    await served.house.store.put_client(replace(client, name="Somebody else"))
    assert (await flow.answer(page)).status == 409
    await served.house.store.put_client(
        replace(client, redirect_uris=("https://web.example/other",))
    )
    assert (await flow.answer(page)).status == 410, "the way back is not registered any more"
    assert await nothing_granted(served)


@covers("OAUTH-SESS-02", "OAUTH-AUTHZ-07", "SEC-UI-24", "OAUTH-CODE-11")
async def test_a_planted_cookie_is_never_the_session_that_agrees(served: Served) -> None:
    attacker = Tab(served)
    await attacker.get("/sign-in")
    planted = attacker.cookies[COOKIE]
    flow = Flow(web(served))
    flow.tab.cookies[COOKIE] = planted
    page = await flow.visit()
    assert flow.tab.cookies[COOKIE] != planted
    seen = await attacker.get(page.path, follow=False)
    assert (seen.answer.header("location") or "").startswith("/sign-in")
    fields = page.form("/authorize/consent").fields | {"decision": "agree"}
    answer = await attacker.post("/authorize/consent", fields)
    assert (answer.answer.header("location") or "").startswith("/sign-in")
    assert await nothing_granted(served)


@covers("OAUTH-SESS-06", "OAUTH-AUTHZ-06")
@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/",
        "//evil.example",
        "authorization:https://evil.example",
        "authorization:" + "a" * 42,
        "/\\evil.example",
        "javascript:alert(1)",
        "authorization:" + "a" * 43 + "\r\nx: y",
    ],
)
async def test_signing_in_leads_to_places_of_ours_only(served: Served, to: str) -> None:
    tab = Tab(served)
    page = await tab.get("/sign-in?" + urlencode({"to": to}))
    fields = page.form("/sign-in").fields | {"name": "uma", "password": PASSWORD}
    answer = await tab.post("/sign-in", fields | {"to": to})
    assert "evil" not in page.html
    assert answer.status in (303, 400)
    if answer.status == 303:
        assert answer.answer.header("location") == "/account/"


@covers("OAUTH-AUTHZ-10", "OAUTH-SESS-11")
async def test_whoever_is_signed_in_by_mistake_can_go_on_as_somebody_else(
    served: Served, flow: Flow
) -> None:
    page = await flow.visit()
    out = next(form for form in page.forms if "to" in form.fields)
    answer = await flow.tab.post(out.action, out.fields)
    assert (answer.answer.header("location") or "").startswith("/sign-in?said=signed-out&to=")
    flow.person = "vic"
    again = await flow.signed_in(await flow.onward(answer))
    assert "Vic Vance" in again.text
    assert again.path == page.path
    back = back_at_client(await flow.answer(again))
    token = await flow.redeem(back["code"], defer=True)
    held = await served.house.store.find_loaded(await served.key_of(token.code))
    assert held is not None
    assert held.snapshot.person == "vic"

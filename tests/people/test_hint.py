"""`completion_mode` at the authorization endpoint: it changes nothing there, and binds."""

import json

import pytest

from tests.covers import covers
from tests.people.house import CALLBACK, Flow, public
from tests.served import Served

DTR = {"deferral_code", "interval", "expires_in", "interaction_uri", "completion_mode"}


@covers("T-057", "DTR-HINT-01", "DTR-HINT-02", "DTR-HINT-06")
async def test_the_hint_changes_no_answer_of_the_authorization_endpoint(flow: Flow) -> None:
    plain = await flow.come_back(scope="read")
    hinted = await flow.come_back(scope="read", completion_mode="deferred")
    assert hinted.keys() == plain.keys()
    assert {name: hinted[name] for name in hinted if name != "code"} == {
        name: plain[name] for name in plain if name != "code"
    }
    assert len(hinted["code"]) == len(plain["code"])


@covers("DTR-HINT-06")
async def test_the_person_is_told_that_the_application_may_have_to_wait(flow: Flow) -> None:
    plain = await flow.visit(scope="read")
    hinted = await flow.visit(scope="read", completion_mode="other deferred")
    sentence = "Your yes may not be the last word"
    assert sentence in hinted.text
    assert sentence not in plain.text


@covers("DTR-HINT-03", "T-062", "T-065")
@pytest.mark.parametrize("scope", ["now", "read", "never"])
@pytest.mark.parametrize("said", [None, "other"])
async def test_what_was_hinted_must_be_repeated_even_where_nothing_would_wait(
    flow: Flow, scope: str, said: str | None
) -> None:
    code = await flow.code(scope=scope, completion_mode="deferred")
    for _ in range(2):
        answer = await flow.redeem(code, completion_mode=said)
        assert (answer.status, answer.error) == (400, "invalid_request")
    again = await flow.redeem(code, defer=True)
    expected = {"now": None, "read": "authorization_pending", "never": "invalid_scope"}
    assert again.json.get("error") == expected[scope], "and nothing was spent by the refusal"


@covers("DTR-HINT-03")
async def test_whoever_shows_a_wrong_code_is_not_told_of_its_hint(flow: Flow) -> None:
    code = await flow.code(completion_mode="deferred")
    answer = await flow.redeem(code, code_verifier="w" * 50)
    assert answer.error == "invalid_grant"
    assert answer.body == (await flow.redeem("A" * 43)).body


@covers("T-063", "DTR-OPT-02")
@pytest.mark.parametrize("mode", ["other", "Deferred", "undeferred", "deferred,other", ""])
async def test_a_hint_of_something_else_obliges_to_nothing(flow: Flow, mode: str) -> None:
    code = await flow.code(scope="now", completion_mode=mode)
    assert (await flow.redeem(code)).status == 200


@covers("T-064", "DTR-HINT-04")
async def test_no_hint_is_needed_to_be_deferred(flow: Flow) -> None:
    answer = await flow.redeem(await flow.code(), defer=True)
    assert answer.error == "authorization_pending"


@covers("DTR-HINT-03", "DTR-OPT-01")
async def test_without_hint_and_opt_in_the_answer_is_the_grants_own(flow: Flow) -> None:
    code = await flow.code()
    answer = await flow.redeem(code)
    assert answer.error == "invalid_scope"
    assert not DTR & answer.json.keys()
    assert (await flow.redeem(code, defer=True)).error == "authorization_pending"


@covers("T-066", "DTR-HINT-07", "DTR-HINT-02")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": "admin"}, "invalid_scope"),
        ({"resource": "https://mail.example"}, "invalid_target"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"authorization_details": json.dumps([{"type": "x"}])}, "invalid_authorization_details"),
    ],
)
async def test_errors_beside_a_hint_are_the_endpoints_own(
    flow: Flow, changes: dict[str, str | None], error: str
) -> None:
    plain = await flow.come_back(**changes)
    hinted = await flow.come_back(completion_mode="deferred", **changes)
    assert hinted == plain
    assert hinted["error"] == error
    assert not DTR & hinted.keys()


@covers("T-066", "DTR-HINT-07", "OAUTH-AUTHZ-06")
async def test_a_hint_redirects_nobody_to_an_unregistered_place(flow: Flow) -> None:
    page = await flow.visit(completion_mode="deferred", redirect_uri=CALLBACK + "x")
    assert (page.status, page.answer.header("location")) == (400, None)


@covers("DTR-HINT-07", "OAUTH-AUTHZ-11")
async def test_a_hinted_request_is_declined_like_any(flow: Flow) -> None:
    page = await flow.answer(await flow.visit(completion_mode="deferred"), "decline")
    location = page.answer.header("location") or ""
    assert "error=access_denied" in location
    assert not any(name in location for name in DTR)


@covers("DTR-HINT-01", "DTR-HINT-03", "DTR-OPT-02")
async def test_too_long_a_hint_is_refused_at_the_redirect_uri(flow: Flow) -> None:
    back = await flow.come_back(completion_mode="x" * 513)
    assert back["error"] == "invalid_request"


@covers("DTR-HINT-03", "T-073")
async def test_a_public_client_that_hinted_still_needs_its_key(served: Served) -> None:
    app = Flow(public(served))
    code = await app.code(completion_mode="deferred")
    keyed, app.client = app.client, public(served).with_dpop(None)
    assert (await app.redeem(code, defer=True)).error == "invalid_dpop_proof"
    app.client = keyed
    assert (await app.redeem(code)).error == "invalid_request"
    assert (await app.redeem(code, defer=True)).error == "authorization_pending"

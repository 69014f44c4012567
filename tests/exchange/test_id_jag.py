"""An ID-JAG from one of our servers to another, and the person who agrees in between."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from abeyance.acts import dispose
from abeyance.wire import names
from tests.covers import covers
from tests.exchange.house import ISSUER, LEDGER, Agent, is_refused
from tests.exchange.pair import DESK, UMA, Pair, at_page, consent_form, decide, open_pair
from tests.people.house import web


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with open_pair(tmp_path) as opened:
        yield opened
        for served in (opened.provider, opened.taker):
            for path, answer in served.answers:
                assert answer.status < 500, f"{path} answered {answer.status}"


def read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims = (
        json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        for part in token.split(".")[:2]
    )
    return header, claims


# --- making one


@covers("OAUTH-IDJAG-01", "OAUTH-IDJAG-02", "OAUTH-IDJAG-03", "OAUTH-TX-10")
async def test_an_id_jag_says_who_for_which_server_and_what_was_granted(pair: Pair) -> None:
    answer = await pair.ask(await pair.sign_in())
    assert answer.json["issued_token_type"] == names.URN_ID_JAG
    assert (answer.json["token_type"], answer.json["scope"]) == ("N_A", "read")
    assert "refresh_token" not in answer.json
    header, claims = read(answer.json["access_token"])
    assert header["typ"] == "oauth-id-jag+jwt"
    assert (claims["iss"], claims["aud"]) == ("https://idp.example", ISSUER)
    assert (claims["sub"], claims["client_id"]) == ("uma", "desk-there")
    assert (claims["scope"], claims["resource"]) == ("read", [LEDGER])
    assert claims["exp"] - claims["iat"] == answer.json["expires_in"] == 300
    assert {"jti", "auth_time"} <= claims.keys()
    assert not {"cnf", "act"} & claims.keys()


@covers("OAUTH-IDJAG-01", "OAUTH-TX-03", "OAUTH-TX-04", "OAUTH-DEC-06")
async def test_an_id_jag_is_made_only_for_whom_and_where_a_table_says(pair: Pair) -> None:
    subject = await pair.sign_in()
    for changes, error in (
        ({"audience": "https://other.example"}, "invalid_target"),
        ({"audience": [ISSUER, ISSUER]}, "invalid_target"),
        ({"audience": None}, "invalid_target"),
        ({"resource": "https://home.example"}, "invalid_target"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"scope": "read admin"}, "invalid_scope"),
        ({"subject_token": "x" * 64}, "invalid_request"),
        ({"subject_token_type": names.URN_ACCESS_TOKEN}, "invalid_request"),
    ):
        told: dict[str, Any] = changes
        assert is_refused(await pair.ask(subject, **told), error)
    stranger = Agent.of(pair.provider, "stranger")
    told = {
        "subject_token_type": names.URN_REFRESH_TOKEN,
        "requested_token_type": names.URN_ID_JAG,
        "audience": ISSUER,
    }
    assert is_refused(await stranger.exchange(subject, **told), "invalid_request")
    assert (await pair.ask(subject)).status == 200, "and nothing of it is used up"


@covers("OAUTH-IDJAG-03", "EXT-IDJAG-06")
async def test_who_signed_in_too_long_ago_signs_in_again_and_nothing_waits(pair: Pair) -> None:
    subject = await pair.sign_in()
    pair.move(3601)
    answer = await pair.ask(subject, defer=True)
    assert is_refused(answer, "insufficient_user_authentication")
    assert answer.json["max_age"] == 3600
    assert (await pair.ask(await pair.sign_in())).status == 200


@covers("EXT-IDJAG-01", "OAUTH-TX-12", "DTR-OK-01", "OAUTH-DEFER-06")
async def test_the_provider_may_say_not_yet(pair: Pair) -> None:
    waits = await pair.ask(await pair.sign_in(), scope="read write", defer=True)
    assert waits.error == "authorization_pending"
    await pair.provider.vote(waits.code, by="ida")
    answer = await pair.desk.client.poll(waits.code)
    assert answer.json["issued_token_type"] == names.URN_ID_JAG
    assert (answer.json["token_type"], answer.json["scope"]) == ("N_A", "read write")
    _, claims = read(answer.json["access_token"])
    assert (claims["aud"], claims["scope"]) == (ISSUER, "read write")
    assert is_refused(await pair.desk.client.poll(waits.code), "invalid_grant")


@covers("EXT-IDJAG-01", "OAUTH-TX-11")
async def test_who_took_their_grant_back_gets_no_assertion_that_waited(pair: Pair) -> None:
    subject = await pair.sign_in()
    waits = await pair.ask(subject, scope="write", defer=True)
    await pair.provider.vote(waits.code, by="ida")
    assert (await pair.desk.client.revoke(subject)).status == 200
    assert is_refused(await pair.desk.client.poll(waits.code), "access_denied")
    assert is_refused(await pair.ask(subject), "invalid_request")


@covers("OAUTH-JWT-06", "OAUTH-IDJAG-04")
async def test_an_id_jag_is_no_token_and_its_maker_does_not_take_it(pair: Pair) -> None:
    token = await pair.id_jag()
    told = await pair.there.bring(token, scope="read", defer=True)
    assert told.error == "interaction_required"
    as_subject = await pair.desk.exchange(
        token, subject_token_type=names.URN_JWT, resource="https://home.example"
    )
    assert is_refused(as_subject, "invalid_request")
    introspected = await pair.desk.client.post("/introspect", [("token", token)])
    assert introspected.json == {"active": False}


# --- the person agrees


@covers(
    "EXT-IDJAG-01", "EXT-IDJAG-03", "T-042", "OAUTH-JWTB-03", "DTR-IURI-02", "EXT-INTERACT-04",
)  # fmt: skip
async def test_the_person_agrees_in_a_browser_and_the_token_comes(pair: Pair) -> None:
    waits = await pair.there.bring(await pair.id_jag(), defer=True)
    tab, page = await at_page(pair.taker, waits)
    assert "Read the ledger" in page.text
    assert "Desk of the partner" in page.text
    assert "https://idp.example" in page.text
    pair.move(6)
    assert (await pair.there.client.poll(waits.code)).error == "interaction_required", "opened only"
    form = consent_form(page)
    done = await tab.post(form.action, form.fields | {"decision": "agree"}, follow=True)
    assert "Done" in done.text
    pair.move(6)
    answer = await pair.there.client.poll(waits.code)
    claims = answer.claims()
    assert (claims["sub"], claims["client_id"], claims["scope"]) == (UMA, DESK, "read")
    assert "refresh_token" not in answer.json
    key = await pair.taker.key_of(waits.code)
    events = await pair.taker.house.store.find_events(key)
    [granted] = [each for each in events if each.event == "granted"]
    consent = await pair.taker.house.store.find_consent(UMA, DESK)
    assert consent is not None
    assert granted.detail["consent"] == consent.id
    assert granted.actor == f"person:{UMA}"


@covers("EXT-IDJAG-05", "OAUTH-AUTHZ-12")
async def test_who_agreed_once_is_not_asked_again_for_as_much(pair: Pair) -> None:
    await decide(pair.taker, await pair.there.bring(await pair.id_jag(), defer=True), "agree")
    answer = await pair.there.bring(await pair.id_jag())
    assert answer.status == 200, answer.body
    more = await pair.there.bring(await pair.written(), scope="read write", defer=True)
    assert more.error == "interaction_required", "for more they are"


@covers("EXT-IDJAG-01", "DTR-CANC-05")
async def test_the_person_declines_and_the_answer_is_no(pair: Pair) -> None:
    waits = await pair.there.bring(await pair.id_jag(), defer=True)
    await decide(pair.taker, waits, "decline")
    for _ in range(2):
        assert is_refused(await pair.there.client.poll(waits.code), "access_denied")
    assert await pair.taker.house.store.find_consent(UMA, DESK) is None


@covers("OAUTH-JWTB-03", "DTR-OPT-01")
async def test_without_consent_and_without_opt_in_nothing_is_issued_and_nothing_used_up(
    pair: Pair,
) -> None:
    token = await pair.id_jag()
    assert is_refused(await pair.there.bring(token), "invalid_scope")
    assert (await pair.there.bring(token, defer=True)).error == "interaction_required"


@covers("EXT-INTERACT-06", "OAUTH-SESS-09", "SEC-UI-22")
async def test_nobody_else_agrees_and_no_form_but_the_one_that_was_shown_counts(
    pair: Pair,
) -> None:
    waits = await pair.there.bring(await pair.id_jag(), defer=True)
    _, page = await at_page(pair.taker, waits, person="vic")
    assert page.status == 404
    tab, page = await at_page(pair.taker, waits)
    form = consent_form(page)
    for wrong in (
        {"decision": "agree", "seen": "sha-256:x"},
        {"decision": "maybe"},
        {},
        {"decision": "agree", "scope": "write"},
        {"decision": "agree", "csrf": "x"},
    ):
        answer = await tab.post(form.action, form.fields | wrong)
        assert answer.status in (400, 403, 409), wrong
    assert (await pair.there.client.poll(waits.code)).error == "interaction_required"
    await tab.post(form.action, form.fields | {"decision": "agree"})
    again = await tab.post(form.action, form.fields | {"decision": "decline"})
    assert again.status in (303, 409)
    pair.move(6)
    assert (await pair.there.client.poll(waits.code)).status == 200, "the first answer stands"


@covers("EXT-IDJAG-01", "OAUTH-DEFER-06")
async def test_where_the_policy_wants_a_reviewer_a_yes_of_the_person_is_not_the_last_word(
    pair: Pair,
) -> None:
    waits = await pair.there.bring(await pair.written(), defer=True)
    page = await decide(pair.taker, waits, "agree")
    assert "Done" in page.text
    pair.move(6)
    assert (await pair.there.client.poll(waits.code)).error == "authorization_pending"
    await pair.taker.approve(waits.code)
    assert (await pair.there.client.poll(waits.code)).json["scope"] == "read write"


@covers("OAUTH-DEFER-09", "EXT-IDJAG-04", "EXT-STALE-01")
async def test_a_consent_that_is_withdrawn_ends_what_it_led_to(pair: Pair) -> None:
    waits = await pair.there.bring(await pair.id_jag(), defer=True)
    await decide(pair.taker, waits, "agree")
    await dispose.withdraw_consent(pair.taker.house, UMA, DESK, by=f"person:{UMA}")
    assert is_refused(await pair.there.client.poll(waits.code), "access_denied")


@covers("OAUTH-DEC-09", "EXT-IDJAG-04", "EXT-STALE-03")
async def test_the_same_assertion_joins_while_the_person_has_not_answered(pair: Pair) -> None:
    token = await pair.id_jag()
    waits = await pair.there.bring(token, defer=True)
    assert (await pair.there.bring(token, defer=True)).code == waits.code
    pair.move(1800)
    await decide(pair.taker, waits, "agree")
    assert (await pair.there.client.poll(waits.code)).status == 200, "it expired meanwhile"


@covers("EXT-IDJAG-02")
async def test_the_assertion_of_another_client_is_worth_nothing(pair: Pair) -> None:
    token = await pair.id_jag()
    desk = web(pair.taker, "desk")
    answer = await Agent(desk).bring(token, defer=True)
    assert (answer.status, answer.error) == (401, "invalid_client")

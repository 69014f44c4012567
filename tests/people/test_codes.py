"""Authorization codes: what redeems one, what never does, and what a second showing ends."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from abeyance.parties.client import ClientId
from abeyance.pending.change import SpendCode
from abeyance.pending.choosing import Choice
from abeyance.pending.handles import HandleKind, parse_handle
from tests.answer import Answer
from tests.covers import covers
from tests.people.house import CALLBACK, VERIFIER, Flow, challenge, public, web
from tests.people.racing import overtake
from tests.served import Caller, Served, make_key

LEDGER = "https://ledger.example"
PAYMENT = {
    "type": "payment",
    "amount": {"amount": "120.00", "currency": "EUR"},
    "creditor": "Acme",
}


async def is_active(served: Served, token: str, owner: Caller) -> bool:
    answer = await owner.post("/introspect", [("token", token)])
    return bool(answer.json["active"])


def refused(answer: Answer) -> bool:
    return (answer.status, answer.error) == (400, "invalid_grant")


@covers("T-001", "DTR-OPT-03", "OAUTH-TOK-03", "OAUTH-AT-02", "OAUTH-CODE-01")
async def test_what_is_granted_at_once_is_a_token_about_the_person(
    served: Served, flow: Flow
) -> None:
    code = await flow.code(scope="now read")
    served.clock.move(20)
    answer = await flow.redeem(code, defer=True)
    assert answer.status == 200
    members = {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert answer.json.keys() == members
    claims = answer.claims()
    assert (claims["sub"], claims["client_id"], claims["aud"]) == ("uma", "web", LEDGER)
    assert claims["auth_time"] == claims["iat"] - 20
    assert refused(await flow.redeem(code, defer=True))


@covers("T-002", "DTR-RD-08", "EXT-GRANT-01", "OAUTH-DEFER-10", "OAUTH-DEFER-02")
async def test_a_deferred_code_ends_in_the_grants_own_success(served: Served, flow: Flow) -> None:
    answer = await flow.redeem(await flow.code(scope="read"), defer=True)
    assert (answer.status, answer.error) == (400, "authorization_pending")
    code = answer.code
    pending = await flow.client.poll(code)
    assert pending.error == "authorization_pending"
    assert not {"deferral_code", "interval"} & pending.json.keys()
    await served.approve(code)
    signed_in = served.clock.now()
    served.clock.move(600)
    token = await flow.client.poll(code)
    assert token.status == 200
    assert {"refresh_token", "access_token"} <= token.json.keys()
    claims = token.claims()
    assert (claims["sub"], claims["scope"]) == ("uma", "read")
    assert claims["auth_time"] == int(signed_in.timestamp()), "the person's sign-in, no vote"
    assert claims["iat"] == int(served.clock.now().timestamp())
    assert refused(await flow.client.poll(code))


@covers("T-003")
async def test_a_deferred_code_that_is_denied_stays_denied(served: Served, flow: Flow) -> None:
    code = await flow.deferred()
    await served.deny(code)
    for _ in range(2):
        assert (await flow.client.poll(code)).error == "access_denied"
    events = await served.house.store.find_events(await served.key_of(code))
    assert not {"redeemed", "issued"} & {each.event for each in events}


@covers("T-004")
async def test_a_deferred_code_that_nobody_decides_expires(served: Served, flow: Flow) -> None:
    answer = await flow.redeem(await flow.code(), defer=True)
    served.clock.move(answer.json["expires_in"] + 1)
    for _ in range(2):
        assert (await flow.client.poll(answer.code)).error == "expired_token"


@covers("T-005")
async def test_a_deferred_code_that_is_withdrawn_is_denied_ever_after(
    served: Served, flow: Flow
) -> None:
    code = await flow.deferred()
    assert (await flow.client.revoke(code)).status == 200
    assert (await flow.client.poll(code)).error == "access_denied"
    await served.vote(code)
    assert (await flow.client.poll(code)).error == "access_denied"


@covers("T-006", "DTR-IURI-01", "T-083")
async def test_a_deferred_code_may_need_a_step_first(served: Served, flow: Flow) -> None:
    answer = await flow.redeem(await flow.code(scope="sure"), defer=True)
    assert (answer.status, answer.error) == (400, "interaction_required")
    assert {"deferral_code", "expires_in", "interval"} <= answer.json.keys()
    uri = answer.json["interaction_uri"]
    assert uri.startswith("https://as.example/interact/")
    assert "#" not in uri
    await flow.tab.get(uri.removeprefix("https://as.example"))
    assert (await flow.client.poll(answer.code)).error == "interaction_required"
    await served.approve(answer.code)
    assert (await flow.client.poll(answer.code)).status == 200


@covers("T-001", "T-002", "T-003", "T-004", "T-005", "T-006", "OAUTH-CODE-04", "OAUTH-CODE-05")
@pytest.mark.parametrize("end", ["waits", "approved", "denied", "expired", "cancelled", "step"])
async def test_a_second_showing_is_refused_however_the_first_ended(
    served: Served, flow: Flow, end: str
) -> None:
    shown = await flow.code(scope="sure" if end == "step" else "read")
    code = await flow.deferred_for(shown)
    match end:
        case "approved":
            await served.approve(code)
        case "denied":
            await served.deny(code)
        case "expired":
            served.clock.move(3601)
        case "cancelled":
            await flow.client.revoke(code)
    again = await flow.redeem(shown, defer=True)
    assert refused(again)
    assert "deferral_code" not in again.json
    last = await flow.client.poll(code)
    # What has expired stays expired (T-254): only what lives is closed.
    assert last.error == ("expired_token" if end == "expired" else "access_denied")


@covers("OAUTH-CODE-05", "OAUTH-CODE-07", "OAUTH-RT-01")
@pytest.mark.parametrize("later", [0, 40, 3 * 86_400])
async def test_a_second_showing_ends_the_tokens_of_the_first(
    served: Served, flow: Flow, later: int
) -> None:
    shown = await flow.code(scope="now")
    answer = await flow.redeem(shown)
    newest = await flow.refresh(answer.json["refresh_token"])
    served.clock.move(later)
    assert refused(await flow.redeem(shown))
    for token in (answer, newest):
        assert not await is_active(served, token.json["access_token"], flow.client)
    assert refused(await flow.refresh(answer.json["refresh_token"]))


@covers("OAUTH-CODE-05", "OAUTH-DEFER-11", "DTR-RD-08", "T-168")
async def test_a_second_showing_closes_what_waits_and_what_was_approved(
    served: Served, flow: Flow
) -> None:
    for approved in (False, True):
        shown = await flow.code()
        code = await flow.deferred_for(shown)
        if approved:
            await served.approve(code)
        assert refused(await flow.redeem(shown, defer=True))
        assert (await flow.client.poll(code)).error == "access_denied"
        events = await served.house.store.find_events(await served.key_of(code))
        assert "redeemed" not in [each.event for each in events]


WRONG = [
    {"code_verifier": "w" * 50},
    {"code_verifier": None},
    {"code_verifier": "short"},
    {"code_verifier": VERIFIER + "!"},
    {"code_verifier": "v" * 129},
    {"code_verifier": challenge()},
    {"redirect_uri": "https://web.example/other"},
    {"redirect_uri": CALLBACK + "&x=1"},
]


@covers("OAUTH-CODE-03", "OAUTH-CODE-08", "OAUTH-PKCE-04", "OAUTH-PKCE-05", "OAUTH-DEC-08", "T-067")
@pytest.mark.parametrize("changes", WRONG)
@pytest.mark.parametrize("defer", [False, True])
async def test_a_wrong_part_is_refused_with_one_text_and_spends_nothing(
    served: Served, flow: Flow, changes: dict[str, str | None], defer: bool
) -> None:
    shown = await flow.code()
    unknown = await flow.redeem("A" * 43, defer=defer)
    for _ in range(7):
        wrong = await flow.redeem(shown, defer=defer, **changes)
        assert (wrong.status, wrong.body) == (400, unknown.body)
    assert (await flow.redeem(shown, defer=True)).error == "authorization_pending"


@covers("OAUTH-CODE-06", "OAUTH-DEFER-11", "DTR-RD-08", "T-169")
@pytest.mark.parametrize("changes", WRONG)
async def test_a_wrong_second_showing_ends_nothing(
    served: Served, flow: Flow, changes: dict[str, str | None]
) -> None:
    shown = await flow.code()
    code = await flow.deferred_for(shown)
    assert refused(await flow.redeem(shown, defer=True, **changes))
    assert (await flow.client.poll(code)).error == "authorization_pending"
    await served.approve(code)
    token = await flow.client.poll(code)
    assert refused(await flow.redeem(shown, defer=True, **changes))
    assert await is_active(served, token.json["access_token"], flow.client)


@covers("OAUTH-CODE-03", "OAUTH-CODE-06", "OAUTH-CODE-08", "OAUTH-CODE-11")
async def test_another_client_gets_nothing_for_a_code_and_ends_nothing(
    served: Served, flow: Flow
) -> None:
    shown = await flow.code()
    thief = Flow(web(served, "many"))
    stolen: dict[str, Any] = {"redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    unknown = await thief.redeem("A" * 43)
    assert (await thief.redeem(shown, **stolen)).body == unknown.body
    assert refused(await Flow(public(served)).redeem(shown, **stolen))
    code = await flow.deferred_for(shown)
    assert refused(await thief.redeem(shown, **stolen))
    assert (await flow.client.poll(code)).error == "authorization_pending"


@covers("OAUTH-CODE-02")
async def test_a_code_lives_for_a_minute(served: Served, flow: Flow) -> None:
    shown = await flow.code()
    served.clock.move(59)
    assert (await flow.redeem(shown, defer=True)).error == "authorization_pending"
    late = await flow.code()
    served.clock.move(60)
    assert refused(await flow.redeem(late, defer=True))


@covers("OAUTH-CODE-03", "OAUTH-DEC-03")
async def test_the_redirect_uri_need_not_be_repeated(flow: Flow) -> None:
    answer = await flow.redeem(await flow.code(scope="now"), redirect_uri=None)
    assert answer.status == 200


@covers("OAUTH-CODE-10", "OAUTH-DPOP-19")
async def test_a_code_for_one_key_is_nothing_without_it(served: Served, flow: Flow) -> None:
    mine, other = served.keys["d1"], make_key()
    shown = await flow.code(scope="now", dpop_jkt=mine.public.jkt)
    bare = flow.client
    assert refused(await flow.redeem(shown))
    flow.client = bare.with_dpop(other)
    assert refused(await flow.redeem(shown))
    flow.client = bare.with_dpop(mine)
    answer = await flow.redeem(shown)
    assert answer.json["token_type"] == "DPoP"
    assert answer.claims()["cnf"] == {"jkt": mine.public.jkt}
    flow.client = bare.with_dpop(other)
    assert refused(await flow.redeem(shown))
    assert await is_active(served, answer.json["access_token"], bare)


@covers("OAUTH-CODE-01", "OAUTH-CODE-09", "OAUTH-CODE-11", "OAUTH-DEFER-07", "SEC-TOK-08")
async def test_no_other_handle_is_a_code_and_a_code_is_no_other_handle(
    served: Served, flow: Flow
) -> None:
    shown = await flow.code(scope="now")
    unknown = (await flow.redeem("A" * 43)).body
    waiting = await flow.deferred()
    refresh = (await flow.token()).json["refresh_token"]
    for other in (waiting, refresh, shown[:-1], shown + "A", shown.swapcase()):
        assert (await flow.redeem(other)).body == unknown
    assert (await flow.client.poll(shown)).body == (await flow.client.poll("A" * 64)).body
    assert (await flow.client.poll(refresh)).error == "invalid_grant"
    assert (await flow.refresh(shown)).body == (await flow.refresh("A" * 64)).body
    assert (await flow.refresh(waiting)).body == (await flow.refresh("A" * 64)).body
    assert (await flow.redeem(shown)).status == 200
    assert (await flow.client.poll(waiting)).error == "authorization_pending"


@covers("OAUTH-CODE-01", "OAUTH-SEC-02")
async def test_a_code_is_long_and_rests_as_its_digest(served: Served, flow: Flow) -> None:
    shown = await flow.code()
    handle = parse_handle(HandleKind.AUTHORIZATION_CODE, shown)
    assert handle is not None
    found = await served.house.store.find_code(handle)
    assert found is not None
    assert len(shown) >= 43
    assert shown not in repr(found)
    assert found.grant.person == "uma"
    assert found.code.challenge == challenge()
    assert found.code.redirect_uri == CALLBACK


@covers("OAUTH-TOK-02", "OAUTH-CODE-03", "OAUTH-SCOPE-05", "OAUTH-RAR-07")
async def test_a_token_request_may_ask_less_and_never_more(served: Served, flow: Flow) -> None:
    shown = await flow.code(scope="now read")
    assert (await flow.redeem(shown, scope="now read write")).error == "invalid_scope"
    assert (await flow.redeem(shown, resource="https://mail.example")).error == "invalid_target"
    more = await flow.redeem(shown, authorization_details=json.dumps([PAYMENT]))
    assert more.error == "invalid_authorization_details"
    assert (await flow.redeem(shown, scope="now")).json["scope"] == "now"
    shown = await flow.code(scope="now", authorization_details=json.dumps([PAYMENT]))
    dearer = PAYMENT | {"amount": {"amount": "120.01", "currency": "EUR"}}
    more = await flow.redeem(shown, authorization_details=json.dumps([dearer]))
    assert more.error == "invalid_authorization_details"
    assert (await flow.redeem(shown)).json["authorization_details"] == [PAYMENT]


@covers("OAUTH-CODE-03", "OAUTH-CLI-04", "OAUTH-DEFER-06")
async def test_a_client_that_lost_its_scope_meanwhile_gets_nothing(
    served: Served, flow: Flow
) -> None:
    shown = await flow.code(scope="now write")
    client = await served.house.store.find_client(ClientId("web"))
    assert client is not None
    await served.house.store.put_client(replace(client, scope=frozenset({"now"})))
    assert refused(await flow.redeem(shown))
    await served.house.store.put_client(replace(client, grant_types=frozenset()))
    assert (await flow.redeem(shown)).error == "unauthorized_client"
    await served.house.store.put_client(client)
    assert (await flow.redeem(shown)).status == 200


@covers("DTR-INV-01", "T-144")
async def test_reviewers_may_grant_less_of_what_a_person_agreed_to(
    served: Served, flow: Flow
) -> None:
    code = await flow.deferred(scope="read write")
    left = Choice(
        items=frozenset({"scope:read"}), parts={}, limits={}, lifetime=timedelta(hours=24)
    )
    await served.approve(code, left)
    token = await flow.client.poll(code)
    assert token.json["scope"] == token.claims()["scope"] == "read"
    again = await flow.refresh(token.json["refresh_token"])
    assert again.json["scope"] == "read"


@covers("SEC-RACE-13", "OAUTH-CODE-04", "OAUTH-CODE-05")
@pytest.mark.parametrize("slow_defers", [False, True])
async def test_of_two_showings_at_once_one_defers_and_the_other_ends_it(
    served: Served, flow: Flow, monkeypatch: pytest.MonkeyPatch, slow_defers: bool
) -> None:
    shown = await flow.code(scope="now read" if not slow_defers else "read")
    late, first = await overtake(
        served,
        monkeypatch,
        SpendCode,
        slow=lambda: flow.redeem(shown, defer=slow_defers),
        fast=lambda: flow.redeem(shown, defer=True),
    )
    assert refused(late)
    if slow_defers:
        assert (await flow.client.poll(first.code)).error == "access_denied"
    else:
        assert not await is_active(served, first.json["access_token"], flow.client)


@covers("SEC-RACE-13", "OAUTH-CODE-04", "T-163")
async def test_twenty_showings_at_once_leave_nothing_behind(served: Served, flow: Flow) -> None:
    shown = await flow.code()
    answers = await asyncio.gather(*(flow.redeem(shown, defer=True) for _ in range(20)))
    won = [each for each in answers if "deferral_code" in each.json]
    assert len(won) == 1
    assert all(refused(each) for each in answers if each is not won[0])
    assert (await flow.client.poll(won[0].code)).error == "access_denied"

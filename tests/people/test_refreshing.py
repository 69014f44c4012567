"""Refresh tokens: families that turn, hold and end; less at a refresh, never more."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from abeyance.parties.client import ClientId
from abeyance.pending.change import TurnFamily
from abeyance.pending.credentials import FoundRefresh
from abeyance.pending.handles import HandleKind, parse_handle
from abeyance.pending.request import Key
from tests.answer import Answer
from tests.config import without
from tests.covers import covers
from tests.people.house import CONFIG, Flow, back_at_client, open_people, public, web
from tests.people.racing import overtake
from tests.served import Served, make_key

LEDGER, MAIL = "https://ledger.example", "https://mail.example"
HOUR, DAY = 3_600, 86_400
NO_GRACE = '[lifetimes]\nrefresh_grace = "0s"'


def refresh_of(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    return str(answer.json["refresh_token"])


def refused(answer: Answer) -> bool:
    return (answer.status, answer.error) == (400, "invalid_grant")


async def found(served: Served, token: str) -> FoundRefresh:
    handle = parse_handle(HandleKind.REFRESH_TOKEN, token)
    assert handle is not None
    record = await served.house.store.find_refresh(handle)
    assert record is not None
    return record


async def is_active(flow: Flow, answer: Answer) -> bool:
    told = await web(flow.client.served, flow.client.id).post(
        "/introspect", [("token", answer.json["access_token"])]
    )
    return bool(told.json["active"])


def rotating(served: Served) -> Flow:
    """A confidential client that rotates its refresh tokens."""
    return Flow(web(served, "many"))


async def family(flow: Flow, scope: str = "now read") -> Answer:
    """A family by a grant that policy allows at once."""
    answer = await flow.redeem(await flow.code(scope=scope, resource=LEDGER))
    assert answer.status == 200, answer.body
    return answer


@covers("OAUTH-RT-01", "OAUTH-SEC-02")
async def test_a_refresh_token_is_long_means_nothing_and_rests_as_its_digest(
    served: Served, flow: Flow
) -> None:
    token = refresh_of(await family(flow))
    record = await found(served, token)
    assert len(token) >= 43
    assert token not in repr(record)
    assert "." not in token
    assert (record.token.generation, record.grant.client, record.grant.person) == (1, "web", "uma")
    assert record.family.until - record.family.opened_at > record.family.idle_until - (
        record.family.opened_at
    )


@covers("OAUTH-RT-03", "OAUTH-RT-04", "OAUTH-DEC-04")
async def test_a_confidential_client_keeps_its_token_unless_it_asks_to_rotate(
    served: Served, flow: Flow
) -> None:
    token = refresh_of(await family(flow))
    for _ in range(3):
        answer = await flow.refresh(token)
        assert answer.status == 200
        assert "refresh_token" not in answer.json
        served.clock.move(HOUR)


@covers("OAUTH-RT-04", "OAUTH-RT-01", "OAUTH-DEC-04")
async def test_a_rotated_family_keeps_scope_and_place(served: Served) -> None:
    flow = rotating(served)
    first = refresh_of(await family(flow))
    second = await flow.refresh(first)
    token = refresh_of(second)
    assert token != first
    assert second.json["scope"] == "now read"
    one, two = await found(served, first), await found(served, token)
    assert one.home == two.home
    assert one.token.spent_at is not None
    assert (two.token.generation, two.family.head) == (2, two.token.digest)


@covers("OAUTH-RT-02", "OAUTH-RT-06")
async def test_a_stranger_gets_nothing_and_ends_nothing(served: Served) -> None:
    flow = rotating(served)
    first = refresh_of(await family(flow))
    second = refresh_of(await flow.refresh(first))
    served.clock.move(HOUR)
    for stranger in (web(served), public(served), public(served, "spa")):
        for token in (first, second):
            assert refused(await Flow(stranger).refresh(token))
    wrong = await served.post(
        "/token", [("grant_type", "refresh_token"), ("refresh_token", second)]
    )
    assert wrong.error == "invalid_client"
    assert (await flow.refresh(second)).status == 200


@covers("OAUTH-RT-05", "OAUTH-DEFER-09")
async def test_a_spent_token_ends_the_family_its_tokens_and_what_waits(served: Served) -> None:
    flow = rotating(served)
    start = await family(flow)
    second = await flow.refresh(refresh_of(start))
    code = (await flow.refresh(refresh_of(second), defer=True, scope="read")).code
    served.clock.move(11)
    assert refused(await flow.refresh(refresh_of(start)))
    for answer in (start, second):
        assert not await is_active(flow, answer)
    assert refused(await flow.refresh(refresh_of(second)))
    assert (await flow.client.poll(code)).error == "access_denied"
    home = (await served.key_of(code)).home
    events = await served.house.store.find_events(Key(home, 0))
    assert "credential_reuse" in [each.event for each in events]


@covers("OAUTH-RT-07")
async def test_a_lost_answer_is_given_again_for_a_moment_and_never_branches(
    served: Served,
) -> None:
    flow = rotating(served)
    first = refresh_of(await family(flow))
    second = refresh_of(await flow.refresh(first))
    served.clock.move(9)
    assert refresh_of(await flow.refresh(first)) == second
    served.clock.move(1)
    assert refused(await flow.refresh(first)), "the grace is over"
    assert refused(await flow.refresh(second)), "and it was reuse"


@covers("OAUTH-RT-07")
async def test_no_grace_once_the_successor_was_used(served: Served) -> None:
    flow = rotating(served)
    first = refresh_of(await family(flow))
    third = refresh_of(await flow.refresh(refresh_of(await flow.refresh(first))))
    assert refused(await flow.refresh(first))
    assert refused(await flow.refresh(third))


@covers("OAUTH-RT-08")
async def test_a_restart_in_the_same_second_reopens_nothing(tmp_path: Path) -> None:
    async with open_people(tmp_path, extra=NO_GRACE) as served:
        flow = rotating(served)
        first = refresh_of(await family(flow))
        second = refresh_of(await flow.refresh(first))
    async with open_people(tmp_path, extra=NO_GRACE) as again:
        flow = rotating(again)
        assert refused(await flow.refresh(first))
        assert refused(await flow.refresh(second))


@covers("OAUTH-RT-10")
@pytest.mark.parametrize("rotates", [False, True])
async def test_a_family_ends_unused_or_after_its_time(served: Served, rotates: bool) -> None:
    flow = rotating(served) if rotates else Flow(web(served))
    unused = refresh_of(await family(flow))
    served.clock.move(14 * DAY)
    assert refused(await flow.refresh(unused))
    token = refresh_of(await family(flow))
    for _ in range(8):
        served.clock.move(10 * DAY)
        answer = await flow.refresh(token)
        assert answer.status == 200
        token = answer.json.get("refresh_token", token)
    served.clock.move(10 * DAY - 30)
    answer = await flow.refresh(token)
    assert answer.json["expires_in"] <= 30, "no token outlives its family"
    served.clock.move(30)
    assert refused(await flow.refresh(answer.json.get("refresh_token", token)))


@covers("OAUTH-RT-03", "OAUTH-DPOP-14", "OAUTH-RT-06", "T-130")
async def test_a_public_clients_token_is_bound_to_its_key(served: Served) -> None:
    app = Flow(public(served))
    code = await app.deferred(scope="read")
    await served.approve(code)
    token = refresh_of(await app.client.poll(code))
    mine = app.client
    for key in (None, make_key()):
        app.client = public(served).with_dpop(key)
        assert refused(await app.refresh(token))
    app.client = mine
    answer = await app.refresh(token)
    assert answer.json["token_type"] == "DPoP"
    assert answer.claims()["cnf"] == {"jkt": served.keys["d1"].public.jkt}
    served.clock.move(11)
    app.client = public(served).with_dpop(make_key())
    assert refused(await app.refresh(token)), "spent, and by a thief: nothing ends"
    app.client = mine
    assert (await app.refresh(refresh_of(answer))).status == 200


@covers("OAUTH-RT-03", "OAUTH-DPOP-14")
async def test_a_confidential_client_may_change_its_key(served: Served, flow: Flow) -> None:
    bare, other = flow.client, make_key()
    flow.client = bare.with_dpop(served.keys["d1"])
    token = refresh_of(await family(flow))
    flow.client = bare.with_dpop(other)
    answer = await flow.refresh(token)
    assert answer.claims()["cnf"] == {"jkt": other.public.jkt}
    flow.client = bare
    assert (await flow.refresh(token)).json["token_type"] == "Bearer"


@covers("OAUTH-RT-04", "OAUTH-DEC-04", "SEC-TM-02")
async def test_a_public_client_without_a_key_rotates_each_time(served: Served) -> None:
    spa = Flow(public(served, "spa"))
    spa.client = public(served, "spa").with_dpop(None)
    first = refresh_of(await spa.token())
    second = refresh_of(await spa.refresh(first))
    assert second != first
    served.clock.move(11)
    assert refused(await spa.refresh(first))
    assert refused(await spa.refresh(second))


@covers("OAUTH-RT-14", "OAUTH-SCOPE-05", "OAUTH-RES-03", "OAUTH-RAR-07")
async def test_a_refresh_may_ask_less_and_the_family_keeps_all(flow: Flow) -> None:
    standing = [{"type": "standing", "account": "A"}, {"type": "standing", "account": "B"}]
    start = await flow.token(scope="now read", authorization_details=json.dumps(standing))
    token = refresh_of(start)
    assert (await flow.refresh(token, scope="now write")).error == "invalid_scope"
    assert (await flow.refresh(token, resource=MAIL)).error == "invalid_target"
    more = json.dumps([{"type": "standing", "account": "C"}])
    refusal = await flow.refresh(token, authorization_details=more)
    assert refusal.error == "invalid_authorization_details"
    less = json.dumps(standing[:1])
    answer = await flow.refresh(token, scope="now", authorization_details=less)
    assert answer.json["scope"] == answer.claims()["scope"] == "now"
    assert answer.json["authorization_details"] == standing[:1]
    whole = await flow.refresh(token)
    assert whole.json["scope"] == "now read"
    assert whole.json["authorization_details"] == standing


async def agreed_to_both(flow: Flow) -> str:
    more: Sequence[tuple[str, str]] = [("resource", LEDGER), ("resource", MAIL)]
    asked = [*flow.parameters(scope="now read").items(), *more]
    page = await flow.signed_in(await flow.follow("/authorize?" + urlencode(asked)))
    for told in (LEDGER, MAIL):
        assert told in page.text
    return back_at_client(await flow.answer(page))["code"]


@covers("OAUTH-RES-03", "OAUTH-RES-04", "OAUTH-RES-05", "OAUTH-RES-06", "OAUTH-RT-14")
async def test_each_token_is_for_one_of_the_granted_resources(served: Served) -> None:
    flow = rotating(served)
    code = await agreed_to_both(flow)
    assert (await flow.redeem(code)).error == "invalid_target"
    answer = await flow.redeem(code, resource=LEDGER)
    assert answer.claims()["aud"] == LEDGER
    token = refresh_of(answer)
    other = await flow.refresh(token, resource=MAIL + "/")
    assert other.claims()["aud"] == MAIL, "the family keeps all that was granted"
    token = refresh_of(other)
    assert (await flow.refresh(token)).error == "invalid_target"
    assert (await flow.refresh(token, resource="https://evil.example")).error == "invalid_target"
    assert (await flow.refresh(token, resource=LEDGER)).claims()["aud"] == LEDGER


@covers("OAUTH-RES-06", "EXT-NARROW-01", "EXT-BOUND-04")
async def test_an_approval_for_one_resource_is_none_for_the_other(served: Served) -> None:
    flow = rotating(served)
    page = [*flow.parameters().items(), ("resource", LEDGER), ("resource", MAIL)]
    seen = await flow.signed_in(await flow.follow("/authorize?" + urlencode(page)))
    shown = back_at_client(await flow.answer(seen))["code"]
    deferred = await flow.redeem(shown, defer=True, resource=LEDGER)
    await served.approve(deferred.code)
    token = refresh_of(await flow.client.poll(deferred.code))
    assert (await flow.refresh(token, resource=MAIL)).error == "invalid_target"
    assert (await flow.refresh(token)).claims()["aud"] == LEDGER


@covers("EXT-BOUND-01", "EXT-BOUND-02", "OAUTH-RT-13", "OAUTH-RT-10")
@pytest.mark.parametrize("name", ["web", "many"])
async def test_nothing_that_comes_of_an_approval_outlives_it(served: Served, name: str) -> None:
    flow = Flow(web(served, name))
    code = await flow.deferred(resource=LEDGER)
    await served.approve(code)
    token = refresh_of(await flow.client.poll(code))
    served.clock.move(DAY - 60)
    answer = await flow.refresh(token)
    assert answer.json["expires_in"] <= 60
    token = answer.json.get("refresh_token", token)
    served.clock.move(60)
    assert refused(await flow.refresh(token))


@covers("EXT-BOUND-03")
async def test_an_approval_of_one_act_yields_no_refresh_token(served: Served, flow: Flow) -> None:
    payment = {
        "type": "payment",
        "amount": {"amount": "120.00", "currency": "EUR"},
        "creditor": "Acme",
    }
    standing = {"type": "standing", "account": "A"}
    for details, refreshable in (
        ([payment], False),
        ([standing], True),
        ([payment, standing], False),
    ):
        code = await flow.deferred(scope=None, authorization_details=json.dumps(details))
        await served.approve(code)
        answer = await flow.client.poll(code)
        assert answer.json["authorization_details"] == details
        assert ("refresh_token" in answer.json) is refreshable


@covers("EXT-BOUND-03", "OAUTH-DEFER-06")
async def test_each_refresh_is_judged_anew(tmp_path: Path) -> None:
    strict = without(CONFIG, 'name = "renewals of what was approved"')
    async with open_people(tmp_path, config=strict) as served:
        flow = Flow(web(served))
        code = await flow.deferred()
        await served.approve(code)
        token = refresh_of(await flow.client.poll(code))
        assert (await flow.refresh(token)).error == "invalid_scope", "a review, not asked for"
        again = await flow.refresh(token, defer=True)
        assert again.error == "authorization_pending"
        client = await served.house.store.find_client(ClientId("web"))
        assert client is not None
        await served.house.store.put_client(replace(client, scope=frozenset({"now"})))
        assert refused(await flow.refresh(token, defer=True))


@covers("OAUTH-RT-09", "OAUTH-REVO-05")
@pytest.mark.parametrize("name", ["web", "many"])
async def test_no_token_after_an_acknowledged_revocation(
    served: Served, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    flow = Flow(web(served, name))
    token = refresh_of(await family(flow))
    late, first = await overtake(
        served,
        monkeypatch,
        TurnFamily,
        slow=lambda: flow.refresh(token),
        fast=lambda: flow.client.revoke(token),
    )
    assert first.status == 200
    assert refused(late)


@covers("OAUTH-RT-07", "OAUTH-RT-09")
async def test_ten_refreshes_at_once_are_one_turn(served: Served) -> None:
    flow = rotating(served)
    token = refresh_of(await family(flow))
    answers = await asyncio.gather(*(flow.refresh(token) for _ in range(10)))
    given = {refresh_of(each) for each in answers if each.status == 200}
    assert len(given) == 1
    assert all(refused(each) for each in answers if each.status != 200)
    assert (await found(served, token)).family.generation == 2
    assert (await flow.refresh(given.pop())).status == 200

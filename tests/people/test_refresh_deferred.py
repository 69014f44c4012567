"""A refresh that must wait: the family is held, nothing is spent (reading 7)."""

from dataclasses import replace
from pathlib import Path

import pytest

from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.change import Open, TurnFamily
from tests.answer import Answer
from tests.covers import covers
from tests.people.house import Flow, open_people, public, web
from tests.people.racing import overtake
from tests.people.test_refreshing import LEDGER, family, found, refresh_of, refused, rotating
from tests.served import Served

BOTH = pytest.mark.parametrize("name", ["web", "many"])


async def held_family(served: Served, name: str = "many") -> tuple[Flow, str, Answer]:
    """A family, its live token, and the deferral that holds it."""
    flow = Flow(web(served, name))
    token = refresh_of(await family(flow))
    answer = await flow.refresh(token, defer=True, scope="read")
    assert answer.error == "authorization_pending", answer.body
    return flow, token, answer


async def live(flow: Flow, token: str) -> str:
    """The family still works by this token; its successor, or itself."""
    answer = await flow.refresh(token)
    assert answer.status == 200, answer.body
    return str(answer.json.get("refresh_token", token))


@covers("T-013", "DTR-OPT-03")
@BOTH
async def test_an_opted_in_refresh_that_policy_allows_is_answered_at_once(
    served: Served, name: str
) -> None:
    flow = Flow(web(served, name))
    answer = await flow.refresh(refresh_of(await family(flow)), defer=True)
    assert answer.status == 200
    assert not {"deferral_code", "interval", "error"} & answer.json.keys()


@covers("T-014", "EXT-GRANT-02", "OAUTH-RT-11", "DTR-RD-07", "OAUTH-DEFER-02")
@BOTH
async def test_an_approved_refresh_turns_the_family_as_it_then_stands(
    served: Served, name: str
) -> None:
    flow, token, answer = await held_family(served, name)
    token = await live(flow, token)  # the wait hinders nobody
    assert (await flow.client.poll(answer.code)).error == "authorization_pending"
    await served.approve(answer.code)
    collected = await flow.client.poll(answer.code)
    assert collected.json["scope"] == "read"
    assert ("refresh_token" in collected.json) is (name == "many")
    newest = collected.json.get("refresh_token", token)
    assert (await found(served, token)).family.head == (await found(served, newest)).token.digest
    assert refused(await flow.client.poll(answer.code))
    assert (await flow.refresh(newest)).json["scope"] == "now read", "the family keeps its grant"


@covers("T-015", "T-016", "T-017", "EXT-GRANT-02", "OAUTH-RT-11", "DTR-RD-07")
@pytest.mark.parametrize("end", ["denied", "expired", "cancelled"])
@BOTH
async def test_a_refresh_that_came_to_nothing_cost_nothing(
    served: Served, name: str, end: str
) -> None:
    flow, token, answer = await held_family(served, name)
    before = (await found(served, token)).family
    match end:
        case "denied":
            await served.deny(answer.code)
            said = "access_denied"
        case "expired":
            served.clock.move(answer.json["expires_in"] + 1)
            said = "expired_token"
        case _:
            assert (await flow.client.revoke(answer.code)).status == 200
            said = "access_denied"
    for _ in range(2):
        assert (await flow.client.poll(answer.code)).error == said
    assert (await found(served, token)).family == before
    token = await live(flow, token)
    again = await flow.refresh(token, defer=True, scope="read")
    assert again.error == "authorization_pending"
    assert again.code != answer.code


@covers("T-018", "DTR-IURI-01")
async def test_a_refresh_may_need_a_step_first(served: Served, flow: Flow) -> None:
    token = refresh_of(await flow.redeem(await flow.code(scope="now sure")))
    answer = await flow.refresh(token, defer=True, scope="sure")
    assert answer.error == "interaction_required"
    path = answer.json["interaction_uri"].removeprefix("https://as.example")
    await flow.tab.get(path)
    assert (await flow.client.poll(answer.code)).error == "interaction_required"
    await served.approve(answer.code)
    assert (await flow.client.poll(answer.code)).status == 200


@covers("DTR-RD-07", "OAUTH-RT-11", "EXT-GRANT-02")
@BOTH
async def test_the_same_refresh_again_joins_and_another_is_refused(
    served: Served, name: str
) -> None:
    flow, token, answer = await held_family(served, name)
    token = await live(flow, token)
    served.clock.move(60)
    again = await flow.refresh(token, defer=True, scope="read")
    assert again.error == "authorization_pending"
    assert again.code == answer.code
    assert again.json["interval"] == answer.json["interval"]
    assert again.json["expires_in"] == answer.json["expires_in"] - 60
    client = await served.house.store.find_client(ClientId(name))
    assert client is not None
    await served.house.store.put_client(replace(client, scope=client.scope | {"read"}))
    flow.client = flow.client.with_dpop(served.keys["d1"])
    other = await flow.refresh(token, defer=True, scope="read")
    assert other.error == "invalid_request", "another key is another request"
    assert "deferral_code" not in other.json
    flow.client = flow.client.with_dpop(None)
    assert (await flow.client.poll(answer.code)).error == "authorization_pending"


@covers("DTR-RD-07", "OAUTH-REVO-05", "OAUTH-DEFER-09")
@pytest.mark.parametrize("approved", [False, True])
async def test_revoking_a_family_closes_what_waits_for_it(served: Served, approved: bool) -> None:
    flow, token, answer = await held_family(served)
    if approved:
        await served.approve(answer.code)
    assert (await flow.client.revoke(token)).status == 200
    assert (await flow.client.poll(answer.code)).error == "access_denied"
    assert refused(await flow.refresh(token))


@covers("DTR-RD-07", "OAUTH-RT-10")
async def test_a_family_that_ran_out_meanwhile_gives_nothing(tmp_path: Path) -> None:
    short = '[lifetimes]\nrefresh = "30m"\nrefresh_idle = "30m"'
    async with open_people(tmp_path, extra=short) as served:
        flow, _, answer = await held_family(served)
        await served.approve(answer.code)
        served.clock.move(30 * 60)
        assert (await flow.client.poll(answer.code)).error == "access_denied"


@covers("DTR-RD-07")
async def test_refreshes_are_not_deferred_where_that_is_switched_off(tmp_path: Path) -> None:
    async with open_people(tmp_path, extra="refresh_deferral = false") as served:
        flow = rotating(served)
        token = refresh_of(await family(flow))
        answer = await flow.refresh(token, defer=True, scope="read")
        assert answer.error == "invalid_scope"
        assert "deferral_code" not in answer.json
        await live(flow, token)


@covers("DTR-RD-07", "OAUTH-DEFER-12")
async def test_a_held_family_survives_a_restart(tmp_path: Path) -> None:
    async with open_people(tmp_path) as served:
        flow, token, answer = await held_family(served)
    async with open_people(tmp_path) as again:
        flow = rotating(again)
        joined = await flow.refresh(token, defer=True, scope="read")
        assert joined.code == answer.code
        await again.approve(answer.code)
        assert (await flow.client.poll(answer.code)).status == 200


@covers("SEC-RACE-14", "OAUTH-RT-09", "EXT-GRANT-02")
async def test_a_plain_refresh_beside_a_redemption_leaves_one_live_token(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow, token, answer = await held_family(served)
    await served.approve(answer.code)
    late, first = await overtake(
        served,
        monkeypatch,
        TurnFamily,
        slow=lambda: flow.client.poll(answer.code),
        fast=lambda: flow.refresh(token),
    )
    between, newest = refresh_of(first), refresh_of(late)
    assert (await found(served, newest)).family.generation == 3
    assert (await found(served, between)).token.spent_at is not None
    assert (await flow.refresh(newest)).status == 200


@covers("SEC-RACE-14", "OAUTH-RT-09")
async def test_a_redemption_that_overtakes_a_plain_refresh_leaves_one_live_token(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow, token, answer = await held_family(served)
    await served.approve(answer.code)
    late, first = await overtake(
        served,
        monkeypatch,
        TurnFamily,
        slow=lambda: flow.refresh(token),
        fast=lambda: flow.client.poll(answer.code),
    )
    assert refused(late), "its head was spent by the poll, whose answer has the next"
    assert (await flow.refresh(refresh_of(first))).status == 200, "and nothing ended by it"


@covers("SEC-RACE-14", "OAUTH-RT-11")
async def test_two_deferrals_of_a_family_at_once_are_one(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = rotating(served)
    token = refresh_of(await family(flow))
    late, first = await overtake(
        served,
        monkeypatch,
        Open,
        slow=lambda: flow.refresh(token, defer=True, scope="read"),
        fast=lambda: flow.refresh(token, defer=True, scope="read"),
    )
    assert late.code == first.code


@covers("SEC-RACE-14", "OAUTH-RT-11")
async def test_a_deferral_beside_a_plain_refresh_costs_neither(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = rotating(served)
    token = refresh_of(await family(flow))
    late, first = await overtake(
        served,
        monkeypatch,
        Open,
        slow=lambda: flow.refresh(token, defer=True, scope="read"),
        fast=lambda: flow.refresh(token),
    )
    assert late.error == "authorization_pending"
    assert (await flow.refresh(refresh_of(first))).status == 200


@covers("OAUTH-RT-09", "OAUTH-RT-11", "OAUTH-REVO-05")
async def test_nothing_waits_for_a_family_that_was_revoked_meanwhile(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = rotating(served)
    token = refresh_of(await family(flow))
    late, first = await overtake(
        served,
        monkeypatch,
        Open,
        slow=lambda: flow.refresh(token, defer=True, scope="read"),
        fast=lambda: flow.client.revoke(token),
    )
    assert first.status == 200
    assert refused(late)
    now, rita = served.clock.now(), PersonId("rita")
    assert await served.house.store.count_waiting(rita, now=now, at_most=9) == 0


@covers("DTR-RD-23", "OAUTH-RT-11", "SEC-TOK-05")
async def test_a_public_client_without_a_key_is_never_deferred_at_a_refresh(
    served: Served,
) -> None:
    spa = Flow(public(served, "spa"))
    spa.client = public(served, "spa").with_dpop(None)
    token = refresh_of(await spa.token(scope="now read", resource=LEDGER))
    answer = await spa.refresh(token, defer=True, scope="read")
    assert answer.error == "invalid_dpop_proof"
    await live(spa, token)

"""Interaction for clients that can present an address (EXT-INTERACT, reading 27)."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from abeyance.acts.interact import MOST_LAPSES
from abeyance.parties.client import ClientId
from abeyance.pending.handles import Home
from abeyance.pending.interaction_uri import Place, comparison_code
from abeyance.pending.request import Key
from abeyance.pending.states import AwaitingInteraction
from tests.answer import Answer
from tests.console.house import Tab
from tests.covers import covers
from tests.people.house import CONFIG, Flow, open_people, web
from tests.people.test_interaction import ask, signed_in, step_form
from tests.served import Served

BACK = "https://web.example/back?tenant=7"
MODE = "deferred deferred_interactive"
LIFE = 600


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    registered = f'name = "Webmill"\ninteraction_redirect_uris = ["{BACK}"]'
    config = CONFIG.replace('name = "Webmill"', registered).replace(
        'interaction_people = ["vic"]\ninterval = "5s"\nlifetime = "1h"',
        'interaction_people = ["vic"]\ninterval = "5s"\nlifetime = "48h"',
    )
    life = '[lifetimes]\ninteraction = "10m"'
    async with open_people(tmp_path, config=config, extra=life) as running:
        await running.registers("web", "interact", "outcome", "wait")
        yield running
        for path, answer in running.answers:
            assert answer.status < 500, f"{path} answered {answer.status}"


@pytest.fixture
def flow(served: Served) -> Flow:
    return Flow(web(served))


async def first(flow: Flow, **changes: str | None) -> Answer:
    told: dict[str, Any] = {"completion_mode": MODE, **changes}
    return await flow.redeem(await flow.code(scope="sure"), **told)


def path_of(answer: Answer) -> str:
    return str(answer.json["interaction_uri"]).removeprefix("https://as.example")


async def poll(flow: Flow, code: str) -> Answer:
    flow.client.served.clock.move(6)
    return await flow.client.poll(code)


async def confirm(tab: Tab, path: str) -> Answer:
    page = await tab.get(path)
    form = step_form(page)
    fields = form.fields | {"answer.confirmed": "yes"}
    return (await tab.post(form.action, fields)).answer


# --- somebody has come


@covers("T-263", "EXT-INTERACT-01", "EXT-INTERACT-04", "DTR-RD-27", "DTR-PROF-01")
async def test_interaction_pending_means_that_somebody_has_opened_the_page(
    served: Served, flow: Flow
) -> None:
    answer = await first(flow)
    assert answer.error == "interaction_required"
    code, path = answer.code, path_of(answer)
    before = await served.held(code)
    # Scanners, strangers, foreigners and previews are nobody.
    await Tab(served).get(path, follow=False)
    for name in ("rita", "ada"):
        await (await signed_in(served, name)).get(path)
    await flow.tab.get(path, method="HEAD", follow=False)
    await flow.tab.get(path + "/return", follow=False)
    assert (await poll(flow, code)).error == "interaction_required"
    assert await served.held(code) == before
    await flow.tab.get(path)
    arrived = await poll(flow, code)
    assert (arrived.status, arrived.error) == (400, "interaction_pending")
    assert arrived.json["interaction_uri"] == answer.json["interaction_uri"]
    assert (await served.held(code)).version == before.version, "reviewers see what they saw"
    assert (await confirm(flow.tab, path)).status == 303
    assert (await poll(flow, code)).error == "authorization_pending"
    await served.approve(code)
    assert (await poll(flow, code)).status == 200


@covers("T-262", "EXT-INTERACT-01", "EXT-META-05")
async def test_who_sent_only_deferred_hears_that_a_step_is_required_and_no_more(
    served: Served, flow: Flow
) -> None:
    answer = await first(flow, completion_mode="deferred")
    for told in (answer, await poll(flow, answer.code)):
        assert told.error == "interaction_required"
        assert not {"interaction_code", "interaction_expires_in"} & told.json.keys()
    page = await flow.tab.get(path_of(answer))
    assert "may show you a code" not in page.text
    assert (await poll(flow, answer.code)).error == "interaction_required"


@covers("EXT-WAIT-02", "EXT-INTERACT-01")
async def test_a_held_poll_hears_that_somebody_has_come_and_that_they_are_done(
    served: Served, flow: Flow
) -> None:
    answer = await first(flow)
    path = path_of(answer)
    for act, expected in (
        (flow.tab.get(path), "interaction_pending"),
        (confirm(flow.tab, path), "authorization_pending"),
        (ask(served, answer.code, "statement"), "interaction_required"),
    ):
        held = asyncio.create_task(flow.client.hold(answer.code))
        for _ in range(100):
            await asyncio.sleep(0)
        assert served.house.limits.held.taken == 1
        await act
        async with asyncio.timeout(5):
            assert (await held).error == expected
        served.clock.move(6)


@covers("EXT-WAIT-02")
async def test_a_poll_does_not_wait_for_what_moved_before_it_came(
    served: Served, flow: Flow
) -> None:
    answer = await first(flow)
    path = path_of(answer)
    for act, expected in (
        (confirm(flow.tab, path), "authorization_pending"),
        (ask(served, answer.code, "statement"), "interaction_required"),
    ):
        await act
        async with asyncio.timeout(5):
            told = await flow.client.hold(answer.code)
        assert (told.error, told.header("preference-applied")) == (expected, None)
        served.clock.move(6)
    held = asyncio.create_task(flow.client.hold(answer.code))
    for _ in range(100):
        await asyncio.sleep(0)
    assert served.house.limits.held.taken == 1, "and for what it was told of, it does"
    await served.deny(answer.code)
    assert (await held).error == "access_denied"


# --- the code to compare


@covers("EXT-INTERACT-09")
async def test_client_and_page_show_one_code(served: Served, flow: Flow) -> None:
    answer, other = await first(flow), await first(flow)
    code = answer.json["interaction_code"]
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", code)
    assert other.json["interaction_code"] != code
    assert (await poll(flow, answer.code)).json["interaction_code"] == code
    page = await flow.tab.get(path_of(answer))
    assert code in page.text
    assert other.json["interaction_code"] not in page.text
    assert code.replace("-", "") not in path_of(answer).upper(), "it is no part of the address"
    await confirm(flow.tab, path_of(answer))
    await ask(served, answer.code, "statement")
    again = await poll(flow, answer.code)
    assert again.json["interaction_code"] != code, "another step, another code"


@covers("EXT-INTERACT-09")
def test_codes_differ_as_their_places_do() -> None:
    key = b"k" * 32

    codes = {
        comparison_code(Place(Key(Home(bytes([home]) * 16), n), number), key)
        for home in range(20)
        for n in (1, 2)
        for number in (1, 2)
    }
    assert len(codes) == 80


# --- the way back


@covers("EXT-INTERACT-11", "OAUTH-ISS-04", "EXT-WAIT-06")
async def test_the_browser_goes_back_with_what_was_echoed_and_nothing_of_what_came_of_it(
    served: Served, flow: Flow
) -> None:
    answer = await first(flow, interaction_redirect_uri=BACK, interaction_state="x y&z=ü")
    page = await flow.tab.get(path_of(answer))
    policy = page.answer.header("content-security-policy") or ""
    assert "form-action 'self' https://web.example;" in policy
    assert "web.example" in page.text
    assert (await poll(flow, answer.code)).error == "interaction_pending"
    location = (await confirm(flow.tab, path_of(answer))).header("location") or ""
    assert location.startswith(BACK + "&")
    assert parse_qsl(urlsplit(location).query) == [
        ("tenant", "7"),
        ("interaction_state", "x y&z=ü"),
        ("iss", "https://as.example"),
    ]
    # The client that the browser came back to may ask at once, and once.
    assert (await flow.client.poll(answer.code)).error == "authorization_pending"
    assert (await flow.client.poll(answer.code)).error == "slow_down"


@covers("EXT-INTERACT-11", "T-147", "OAUTH-RURI-02")
@pytest.mark.parametrize(
    "changes",
    [{"interaction_redirect_uris": ("https://web.example/new",)}, {"enabled": False}],
    ids=str,
)
async def test_nobody_is_led_to_an_address_that_is_registered_no_more(
    served: Served, flow: Flow, changes: dict[str, Any]
) -> None:
    answer = await first(flow, interaction_redirect_uri=BACK)
    page = await flow.tab.get(path_of(answer))
    form = step_form(page)
    client = await served.house.store.find_client(ClientId("web"))
    assert client is not None
    await served.house.store.put_client(replace(client, **changes))
    shown = await flow.tab.get(path_of(answer))
    policy = shown.answer.header("content-security-policy") or ""
    assert "web.example" not in policy + shown.text
    done = await flow.tab.post(form.action, form.fields | {"answer.confirmed": "yes"})
    assert done.answer.header("location") == path_of(answer)


@covers("EXT-INTERACT-11")
async def test_without_a_state_none_is_echoed_and_without_a_way_back_nobody_goes(
    served: Served, flow: Flow
) -> None:
    answer = await first(flow, interaction_redirect_uri=BACK)
    location = (await confirm(flow.tab, path_of(answer))).header("location") or ""
    assert parse_qsl(urlsplit(location).query) == [("tenant", "7"), ("iss", "https://as.example")]
    answer = await first(flow, interaction_state="x")
    location = (await confirm(flow.tab, path_of(answer))).header("location") or ""
    assert location == path_of(answer)


@covers("EXT-INTERACT-11", "OAUTH-RURI-02")
@pytest.mark.parametrize(
    "uri",
    [
        "https://web.example/back",
        BACK + "&x=1",
        BACK + "#x",
        "https://web.example/callback?tenant=7",
        "https://evil.example/back?tenant=7",
        "javascript:alert(1)",
        BACK.upper(),
    ],
)
async def test_a_way_back_that_is_not_registered_is_refused_and_spends_nothing(
    served: Served, flow: Flow, uri: str
) -> None:
    code = await flow.code(scope="sure")
    told: dict[str, Any] = {"completion_mode": MODE, "interaction_state": "s"}
    refused = await flow.redeem(code, **told, interaction_redirect_uri=uri)
    assert refused.error == "invalid_request"
    long = {**told, "interaction_state": "s" * 513}
    refused = await flow.redeem(code, **long, interaction_redirect_uri=BACK)
    assert refused.error == "invalid_request"
    assert (await flow.redeem(code, **told, interaction_redirect_uri=BACK)).error == (
        "interaction_required"
    )


@covers("EXT-INTERACT-11", "EXT-META-05")
async def test_who_sent_only_deferred_has_no_way_back(served: Served, flow: Flow) -> None:
    answer = await first(
        flow, completion_mode="deferred", interaction_redirect_uri="https://evil.example"
    )
    assert answer.error == "interaction_required"
    location = (await confirm(flow.tab, path_of(answer))).header("location") or ""
    assert location == path_of(answer)


# --- an address that nobody uses


@covers("EXT-INTERACT-16", "EXT-INTERACT-14", "EXT-OUTCOME-01")
async def test_an_address_that_nobody_uses_is_followed_by_others_and_then_by_the_end(
    served: Served, flow: Flow
) -> None:
    answer = await first(flow)
    assert answer.json["interaction_expires_in"] == LIFE
    assert (await poll(flow, answer.code)).json["interaction_expires_in"] == LIFE - 6
    seen = [path_of(answer)]
    for _ in range(MOST_LAPSES):
        served.clock.move(LIFE)
        again = await flow.client.poll(answer.code)
        assert again.error == "interaction_required"
        assert again.json["interaction_expires_in"] == LIFE
        assert path_of(again) not in seen
        page = await flow.tab.get(seen[-1])
        assert "Nothing to do here any more" in page.text
        seen.append(path_of(again))
    served.clock.move(LIFE)
    for _ in range(2):
        ended = await flow.client.poll(answer.code)
        assert ended.error == "access_denied"
        assert ended.json["deferral_outcome"] == "abandoned"
        assert ended.json["next_action"] == "request"


@covers("EXT-INTERACT-16")
async def test_an_address_is_dead_when_its_time_is_over_also_before_anybody_polls(
    served: Served, flow: Flow
) -> None:
    answer = await first(flow)
    page = await flow.tab.get(path_of(answer))
    form = step_form(page)
    served.clock.move(LIFE)
    late = await flow.tab.post(form.action, form.fields | {"answer.confirmed": "yes"})
    assert late.status == 409
    held = await served.held(answer.code)
    assert isinstance(held.state, AwaitingInteraction)


@covers("EXT-INTERACT-16", "DTR-IURI-03")
async def test_no_address_outlives_its_code(served: Served, flow: Flow) -> None:
    answer = await first(flow)
    served.clock.move(answer.json["expires_in"] - 60)
    again = await flow.client.poll(answer.code)
    assert again.json["interaction_expires_in"] == 60


@covers("EXT-INTERACT-16", "EXT-DECIDE-03")
async def test_a_decision_counts_though_an_address_has_run_out(served: Served, flow: Flow) -> None:
    answer = await first(flow)
    served.clock.move(LIFE)
    await served.approve(answer.code)
    assert (await flow.client.poll(answer.code)).status == 200

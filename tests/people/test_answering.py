"""One request, one answer: what two tabs, two clicks and too many requests come to."""

import asyncio
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.change import OpenGrant
from tests.console.house import PageSeen, Tab
from tests.covers import covers
from tests.people.house import Flow, back_at_client, open_people, public, web
from tests.people.racing import overtake
from tests.served import Served


def is_code(page: PageSeen) -> bool:
    return page.status == 303 and "code" in back_at_client(page)


@covers("OAUTH-AUTHZ-09", "OAUTH-CODE-04")
async def test_many_clicks_are_one_code(flow: Flow) -> None:
    page = await flow.visit()
    answers = await asyncio.gather(*(flow.answer(page) for _ in range(10)))
    assert [is_code(each) for each in answers].count(True) == 1
    assert {each.status for each in answers} == {303, 410}


@covers("OAUTH-AUTHZ-09", "OAUTH-AUTHZ-11")
@pytest.mark.parametrize(("slow", "fast"), [("agree", "decline"), ("decline", "agree")])
async def test_of_yes_and_no_at_once_the_first_stands(
    served: Served, flow: Flow, monkeypatch: pytest.MonkeyPatch, slow: str, fast: str
) -> None:
    page = await flow.visit()
    late, first = await overtake(
        served,
        monkeypatch,
        OpenGrant,
        slow=lambda: flow.answer(page, slow),
        fast=lambda: flow.answer(page, fast),
    )
    assert late.status == 410
    assert is_code(first) is (fast == "agree")
    known = await served.house.store.find_consent(PersonId("uma"), ClientId("web"))
    assert (known is not None) is (fast == "agree"), "a yes that came second is not remembered"


@covers("OAUTH-AUTHZ-09", "OAUTH-CLI-06")
async def test_a_remembered_yes_answers_a_request_once(served: Served, flow: Flow) -> None:
    await flow.code()
    asked = await flow.follow("/authorize?" + urlencode(flow.parameters()))
    assert is_code(asked)
    again = await flow.tab.get(asked.path, follow=False)
    assert (again.status, again.answer.header("location")) == (410, None)
    vic = Tab(served)
    await vic.sign_in("vic")
    other = await vic.get(asked.path, follow=False)
    assert other.answer.header("location") is None, "nor is it another person's"


@covers("OAUTH-CLI-06", "OAUTH-AUTHZ-08")
async def test_nothing_is_remembered_for_somebody_else(served: Served, flow: Flow) -> None:
    await flow.code()
    assert (await Flow(web(served), "vic").visit()).status == 200
    many = Flow(web(served, "many"))
    assert (await many.visit(resource="https://ledger.example")).status == 200


@covers("OAUTH-CLI-06", "OAUTH-CLI-07", "OAUTH-AUTHZ-08")
async def test_a_client_that_became_public_on_loopback_is_asked_for_again(
    served: Served, flow: Flow
) -> None:
    app = Flow(public(served))
    await app.code()
    client = await served.house.store.find_client(ClientId("app"))
    assert client is not None
    assert client.is_public
    assert (await app.visit()).status == 200
    await served.house.store.put_client(replace(client, redirect_uris=("https://app.example/cb",)))
    page = await app.visit(redirect_uri="https://app.example/cb")
    assert is_code(page), "a domain's owner alone can answer there"


@covers("OAUTH-AUTHZ-06", "OAUTH-CLI-05", "OAUTH-RURI-11")
@pytest.mark.parametrize("gone", ["disabled", "uri", "grant"])
async def test_a_client_that_changed_meanwhile_gets_no_answer(
    served: Served, flow: Flow, gone: str
) -> None:
    page = await flow.visit()
    client = await served.house.store.find_client(ClientId("web"))
    assert client is not None
    changed = {
        "disabled": replace(client, enabled=False),
        "uri": replace(client, redirect_uris=("https://web.example/other",)),
        "grant": replace(client, grant_types=frozenset()),
    }[gone]
    await served.house.store.put_client(changed)
    for seen in (await flow.answer(page), await flow.tab.get(page.path, follow=False)):
        assert (seen.status, seen.answer.header("location")) == (410, None)
    assert await served.house.store.find_consent(PersonId("uma"), ClientId("web")) is None


@covers("OAUTH-HTTP-07", "SEC-DOS-06")
async def test_too_many_requests_from_one_address_are_told_to_wait(
    served: Served, flow: Flow
) -> None:
    asked = "/authorize?" + urlencode(flow.parameters())
    page = await flow.tab.get(asked, follow=False)
    for _ in range(2_000):
        if page.status != 303:
            break
        page = await flow.tab.get(asked, follow=False)
    assert page.status == 429
    assert page.answer.header("retry-after")
    assert page.answer.header("location") is None
    served.clock.move(60)
    assert (await flow.tab.get(asked, follow=False)).status == 303


@covers("OAUTH-RURI-11", "OAUTH-DEFER-12")
async def test_a_person_may_take_their_time_over_a_restart(tmp_path: Path) -> None:
    async with open_people(tmp_path) as served:
        flow = Flow(web(served))
        page = await flow.visit()
    async with open_people(tmp_path) as again:
        later = Flow(web(again))
        later.tab.cookies.update(flow.tab.cookies)
        code = back_at_client(await later.answer(page))["code"]
        assert (await later.redeem(code, defer=True)).error == "authorization_pending"


@covers("OAUTH-CODE-11", "OAUTH-AUTHZ-07", "OAUTH-AT-02")
async def test_each_code_is_of_the_person_who_agreed(served: Served) -> None:
    uma, vic = Flow(web(served), "uma"), Flow(web(served), "vic")
    codes = [await each.code(scope="now") for each in (uma, vic)]
    subjects = [(await uma.redeem(code)).claims()["sub"] for code in codes]
    assert subjects == ["uma", "vic"]

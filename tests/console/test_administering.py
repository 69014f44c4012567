"""What administrators do in the console, and that nobody else does (OAUTH-SESS-12)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from abeyance.parties.person import Person, PersonId
from abeyance.pending.states import Denied, Pending
from abeyance.server.pages.desk import render_request_id
from tests.console.house import PageSeen, Tab
from tests.covers import covers
from tests.people.house import Flow, key_of, open_people, web
from tests.served import Served

ONLY_THEIRS = ("/console/clients", "/console/people")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_people(tmp_path) as running:
        yield running
        for path, answer in running.answers:
            assert answer.status < 500, f"{path} answered {answer.status}"


async def signed_in(served: Served, name: str) -> Tab:
    tab = Tab(served)
    await tab.sign_in(name)
    return tab


async def press(tab: Tab, page: PageSeen, action: str, **fields: str) -> PageSeen:
    form = next(each for each in page.forms if each.action == action)
    return await tab.post(action, form.fields | fields)


@covers("SEC-UI-27", "OAUTH-SESS-12")
@pytest.mark.parametrize("name", ["rita", "uma"])
async def test_for_others_these_pages_do_not_exist(house: Served, name: str) -> None:
    tab = await signed_in(house, name)
    token = (await tab.get("/account/")).form("/sign-out").fields["csrf"]
    for path in ONLY_THEIRS:
        assert (await tab.get(path)).status == 404
    for action in (
        "/console/clients/web/switch",
        "/console/people/vic/switch",
        "/console/people/vic/sign-out",
        "/console/people/vic/invite",
    ):
        assert (await tab.post(action, {"csrf": token, "to": "off"})).status == 404
    person = await house.house.store.find_person(PersonId("vic"))
    assert person is not None
    assert person.enabled


async def test_the_history_of_all_is_for_administrators(house: Served) -> None:
    await Flow(web(house)).deferred(scope="sure")
    ada, rita, uma = [await signed_in(house, name) for name in ("ada", "rita", "uma")]
    assert "Needs a word" in (await ada.get("/console/history?whose=all")).text
    assert "Needs a word" not in (await ada.get("/console/history")).text
    assert "Needs a word" in (await rita.get("/console/history?whose=all")).text, "it is hers"
    assert (await uma.get("/console/history")).status == 404


@covers("SEC-UI-27", "EXT-DECIDE-03")
async def test_an_administrator_may_look_at_what_others_decide_and_not_decide_it(
    house: Served,
) -> None:
    code = await Flow(web(house)).deferred(scope="sure")
    path = f"/console/requests/{render_request_id(await key_of(house, code))}"
    ada = await signed_in(house, "ada")
    page = await ada.get(path)
    assert page.status == 200
    assert "You may look, as an administrator, not decide." in page.text
    assert not [form for form in page.forms if form.action.endswith(("/vote", "/ask"))]


@covers("EXT-STALE-01", "OAUTH-CLI-05")
async def test_disabling_a_client_ends_what_waits_before_the_page_comes_back(
    house: Served,
) -> None:
    code = await Flow(web(house)).deferred()
    ada = await signed_in(house, "ada")
    page = await ada.get("/console/clients")
    await press(ada, page, "/console/clients/web/switch", to="off")
    assert isinstance((await house.held(code)).state, Denied)
    assert "Disabled" in (await ada.get("/console/clients")).text
    await press(ada, page, "/console/clients/web/switch", to="off")
    await press(ada, page, "/console/clients/web/switch", to="on")
    answer = await press(ada, page, "/console/clients/web/switch", to="sideways")
    assert answer.status == 400
    client = next(each for each in await house.house.store.list_clients() if each.id == "web")
    assert client.enabled


@covers("EXT-STALE-01")
async def test_disabling_a_person_signs_them_out_and_ends_what_they_granted(
    house: Served,
) -> None:
    flow = Flow(web(house))
    code = await flow.deferred()
    ada = await signed_in(house, "ada")
    page = await ada.get("/console/people")
    await press(ada, page, "/console/people/uma/switch", to="off")
    assert isinstance((await house.held(code)).state, Denied)
    assert (await flow.tab.get("/account/", follow=False)).status == 303
    assert not [form for form in page.forms if form.action == "/console/people/ada/switch"]


async def test_nobody_disables_themselves(house: Served) -> None:
    ada = await signed_in(house, "ada")
    page = await ada.get("/console/people")
    token = next(
        form.fields["csrf"] for form in page.forms if form.action == "/console/people/ada/sign-out"
    )
    answer = await ada.post("/console/people/ada/switch", {"csrf": token, "to": "off"})
    assert answer.status == 409
    assert (await ada.get("/console/people")).status == 200


@covers("SEC-OPS-03")
async def test_a_password_link_is_shown_once_and_works_once(house: Served) -> None:
    await house.house.store.put_person(
        Person(id=PersonId("neo"), name="Neo", roles=frozenset(), declared=False)
    )
    ada = await signed_in(house, "ada")
    page = await ada.get("/console/people")
    shown = await press(ada, page, "/console/people/neo/invite")
    link = shown.text.partition("https://as.example")[2].split()[0]
    assert link.startswith("/welcome/")
    assert link not in (await ada.get("/console/people")).text
    stranger = Tab(house)
    welcome = await stranger.get(link)
    form = welcome.forms[0]
    told = form.fields | {"password": "p" * 14, "again": "p" * 14}
    assert (await stranger.post(link, told)).status == 303
    assert (await stranger.get(link)).status == 404
    declared = [form.action for form in page.forms if form.action.endswith("/invite")]
    assert declared == ["/console/people/neo/invite"]


@covers("OAUTH-SESS-03")
async def test_a_form_of_the_console_is_for_one_thing(house: Served) -> None:
    ada = await signed_in(house, "ada")
    page = await ada.get("/console/people")
    vic = next(form for form in page.forms if form.action == "/console/people/vic/switch")
    for action, status in (
        ("/console/people/uma/switch", 403),
        ("/console/clients/web/switch", 403),
        ("/console/people/nobody/switch", 403),
    ):
        assert (await ada.post(action, vic.fields | {"to": "off"})).status == status
    foreign = {"sec-fetch-site": "cross-site"}
    answer = await ada.post(vic.action, vic.fields | {"to": "off"}, headers=foreign)
    assert answer.status == 403
    for person in await house.house.store.list_people():
        assert person.enabled


async def test_ending_a_request_is_an_administrators(house: Served) -> None:
    code = await Flow(web(house)).deferred()
    path = f"/console/requests/{render_request_id(await key_of(house, code))}"
    rita, ada = await signed_in(house, "rita"), await signed_in(house, "ada")
    token = (await rita.get(path)).form("/vote").fields["csrf"]
    assert (await rita.post(f"{path}/end", {"csrf": token})).status == 404
    assert isinstance((await house.held(code)).state, Pending)
    page = await ada.get(path)
    await press(ada, page, f"{path}/end")
    assert isinstance((await house.held(code)).state, Denied)
    assert "ended it" in (await ada.get(path)).text


async def test_the_history_tells_who_ended_what_nobody_voted_on(house: Served) -> None:
    flow = Flow(web(house))
    code = await flow.deferred()
    house.clock.move(120)
    form = (await flow.tab.get("/account/")).form("/withdraw")
    await flow.tab.post(form.action, form.fields)
    await flow.deferred(scope="write")
    ada = await signed_in(house, "ada")
    page = await ada.get("/console/clients")
    await press(ada, page, "/console/clients/web/switch", to="off")
    text = (await ada.get("/console/history")).text
    assert "Withdrawn by Uma Underwood, after 2 minutes" in text
    assert "Denied by The server, after 0 seconds" in text
    assert (await house.held(code)).version > 1


async def test_an_empty_list_says_which_rules_lead_here_and_which_to_nobody(
    house: Served,
) -> None:
    rita, ada = await signed_in(house, "rita"), await signed_in(house, "ada")
    text = (await rita.get("/console/")).text
    for rule in ("identity", "sure", "review"):
        assert rule in text
    page = await ada.get("/console/people")
    await press(ada, page, "/console/people/rita/switch", to="off")
    text = (await ada.get("/console/")).text
    assert "Nobody can decide what these rules defer" in text
    assert "identity, sure" in text


@pytest.mark.parametrize(
    "query", ["ended=fine", "cursor=x", "client=" + "x" * 201, "by=" + "x" * 201]
)
async def test_a_filter_that_is_none_is_a_page_that_says_so(house: Served, query: str) -> None:
    ada = await signed_in(house, "ada")
    assert (await ada.get(f"/console/history?{query}")).status == 400

"""One's own affairs, and nobody else's: pages, forms, and what an intruder would try."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from abeyance.parties.person import Person, PersonId
from abeyance.pending.states import Cancelled, Denied, Pending
from tests.console.house import HASH, PASSWORD, PageSeen, Tab
from tests.covers import covers
from tests.people.house import Flow, open_people, web
from tests.served import Served

PAGES = ("/account/", "/account/applications", "/account/sessions")


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_people(tmp_path) as running:
        yield running
        for path, answer in running.answers:
            assert answer.status < 500, f"{path} answered {answer.status}"


async def signed_in(served: Served, name: str) -> Tab:
    tab = Tab(served)
    await tab.sign_in(name)
    return tab


@covers("OAUTH-SESS-06")
@pytest.mark.parametrize("path", PAGES)
async def test_a_stranger_is_led_to_sign_in_and_back(served: Served, path: str) -> None:
    tab = Tab(served)
    first = await tab.get(path, follow=False)
    assert first.status == 303
    place = path.removeprefix("/account/")
    assert (first.answer.header("location") or "").endswith(f"/sign-in?to=account%3A{place}")


async def test_what_waits_is_told_with_for_whom_and_until_when(served: Served) -> None:
    flow = Flow(web(served))
    await flow.deferred(scope="read write")
    page = await flow.tab.get("/account/")
    for words in ("Read the ledger", "Change the ledger", "Webmill for Uma Underwood"):
        assert words in page.text
    assert "For Ada Admin or Rita Renner to decide within 59 minutes" in page.text


async def test_one_takes_back_what_waits_and_the_client_hears_no(served: Served) -> None:
    flow = Flow(web(served))
    code = await flow.deferred()
    form = (await flow.tab.get("/account/")).form("/withdraw")
    assert (await flow.tab.post(form.action, form.fields)).status == 303
    assert isinstance((await served.held(code)).state, Cancelled)
    served.clock.move(10)
    assert (await flow.client.poll(code)).error == "access_denied"
    page = await flow.tab.get("/account/")
    assert "Withdrawn" in page.text
    assert not [each for each in page.forms if each.action.endswith("/withdraw")]
    again = await flow.tab.post(form.action, form.fields)
    assert again.status == 303, "twice is as good as once"


@covers("SEC-UI-27")
async def test_nobody_sees_or_takes_back_what_is_not_theirs(served: Served) -> None:
    flow = Flow(web(served))
    code = await flow.deferred()
    form = (await flow.tab.get("/account/")).form("/withdraw")
    vic = await signed_in(served, "vic")
    page = await vic.get("/account/")
    assert "Read the ledger" not in page.text
    own = page.form("/sign-out").fields["csrf"]
    for fields in (form.fields, {"csrf": own}, {}):
        assert (await vic.post(form.action, fields)).status == 404
    for strange in ("x", f"{'0' * 32}.1"):
        assert (await vic.post(f"/account/requests/{strange}/withdraw", {})).status == 404
    assert isinstance((await served.held(code)).state, Pending)


async def test_whoever_answers_for_a_client_sees_its_requests(served: Served) -> None:
    await Flow(web(served)).deferred()
    ada = await signed_in(served, "ada")
    assert "Webmill for Uma Underwood" in (await ada.get("/account/")).text


@covers("OAUTH-SESS-03")
async def test_every_form_is_bound_to_what_it_is_for(served: Served) -> None:
    flow = Flow(web(served))
    code = await flow.deferred()
    tab = flow.tab
    requests, applications, sessions = [await tab.get(path) for path in PAGES]
    tokens = {
        page.form(ending).action: page.form(ending).fields["csrf"]
        for page, ending in (
            (requests, "/withdraw"),
            (applications, "/applications/withdraw"),
            (requests, "/sign-out"),
        )
    }
    del sessions
    for action in tokens:
        for other, token in tokens.items():
            if other != action:
                answer = await tab.post(action, {"csrf": token, "client": "web"})
                assert answer.status == 403, (action, other)
    cross = {"sec-fetch-site": "cross-site"}
    for action, token in tokens.items():
        answer = await tab.post(action, {"csrf": token, "client": "web"}, headers=cross)
        assert answer.status == 403
    assert isinstance((await served.held(code)).state, Pending)


@covers("OAUTH-CLI-06", "EXT-STALE-03")
async def test_taking_back_what_an_application_may_do_ends_what_it_has(served: Served) -> None:
    flow = Flow(web(served))
    token = await flow.token()
    code = await flow.deferred()
    page = await flow.tab.get("/account/applications")
    assert "Granted at once" in page.text
    form = page.form("/applications/withdraw")
    other = await flow.tab.post(form.action, form.fields | {"client": "many"})
    assert other.status == 403, "the token is for one application"
    assert (await flow.tab.post(form.action, form.fields)).status == 303
    assert isinstance((await served.held(code)).state, Denied)
    refreshed = await flow.refresh(token.json["refresh_token"])
    assert refreshed.error == "invalid_grant"
    assert "No application acts for you" in (await flow.tab.get("/account/applications")).text


# --- sessions and password


@covers("OAUTH-SESS-13", "EXT-STALE-03")
async def test_ending_another_session_ends_what_was_granted_in_it(served: Served) -> None:
    flow = Flow(web(served))
    code = await flow.deferred()
    here = await signed_in(served, "uma")
    form = (await here.get("/account/sessions")).form("/sessions/end")
    [(name, which)] = form.buttons
    assert (await here.post(form.action, form.fields | {name: which})).status == 303
    assert isinstance((await served.held(code)).state, Denied)
    gone = await flow.tab.get("/account/", follow=False)
    assert gone.status == 303
    assert (await here.get("/account/")).status == 200


async def test_nobody_ends_somebody_elses_session(served: Served) -> None:
    uma, vic = await signed_in(served, "uma"), await signed_in(served, "vic")
    more = await signed_in(served, "uma")
    form = (await more.get("/account/sessions")).form("/sessions/end")
    [(name, which)] = form.buttons
    own = (await signed_in(served, "vic"), vic)
    token = (await own[0].get("/account/sessions")).form("/sessions/end").fields["csrf"]
    await own[0].post(form.action, {"csrf": token, name: which})
    await own[0].post(form.action, {"csrf": token, name: "others"})
    assert (await uma.get("/account/")).status == 200
    assert (await vic.get("/account/", follow=False)).status == 303


async def neo(served: Served) -> Tab:
    """Somebody whose password is not the configuration's."""
    await served.house.store.put_person(
        Person(
            id=PersonId("neo"),
            name="Neo",
            roles=frozenset(),
            password_hash=HASH,
            declared=False,
        )
    )
    return await signed_in(served, "neo")


async def change(tab: Tab, **said: str) -> PageSeen:
    form = (await tab.get("/account/sessions")).form("/sessions/password")
    told = {"current": PASSWORD, "password": "a" * 14, "again": "a" * 14} | said
    return await tab.post(form.action, form.fields | told)


@covers("OAUTH-SESS-13", "OAUTH-RT-10")
async def test_a_new_password_takes_the_old_one_and_ends_the_other_sessions(
    served: Served,
) -> None:
    tab, other = await neo(served), await signed_in(served, "neo")
    assert (await change(tab, current="wrong")).status == 400
    assert (await change(tab, again="b" * 14)).status == 400
    assert (await change(tab, password="short", again="short")).status == 400
    assert (await other.get("/account/")).status == 200
    assert (await change(tab)).status == 303
    assert (await other.get("/account/", follow=False)).status == 303
    assert (await tab.get("/account/")).status == 200
    fresh = Tab(served)
    assert (await fresh.sign_in("neo")).status == 401
    events = [event.event for event in await served.house.store.list_security_events(20)]
    assert "password_set" in events


@covers("SEC-DOS-16", "OAUTH-SESS-07")
async def test_a_stolen_session_cannot_guess_the_password(served: Served) -> None:
    tab = await neo(served)
    statuses = [(await change(tab, current=f"guess-{n}")).status for n in range(12)]
    assert 429 in statuses
    assert (await change(tab)).status == 429, "even with the right one, for a moment"
    served.clock.move(31)
    assert (await change(tab)).status == 303


async def test_a_password_of_the_configuration_is_not_changed_here(served: Served) -> None:
    tab = await signed_in(served, "uma")
    page = await tab.get("/account/sessions")
    assert not [each for each in page.forms if each.action.endswith("/password")]
    token = page.form("/sign-out").fields["csrf"]
    answer = await tab.post("/account/sessions/password", {"csrf": token, "current": PASSWORD})
    assert answer.status == 403


@pytest.mark.parametrize("query", ["cursor=x", "cursor=", "cursor=AAAA"])
async def test_a_cursor_of_nobody_is_a_page_that_says_so(served: Served, query: str) -> None:
    tab = await signed_in(served, "uma")
    assert (await tab.get(f"/account/?{query}")).status in (200, 400)

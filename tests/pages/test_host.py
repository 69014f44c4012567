"""A host application says who is signed in; what was ended here, it cannot undo."""

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from abeyance.acts import dispose
from abeyance.acts.erasing import erase_person
from abeyance.parties.person import ConsoleSession, Person, PersonId, Role
from abeyance.server.pages import guard, host
from abeyance.server.pages.host import session_digest
from abeyance.store.ports import SecurityEvent
from abeyance.wire.secret import Secret
from tests.console.house import PASSWORD, PageSeen, Tab, invite
from tests.covers import covers
from tests.pages.hosts import COOKIE, SIGNED_IN_AT, Host, told
from tests.people.house import Flow, back_at_client, open_people, web
from tests.served import Served

OURS = "__Host-abeyance"


@pytest.fixture
def people() -> Host:
    return Host({"s1": told()})


@pytest.fixture
async def served(tmp_path: Path, people: Host) -> AsyncIterator[Served]:
    async with open_people(tmp_path, people=people) as running:
        yield running


def tab_of(served: Served, session: str = "s1") -> Tab:
    return Tab(served, cookies={COOKIE: session})


def flow_of(served: Served, session: str = "s1") -> Flow:
    flow = Flow(web(served))
    flow.tab.cookies[COOKIE] = session
    return flow


async def find(served: Served, name: str = "hana") -> Person | None:
    return await served.house.store.find_person(PersonId(name))


async def events(served: Served, event: str) -> list[SecurityEvent]:
    found = await served.house.store.list_security_events(100)
    return [each for each in found if each.event == event]


# --- who is there


@covers("OAUTH-SESS-06", "OAUTH-HTTP-01")
async def test_whom_the_host_does_not_know_is_sent_there_and_comes_back_to_us(
    served: Served,
) -> None:
    tab = Tab(served)
    path = f"/console/requests/{'0a' * 16}.1"
    sent = await tab.get(path, headers={"host": "evil.example"}, follow=False)
    assert (sent.status, sent.answer.header("location")) == (
        303,
        f"https://as.example/login?return_to={quote(f'https://as.example{path}', safe='')}",
    )
    flow = flow_of(served, "unknown")
    answer = (await flow.visit()).answer
    location = answer.header("location") or ""
    assert location.startswith(
        "https://as.example/login?return_to=https%3A%2F%2Fas.example%2Fauthorize%2Fconsent%3Ftx%3D"
    )


@covers("OAUTH-AUTHZ-06", "OAUTH-SESS-01")
async def test_the_host_s_people_grant_under_their_own_name(served: Served) -> None:
    flow = flow_of(served)
    page = await flow.visit(scope="now")
    assert "You are signed in as Hana Horvat" in page.text
    code = back_at_client(await flow.answer(page))["code"]
    claims = (await flow.redeem(code)).claims()
    assert claims["sub"] == "hana"
    kept = await find(served)
    assert kept is not None
    assert (kept.name, kept.declared, kept.roles) == ("Hana Horvat", False, frozenset())
    digest = hashlib.sha256(b"host\0hana\0one").digest()
    session = await served.house.store.find_session(digest)
    assert session is not None
    assert (session.person, session.signed_in_at) == ("hana", SIGNED_IN_AT)


@covers("OAUTH-SESS-07", "SEC-OPS-03", "OAUTH-SESS-02")
async def test_there_is_no_sign_in_of_ours_beside_the_host_s(served: Served) -> None:
    link = await invite(served, "bob")
    for session in ("s1", "unknown"):
        tab = tab_of(served, session)
        for path in ("/sign-in", "/sign-out", link):
            assert (await tab.get(path)).status == 404
        cookie = tab.cookies.get(OURS, "A" * 42 + "E")
        fields = {
            "csrf": guard.mint_token(Secret(cookie), "sign-in"),
            "name": "rita",
            "password": PASSWORD,
        }
        for path in ("/sign-in", "/sign-out", link):
            assert (await tab.post(path, fields)).status == 404
    assert await events(served, "signed_in") == []
    assert await events(served, "password_set") == []


@covers("OAUTH-SESS-02")
async def test_a_session_of_ours_from_before_means_nothing(served: Served) -> None:
    # Such as one from a time when this server signed people in itself.
    cookie = Secret("B" * 42 + "E")
    now = served.clock.now()
    session = ConsoleSession(cookie.digest(), PersonId("ada"), now, now)
    await served.house.store.put_session(session)
    tab = Tab(served, cookies={OURS: cookie.reveal()})
    assert (await tab.get("/console/", follow=False)).status == 303
    tab.cookies[COOKIE] = "s1"
    assert "Hana Horvat" in (await tab.get("/console/")).text


async def test_pages_show_the_host_s_way_out_and_none_of_ours(served: Served) -> None:
    page = await tab_of(served).get("/console/")
    assert "/leave" in page.links
    assert not [form for form in page.forms if form.action.endswith("/sign-out")]


@covers("OAUTH-SESS-12")
async def test_names_and_roles_follow_the_host(served: Served, people: Host) -> None:
    tab = tab_of(served)
    await tab.get("/console/")
    people.sessions["s1"] = told(name="Hana Novak", reviewer=True, administrator=True)
    page = await tab.get("/console/")
    assert "Hana Novak" in page.text
    kept = await find(served)
    assert kept is not None
    assert kept.roles == {Role.REVIEWER, Role.ADMINISTRATOR}
    people.sessions["s1"] = told(name="Hana Novak")
    await tab.get("/console/")
    await tab.get("/console/")
    kept = await find(served)
    assert kept is not None
    assert kept.roles == frozenset()
    noted = [event.detail for event in await events(served, "person_told")]
    assert noted == ["hana", "hana administrator reviewer", "hana"]


@covers("OAUTH-SESS-12")
async def test_whom_the_configuration_declares_is_the_configuration_s(
    served: Served, people: Host
) -> None:
    before = [await find(served, name) for name in ("uma", "ada")]
    people.sessions["s1"] = told("uma", name="Root", reviewer=True, administrator=True)
    people.sessions["s2"] = told("ada")
    assert "Uma Underwood" in (await tab_of(served).get("/console/")).text
    assert "Ada Admin" in (await tab_of(served, "s2").get("/console/")).text
    assert [await find(served, name) for name in ("uma", "ada")] == before
    assert await events(served, "person_told") == []


@covers("OAUTH-SESS-05", "SEC-UI-01")
@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "Hana"},
        {"id": "hana horvat"},
        {"id": "hana\0one"},
        {"id": "../hana"},
        {"id": "h" * 101},
        {"id": "hana\n"},
        {"name": " "},
        {"name": "H" * 201},
        {"session": ""},
        {"signed_in_at": SIGNED_IN_AT.replace(tzinfo=None)},
    ],
    ids=str,
)
async def test_whom_we_cannot_keep_is_not_signed_in(
    served: Served, people: Host, change: dict[str, Any]
) -> None:
    people.sessions["s1"] = told(**change)
    before = await served.house.store.list_people()
    page = await tab_of(served).get("/console/", follow=False)
    assert page.status == 403
    assert "Your account does not work here" in page.text
    assert await served.house.store.list_people() == before


@pytest.mark.parametrize("trouble", ["raises", "hangs"])
async def test_a_host_that_does_not_answer_signs_nobody_in(
    served: Served, people: Host, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "_PATIENCE", 0.0)
    people.fault = RuntimeError("password=secret") if trouble == "raises" else None
    people.hangs = trouble == "hangs"
    page = await tab_of(served).get("/console/", follow=False)
    assert (page.status, page.answer.header("retry-after")) == (503, "5")
    assert "secret" not in page.html
    assert await find(served) is None


async def test_nobody_has_signed_in_in_the_future(served: Served, people: Host) -> None:
    people.sessions["s1"] = told(signed_in_at=served.clock.now() + timedelta(days=1))
    await tab_of(served).get("/console/")
    session = await served.house.store.find_session(session_digest("hana", "one"))
    assert session is not None
    assert session.signed_in_at == served.clock.now()


# --- whose form it is


async def consent_form(served: Served, tab: Tab) -> PageSeen:
    flow = Flow(web(served))
    flow.tab = tab
    return await flow.visit(scope="now")


@covers("OAUTH-SESS-03", "SEC-UI-13")
@pytest.mark.parametrize(
    "next_one", [told("vic", session="two"), told(session="two")], ids=["other", "again"]
)
async def test_a_form_does_not_outlive_the_host_s_session(
    served: Served, people: Host, next_one: Any
) -> None:
    tab = tab_of(served)
    form = (await consent_form(served, tab)).form("/authorize/consent")
    people.sessions["s1"] = next_one  # the same browser, signed in anew
    fields = form.fields | {"decision": "agree"}
    assert (await tab.post(form.action, fields)).status == 403
    people.sessions["s1"] = told()
    assert "code" in back_at_client(await tab.post(form.action, fields))


@covers("OAUTH-SESS-03", "SEC-UI-24")
async def test_whoever_plants_our_cookie_cannot_make_a_form(served: Served) -> None:
    planted = "C" * 42 + "E"
    tab = Tab(served, cookies={COOKIE: "s1", OURS: planted})
    form = (await consent_form(served, tab)).form("/authorize/consent")
    forged = guard.mint_token(Secret(planted), f"consent:{form.fields['tx']}")
    fields = form.fields | {"decision": "agree"}
    assert (await tab.post(form.action, fields | {"csrf": forged})).status == 403
    assert (await tab.post(form.action, fields)).status == 303


@covers("OAUTH-SESS-01", "OAUTH-SESS-03")
async def test_the_first_page_gives_the_cookie_that_its_forms_are_bound_to(served: Served) -> None:
    tab = tab_of(served)
    form = (await consent_form(served, tab)).form("/authorize/consent")
    assert tab.given[0].startswith(f"{OURS}=")
    flags = {flag.strip().lower() for flag in tab.given[0].split(";")[1:]}
    assert flags == {"path=/", "secure", "httponly", "samesite=lax"}
    fields = form.fields | {"decision": "agree"}
    assert (await tab_of(served).post(form.action, fields)).status == 403
    assert "code" in back_at_client(await tab.post(form.action, fields))


# --- what was ended here


@covers("SEC-UI-25", "OAUTH-SESS-13")
async def test_a_person_disabled_here_stays_disabled(served: Served, people: Host) -> None:
    flow = flow_of(served)
    token = (await flow.token()).json["refresh_token"]
    hana = await find(served)
    assert hana is not None
    await dispose.disable_person(served.house, hana, by="person:ada")
    assert (await flow.refresh(token)).error == "invalid_grant"
    for session in (told(), told(session="two"), told(name="Hana Novak", administrator=True)):
        people.sessions["s1"] = session
        page = await tab_of(served).get("/console/", follow=False)
        assert page.status == 403
        assert "You are not let in here" in page.text
    kept = await find(served)
    assert kept is not None
    assert not kept.enabled


@covers("SEC-UI-25")
@covers("SEC-STORE-16")
async def test_a_person_erased_here_is_not_brought_back_by_the_host(
    served: Served, people: Host
) -> None:
    await tab_of(served).get("/console/")
    hana = await find(served)
    assert hana is not None
    await erase_person(served.house, hana, by="person:ada")
    before = await served.house.store.list_people()
    page = await tab_of(served).get("/console/", follow=False)
    assert page.status == 403
    assert await find(served) is None
    assert await served.house.store.list_people() == before


async def test_news_of_a_person_do_not_undo_that_they_are_disabled_just_now(
    served: Served, people: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tab_of(served).get("/console/")
    store, write = served.house.store, served.house.store.replace_person

    async def disabled_meanwhile(before: Person | None, after: Person) -> bool:
        monkeypatch.setattr(store, "replace_person", write)
        assert before is not None
        await dispose.disable_person(served.house, before, by="person:ada")
        return await write(before, after)

    monkeypatch.setattr(store, "replace_person", disabled_meanwhile)
    people.sessions["s1"] = told(name="Hana Novak")
    assert (await tab_of(served).get("/console/", follow=False)).status == 403
    kept = await find(served)
    assert kept is not None
    assert (kept.name, kept.enabled) == ("Hana Novak", False)


@covers("OAUTH-SESS-13", "EXT-STALE-01")
@pytest.mark.parametrize("whole", [True, False], ids=["all", "one"])
async def test_a_session_ended_by_force_stays_ended_with_what_was_granted_in_it(
    served: Served, people: Host, whole: bool
) -> None:
    flow = flow_of(served)
    token = (await flow.token()).json["refresh_token"]
    person, by = PersonId("hana"), "person:ada"
    if whole:
        await dispose.end_sessions(served.house, person, by=by)
    else:
        await dispose.end_session(served.house, person, session_digest("hana", "one"), by=by)
    assert (await flow.refresh(token)).error == "invalid_grant"
    for _ in range(2):
        page = await tab_of(served).get("/console/", follow=False)
        assert page.status == 403
        assert "You were signed out here" in page.text
    people.sessions["s2"] = told(session="two")
    assert (await tab_of(served, "s2").get("/console/")).status == 200


@covers("OAUTH-SESS-13")
async def test_an_open_page_learns_that_its_session_was_ended(served: Served) -> None:
    tab = tab_of(served)
    await tab.get("/console/")
    await dispose.end_sessions(served.house, PersonId("hana"), by="person:ada")
    answer = (await tab.get("/console/live?seen=x")).answer
    assert (answer.status, answer.json) == (401, {"signed_in": False})


@covers("EXT-STALE-01", "OAUTH-SESS-13")
@pytest.mark.parametrize("stale", ["any", "forced"])
async def test_signing_out_at_the_host_ends_grants_only_where_the_house_says_so(
    tmp_path: Path, people: Host, stale: str
) -> None:
    extra = f'stale_session = "{stale}"'
    async with open_people(tmp_path, people=people, extra=extra) as served:
        flow = flow_of(served)
        token = (await flow.token()).json["refresh_token"]
        await served.app.sign_out("hana", "another")
        token = (await flow.refresh(token)).json.get("refresh_token", token)
        await served.app.sign_out("hana", "one")
        answer = await flow.refresh(token)
        assert (answer.status == 200) == (stale == "forced")
        assert (await tab_of(served).get("/console/", follow=False)).status == 403


async def test_the_use_of_a_session_is_noted_once_a_minute(served: Served) -> None:
    tab, digest = tab_of(served), session_digest("hana", "one")
    began = served.clock.now()
    for seconds, seen in ((0, 0), (59, 0), (1, 60), (30, 60), (31, 121)):
        served.clock.move(seconds)
        await tab.get("/console/")
        session = await served.house.store.find_session(digest)
        assert session is not None
        assert session.seen_at == began + timedelta(seconds=seen)


def test_sessions_of_two_people_are_never_one() -> None:
    assert session_digest("a", "b") != session_digest("ab", "")
    assert session_digest("hana", "one") != session_digest("hana", "two")

"""Sessions and sign-in (OAUTH-SESS-01, -02, -06, -07, -13; SEC-UI-24, -25; SEC-DOS-16)."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from abeyance.parties.person import Person, PersonId
from abeyance.wire.base64url import parse_base64url
from abeyance.wire.secret import Secret
from tests.console.house import PASSWORD, Tab, invite, open_house, request_path
from tests.covers import covers
from tests.served import Served

COOKIE = "__Host-abeyance"


async def is_in(tab: Tab) -> bool:
    return (await tab.get("/console/")).path == "/console/"


async def person(served: Served, name: str) -> Person:
    found = await served.house.store.find_person(PersonId(name))
    assert found is not None
    return found


@covers("OAUTH-SESS-01", "SEC-UI-24")
async def test_the_cookie_is_a_random_id_that_only_https_and_no_script_sees(tab: Tab) -> None:
    await tab.sign_in("rita")
    assert tab.given[-1].startswith(f"{COOKIE}=")
    flags = {flag.strip().lower() for flag in tab.given[-1].split(";")[1:]}
    assert flags == {"path=/", "secure", "httponly", "samesite=lax"}
    secret = tab.cookies[COOKIE]
    assert len(parse_base64url(secret)) == 32
    session = await tab.served.house.store.find_session(Secret(secret).digest())
    assert session is not None
    assert session.digest == Secret(secret).digest()


@covers("OAUTH-SESS-01")
async def test_on_loopback_the_cookie_has_another_name_and_no_secure(tmp_path: Path) -> None:
    async with open_house(tmp_path, issuer="http://127.0.0.1:8400") as served:
        tab = Tab(served)
        await tab.sign_in("rita")
        assert await is_in(tab)
        assert tab.given[-1].startswith("abeyance-")
        assert "secure" not in tab.given[-1].lower()


@covers("OAUTH-SESS-02", "SEC-UI-24")
async def test_signing_in_and_out_draws_new_ids_and_the_old_ones_are_dead(served: Served) -> None:
    victim = Tab(served, cookies={COOKIE: "A" * 42 + "E"})  # planted by somebody
    await victim.sign_in("rita")
    signed_in = victim.cookies[COOKIE]
    assert signed_in != "A" * 42 + "E"
    assert not await is_in(Tab(served, cookies={COOKIE: "A" * 42 + "E"}))
    again = Tab(served, cookies={COOKIE: signed_in})
    page = await again.get("/console/")
    await again.submit(page.form("/sign-out"))
    assert not await is_in(Tab(served, cookies={COOKIE: signed_in}))
    assert again.cookies.get(COOKIE) != signed_in


@covers("SEC-UI-24")
async def test_two_cookies_of_our_name_are_both_refused(rita: Tab) -> None:
    header = f"{COOKIE}={'B' * 42}E; other=1; {COOKIE}={rita.cookies[COOKIE]}"
    answer = await rita.served.send("GET", "/console/", headers=[("cookie", header)])
    assert answer.status == 400
    assert "max-age=0" in (answer.header("set-cookie") or "").lower()


@covers("OAUTH-SESS-13", "SEC-UI-25")
@pytest.mark.parametrize("stay", ["idle", "absolute"])
async def test_a_session_ends_after_a_pause_and_after_half_a_day(rita: Tab, stay: str) -> None:
    clock = rita.served.clock
    if stay == "idle":
        clock.move(30 * 60 - 1)
        assert await is_in(rita)
        clock.move(30 * 60 + 1)
    else:
        for _ in range(35):
            clock.move(20 * 60)
            assert await is_in(rita)
        clock.move(20 * 60 + 1)
    assert not await is_in(rita)
    clock.jump(-3_600)  # what has ended stays so
    assert not await is_in(rita)


@covers("SEC-UI-25")
async def test_a_vote_after_the_session_ended_leads_to_sign_in_and_is_not_replayed(
    rita: Tab,
) -> None:
    code = await rita.served.s1.defer()
    path = await request_path(rita.served, code)
    form = (await rita.get(path)).form("/vote", "approve")
    rita.served.clock.move(31 * 60)
    answer = await rita.post(form.action, form.fields | {"vote": "approve"})
    assert answer.status == 303
    assert answer.answer.header("location") == f"/sign-in?to=request%3A{path.split('/')[-1]}"
    page = await rita.sign_in("rita")
    assert "Pay" not in page.text
    assert (await rita.served.s1.poll(code)).error == "authorization_pending"


@covers("SEC-UI-25", "OAUTH-SESS-13")
async def test_a_disabled_person_is_out_at_once(rita: Tab) -> None:
    code = await rita.served.s1.defer()
    form = (await rita.get(await request_path(rita.served, code))).form("/vote", "approve")
    rita_herself = await person(rita.served, "rita")
    await rita.served.house.store.put_person(replace(rita_herself, enabled=False))
    assert (await rita.post(form.action, form.fields | {"vote": "approve"})).status == 303
    assert (await rita.served.s1.poll(code)).error == "authorization_pending"
    assert not await is_in(rita)


@covers("OAUTH-SESS-13")
async def test_an_open_page_that_asks_for_news_does_not_keep_the_session(rita: Tab) -> None:
    for _ in range(3):
        rita.served.clock.move(9 * 60)
        assert (await rita.get("/console/live?seen=other")).status == 200
    rita.served.clock.move(9 * 60)
    answer = await rita.get("/console/live?seen=other")
    assert answer.status == 401
    assert answer.answer.json == {"signed_in": False}


@covers("OAUTH-SESS-13")
async def test_a_list_that_a_script_fetches_again_does_not_keep_it_either(rita: Tab) -> None:
    for _ in range(4):
        rita.served.clock.move(9 * 60)
        await rita.get("/console/", headers={"sec-fetch-dest": "empty"})
    assert not await is_in(rita)


@covers("OAUTH-SESS-07")
async def test_unknown_wrong_and_disabled_read_alike_and_cost_alike(served: Served) -> None:
    nina = await person(served, "nina")
    await served.house.store.put_person(replace(nina, enabled=False))
    answers = []
    for name, password in (("rita", "wrong"), ("nobody", PASSWORD), ("nina", PASSWORD)):
        page = await Tab(served).sign_in(name, password)
        assert page.status == 401
        answers.append(page.html.replace(f'value="{name}"', "").split("<main")[1])
    assert len({_without_token(html) for html in answers}) == 1


def _without_token(html: str) -> str:
    before, _, after = html.partition('name="csrf" value="')
    return before + after[43:]


@covers("OAUTH-SESS-07", "SEC-DOS-16")
async def test_guesses_at_an_account_are_slowed_and_nobody_is_locked_out(
    served: Served,
) -> None:
    tab = Tab(served)
    for _ in range(6):
        assert (await tab.sign_in("rita", "wrong")).status == 401
    slowed = await tab.sign_in("rita")
    assert slowed.status == 429
    assert slowed.answer.header("retry-after") == "1"
    assert "Try again in 1 second." in slowed.text
    # Behind the proxy of an https issuer all share one address, so others are not held back.
    assert (await Tab(served).sign_in("omar")).status == 200
    for _ in range(8):
        served.clock.move(31)
        assert (await tab.sign_in("rita", "wrong")).status == 401
    assert (await tab.sign_in("rita")).answer.header("retry-after") == "30"
    served.clock.move(31)
    assert (await tab.sign_in("rita")).status == 200


@covers("SEC-DOS-16")
async def test_guesses_that_come_all_at_once_do_not_all_find_the_door_open(served: Served) -> None:
    tabs = [Tab(served) for _ in range(20)]
    forms = [(await tab.get("/sign-in")).form("/sign-in") for tab in tabs]
    answers = await asyncio.gather(
        *(
            tab.submit(form, name="rita", password=f"guess {number}")
            for number, (tab, form) in enumerate(zip(tabs, forms, strict=True))
        )
    )
    assert sorted(answer.status for answer in answers) == [401] * 6 + [429] * 14
    failures = served.house.counters.sign_in_failures
    assert failures._value.get() == 20


@covers("OAUTH-LOG-05")
async def test_sign_ins_are_recorded_and_failed_ones_never_stored(served: Served) -> None:
    before = len(await served.house.store.list_security_events(100))
    tab = Tab(served)
    await tab.sign_in("rita", "wrong")
    await tab.sign_in("nobody")
    await tab.sign_in("rita")
    await tab.submit((await tab.get("/console/")).form("/sign-out"))
    events = await served.house.store.list_security_events(100)
    new = [(event.event, event.actor) for event in events[: len(events) - before]]
    assert new == [("signed_out", "person:rita"), ("signed_in", "person:rita")]


@covers("OAUTH-SESS-06")
async def test_a_deep_link_survives_signing_in(served: Served) -> None:
    path = await request_path(served, await served.s1.defer())
    tab = Tab(served)
    page = await tab.get(path)
    assert page.path.startswith("/sign-in?to=request%3A")
    page = await tab.submit(page.form("/sign-in"), name="rita", password=PASSWORD)
    assert page.path == path


@covers("OAUTH-SESS-06")
@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "request://evil.example",
        "console:/evil.example",
        "account:https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "../../x",
        "AAAAAAAAAAAAAAAAAAAAAA.1@evil.example",
        "AAAAAAAAAAAAAAAAAAAAAA.1\r\nLocation: https://evil.example",
        "AAAAAAAAAAAAAAAAAAAAAA.01",
    ],
)
async def test_nobody_is_led_away_after_signing_in(served: Served, target: str) -> None:
    tab = Tab(served)
    page = await tab.get("/sign-in")
    fields = page.form("/sign-in").fields | {
        "name": "rita",
        "password": PASSWORD,
        "to": target,
        "request": target,
        "next": target,
    }
    answer = await tab.post("/sign-in", fields)
    if answer.status == 303:
        assert answer.answer.header("location") == "/console/"
    else:
        assert answer.status == 400


# --- the one-time link


@covers("SEC-OPS-03")
async def test_a_one_time_link_sets_a_password_once(served: Served) -> None:
    tab, link = Tab(served), await invite(served, "ada")
    for method in ("HEAD", "GET"):  # scanners use nothing up
        await tab.get(link, method=method)
    form = (await tab.get(link)).forms[0]
    for first, again in (("short", "short"), ("long enough to be", "something else")):
        refused = await tab.submit(form, password=first, again=again)
        assert refused.status == 400
    password = "a new password of mine"
    page = await tab.submit(form, password=password, again=password)
    assert "Your password is set" in page.text
    assert (await tab.submit(form, password=password, again=password)).status == 404
    page = await tab.sign_in("ada", password)
    assert page.path == "/console/"
    assert "You are not a reviewer" in page.text


@covers("SEC-OPS-03")
async def test_used_expired_and_guessed_links_are_one_page(served: Served) -> None:
    tab, link = Tab(served), await invite(served, "ada")
    password = {"password": "a new password of mine", "again": "a new password of mine"}
    await tab.submit((await tab.get(link)).forms[0], **password)
    used = await tab.get(link)
    late, link = Tab(served), await invite(served, "bob")
    form = (await late.get(link)).forms[0]
    served.clock.move(15 * 60)
    assert (await late.submit(form, **password)).status == 404
    expired = await late.get(link)
    guessed = await late.get(f"/welcome/{'X' * 43}")
    nowhere = await late.get("/console/nowhere")
    assert {page.status for page in (used, expired, guessed, nowhere)} == {404}
    assert len({page.html.replace(_now(page.html), "") for page in (used, expired, guessed)}) == 1


def _now(html: str) -> str:
    return html.split('data-now="')[1].split('"')[0]


@covers("OAUTH-SESS-13")
async def test_a_new_password_ends_the_other_sessions(rita: Tab) -> None:
    link = await invite(rita.served, "rita")
    tab = Tab(rita.served)
    form = (await tab.get(link)).forms[0]
    await tab.submit(form, password="a new password of mine", again="a new password of mine")
    assert not await is_in(rita)

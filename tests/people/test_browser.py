"""People in a real Chromium: they agree, take steps, look after their own; others administer."""

import re
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.async_api import Page, expect

from abeyance.parties.person import Person, PersonId
from tests.answer import Answer
from tests.browsing import SIZES, Windows, look, press, sign_in
from tests.console.house import HASH, PASSWORD
from tests.covers import covers
from tests.people.house import Flow, web

BOTH = pytest.mark.parametrize("size", sorted(SIZES))


async def agree(windows: Windows, page: Page, flow: Flow, **asked: str) -> str:
    """From the client to its redirect URI; the code."""
    await page.goto(f"{windows.issuer}/authorize?{urlencode(flow.parameters(**asked))}")
    if "/sign-in" in page.url:
        await sign_in(page, flow.person)
    await press(page, "Let Webmill do this")
    await page.wait_for_url("https://web.example/**")
    return parse_qs(urlsplit(page.url).query)["code"][0]


async def poll(windows: Windows, flow: Flow, code: str) -> Answer:
    windows.served.clock.move(10)
    return await flow.client.poll(code)


async def heading(page: Page, text: str) -> None:
    await expect(page.get_by_role("heading", name=text).first).to_be_visible()


@BOTH
@covers("OAUTH-AUTHZ-10", "OAUTH-AUTHZ-11", "SEC-UI-06", "OAUTH-CLI-06")
async def test_a_person_agrees_a_reviewer_decides_and_it_is_taken_back(
    windows: Windows, size: str
) -> None:
    flow = Flow(web(windows.served))
    page = await windows.open(
        "/authorize?" + urlencode(flow.parameters(scope="read write")), size=size
    )
    await look(page, "people-sign-in", size)
    await sign_in(page, "uma")
    await heading(page, "Let Webmill act for you?")
    await look(page, "consent", size)
    await press(page, "Let Webmill do this")
    await page.wait_for_url("https://web.example/**")
    query = parse_qs(urlsplit(page.url).query)
    assert query["iss"] == [windows.issuer]
    answer = await flow.redeem(query["code"][0], defer=True)
    code = answer.code
    await page.goto(f"{windows.issuer}/account/")
    await expect(page.get_by_text("For Ada Admin or Rita Renner to decide")).to_be_visible()
    await look(page, "my-requests", size)
    desk = await windows.sign_in("rita", size=size)
    await desk.get_by_role("link", name="Read the ledger").click()
    await heading(desk, "Who asks")
    await look(desk, "request-for-somebody", size)
    await press(desk, "Approve")
    await heading(desk, "Approved")
    token = await poll(windows, flow, code)
    assert token.status == 200
    await desk.get_by_role("link", name="History").click()
    await expect(desk.get_by_text("Approved and collected").last).to_be_visible()
    await look(desk, "history", size)
    await desk.get_by_label("Outcome").select_option("Denied")
    await desk.get_by_role("button", name="Filter").click()
    await expect(desk.get_by_text("The filter hides 1 request.")).to_be_visible()
    await look(desk, "history-filtered", size)
    await page.goto(f"{windows.issuer}/account/applications")
    await look(page, "applications", size)
    await press(page, "Take back what Webmill may do")
    await heading(page, "No application acts for you")
    await look(page, "applications-none", size)


@BOTH
@covers("EXT-INTERACT-04", "EXT-INTERACT-05", "DTR-IURI-02", "SEC-UI-22")
async def test_a_step_is_taken_twice_and_then_it_is_decided(windows: Windows, size: str) -> None:
    flow = Flow(web(windows.served))
    page = await windows.open("/account/", size=size, expected=(400,))
    await sign_in(page, "uma")
    code = await flow.deferred_for(await agree(windows, page, flow, scope="sure"))
    first = await poll(windows, flow, code)
    assert first.json["error"] == "interaction_required"
    await page.goto(first.json["interaction_uri"])
    await look(page, "interaction", size)
    still = await poll(windows, flow, code)
    assert still.json["error"] == "interaction_required", "opening decides nothing"
    await press(page, "Send it to whoever decides")
    await expect(page.get_by_role("alert")).to_contain_text("Tick this to go on")
    await look(page, "interaction-mistakes", size)
    await page.get_by_role("checkbox").check()
    await press(page, "Send it to whoever decides")
    await heading(page, "Done:")
    await look(page, "interaction-done", size)
    desk = await windows.sign_in("rita", size=size)
    await desk.get_by_role("link", name="Needs a word from you first").click()
    await desk.get_by_text("Ask for something first").click()
    await desk.get_by_label("Tell us where you live").check()
    await desk.get_by_label("What you add").fill("Only the street, please.")
    await look(desk, "ask", size)
    await press(desk, "Ask for it")
    await expect(desk.get_by_text("Somebody was asked to do this first")).to_be_visible()
    await look(desk, "asked", size)
    await page.goto(f"{windows.issuer}/account/")
    await page.get_by_role("link", name="Do what is missing").click()
    await expect(page.get_by_text("Only the street, please.")).to_be_visible()
    await press(page, "Send it to whoever decides")
    await expect(page.get_by_role("alert")).to_contain_text("Fill this in")
    await look(page, "interaction-form", size)
    await page.get_by_label("Street and number").fill("Long Lane 12")
    await press(page, "Send it to whoever decides")
    await heading(page, "Done: Tell us where you live")
    await desk.reload()
    await expect(desk.get_by_text("Long Lane 12", exact=True)).to_be_visible()
    await look(desk, "request-with-steps", size)
    await press(desk, "Approve")
    await heading(desk, "Approved")
    assert (await poll(windows, flow, code)).status == 200


@BOTH
@covers("OAUTH-CLI-05", "OAUTH-SESS-13", "EXT-STALE-01")
async def test_an_administrator_ends_disables_and_invites(windows: Windows, size: str) -> None:
    served = windows.served
    assert served.app.house is not None
    await served.app.house.store.put_person(
        Person(id=PersonId("neo"), name="Neo New", roles=frozenset(), declared=False)
    )
    flow = Flow(web(served))
    page = await windows.open("/account/", size=size)
    await sign_in(page, "uma")
    one = await flow.deferred_for(await agree(windows, page, flow, scope="read"))
    two = await flow.deferred_for(await agree(windows, page, flow, scope="write"))
    desk = await windows.sign_in("ada", size=size, expected=(404,))
    await desk.goto(f"{windows.issuer}/console/clients")
    await look(desk, "clients", size)
    await desk.goto(f"{windows.issuer}/console/people")
    await look(desk, "people", size)
    await press(desk, "Make a password link for Neo New")
    link = await desk.get_by_text(f"{windows.issuer}/welcome/").text_content()
    await look(desk, "people-link", size)
    await desk.goto(f"{windows.issuer}/console/history?whose=all")
    await look(desk, "history-all", size)
    await served.vote(one, by="rita")
    await desk.get_by_role("link", name="Read the ledger").click()
    await heading(desk, "Approved")
    await desk.get_by_text("End it").click()
    await look(desk, "end", size)
    await press(desk, "End everything that came of this")
    await heading(desk, "Closed")
    assert (await poll(windows, flow, one)).json["error"] == "access_denied"
    await desk.goto(f"{windows.issuer}/console/clients")
    await press(desk, "Disable Webmill")
    await expect(desk.get_by_text("Disabled", exact=True)).to_be_visible()
    answer = await poll(windows, flow, two)
    assert answer.json["error"] == "invalid_client"
    await press(desk, "Enable Webmill")
    assert (await poll(windows, flow, two)).json["error"] == "access_denied"
    stranger = await windows.open(urlsplit(link or "").path, size=size)
    await stranger.get_by_label("New password").fill("a quiet river bends twice")
    await stranger.get_by_label("The same again").fill("a quiet river bends twice")
    await press(stranger, "Set the password")
    await expect(stranger.get_by_text("Your password is set.")).to_be_visible()


@BOTH
@covers("OAUTH-SESS-13")
async def test_people_end_their_sessions_and_change_their_password(
    windows: Windows, size: str
) -> None:
    assert windows.served.app.house is not None
    neo = Person(
        id=PersonId("neo"), name="Neo New", roles=frozenset(), password_hash=HASH, declared=False
    )
    await windows.served.app.house.store.put_person(neo)
    other = await windows.sign_in("neo", path="/account/", size=size)
    page = await windows.sign_in("neo", path="/account/sessions", size=size, expected=(400,))
    await look(page, "sessions", size)
    await press(page, "Change it and sign out elsewhere")
    await expect(page.get_by_text("This is not your password.")).to_be_visible()
    await look(page, "password-mistake", size)
    await page.get_by_label("Your password now").fill(PASSWORD)
    await page.get_by_label("New password").fill("a quiet river bends twice")
    await page.get_by_label("The same again").fill("a quiet river bends twice")
    await press(page, "Change it and sign out elsewhere")
    await expect(page.get_by_text("Your password is changed.")).to_be_visible()
    await other.reload()
    await heading(other, "Sign in")
    mine = await windows.sign_in("uma", path="/account/", size=size)
    await heading(mine, "Nothing was asked for you yet")
    await look(mine, "my-requests-none", size)
    await mine.get_by_role("link", name="Sign-in").click()
    await heading(mine, "Password")
    await look(mine, "sessions-declared", size)


async def listening(page: Page) -> None:
    """Until its script runs, a page hears no keys; then it says so."""
    await expect(page.get_by_role("button", name="Keys")).to_be_visible()


@covers("EXT-EVID-01")
async def test_keys_move_and_unfold_but_never_decide(windows: Windows) -> None:
    flow = Flow(web(windows.served))
    page = await windows.open("/account/")
    await sign_in(page, "uma")
    for scope in ("read", "write"):
        await flow.deferred_for(await agree(windows, page, flow, scope=scope))
    desk = await windows.sign_in("rita")
    links = desk.locator(".row h2 a")
    await expect(links).to_have_count(2)
    await listening(desk)
    await desk.keyboard.press("j")
    await expect(links.nth(0)).to_be_focused()
    await desk.keyboard.press("j")
    await expect(links.nth(1)).to_be_focused()
    await desk.keyboard.press("k")
    await desk.keyboard.press("Enter")
    await heading(desk, "Your decision")
    await listening(desk)
    approve = desk.get_by_role("button", name="Approve:")
    await desk.keyboard.press("a")
    await expect(approve).to_be_focused()
    await desk.keyboard.press("r")
    await expect(desk.get_by_label("This is more than the task needs")).to_be_focused()
    await desk.get_by_label("In your words").fill("a r j k")
    await heading(desk, "Your decision")
    await desk.get_by_label("In your words").blur()
    await desk.keyboard.press("Escape")
    await expect(desk.get_by_label("In your words")).not_to_be_visible()
    await desk.keyboard.press("?")
    await look(desk, "keys", "desktop")
    await desk.get_by_role("button", name="Turn these keys off").click()
    await desk.reload()
    await heading(desk, "Your decision")
    await listening(desk)
    await desk.keyboard.press("a")
    await expect(approve).not_to_be_focused()
    await desk.get_by_role("button", name="Keys").click()
    await desk.get_by_role("button", name="Turn these keys on").click()
    await desk.keyboard.press("Escape")
    await desk.keyboard.press("Escape")
    await expect(desk).to_have_title(re.compile("Waiting for you"))
    await expect(links).to_have_count(2)


async def test_dark_pages_of_people_are_as_readable(windows: Windows) -> None:
    flow = Flow(web(windows.served))
    for size in SIZES:
        page = await windows.open("/account/", size=size, scheme="dark")
        await sign_in(page, "uma")
        if size == "desktop":
            asked = urlencode(flow.parameters(scope="read"))
            await page.goto(f"{windows.issuer}/authorize?{asked}")
            await look(page, "dark-consent", size)
            await press(page, "Let Webmill do this")
            await page.wait_for_url("https://web.example/**")
            code = parse_qs(urlsplit(page.url).query)["code"][0]
            await flow.deferred_for(code)
        await page.goto(f"{windows.issuer}/account/")
        await look(page, "dark-my-requests", size)
        desk = await windows.sign_in("ada", size=size, scheme="dark")
        await desk.goto(f"{windows.issuer}/console/history?whose=all")
        await look(desk, "dark-history", size)
        await desk.goto(f"{windows.issuer}/console/people")
        await look(desk, "dark-people", size)

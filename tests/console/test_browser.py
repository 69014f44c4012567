"""The console in a real Chromium: on a desk and on a phone, with script and without.

What a page does wrong by itself (an error or a warning on the console, a report of the
content security policy, a dialog, a request or a referrer to somewhere else) fails the
test when its windows close.
"""

import asyncio
import re

import pytest
from playwright.async_api import Page, expect

from tests.browsing import SIZES, Windows, look, press, shoot
from tests.console.house import EXPORT, PAYMENT, Tab, invite, loaded, owned, request_path
from tests.covers import covers
from tests.served import Served

BOTH = pytest.mark.parametrize("size", sorted(SIZES))
LEDGER = "https://ledger.example"
REASON = {"reason": "Invoice 2026-1187 for November. The bank closes at five, please hurry."}


async def ask(served: Served) -> str:
    details = [PAYMENT | REASON]
    return await served.s1.defer(authorization_details=details, resource=LEDGER)


async def open_request(page: Page, title: str = "Pay 120.00 EUR to Globex Hosting") -> None:
    await page.get_by_role("link", name=title).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(title)


async def decided(page: Page, heading: str) -> None:
    await expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()


@BOTH
@covers("SEC-UI-06", "SEC-UI-29", "SEC-UI-12")
async def test_a_reviewer_signs_in_opens_and_approves_in_full(windows: Windows, size: str) -> None:
    code = await ask(windows.served)
    page = await windows.open(size=size)
    await look(page, "sign-in", size)
    await page.get_by_label("Name").fill("rita")
    await page.get_by_label("Password").fill("correct horse battery staple")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page).to_have_title(re.compile(r"^\(1\) Waiting for you"))
    await look(page, "inbox", size)
    await open_request(page)
    approve = page.get_by_role("button", name="Approve: Pay 120.00 EUR to Globex Hosting")
    await approve.scroll_into_view_if_needed()
    await expect(approve).not_to_have_attribute("aria-disabled", "true")
    await look(page, "request", size)
    await approve.click()
    await decided(page, "Approved")
    await look(page, "approved", size)
    token = await windows.served.s1.poll(code)
    assert token.json["authorization_details"] == [PAYMENT | REASON]
    await page.reload()
    await decided(page, "Approved and collected")


@BOTH
@covers("EXT-NARROW-01", "EXT-NARROW-05")
async def test_a_reviewer_approves_less(windows: Windows, size: str) -> None:
    code = await windows.served.s1.defer(
        authorization_details=[EXPORT, PAYMENT], scope="read write", resource=LEDGER
    )
    page = await windows.sign_in(size=size, expected=(400,))
    await open_request(page, "Export customers, invoices, leads")
    await page.get_by_text("Approve less").click()
    await page.get_by_label("Export customers, invoices, leads").check()
    await page.get_by_label("invoices", exact=True).check()
    await page.get_by_label("Budget, at most, in EUR").fill("50")
    await page.get_by_label("Read the ledger").check()
    await look(page, "less", size)
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("alert")).to_contain_text("Choose for how long")
    await expect(page.get_by_role("alert")).to_contain_text("at most 40.00 EUR")
    await look(page, "less-mistakes", size)
    await page.get_by_role("link", name="Write an amount").click()
    await expect(page.get_by_label("Budget, at most, in EUR")).to_be_focused()
    await page.get_by_label("Budget, at most, in EUR").fill("25.50")
    await page.get_by_label("15 minutes").check()
    await page.get_by_role("button", name="Continue").click()
    await decided(page, "Check what you would grant")
    await look(page, "preview", size)
    assert (await loaded(windows.served, code)).ballots == ()
    await press(page, "Approve these 2 things and no more, for 15 minutes")
    await decided(page, "Approved")
    await look(page, "approved-less", size)
    token = await windows.served.s1.poll(code)
    assert (token.json["scope"], token.json["expires_in"]) == ("read", 600)
    assert token.json["authorization_details"] == [
        {
            "type": "export",
            "tables": ["invoices"],
            "budget": {"amount": "25.50", "currency": "EUR"},
        }
    ]


@BOTH
@covers("EXT-OUTCOME-03")
async def test_a_reviewer_denies_and_shares_the_reason(windows: Windows, size: str) -> None:
    await windows.served.registers("s1", "outcome")
    code = await ask(windows.served)
    page = await windows.sign_in(size=size)
    await open_request(page)
    await page.get_by_text("Deny", exact=True).click()
    await page.get_by_label("This is more than the task needs").check()
    await page.get_by_label("In your words").fill("Half of it\nis for next month.")
    await page.get_by_label("Share this reason").check()
    await look(page, "deny", size)
    await press(page, "Deny: Acme Billing Agent gets nothing")
    await decided(page, "Denied")
    await look(page, "denied", size)
    answer = await windows.served.s1.poll(code)
    assert answer.json["deferral_remark"] == (
        "This is more than the task needs. Ask for less. Half of it is for next month."
    )


@BOTH
@covers("SEC-UI-14")
async def test_everything_works_without_script(windows: Windows, size: str) -> None:
    code = await windows.served.s1.defer(authorization_details=[EXPORT, PAYMENT])
    page = await windows.sign_in(size=size, script=False)
    await page.get_by_role("link", name="Reload").click()
    await page.get_by_role("link", name="Export customers").click()
    await page.get_by_text("Approve less").click()
    await page.get_by_label("Pay 120.00 EUR").check()
    await page.get_by_label("1 hour").check()
    await page.get_by_role("button", name="Continue").click()
    await press(page, "Approve no more than this: Pay 120.00 EUR")
    await decided(page, "Approved")
    token = await windows.served.s1.poll(code)
    assert token.json["authorization_details"] == [PAYMENT]
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_text("You are signed out.")).to_be_visible()


async def test_the_list_keeps_itself_up_to_date(windows: Windows) -> None:
    page = await windows.sign_in()
    await decided(page, "Nothing waits for you")
    await look(page, "empty", "desktop")
    code = await ask(windows.served)
    link = page.get_by_role("link", name="Pay 120.00 EUR to Globex Hosting")
    await expect(link).to_be_visible()
    await expect(page).to_have_title(re.compile(r"^\(1\) "))
    await expect(page.get_by_role("status")).to_have_text(
        "Something new arrived. 1 request waits for you."
    )
    await link.focus()
    await windows.served.s1.defer(authorization_details=[EXPORT])
    await expect(page).to_have_title(re.compile(r"^\(2\) "))
    await expect(link).to_be_focused()
    await page.get_by_role("button", name="Pause live updates").click()
    await windows.served.deny(code)
    await page.wait_for_timeout(1_500)
    await expect(link).to_be_visible()
    await page.get_by_role("button", name="Pause live updates").click()
    await expect(link).not_to_be_visible()


async def test_what_is_decided_elsewhere_shows_at_once(windows: Windows) -> None:
    code = await ask(windows.served)
    page = await windows.sign_in()
    await open_request(page)
    approve = page.get_by_role("button", name="Approve: Pay")
    await expect(approve).not_to_have_attribute("aria-disabled", "true")
    await windows.served.vote(code, by="omar")
    await expect(page.get_by_role("status")).to_contain_text("This request is closed by now.")
    await expect(approve).to_have_attribute("aria-disabled", "true")
    await shoot(page, "decided-elsewhere-desktop")
    await approve.click(force=True)
    await expect(page.get_by_role("status")).to_contain_text("This request is closed by now.")
    await page.get_by_role("link", name="Show it as it stands now").click()
    await decided(page, "Approved")
    assert [ballot.voter for ballot in (await loaded(windows.served, code)).ballots] == ["omar"]


@covers("SEC-UI-12")
async def test_approve_is_dead_for_half_a_second_after_it_comes_into_view(
    windows: Windows,
) -> None:
    code = await ask(windows.served)
    page = await windows.sign_in(size="phone")
    await open_request(page)
    approve = page.get_by_role("button", name="Approve: Pay")
    # Below the fold it stays dead, however long the page is open.
    await page.wait_for_timeout(800)
    assert await approve.get_attribute("aria-disabled") == "true"
    pressed_at_once = await approve.evaluate("""async (button) => {
        button.scrollIntoView();
        await new Promise((done) => setTimeout(done, 200));
        button.click();
        button.form.requestSubmit(button);
        return location.pathname;
    }""")
    await page.wait_for_timeout(300)
    assert page.url.endswith(pressed_at_once)
    assert (await loaded(windows.served, code)).ballots == ()
    await expect(approve).not_to_have_attribute("aria-disabled", "true")
    dead_again = await approve.evaluate("""(button) => {
        dispatchEvent(new Event("focus")); // a window above it has closed
        return button.getAttribute("aria-disabled");
    }""")
    assert dead_again == "true"


@covers("SEC-UI-12")
async def test_the_console_cannot_be_framed_and_cuts_its_opener(windows: Windows) -> None:
    page = await windows.sign_in()
    refused = await page.evaluate("""async () => {
        const frame = document.createElement("iframe");
        frame.src = location.href;
        document.body.append(frame);
        await new Promise((done) => setTimeout(done, 500));
        return !frame.contentDocument?.body.children.length;
    }""")
    assert refused
    # The policy's report of exactly this is what was wanted; it comes when it comes.
    async with asyncio.timeout(30):
        while not windows.wrongs:
            await page.wait_for_timeout(50)
    await page.context.close()
    assert all("fram" in wrong for wrong in windows.wrongs)
    windows.wrongs.clear()


@BOTH
async def test_the_whole_way_can_be_gone_by_keyboard(windows: Windows, size: str) -> None:
    code = await ask(windows.served)
    page = await windows.open(size=size)
    await expect(page.get_by_label("Name")).to_be_focused()
    await page.keyboard.type("rita")
    await page.keyboard.press("Tab")
    await page.keyboard.type("correct horse battery staple")
    await page.keyboard.press("Enter")
    await expect(page).to_have_title(re.compile("Waiting for you"))
    await page.wait_for_load_state()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await tab_to(page, "Pay 120.00 EUR")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Pay 120.00 EUR")
    await tab_to(page, "Approve: Pay")
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "3px"
    await expect(page.locator("button:focus")).not_to_have_attribute("aria-disabled", "true")
    await page.keyboard.press("Enter")
    await decided(page, "Approved")
    assert len((await loaded(windows.served, code)).ballots) == 1


async def tab_to(page: Page, text: str) -> None:
    for _ in range(40):
        await page.keyboard.press("Tab")
        # The whole page has the text too, and the focus for a moment after the skip link.
        at = page.locator("a:focus, button:focus, summary:focus")
        if await at.count() and text in (await at.text_content() or ""):
            return
    raise AssertionError(f"Tab never reaches {text}")


@BOTH
async def test_the_other_pages_are_fit_too(windows: Windows, size: str) -> None:
    served = windows.served
    code = await ask(served)
    own = await owned(served).defer(authorization_details=[PAYMENT])
    path = await request_path(served, code)
    page = await windows.sign_in("omar", size=size, expected=(401, 404, 409))
    await look(page, "inbox-own", size)
    await page.goto(windows.issuer + await request_path(served, own))
    await decided(page, "This is not yours to decide")
    await look(page, "own", size)
    await page.goto(windows.issuer + path)
    await page.evaluate("document.querySelector('input[name=seen]').value = 'sha-256:other'")
    await press(page, "Approve: Pay")
    await decided(page, "Nothing was recorded")
    await look(page, "conflict", size)
    await page.goto(windows.issuer + "/console/nowhere")
    await look(page, "not-found", size)
    stranger = await windows.open(size=size, expected=(401,))
    await stranger.get_by_label("Name").fill("nobody")
    await stranger.get_by_label("Password").fill("guessed at random")
    await stranger.get_by_role("button", name="Sign in").click()
    await expect(stranger.get_by_role("alert")).to_be_visible()
    await look(stranger, "sign-in-wrong", size)
    await stranger.goto(windows.issuer + await invite(served, "ada"))
    await look(stranger, "welcome", size)


async def test_dark_pages_are_as_readable(windows: Windows) -> None:
    code = await windows.served.s1.defer(
        authorization_details=[PAYMENT | REASON, EXPORT], scope="read", resource=LEDGER
    )
    path = await request_path(windows.served, code)
    for size in SIZES:
        page = await windows.sign_in(size=size, scheme="dark")
        await look(page, "dark-inbox", size)
        await page.goto(windows.issuer + path)
        await page.get_by_text("Approve less").click()
        await page.get_by_text("Deny", exact=True).click()
        approve = page.get_by_role("button", name="Approve all")
        await approve.scroll_into_view_if_needed()
        await expect(approve).not_to_have_attribute("aria-disabled", "true")
        await look(page, "dark-request", size)


async def test_tabs_and_windows_see_the_same_console(windows: Windows) -> None:
    """The tests without a browser speak to what the browser sees."""
    tab = Tab(windows.served)
    page = await windows.open()
    assert (await page.title()) in (await tab.get("/console/")).text

"""Remembered approvals and identical requests, as reviewers see them (EXT-QUEUE-02, -06)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browsing import SIZES, look, open_windows
from tests.config import PAYMENT
from tests.console import house
from tests.console.house import HASH, PASSWORD, Tab, open_house, request_path
from tests.covers import covers
from tests.served import Served, serve


@pytest.fixture
async def remembering(tmp_path: Path) -> AsyncIterator[Served]:
    config = house._CONFIG.replace("{issuer}", house.ISSUER).replace("{approval}", "1h")
    config = config.replace('name = "finance"', 'name = "finance"\nremember = true')
    async with serve(tmp_path, config=config.replace("{password}", HASH)) as served:
        yield served


async def tab_of(served: Served, name: str) -> Tab:
    tab = Tab(served)
    await tab.sign_in(name, PASSWORD)
    return tab


@covers("EXT-QUEUE-06", "OAUTH-SESS-09")
async def test_an_approver_sees_what_is_remembered_and_takes_it_back(remembering: Served) -> None:
    served = remembering
    rita, omar = await tab_of(served, "rita"), await tab_of(served, "omar")
    assert "Nothing is remembered" in (await rita.get("/console/approvals")).text
    code = await served.s1.defer()
    page = await rita.get(await request_path(served, code))
    assert "An approval is remembered" in page.text
    await served.approve(code)
    assert (await served.s1.ask()).status == 200
    page = await rita.get("/console/approvals")
    assert "Acme Billing Agent" in page.text
    [form] = [each for each in page.forms if each.action.endswith("/end")]
    assert "Acme" not in (await omar.get("/console/approvals")).text
    refused = await omar.post(form.action, form.fields)
    assert refused.answer.status in (400, 403)
    forged = await rita.post(form.action, form.fields | {"csrf": "x"})
    assert forged.answer.status in (400, 403)
    assert (await served.s1.ask()).status == 200
    done = await rita.post(form.action, form.fields, follow=True)
    assert "Nothing is remembered" in done.text
    assert (await served.s1.ask()).error == "authorization_pending"
    again = await rita.post(form.action, form.fields, follow=True)
    assert "Nothing is remembered" in again.text


@covers("EXT-QUEUE-06")
async def test_it_is_for_those_who_review(remembering: Served) -> None:
    tab = Tab(remembering)
    answer = await tab.get("/console/approvals")
    assert answer.path.startswith("/sign-in")
    nina = await tab_of(remembering, "nina")
    assert "Nothing is remembered" in (await nina.get("/console/approvals")).text
    for name in ("0" * 32 + ".1", "x"):
        gone = await nina.post(f"/console/approvals/{name}/end", {})
        assert gone.answer.status in (400, 403, 404)


@covers("EXT-QUEUE-02", "SEC-DOS-09")
async def test_what_asks_the_same_stands_once_and_is_decided_one_by_one(tmp_path: Path) -> None:
    async with open_house(tmp_path) as served:
        rita = await tab_of(served, "rita")
        codes = [await served.s1.defer(authorization_details=[PAYMENT]) for _ in range(3)]
        other = await served.s1.defer()
        page = await rita.get("/console/")
        assert page.text.count("more requests for exactly the same") == 1
        assert "2 more requests for exactly the same" in page.text
        links = [each for each in page.links if "/requests/" in each]
        for code in (*codes, other):
            path = await request_path(served, code)
            assert any(each.endswith(path) for each in links)
        await served.approve(codes[1])
        page = await rita.get("/console/")
        assert "1 more request for exactly the same" in page.text
        assert (await served.s1.poll(codes[0])).error == "authorization_pending"
        assert (await served.s1.poll(codes[1])).status == 200


@covers("EXT-QUEUE-05", "SEC-DOS-11")
async def test_a_reviewer_is_told_that_the_same_was_refused_before(tmp_path: Path) -> None:
    async with open_house(tmp_path) as served:
        rita = await tab_of(served, "rita")
        await served.deny(await served.s1.defer())
        page = await rita.get(await request_path(served, await served.s1.defer()))
        assert "The same was refused 1 time in the last days" in page.text


@pytest.mark.parametrize("size", sorted(SIZES))
@covers("EXT-QUEUE-06", "EXT-QUEUE-02", "SEC-UI-06")
async def test_the_pages_can_be_read_and_used_by_everybody(
    browser: Browser, tmp_path: Path, size: str
) -> None:
    @asynccontextmanager
    async def house_at(issuer: str) -> AsyncIterator[Served]:
        config = house._CONFIG.replace("{issuer}", issuer).replace("{approval}", "8h")
        config = config.replace('name = "finance"', 'name = "finance"\nremember = true')
        async with serve(tmp_path, config=config.replace("{password}", HASH)) as served:
            yield served

    async with open_windows(browser, house_at) as windows:
        served = windows.served
        await served.deny(await served.s1.defer(scope="write"))
        await served.approve(await served.s1.defer(scope="read"))
        for _ in range(3):
            await served.s1.defer(scope="write")
        page = await windows.sign_in(size=size)
        await look(page, "inbox-same", size)
        await page.get_by_role("link", name="Remembered approvals").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Remembered approvals")
        await look(page, "approvals", size)
        await page.get_by_role("button", name="Take back").click()
        await expect(page.get_by_text("Nothing is remembered")).to_be_visible()
        await look(page, "approvals-none", size)
        await page.goto(f"{windows.issuer}/console/")
        await page.get_by_role("link", name="Change the ledger").first.click()
        await expect(page.get_by_text("An approval is remembered")).to_be_visible()
        await look(page, "request-remembered", size)

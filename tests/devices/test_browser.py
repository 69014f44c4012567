"""The device pages in a real Chromium."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browsing import SIZES, Windows, look, open_windows, press, sign_in
from tests.covers import covers
from tests.devices.house import Device, open_devices, tv


@pytest.fixture
async def windows(tmp_path: Path, browser: Browser) -> AsyncIterator[Windows]:
    async with open_windows(browser, lambda issuer: open_devices(tmp_path, issuer=issuer)) as found:
        yield found


def unbound(windows: Windows) -> Device:
    """Proofs of the tests are for another host."""
    device = tv(windows.served)
    device.client = device.client.with_dpop(None)
    return device


@pytest.mark.parametrize("size", sorted(SIZES))
@covers("DEV-VER-01", "DEV-VER-03", "DEV-VER-09", "DEV-T12", "SEC-UI-06")
async def test_a_person_types_a_code_and_agrees_then_follows_a_link_and_declines(
    windows: Windows, size: str
) -> None:
    first = await unbound(windows).begin(
        scope="read write",
        authorization_details=(
            '[{"type":"payment","amount":{"amount":"9.00","currency":"EUR"},"creditor":"Films"}]'
        ),
    )
    page = await windows.open("/device", size=size, expected=(400,))
    await look(page, "device-sign-in", size)
    await sign_in(page, "uma")
    await look(page, "device-enter", size)
    await page.get_by_label("Code").fill("bbbb bbbb")
    await press(page, "Go on")
    await expect(page.get_by_role("heading", name="This code does not work")).to_be_visible()
    await look(page, "device-wrong", size)
    await page.get_by_label("Code").fill(first.code.lower())
    await press(page, "Go on")
    await expect(page.get_by_role("heading", name="Let a device with")).to_be_visible()
    assert first.code not in page.url
    await look(page, "device-answer", size)
    await press(page, "Yes: let the device do this")
    await expect(page.get_by_role("heading", name="Recorded")).to_be_visible()
    await look(page, "device-recorded", size)

    second = await unbound(windows).begin(scope="now")
    await page.goto(f"{windows.issuer}/device?user_code={second.code}")
    await expect(page.get_by_text(second.code)).to_be_visible()
    await look(page, "device-complete", size)
    await press(page, "Yes, my device shows this code")
    await press(page, "No: give it nothing")
    await expect(page.get_by_role("heading", name="Refused")).to_be_visible()
    await look(page, "device-refused", size)
    assert (await second.poll()).error == "access_denied"
    third = await unbound(windows).begin(scope="now")
    await page.goto(f"{windows.issuer}/device?user_code={third.code}")
    await press(page, "Yes, my device shows this code")
    await press(page, "Yes: let the device do this")
    await expect(page.get_by_role("heading", name="Connected")).to_be_visible()
    await look(page, "device-connected", size)

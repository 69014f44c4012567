"""`served` and tabs in process; `windows` in a real Chromium over real HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browsing import Windows, open_windows
from tests.console.house import Tab, open_house
from tests.served import Served


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_house(tmp_path) as running:
        yield running
        for path, answer in running.answers:
            assert answer.status < 500, f"{path} answered {answer.status}"


@pytest.fixture
def tab(served: Served) -> Tab:
    return Tab(served)


@pytest.fixture
async def rita(served: Served) -> Tab:
    """A tab in which Rita is signed in."""
    tab = Tab(served)
    assert (await tab.sign_in("rita")).status == 200
    return tab


@pytest.fixture
async def windows(tmp_path: Path, browser: Browser) -> AsyncIterator[Windows]:
    async with open_windows(browser, lambda issuer: open_house(tmp_path, issuer=issuer)) as found:
        yield found

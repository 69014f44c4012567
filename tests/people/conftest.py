"""`served`: the house with people, in process; `windows`: the same in a real Chromium."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browsing import Windows, open_windows
from tests.people.house import Flow, open_people, web
from tests.served import Served


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_people(tmp_path) as running:
        yield running
        for path, answer in running.answers:
            assert answer.status < 500, f"{path} answered {answer.status}"


@pytest.fixture
def flow(served: Served) -> Flow:
    """Webmill, and Uma's browser."""
    return Flow(web(served))


@pytest.fixture
async def windows(tmp_path: Path, browser: Browser) -> AsyncIterator[Windows]:
    async with open_windows(browser, lambda issuer: open_people(tmp_path, issuer=issuer)) as found:
        found.elsewhere.add("web.example")
        yield found

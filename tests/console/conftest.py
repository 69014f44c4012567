"""`served` and tabs in process; `windows` in a real Chromium over real HTTP."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import uvicorn
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.console.house import PASSWORD, Tab, open_house
from tests.served import Served

SIZES: Final = {"desktop": (1280, 800), "phone": (360, 740)}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_house(tmp_path) as running:
        yield running
        for path, answer in running.answers:
            if path.startswith("/console"):
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


@dataclass(slots=True)
class Windows:
    """Chromium and the server that it looks at. Whatever a page does wrong is kept."""

    browser: Browser
    served: Served
    issuer: str
    wrongs: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    async def open(
        self,
        path: str = "/console/",
        *,
        size: str = "desktop",
        script: bool = True,
        scheme: str = "light",
        expected: tuple[int, ...] = (),
    ) -> Page:
        """Open a new window. `expected`: statuses that this test provokes."""
        width, height = SIZES[size]
        context = await self.browser.new_context(
            viewport={"width": width, "height": height},
            java_script_enabled=script,
            locale="en-GB",
            timezone_id="Europe/Berlin",
            color_scheme="dark" if scheme == "dark" else "light",
            is_mobile=size == "phone",
            has_touch=size == "phone",
        )
        self.contexts.append(context)
        page = await context.new_page()
        self._watch(page, expected)
        await page.goto(self.issuer + path)
        return page

    async def sign_in(self, name: str = "rita", **window: Any) -> Page:
        """Open a window in which this person is signed in."""
        page = await self.open(**window)
        await page.get_by_label("Name").fill(name)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        return page

    def _watch(self, page: Page, expected: tuple[int, ...]) -> None:
        host = urlsplit(self.issuer).netloc

        def on_console(message: Any) -> None:
            provoked = any(f"status of {status} " in message.text for status in expected)
            if message.type in ("error", "warning") and not provoked:
                self.wrongs.append(f"console: {message.text}")

        def on_request(request: Any) -> None:
            parts = urlsplit(request.url)
            if parts.scheme != "data" and parts.netloc != host:
                self.wrongs.append(f"request to {request.url}")

        page.on("console", on_console)
        page.on("pageerror", lambda error: self.wrongs.append(f"script: {error}"))
        page.on("request", on_request)
        page.on("dialog", lambda dialog: self.wrongs.append(f"dialog: {dialog.message}"))


async def shoot(page: Page, name: str) -> None:
    """Keep a picture, if somebody wants to look: ABEYANCE_SHOTS=folder."""
    if folder := os.environ.get("ABEYANCE_SHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture(scope="module")
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
async def windows(tmp_path: Path, browser: Browser) -> AsyncIterator[Windows]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        issuer = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with open_house(tmp_path, issuer=issuer) as served:
            referrers: list[str] = []

            async def app(scope: Any, receive: Any, send: Any) -> None:
                referrers.extend(
                    scope["path"] for name, _ in scope["headers"] if name == b"referer"
                )
                await served.app(scope, receive, send)

            config = uvicorn.Config(
                app, lifespan="off", log_config=None, timeout_graceful_shutdown=1
            )
            server = uvicorn.Server(config)
            with _without_signals(server):
                running = asyncio.ensure_future(server.serve(sockets=[listening]))
            try:
                found = Windows(browser, served, issuer)
                yield found
                for context in found.contexts:
                    await context.close()
                assert found.wrongs == []
                assert referrers == []
            finally:
                server.should_exit = True
                await running


@contextlib.contextmanager
def _without_signals(server: uvicorn.Server) -> Any:
    """pytest keeps Ctrl-C."""
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    yield

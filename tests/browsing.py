"""A real Chromium over real HTTP: windows, what a page does wrong in them, and looking at them."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import uvicorn
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page

from tests.console.house import PASSWORD
from tests.served import Served

SIZES: Final = {"desktop": (1280, 800), "phone": (360, 740)}
_TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@dataclass(slots=True)
class Windows:
    """Chromium and the server that it looks at. Whatever a page does wrong is kept."""

    browser: Browser
    served: Served
    issuer: str
    wrongs: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)
    elsewhere: set[str] = field(default_factory=set)  # hosts that a test answers for

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
        for host in self.elsewhere:
            await context.route(
                f"https://{host}/**",
                lambda route: route.fulfill(
                    body="<!doctype html><title>Back</title>", content_type="text/html"
                ),
            )
        page = await context.new_page()
        self._watch(page, expected)
        await page.goto(self.issuer + path)
        return page

    async def sign_in(self, name: str = "rita", **window: Any) -> Page:
        """Open a window in which this person is signed in."""
        page = await self.open(**window)
        await sign_in(page, name)
        return page

    def _watch(self, page: Page, expected: tuple[int, ...]) -> None:
        host = urlsplit(self.issuer).netloc

        def on_console(message: Any) -> None:
            provoked = any(f"status of {status} " in message.text for status in expected)
            if message.type in ("error", "warning") and not provoked:
                self.wrongs.append(f"console: {message.text}")

        def on_request(request: Any) -> None:
            parts = urlsplit(request.url)
            if parts.scheme != "data" and parts.netloc not in {host, *self.elsewhere}:
                self.wrongs.append(f"request to {request.url}")

        page.on("console", on_console)
        page.on("pageerror", lambda error: self.wrongs.append(f"script: {error}"))
        page.on("request", on_request)
        page.on("dialog", lambda dialog: self.wrongs.append(f"dialog: {dialog.message}"))


async def shoot(page: Page, name: str) -> None:
    """Keep a picture, if somebody wants to look: ABEYANCE_SHOTS=folder."""
    if folder := os.environ.get("ABEYANCE_SHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


async def sign_in(page: Page, name: str) -> None:
    """Fill in the form that the page shows, and wait for what is behind it."""
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(lambda url: "/sign-in" not in url)


async def press(page: Page, name: str) -> None:
    """Bring a button into view, wait until it is active, press it."""
    button = page.get_by_role("button", name=name)
    await button.scroll_into_view_if_needed()
    await button.click()


async def check_accessible(page: Page) -> None:
    """axe finds nothing against WCAG 2.2 AA, nor against what it thinks good besides."""
    found = await Axe().run(page, options={"runOnly": _TAGS, "resultTypes": ["violations"]})
    assert found.violations_count == 0, found.generate_report()


async def check_fits(page: Page) -> None:
    """Nothing sticks out sideways; what is pressed is 44 px high; text has 16 px."""
    sizes: Any = await page.evaluate("""() => ({
        wide: document.documentElement.scrollWidth - innerWidth,
        small: [...document.querySelectorAll(
            "button, .button, summary, .tick, input, textarea, select"
        )]
            .filter((each) => each.checkVisibility() && !each.matches("[type=hidden], .tick input"))
            .filter((each) => each.getBoundingClientRect().height < 44)
            .map((each) => each.outerHTML),
        tiny: [...document.querySelectorAll("body :not([type=hidden])")]
            .filter((each) => parseFloat(getComputedStyle(each).fontSize) < 16)
            .map((each) => each.outerHTML),
    })""")
    assert sizes == {"wide": 0, "small": [], "tiny": []}


async def look(page: Page, name: str, size: str) -> None:
    """The page is accessible, fits, and its picture is kept if somebody wants it."""
    await page.wait_for_load_state()
    await check_accessible(page)
    await check_fits(page)
    await shoot(page, f"{name}-{size}")


@contextlib.asynccontextmanager
async def open_windows(
    browser: Browser, house: Callable[[str], AbstractAsyncContextManager[Served]]
) -> AsyncIterator[Windows]:
    """Serve `house(issuer)` on a free port, for windows that look at it."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        issuer = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with house(issuer) as served:
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

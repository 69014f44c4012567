"""What holds for every test: no network but loopback, known requirement IDs, one event loop."""

import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from playwright.async_api import Browser, async_playwright

from tests import programs
from tests.postgres.databases import Database, Databases
from tests.postgres.server import NoPostgres, PostgresServer, find_programs

# Before anybody imports the exported suite, so that its failed assertions are explained too.
pytest.register_assert_rewrite("abeyance.store.suite")

hypothesis.settings.register_profile(
    "default",
    deadline=None,
    max_examples=int(os.environ.get("EXAMPLES", "100")),
    suppress_health_check=[hypothesis.HealthCheck.too_slow],  # says more of the machine than of us
)
hypothesis.settings.register_profile(
    "ci",
    parent=hypothesis.settings.get_profile("default"),
    # The same examples for everybody, so that a red run is red for its reader too.
    derandomize=True,
    print_blob=True,
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") == "true" else "default")


class OutsideNetwork(AssertionError):
    """A test reached for something other than this machine."""


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    """Refuse every connection and name lookup that leaves this machine."""
    with pytest.MonkeyPatch.context() as patch:
        connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
        getaddrinfo = socket.getaddrinfo

        def guarded_connect(sock: socket.socket, address: Any) -> None:
            _check_loopback(sock.family, address)
            connect(sock, address)

        def guarded_connect_ex(sock: socket.socket, address: Any) -> int:
            _check_loopback(sock.family, address)
            return connect_ex(sock, address)

        def guarded_getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
            _check_host(host)
            return getaddrinfo(host, *arguments, **options)

        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
        yield


def _check_loopback(family: int, address: Any) -> None:
    if family in (socket.AF_INET, socket.AF_INET6):
        _check_host(address[0])


def _check_host(host: Any) -> None:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return
    try:
        outside = not ipaddress.ip_address(name).is_loopback
    except ValueError:
        outside = True
    if outside:
        raise OutsideNetwork(f"tests stay on loopback, but something reached for {name!r}")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run `async def` tests and fixtures on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The system's Chromium, for Playwright's `executable_path`."""
    return programs.need("chromium")


@pytest.fixture(scope="module")
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def node() -> Path:
    """The system's Node."""
    return programs.need("node")


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Databases of a real PostgreSQL that runs for this session."""
    try:
        found = find_programs()
    except NoPostgres as why:
        programs.end_without("postgres", f"the tests on PostgreSQL; {why}")
    with PostgresServer(found) as server:
        yield Databases(server)


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    """An empty one, with the schema."""
    async with databases.fresh() as database:
        yield database


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Repeat at the end what was skipped because a program is missing."""
    reasons = {
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.getreports("skipped")
        if isinstance(report.longrepr, tuple)
    }
    if absent := sorted(reason for reason in reasons if reason.startswith(programs.ABSENT)):
        terminalreporter.section("NOT TESTED", sep="*", red=True, bold=True)
        for reason in absent:
            terminalreporter.write_line(reason, red=True)

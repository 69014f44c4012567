"""What `tests/conftest.py` promises to every other test."""

import socket
import subprocess
import sys

import anyio
import pytest

from tests import covers, programs
from tests.conftest import OutsideNetwork
from tools import system


async def test_an_async_test_runs_without_a_mark() -> None:
    await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("address", ["93.184.216.34", "10.0.0.1", "as.example"])
def test_nothing_leaves_this_machine(address: str) -> None:
    with pytest.raises(OutsideNetwork, match="tests stay on loopback"):
        socket.create_connection((address, 443))


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


def test_an_unknown_requirement_cannot_be_covered() -> None:
    mark = covers.covers  # under another name, since this test covers neither
    with pytest.raises(ValueError, match="no catalogue in docs/requirements has DTR-POLL-99"):
        mark("DTR-POLL-03", "DTR-POLL-99")


def test_an_absent_program_skips_here_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", "false")
    with pytest.raises(pytest.skip.Exception, match="not installed: chromium"):
        programs.need("chromium")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="not installed: chromium"):
        programs.need("chromium")


def test_an_absent_program_is_told_loudly_and_fails_only_in_ci() -> None:
    for ci, status in {"false": 0, "true": 1}.items():
        done = subprocess.run(
            [sys.executable, system.__file__, "wrk"],
            env={"PATH": "", "CI": ci},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status
        assert "* wrk is not here: every benchmark will be skipped" in done.stderr
        assert "there is no apt-get here" in done.stderr

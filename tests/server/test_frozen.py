"""A database that is frozen or dead beneath real servers: what callers get, then and afterwards."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import httpx2
import pytest

from tests.covers import covers
from tests.postgres.databases import Databases
from tests.postgres.server import PostgresServer, find_programs
from tests.server.test_workers import SECRET, WITHIN, Group, workers

GRANT: Final = "urn:ietf:params:oauth:grant-type:deferred"


@covers("SEC-DOS-20", "SEC-OPS-14", "OAUTH-HTTP-07")
@pytest.mark.parametrize(
    ("fails", "recovers"),
    [
        (PostgresServer.freeze, PostgresServer.thaw),
        (PostgresServer.crash, PostgresServer.start),
    ],
    ids=["frozen", "dead"],
)
def test_everybody_is_asked_to_come_again_and_is_served_when_the_database_is(
    databases: Databases,
    tmp_path: Path,
    fails: Callable[[PostgresServer], None],
    recovers: Callable[[PostgresServer], None],
) -> None:
    del databases  # there are programs for one
    with (
        PostgresServer(find_programs()) as server,
        workers(tmp_path, server.url("postgres")) as group,
    ):
        group.until(lambda: len(group.pids()) == 2)
        code = deferred(group)
        before = turned_away(group)
        fails(server)
        with ThreadPoolExecutor() as pool:
            asked = [
                pool.submit(poll, group, code),
                pool.submit(ask, group),
                pool.submit(authorize, group),
            ]
            answers = [each.result() for each in asked]
        for answer in answers:
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "traceback" not in answer.text.lower()
        api, first, page = answers
        assert api.json()["error"] == first.json()["error"] == "temporarily_unavailable"
        assert page.headers["content-type"].startswith("text/html")
        assert get(group, "/livez").status_code == 200
        assert get(group, "/readyz").status_code == 503
        recovers(server)
        while any(probe(port).status_code != 200 for port in group.probes):
            pass
        assert turned_away(group) == before + 3
        assert poll(group, code).json()["error"] in ("authorization_pending", "slow_down")
        assert authorize(group).status_code != 503
        assert deferred(group) != code
    said = "".join(group.said)
    assert group.process.returncode == 0
    assert "Traceback" not in said


def deferred(group: Group) -> str:
    answer = ask(group)
    assert answer.json()["error"] == "authorization_pending", answer.text
    return str(answer.json()["deferral_code"])


def ask(group: Group) -> httpx2.Response:
    return group.ask(grant_type="client_credentials", scope="read", completion_mode="deferred")


def poll(group: Group, code: str) -> httpx2.Response:
    form = {"grant_type": GRANT, "deferral_code": code}
    return httpx2.post(f"{group.url}/token", data=form, auth=("s1", SECRET), timeout=WITHIN)


def authorize(group: Group) -> httpx2.Response:
    # Of nobody: a client that was seen is remembered for half a second.
    return get(group, "/authorize?response_type=code&client_id=nobody")


def get(group: Group, path: str) -> httpx2.Response:
    return httpx2.get(group.url + path, timeout=WITHIN)


def probe(port: int) -> httpx2.Response:
    return httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=WITHIN)


def turned_away(group: Group) -> float:
    """How many were answered 503 by all of them."""
    metrics = [httpx2.get(f"http://127.0.0.1:{port}/metrics").text for port in group.probes]
    lines = [line for each in metrics for line in each.splitlines()]
    named = [line.split() for line in lines if line.startswith("abeyance_unavailable_total ")]
    assert len(named) == len(group.probes)
    return sum(float(value) for _, value in named)

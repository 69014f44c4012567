"""`abeyance serve --workers 2` as an operator runs it, over a real PostgreSQL."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from textwrap import dedent
from typing import Any, Final

import asyncpg
import httpx2
import pytest

from abeyance.server.settings import Listen, load_settings
from tests.covers import covers
from tests.ports import free_ports
from tests.postgres.databases import Databases
from tests.postgres.server import PostgresServer, find_programs
from tests.settings.files import read, refuse

SECRET: Final = "s1-secret-0123456789-0123456789-0123456789"
WITHIN: Final = 60  # seconds; nothing here depends on them
CONFIG: Final = """
data = "{folder}/data"
store.url = "{store}"
management.listen = "127.0.0.1:{probes}"
scopes.read = "Read the ledger"

[server]
listen = "127.0.0.1:{port}"
workers = 2

[[reviewers]]
id = "rita"
name = "Rita"

[[rules]]
name = "review"
then = "defer"
reviewers = ["rita"]

[[clients]]
id = "s1"
name = "Ledger agent"
secret_file = "{folder}/s1.secret"
scope = ["read"]
resources = ["https://rs.example"]

[resources]
"https://rs.example" = "The ledger"
"""


@dataclass(slots=True)
class Group:
    """The parent, and what it and its workers have said."""

    process: "subprocess.Popen[str]"
    url: str
    probes: tuple[int, int]  # ports
    lines: "Queue[str]" = field(default_factory=Queue)
    said: list[str] = field(default_factory=list)

    def read(self, stream: Any) -> threading.Thread:
        def read() -> None:
            for line in stream:
                self.lines.put(line)

        thread = threading.Thread(target=read)
        thread.start()
        return thread

    def until(self, so: Callable[[], bool]) -> None:
        """Hear what they say until this is so."""
        while not so():
            try:
                self.said.append(self.lines.get(timeout=WITHIN / 2))
            except Empty:
                raise AssertionError("".join(self.said)) from None

    def pids(self) -> list[tuple[int, int]]:
        """Number and process of each worker that has come to serve, in this order."""
        logged = [json.loads(line) for line in self.said if line.startswith("{")]
        serve = [each for each in logged if each["event"] == "a worker serves"]
        return [(each["worker"], each["pid"]) for each in serve]

    def ask(self, timeout: float = WITHIN, **form: str) -> httpx2.Response:
        wait = {"Prefer": "wait=25"} if "deferral_code" in form else {}
        return httpx2.post(
            f"{self.url}/token", data=form, headers=wait, auth=("s1", SECRET), timeout=timeout
        )

    def held(self) -> float:
        """How many polls are held by all of them."""
        metrics = [httpx2.get(f"http://127.0.0.1:{port}/metrics").text for port in self.probes]
        found = [re.search(r"^abeyance_polls_held (\S+)$", each, re.MULTILINE) for each in metrics]
        return sum(float(each[1]) for each in found if each)


# `abeyance serve`, but whose workers give signs of life so often.
HASTY: Final = """
import sys
from abeyance.server import launch, workers
workers.BEAT = launch.BEAT = 0.2
from abeyance.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def workers(
    folder: Path, store: str, *, run: Sequence[str] = ("-m", "abeyance")
) -> Iterator[Group]:
    port, probes = free_ports(1), free_ports(2)
    (folder / "s1.secret").write_text(SECRET)
    file = folder / "abeyance.toml"
    file.write_text(CONFIG.format(folder=folder, store=store, port=port, probes=probes))
    command = [sys.executable, *run, "serve", "--config", str(file)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    assert process.stdout is not None
    with process.stdout as stream:
        group = Group(process, f"http://127.0.0.1:{port}", (probes, probes + 1))
        reader = group.read(stream)
        try:
            yield group
        finally:
            process.send_signal(signal.SIGTERM)  # nothing, if it has ended
            process.wait(timeout=WITHIN)
            reader.join(timeout=WITHIN)
    while not group.lines.empty():
        group.said.append(group.lines.get())


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    """Of a database of a server that is this test's alone, where there are programs for one."""
    with PostgresServer(find_programs()) as server:
        yield server.url("postgres")


async def invitations(url: str) -> int:
    db = await asyncpg.connect(url)
    found: int = await db.fetchval("SELECT count(*) FROM invitation")
    await db.close()
    return found


@covers("SEC-OPS-03", "EXT-WAIT-05")
def test_a_worker_that_dies_is_started_again_and_a_signal_ends_all(
    url: str, tmp_path: Path
) -> None:
    with workers(tmp_path, url) as group:
        group.until(lambda: len(group.pids()) == 2)
        first, second = group.pids()
        assert [first[0], second[0]] == [0, 1]
        code = group.ask(
            grant_type="client_credentials", scope="read", completion_mode="deferred"
        ).json()["deferral_code"]
        for number, pid in (first, second):
            os.kill(pid, signal.SIGKILL)
            group.until(lambda: len(group.pids()) == 3 + number)  # noqa: B023 - called here
            assert group.pids()[-1][0] == number
        grant = "urn:ietf:params:oauth:grant-type:deferred"
        assert asyncio.run(invitations(url)) == 1, "the first worker's"
        answers: list[httpx2.Response] = []
        poll = threading.Thread(
            target=lambda: answers.append(group.ask(grant_type=grant, deferral_code=code))
        )
        poll.start()
        while not group.held():
            pass
        group.process.send_signal(signal.SIGTERM)
        group.process.wait(timeout=WITHIN)
        poll.join(timeout=WITHIN)
    assert group.process.returncode == 0
    assert [answer.json()["error"] for answer in answers] == ["authorization_pending"]
    said = "".join(group.said)
    assert said.count("Stopped.") == 1
    assert "Traceback" not in said
    for _, pid in group.pids():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@covers("SEC-OPS-15")
def test_a_worker_that_hangs_is_killed_and_started_again(url: str, tmp_path: Path) -> None:
    with workers(tmp_path, url, run=("-c", HASTY)) as group:
        group.until(lambda: len(group.pids()) == 2)
        code = group.ask(
            grant_type="client_credentials", scope="read", completion_mode="deferred"
        ).json()["deferral_code"]
        _, (number, pid) = group.pids()
        os.kill(pid, signal.SIGSTOP)
        group.until(lambda: len(group.pids()) == 3)
        assert group.pids()[-1][0] == number
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        grant = "urn:ietf:params:oauth:grant-type:deferred"
        answer = group.ask(grant_type=grant, deferral_code=code)
        assert answer.json()["error"] == "authorization_pending"
    assert group.process.returncode == 0
    said = "".join(group.said)
    assert "a worker hangs" in said
    assert "Traceback" not in said


def test_workers_end_when_their_parent_has_died(url: str, tmp_path: Path) -> None:
    with workers(tmp_path, url) as group:
        group.until(lambda: len(group.pids()) == 2)
        group.process.kill()
        group.process.wait(timeout=WITHIN)
        # Whoever still had the streams would keep their readers, and this block, from ending.
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{group.url}/livez")


def test_a_first_worker_that_cannot_start_says_why_and_there_are_no_others(tmp_path: Path) -> None:
    nowhere = f"postgresql:///abeyance?host={tmp_path}"
    with workers(tmp_path, nowhere) as group:
        group.process.wait(timeout=WITHIN)
    assert group.process.returncode == 2
    [line] = [line for line in group.said if line.startswith("abeyance: no connection")]
    assert "database" in line
    assert group.pids() == []
    assert "Traceback" not in "".join(group.said)


def test_a_worker_that_does_not_come_up_is_tried_again_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    """The second one fails twice; when it serves at last, it ends the parent."""
    script = """
        import os, sys, time
        from abeyance.server.workers import run_workers

        def work(place):
            if place.number == 1:
                tries = len(os.listdir(sys.argv[1]))
                open(f"{sys.argv[1]}/{tries}", "x").close()
                if tries < 2:
                    return 3
                place.alive()
                os.kill(os.getppid(), 15)
            place.alive()
            while True:
                time.sleep(60)

        print("ended", run_workers(2, work))
        """
    (tmp_path / "tries").mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", dedent(script), str(tmp_path / "tries")],
        capture_output=True, text=True, timeout=WITHIN, check=True,
    )  # fmt: skip
    assert ran.stdout.splitlines()[-1] == "ended 0"
    pauses = re.findall(r"again_in=(\S+)", re.sub(r"\x1b\[[0-9;]*m", "", ran.stdout))
    assert pauses == ["0.5", "1.0"]


def test_several_processes_are_for_a_database_that_can_be_shared(tmp_path: Path) -> None:
    shared = 'store.url = "postgresql://db.example/abeyance"\n'
    assert read(tmp_path, "").workers == 1
    assert read(tmp_path, f"{shared}server.workers = 4").workers == 4
    refused = refuse(tmp_path, "server.workers = 2")
    assert refused.key == "server.workers"
    assert "SQLite is for one process" in str(refused)
    for wrong in (0, 257):
        assert refuse(tmp_path, f"{shared}server.workers = {wrong}").key == "server.workers"


def test_each_worker_answers_probes_on_a_port_of_its_own(tmp_path: Path) -> None:
    managed = load_settings(environ={}, flags={"data": str(tmp_path)}).management
    assert managed.of_worker(0) == managed.listen
    assert managed.of_worker(3) == Listen("127.0.0.1", 8404)

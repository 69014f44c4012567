"""Several processes, one refresh token: one of them spends it, the others take what it got."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from abeyance.client import Client, PublicClient, Token, TokenSource
from abeyance.client.access import Access
from abeyance.wire.secret import Secret
from tests.covers import covers

ROOT = Path(__file__).parents[2]
AT_ONCE = 4


class Rotating:
    """A server that gives one successor for each refresh token, and none for a spent one."""

    def __init__(self) -> None:
        self.head = 1
        self.seen: list[str] = []
        self.lock = threading.Lock()

    def answer(self, path: str, body: str, issuer: str) -> tuple[int, dict[str, Any]]:
        if path.startswith("/.well-known/"):
            return 200, {"issuer": issuer, "token_endpoint": f"{issuer}/token"}
        with self.lock:
            shown = parse_qs(body)["refresh_token"][0]
            self.seen.append(shown)
            if shown != f"r{self.head}":
                return 400, {"error": "invalid_grant"}
            self.head += 1
            return 200, {
                "access_token": f"a{self.head}",
                "token_type": "Bearer",
                "expires_in": 300,
                "refresh_token": f"r{self.head}",
            }


@pytest.fixture
def rotating() -> Iterator[tuple[Rotating, str]]:
    server = Rotating()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that the library calls
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length).decode()
            status, members = server.answer(self.path, body, issuer)
            content = json.dumps(members).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        issuer = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield server, issuer
        finally:
            http.shutdown()
            thread.join()


def keep_old(issuer: str, path: Path) -> None:
    old = Token(
        access_token=Secret("a1"),
        token_type="Bearer",
        expires_at=datetime.now(UTC) - timedelta(seconds=1),
        requested=Access(),
        granted=Access(),
        refresh_token=Secret("r1"),
    )
    with Client(issuer, "agent", PublicClient()) as client:
        TokenSource(client, path=path).keep(old)


def test_processes_share_one_refresh(rotating: tuple[Rotating, str], tmp_path: Path) -> None:
    server, issuer = rotating
    path = tmp_path / "grant"
    keep_old(issuer, path)
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.client.flight_worker", issuer, str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(AT_ONCE)
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        told = []
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        for worker in workers:
            out, _ = worker.communicate(timeout=60)
            told.append(out.strip())
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert told == ["a2"] * AT_ONCE
    assert server.seen == ["r1"]


@covers("T-236")
def test_a_process_that_is_killed_lets_the_lock_go(
    rotating: tuple[Rotating, str], tmp_path: Path
) -> None:
    _, issuer = rotating
    path = tmp_path / "grant"
    keep_old(issuer, path)
    program = (
        "import sys; from pathlib import Path; from abeyance.client.grant_file import GrantFile\n"
        "with GrantFile(Path(sys.argv[1])).try_lock() as locked:\n"
        "    print(locked, flush=True); sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        holder.kill()
    with Client(issuer, "agent", PublicClient()) as client:
        assert TokenSource(client, path=path).token().access_token.reveal() == "a2"

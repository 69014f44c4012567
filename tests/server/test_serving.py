"""`abeyance serve` as an operator runs it: a process, its output, its end."""

import base64
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.covers import covers

SECRET = "never-in-a-log-0123456789-0123456789-01234567"


@dataclass(slots=True)
class Process:
    process: "subprocess.Popen[str]"
    said: str

    @property
    def address(self) -> str:
        found = re.search(r"console +(http://\S+)/console", self.said)
        assert found is not None, self.said
        return found[1]


@contextmanager
def serving(data: Path) -> Iterator[Process]:
    command = [sys.executable, "-m", "abeyance", "serve", "--data", str(data)]
    process = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:18400"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if "/welcome/" in line:
            break
    running = Process(process, "".join(said))
    try:
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        rest, log = process.communicate(timeout=30)
        running.said += rest + log


@covers("SEC-OPS-03", "OAUTH-LOG-02", "OAUTH-LOG-03", "OAUTH-HTTP-08", "SEC-TOK-14", "SEC-OPS-04")
def test_a_first_start_says_where_to_go_and_keeps_its_mouth_shut(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data) as first:
        with httpx2.Client(base_url=first.address) as http:
            assert http.get("/readyz").status_code == 200
            metadata = http.get("/.well-known/oauth-authorization-server").json()
            assert metadata["issuer"] == first.address
            home = http.get("/console/")
            assert home.status_code == 303
            assert http.get(f"/token?client_secret={SECRET}").status_code == 405
            basic = base64.b64encode(f"nobody:{SECRET}".encode()).decode()
            refused = http.post(
                "/token", data={"x": "y"}, headers={"Authorization": f"Basic {basic}"}
            )
            assert refused.status_code == 401
            link = re.search(r"http://\S+/welcome/\S+", first.said)
            assert link is not None
            assert http.get(link[0]).status_code == 200
        second = subprocess.run(
            [sys.executable, "-m", "abeyance", "serve", "--data", str(data)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert second.returncode == 2
        assert "abeyance.db" in second.stderr
        assert "Traceback" not in second.stderr
    assert first.process.returncode == 0
    assert SECRET not in first.said
    assert basic not in first.said
    assert "/token?" not in first.said
    assert '"client authentication failed"' in first.said
    assert re.search(r'"client": "[0-9a-f]{12}"', first.said)
    assert "nobody" not in first.said
    for file in data.rglob("*"):
        assert file.stat().st_mode & 0o077 == 0, file

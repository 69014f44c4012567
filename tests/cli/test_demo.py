"""The demo: the main job, end to end, with real HTTP on both ends."""

import os
import subprocess
import sys

from tests.covers import covers


@covers("SEC-OPS-06", "T-020", "T-236", "DTR-INV-02")
def test_the_story_goes_as_told() -> None:
    told = subprocess.run(  # our own command
        [sys.executable, "-m", "abeyance", "demo"],
        env={**os.environ, "AUTO": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "All went as told" in told.stdout
    assert "127.0.0.1" in told.stdout
    assert "Traceback" not in told.stderr
    assert told.stderr == ""
    for ending in ("kill -9", "approves less", "access_denied", "withdrawn"):
        assert ending in told.stdout

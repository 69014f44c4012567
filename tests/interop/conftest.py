"""The Node project whose packages the interoperability tests use."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from tests import programs

PROJECT = Path(__file__).parent / "node"


@pytest.fixture(scope="session")
def node_project(node: Path) -> Path:
    """A folder with `node_modules` as the lock file says; scripts run there with `node`."""
    del node  # it stands for npm too
    lock, ready = PROJECT / "package-lock.json", PROJECT / "node_modules" / ".ready"
    with (PROJECT / ".installing").open("w") as guard:
        # Test processes run side by side, and npm starts by emptying the folder.
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not ready.exists() or ready.read_bytes() != lock.read_bytes():
            command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                reason = f"{programs.ABSENT}packages from npm\n{done.stderr}"
                if os.environ.get("CI") == "true":
                    pytest.fail(reason, pytrace=False)
                pytest.skip(reason)
            ready.write_bytes(lock.read_bytes())
    return PROJECT

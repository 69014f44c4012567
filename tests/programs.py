"""Programs that some tests drive: absent, they skip the test loudly, and fail it when CI=true."""

import os
from pathlib import Path

import pytest

from tools import system

ABSENT = "not installed: "


def need(name: str) -> Path:
    """Return the path of `chromium`, `node` or `wrk`, or end the calling test."""
    if found := system.find(name):
        return found
    reason = f"{ABSENT}{name} ({system.PROGRAMS[name].skipped})"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)

"""Programs that some tests drive: absent, they skip the test loudly, and fail it when CI=true."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

from tools import system

ABSENT = "not installed: "


def need(name: str) -> Path:
    """Return the path of `chromium`, `node` or `wrk`, or end the calling test."""
    if found := system.find(name):
        return found
    end_without(name, system.PROGRAMS[name].skipped)


def end_without(name: str, skipped: str) -> NoReturn:
    """End the calling test, since `name` is not there; `skipped`: what is not tested then."""
    reason = f"{ABSENT}{name} ({skipped})"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)

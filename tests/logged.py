"""The lines of the log, as they are written."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from abeyance.server import logs


@contextmanager
def written(monkeypatch: pytest.MonkeyPatch, form: str) -> Iterator[io.StringIO]:
    out = io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    before = logging.getLogger().handlers[:]
    try:
        logs.configure_logs("INFO", form)
        yield out
    finally:
        logging.getLogger().handlers[:] = before


def lines(out: io.StringIO, event: str) -> list[dict[str, Any]]:
    """Those of this event, of a log in JSON."""
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    return [line for line in told if line["event"] == event]

"""What a line of the log says, in both forms."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.covers import covers
from tests.logged import written
from tests.served import serve


@covers("OAUTH-HTTP-09", "OAUTH-LOG-01", "OAUTH-LOG-03")
async def test_a_line_names_the_request_as_its_answer_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = [("client_id", "somebody"), ("client_secret", "wrong"), ("grant_type", "x")]
    async with serve(tmp_path) as served:
        with written(monkeypatch, "json") as out:
            ours = await served.post("/token", form)
            theirs = await served.post("/token", form, headers=[("x-request-id", "their-7")])
            forged = await served.post("/token", form, headers=[("x-request-id", "a\nb")])
    lines: list[dict[str, Any]] = [json.loads(line) for line in out.getvalue().splitlines()]
    failures = [line for line in lines if line["event"] == "client authentication failed"]
    named = [line["request_id"] for line in failures]
    assert named == [each.header("x-request-id") for each in (ours, theirs, forged)]
    assert named[1] == "their-7"
    assert len(set(named)) == 3
    for line in failures:
        assert {"timestamp", "level", "logger", "event", "request_id"} <= line.keys()
        assert line["timestamp"].endswith("Z")


@covers("OAUTH-LOG-04", "OAUTH-LOG-06")
def test_text_for_people_is_one_line_an_event_and_moves_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = "AbCdEf0123456789" * 4
    with written(monkeypatch, "text") as out:
        logging.getLogger("somebody.else").warning("line\nbreak \x1b[31m \u202e %s", code)
    [line] = out.getvalue().splitlines()
    assert "level='warning'" in line
    assert "logger='somebody.else'" in line
    assert code not in line
    assert "\x1b" not in line
    assert "\u202e" not in line

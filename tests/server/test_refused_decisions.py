"""A decision that would add something is refused, leaves a line in the log, and changes nothing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from abeyance.pending.disclosure import request_name
from abeyance.server.pages.desk import render_request_id
from tests.admin.office import desk, open_office
from tests.console.house import PASSWORD, Tab
from tests.covers import covers
from tests.logged import lines, written
from tests.people.house import Flow, key_of, web
from tests.served import Served

WIDER: list[dict[str, Any]] = [
    {"items": ["scope:read", "scope:admin"], "lifetime": 600},
    {"items": ["scope:read", "resource:https://mail.example"], "lifetime": 600},
    {"items": ["scope:read", "detail:1"], "lifetime": 600},
    {"items": ["scope:read"], "lifetime": 10**8},
    {"items": ["scope:read"], "lifetime": 10**12},
]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_office(tmp_path) as running:
        yield running


@covers("T-143", "DTR-INV-01", "OAUTH-LOG-01", "OAUTH-LOG-03")
@pytest.mark.parametrize("choice", WIDER, ids=str)
async def test_a_wider_decision_at_the_api_is_logged(
    served: Served, monkeypatch: pytest.MonkeyPatch, choice: dict[str, Any]
) -> None:
    code = await Flow(web(served)).deferred(scope="read")
    key = await key_of(served, code)
    rita = await desk(served, "rita")
    path = f"/requests/{render_request_id(key)}"
    told = (await rita.get(path)).json
    vote = {"seen": told["seen"], "version": told["version"], "choice": choice}
    with written(monkeypatch, "json") as out:
        assert (await rita.post(f"{path}/approve", vote)).status == 422
    [line] = lines(out, "decision refused")
    assert (line["request"], line["why"]) == (request_name(key), "invalid")
    assert len(line["reviewer"]) == 12
    assert not {"rita", "admin", code} & set(map(str, line.values()))
    loaded = await served.house.store.find_loaded(key)
    assert loaded is not None
    assert (loaded.ballots, loaded.held.version) == ((), told["version"])


@covers("T-143", "DTR-INV-01", "OAUTH-LOG-01")
@pytest.mark.parametrize(
    "forged", [{"scope": "admin"}, {"item.scope:admin": "yes"}, {"lifetime": "9999999"}], ids=str
)
async def test_a_wider_decision_in_the_console_is_logged(
    served: Served, monkeypatch: pytest.MonkeyPatch, forged: dict[str, str]
) -> None:
    code = await Flow(web(served)).deferred(scope="read")
    key = await key_of(served, code)
    tab = Tab(served)
    await tab.sign_in("rita", PASSWORD)
    page = await tab.get(f"/console/requests/{render_request_id(key)}")
    form = page.form("/vote", "approve")
    honest = {"item.scope:read": "yes", "lifetime": "900", "confirmed": "yes", "vote": "less"}
    with written(monkeypatch, "json") as out:
        answer = await tab.post(form.action, form.fields | honest | forged)
    assert answer.status == 400
    [line] = lines(out, "decision refused")
    assert (line["request"], line["why"]) == (request_name(key), "invalid")
    assert (await web(served).poll(code)).error == "authorization_pending"


@covers("T-143")
async def test_a_decision_that_counts_is_no_refusal(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = await Flow(web(served)).deferred(scope="read")
    with written(monkeypatch, "json") as out:
        await served.approve(code)
    assert lines(out, "decision refused") == []

"""The benchmark runs, and writes what its readers expect; how fast anything was is not asserted."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench import plan
from tests import programs

ROOT = Path(__file__).parents[2]
_LONGEST = 240  # seconds; a quick run takes well below sixty where nothing else runs


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    programs.need("wrk")
    file = tmp_path_factory.mktemp("bench") / "results.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--results", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_LONGEST,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: Mapping[str, Any] = json.loads(file.read_text()) | {"printed": done.stdout}
    return found


def test_every_case_has_its_figures(results: Mapping[str, Any]) -> None:
    assert [case["name"] for case in results["cases"]] == list(plan.CASES)
    for case in results["cases"]:
        assert set(case) == {"name", "ratio", "per_second", "p50_ms", "p99_ms"}
        assert all(case[figure] > 0 for figure in set(case) - {"name"})


def test_a_waiting_request_is_weighed(results: Mapping[str, Any]) -> None:
    weighed = results["waiting_request"]
    assert set(weighed) == {"memory_bytes", "database_bytes", "payload_bytes"}
    assert all(isinstance(figure, int) for figure in weighed.values())
    assert 0 < weighed["payload_bytes"] < weighed["database_bytes"]


def test_pending_polls_write_nothing(results: Mapping[str, Any]) -> None:
    for wrote in results["pending_polls_wrote"].values():
        assert wrote["polls"] > 0
        assert wrote["runs_with_a_commit"] == 0
        assert wrote["log_bytes"] == 0


def test_each_bar_is_called_reached_or_missed(results: Mapping[str, Any]) -> None:
    printed = results["printed"].splitlines()
    for bar in results["bars"]:
        verdict = "reached" if bar["reached"] else "MISSED "
        assert f"{verdict}  {bar['promise']}: {bar['found']}" in printed

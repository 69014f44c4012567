"""How long things are kept, and what that must agree with."""

from datetime import timedelta
from pathlib import Path

import pytest

from abeyance.store.ports import Retention
from tests.covers import covers
from tests.settings.files import RITA, SCOPES, read, refuse, rule


@covers("OAUTH-LOG-07", "DTR-RD-21")
def test_things_are_kept_for_a_while_and_never_for_ever_unless_told_otherwise(
    tmp_path: Path,
) -> None:
    assert read(tmp_path).retention == Retention(
        details=timedelta(days=30), tombstone=timedelta(days=1), audit=timedelta(days=400)
    )


@covers("OAUTH-LOG-07")
@pytest.mark.parametrize(
    "setting",
    [
        'details = "23h"', 'details = "401d"', 'details = "for ever"',
        'tombstone = "59m"', 'tombstone = "31d"', 'audit = "29d"', 'audit = "3651d"',
    ],
)  # fmt: skip
def test_a_retention_out_of_bounds_is_refused(tmp_path: Path, setting: str) -> None:
    refused = refuse(tmp_path, f"[retention]\n{setting}")
    assert refused.key == f"retention.{setting.split()[0]}"


def test_what_was_asked_is_kept_for_as_long_as_any_approval_holds(tmp_path: Path) -> None:
    details = '[retention]\ndetails = "{}"'
    approval = '[lifetimes]\napproval = "7d"'
    assert refuse(tmp_path, details.format("6d"), approval).key == "retention.details"
    assert read(tmp_path, details.format("7d"), approval).retention.details == timedelta(days=7)
    longer = rule('reviewers = ["rita"]', 'approval_lifetime = "8d"', then="defer")
    parts = (SCOPES, RITA, longer)
    assert refuse(tmp_path, details.format("7d"), *parts).key == "retention.details"
    assert read(tmp_path, details.format("8d"), *parts).retention.details == timedelta(days=8)

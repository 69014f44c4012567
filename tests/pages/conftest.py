"""A server with reviewers, and no fault on any page."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.console.house import open_house
from tests.served import Served


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_house(tmp_path) as running:
        yield running
        for path, answer in running.answers:
            assert answer.status < 500, f"{path} answered {answer.status}"

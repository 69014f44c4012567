from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.admin.office import open_office
from tests.served import Served


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_office(tmp_path) as running:
        yield running
        for path, answer in running.answers:
            assert answer.status < 500, f"{path} answered {answer.status}"

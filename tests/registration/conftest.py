from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.registration.house import Desk, open_registry


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_registry(tmp_path) as running:
        yield running

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.devices.house import open_devices
from tests.served import Served


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_devices(tmp_path) as served:
        yield served
        for path, answer in served.answers:
            assert answer.status < 500, f"{path} answered {answer.status}"

"""`served`: a server with people that signs them in for clients; `flow`: one of them, and Uma."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.openid.house import open_provider
from tests.people.house import Flow, web
from tests.served import Served


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_provider(tmp_path) as running:
        yield running
        for path, answer in running.answers:
            assert answer.status < 500, f"{path} answered {answer.status}"


@pytest.fixture
def flow(served: Served) -> Flow:
    """A client that signs people in, and Uma's browser."""
    return Flow(web(served, "rp"))

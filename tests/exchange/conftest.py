"""`served`: the house that exchanges tokens and takes assertions."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.exchange.house import Agent, open_house
from tests.served import Served


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_house(tmp_path) as running:
        yield running
        for path, answer in running.answers:
            assert answer.status < 500, f"{path} answered {answer.status}"


@pytest.fixture
def agent(served: Served) -> Agent:
    return Agent.of(served)


@pytest.fixture
def gateway(served: Served) -> Agent:
    return Agent.of(served, "gateway")

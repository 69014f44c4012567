"""`wire`: the event loop that we ship, the protocol that we ship, and no timer but the test's."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from abeyance.server import deadlines
from tests.transport.wire import Wire, on_a_wire


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
async def wire(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Wire]:
    monkeypatch.setattr(deadlines, "LOOK_EVERY", 3600.0)
    async with on_a_wire() as wire:
        yield wire

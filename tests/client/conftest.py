from collections.abc import Iterator

import pytest

from tests.client.fakes import Kit


@pytest.fixture(params=["sync", "async"])
def kit(request: pytest.FixtureRequest) -> Iterator[Kit]:
    """A fake server, a fake clock, and clients of both kinds in turn."""
    kit = Kit(request.param)
    yield kit
    kit.close()


@pytest.fixture
def sync_kit() -> Iterator[Kit]:
    kit = Kit("sync")
    yield kit
    kit.close()

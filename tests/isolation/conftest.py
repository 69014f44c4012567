"""`ground`: the same house on either store, where interleavings are tried."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from abeyance.store.sqlite import writer
from tests.isolation.ground import Ground, open_ground
from tests.postgres.databases import Databases


@pytest.fixture(params=["sqlite", "postgres"])
async def ground(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Ground]:
    async with AsyncExitStack() as stack:
        url = None
        if request.param == "postgres":
            databases: Databases = request.getfixturevalue("databases")
            url = (await stack.enter_async_context(databases.fresh())).url
        # Each change by itself, or one that is held back would hold back those of its batch.
        monkeypatch.setattr(writer, "_CAP", 1)
        yield await stack.enter_async_context(open_ground(tmp_path, url))

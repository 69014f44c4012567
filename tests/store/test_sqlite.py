"""The store's suite on SQLite."""

from pathlib import Path

import pytest

from abeyance.store.suite import Place, StoreSuite
from tests.store.places import place_at


class TestSqliteStore(StoreSuite):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.places = 0

    def new_place(self) -> Place:
        self.places += 1
        return place_at(self.folder / f"{self.places}.db")

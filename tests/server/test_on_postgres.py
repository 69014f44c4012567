"""What the server does over SQLite it does over PostgreSQL: the same tests, run there too."""

from collections.abc import Iterator
from types import ModuleType

import pytest
from _pytest.fixtures import FixtureFunctionDefinition

from tests.postgres.databases import Database
from tests.served import keeping_in
from tests.server import (
    test_callbacks,
    test_declared,
    test_first_request,
    test_held_polls,
    test_narrowing,
    test_polling,
    test_races,
    test_revocation,
)


@pytest.fixture(autouse=True)
def _on_postgres(database: Database) -> Iterator[None]:
    with keeping_in(database.url):
        yield


_LOOK_INTO_THE_FILE = {
    "test_a_token_that_no_callback_will_need_is_not_kept",
    "test_code_and_token_rest_sealed_and_never_reach_a_log",
    "test_a_sealed_message_opens_at_its_own_place_alone",
}


def _tests_of(module: ModuleType) -> dict[str, object]:
    part = module.__name__.rpartition("test_")[2]
    tests = {
        f"test_{part}_{name.removeprefix('test_')}": each
        for name, each in vars(module).items()
        if name.startswith("test_") and name not in _LOOK_INTO_THE_FILE
    }
    fixtures = {
        name: each
        for name, each in vars(module).items()
        if isinstance(each, FixtureFunctionDefinition)
    }
    return tests | fixtures


for _module in (
    test_callbacks,
    test_declared,
    test_first_request,
    test_held_polls,
    test_narrowing,
    test_polling,
    test_races,
    test_revocation,
):
    globals().update(_tests_of(_module))

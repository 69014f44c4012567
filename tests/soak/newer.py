"""The server of a soak as a later version would be: `python -m tests.soak.newer CONFIGURATION`.

It knows one migration more, which adds to hot tables and lets programs of today run beside it.
"""

from abeyance.store.migrations import Migration, read_migrations
from abeyance.store.postgres import schema as postgres_schema
from abeyance.store.sqlite import schema
from tests.soak import server
from tests.store.test_upgrades import OURS, later

_MORE = {
    schema: later(OURS, number="INTEGER", bytes="BLOB"),
    postgres_schema: later(OURS, number="BIGINT", bytes="BYTEA"),
}


def main() -> None:
    for module, migration in _MORE.items():
        known = (*read_migrations(module.FOLDER), migration)

        def read(_: object, known: tuple[Migration, ...] = known) -> tuple[Migration, ...]:
            return known

        vars(module)["read_migrations"] = read
    server.main()


if __name__ == "__main__":
    main()

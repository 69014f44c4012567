"""An operation on SQLite: every answer is there at once, so it runs to its end in one go."""

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import apsw

from abeyance.store.sql.db import NOTHING, Row, Values

T = TypeVar("T")


class AtOnce:
    """`Db` over a lane's connection. A change runs within the savepoint `change`."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection

    async def rows(self, statement: str, values: Values = NOTHING) -> Sequence[Row]:
        return self.connection.execute(statement, values).fetchall()

    async def hold(self, key: bytes) -> None:
        """There is one writer, and it has the whole file."""

    async def undo(self) -> None:
        self.connection.execute("ROLLBACK TO change")


def drive(operation: Coroutine[Any, Any, T]) -> T:
    """Run it here and now. Raises what it raises."""
    try:
        operation.send(None)
    except StopIteration as end:
        answer: T = end.value
        return answer
    operation.close()
    raise AssertionError("an operation on SQLite waited for something")

"""What an operation sees of the database: one transaction, begun when it is first needed.

A write begins, takes its lock and sets its savepoint in one message. All that happens at one
home is done under one advisory lock, so whoever comes second sees, in the next statement, what
the first has done (READ COMMITTED: each statement has a snapshot of its own).
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final, cast

from abeyance.store.postgres.address import Connection
from abeyance.store.postgres.statement import bind
from abeyance.store.sql.db import NOTHING, Row, Values

_LOCK: Final = "SELECT pg_advisory_xact_lock({}); "
_MARK: Final = "SAVEPOINT change; "


def lock_number(key: bytes) -> int:
    """The advisory lock of a home, or of any other key that must not be written twice at once."""
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big", signed=True)


class AnotherStatement(Exception):
    """What was begun as one statement has a second, which would see another moment."""


class Bare:
    """A connection for one statement, which needs no transaction around it."""

    __slots__ = ("connection",)

    unsure = False

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def commit(self) -> None:
        """Nothing was begun."""

    async def fetch(self, text: str, arguments: Sequence[Any]) -> Sequence[Row]:
        """Run a statement with `$1` ..."""
        # A record is a sequence of its values, though it does not say so.
        return cast("Sequence[Row]", await self.connection.fetch(text, *arguments))

    async def _fetch(self, statement: str, values: Values) -> Sequence[Row]:
        return await self.fetch(*bind(statement, values))


class Alone(Bare):
    """A connection for one statement that writes, and commits by itself."""

    __slots__ = ()

    unsure = True


class _Reading(Bare):
    __slots__ = ()

    async def hold(self, key: bytes) -> None:
        raise AssertionError("who reads holds nothing")

    async def undo(self) -> None:
        raise AssertionError("who reads has nothing to take back")


class Glance(_Reading):
    """One statement (`Db`)."""

    __slots__ = ("_asked",)

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._asked = False

    async def rows(self, statement: str, values: Values = NOTHING) -> Sequence[Row]:
        if self._asked:
            raise AnotherStatement
        self._asked = True
        return await self._fetch(statement, values)


class Snapshot(_Reading):
    """Several statements that see the same (`Db`)."""

    __slots__ = ("_begin", "_begun")

    def __init__(self, connection: Connection, bounds: str) -> None:
        super().__init__(connection)
        self._begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; " + bounds
        self._begun = False

    async def rows(self, statement: str, values: Values = NOTHING) -> Sequence[Row]:
        if not self._begun:
            await self.connection.execute(self._begin)
            self._begun = True
        return await self._fetch(statement, values)

    async def commit(self) -> None:
        if self._begun:
            await self.connection.execute("COMMIT")


class Writing(Bare):
    """A transaction that writes (`Db`)."""

    __slots__ = ("_begin", "_begun", "_later", "unsure")

    def __init__(self, connection: Connection, bounds: str) -> None:
        super().__init__(connection)
        self._begin = "BEGIN ISOLATION LEVEL READ COMMITTED; " + bounds
        self._begun = False
        self._later: list[int] = []  # locks that were taken behind the savepoint
        self.unsure = False

    async def rows(self, statement: str, values: Values = NOTHING) -> Sequence[Row]:
        if not self._begun:
            await self._say(self._begin + _MARK)
        return await self._fetch(statement, values)

    async def hold(self, key: bytes) -> None:
        number = lock_number(key)
        if not self._begun:
            await self._say(self._begin + _LOCK.format(number) + _MARK)
        else:
            await self._say(_LOCK.format(number))
            self._later.append(number)

    async def undo(self) -> None:
        # Taking back to the savepoint lets go of what was locked behind it.
        await self._say("ROLLBACK TO SAVEPOINT change; " + "".join(map(_LOCK.format, self._later)))

    async def commit(self) -> None:
        if not self._begun:
            return
        self.unsure = True
        if (said := await self.connection.execute("COMMIT")) != "COMMIT":
            raise AssertionError(f"a transaction that should have been committed: {said}")

    async def _say(self, text: str) -> None:
        await self.connection.execute(text)
        self._begun = True

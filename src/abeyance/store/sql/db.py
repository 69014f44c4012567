"""What an operation asks of a database, whichever it is.

An operation is a coroutine over a `Db`: it says in SQL what it needs and waits for the rows.
SQLite answers at once, so that a whole operation runs in its lane without ever being
suspended; PostgreSQL answers over a connection. Nothing else of an engine is seen here.

Statements are one text for both, in their common subset, with `:name` parameters: flags are
0 and 1, instants microseconds, documents text, identifiers and digests bytes.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias, TypeVar

T = TypeVar("T")

Row: TypeAlias = Sequence[Any]  # one row as the driver gives it; `rows` makes types of it
Values: TypeAlias = Mapping[str, Any]

NOTHING: Final[Values] = MappingProxyType({})


class Db(Protocol):
    """One transaction. What it raises is a fault, never a race."""

    async def rows(self, statement: str, values: Values = NOTHING) -> Sequence[Row]:
        """Run it and return all that it found; values beyond its parameters are passed over."""
        ...

    async def hold(self, key: bytes) -> None:
        """Let nobody else write at this home (or other key) until the transaction ends."""
        ...

    async def undo(self) -> None:
        """Take back what was written in this transaction; what was held stays held."""
        ...


Operation: TypeAlias = Callable[[Db], Coroutine[Any, Any, T]]

"""A statement with names, as PostgreSQL wants it: with numbers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

# A name is not part of a cast (`::json`), a literal, a quoted identifier or a comment.
_PIECE: Final = re.compile(
    r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|::|:(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
)


@dataclass(frozen=True, slots=True)
class Compiled:
    """The text with `$1`, `$2` ..., and the names that they stand for, in order."""

    text: str
    names: tuple[str, ...]

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Raises `KeyError` for a name that has no value; others are passed over."""
        return [values[name] for name in self.names]


@lru_cache(maxsize=2_000)
def compile_statement(statement: str) -> Compiled:
    """A name that stands twice is one parameter."""
    numbers: dict[str, int] = {}

    def number(piece: re.Match[str]) -> str:
        name = piece["name"]
        if name is None:
            return piece[0]
        return f"${numbers.setdefault(name, len(numbers) + 1)}"

    text = _PIECE.sub(number, statement)
    return Compiled(text, tuple(numbers))

"""A statement with names, as PostgreSQL wants it: with numbers, and each with its type.

SQLite takes a value as it is. PostgreSQL guesses the type of a parameter by where it stands, and
an integer that is written down or a `SELECT` list make it guess wrong; so each parameter says its
type, by the value that it has. What is absent has no type and is written `NULL`.

What stands in `/*! ... */` is for PostgreSQL alone: to SQLite, whose lane lets one in at a time,
it is a comment.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

# A name is not part of a cast (`::json`), a literal, a quoted identifier or a comment.
_PIECE: Final = re.compile(
    r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*!(?P<ours>[^*]*)\*/|/\*[^*]*\*/|::"
    r"|:(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
)
_TYPES: Final[Mapping[type, str]] = {int: "bigint", bytes: "bytea", str: "text"}


def bind(statement: str, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The text with `$1`, `$2` ..., and their arguments.

    A name that stands twice is one parameter. Raises `KeyError` for a name that has no value;
    values without a name are passed over.
    """
    names = _names(statement)
    given = [values[name] for name in names]
    text = _compile(statement, tuple(map(_type_of, given)))
    return text, [value for value in given if value is not None]


def _type_of(value: object) -> str:
    """Its type in SQL, empty for what is absent."""
    if value is None:
        return ""
    for kind in type(value).__mro__:
        if kind in _TYPES:
            return _TYPES[kind]
    raise TypeError(f"no column holds a {type(value).__name__}")


@lru_cache(maxsize=2_000)
def _names(statement: str) -> tuple[str, ...]:
    found = (piece["name"] for piece in _PIECE.finditer(statement))
    return tuple(dict.fromkeys(name for name in found if name is not None))


@lru_cache(maxsize=4_000)
def _compile(statement: str, types: tuple[str, ...]) -> str:
    parameters: dict[str, str] = {}
    number = 0
    for name, kind in zip(_names(statement), types, strict=True):
        number += bool(kind)
        parameters[name] = f"${number}::{kind}" if kind else "NULL"

    def replace(piece: re.Match[str]) -> str:
        if piece["ours"] is not None:
            return piece["ours"]
        return piece[0] if piece["name"] is None else parameters[piece["name"]]

    return _PIECE.sub(replace, statement)

"""A whole store as a file of lines, to go from one kind of database to another.

    {"abeyance": "export", "format": 1, "schema": 11, "at": "...", "last": true}
    {"table": "client", "columns": ["id", "document"]}
    ["shop", "{...}"]
    {"rows": 1, "sum": "..."}
    ...
    {"end": 34}

JSON, one value a line; bytes are a list of one text, base64. A sum is that of the SHA-256 of all
rows, modulo 2^256, so that it does not depend on their order. Nothing is ever held but a batch.
"""

import base64
import binascii
import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final, Protocol, TypeAlias

import msgspec

from abeyance.store.sql.tables import CONTENT

FORMAT: Final = 1
BATCH: Final = 500  # rows
_MODULUS: Final = 2**256
_NAME: Final = "export"

Value: TypeAlias = int | str | bytes | None
Row: TypeAlias = Sequence[Value]


class BadArchive(Exception):
    """What is not to be brought in, and why; nothing was."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.fix = "Nothing was brought in. Export again."

    def __str__(self) -> str:
        return f"the archive {self.args[0]}. {self.fix}"


class Source(Protocol):
    """One moment of a database."""

    async def columns(self, table: str) -> Sequence[str]: ...
    def rows(self, table: str, columns: Sequence[str]) -> AsyncIterator[Row]: ...


class Target(Source, Protocol):
    """A transaction on an empty database, which sees what it has added."""

    async def add(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None: ...


@dataclass(frozen=True, slots=True)
class Head:
    """`last`: the store was stopped and is not served there any more, so nothing is lost."""

    schema: int
    at: str
    last: bool


@dataclass(slots=True)
class _Tally:
    rows: int = 0
    sum: int = 0

    def count(self, line: bytes) -> None:
        self.rows += 1
        self.sum += int.from_bytes(hashlib.sha256(line).digest())

    def shown(self) -> dict[str, Any]:
        return {"rows": self.rows, "sum": f"{self.sum % _MODULUS:064x}"}


async def write_archive(source: Source, head: Head, file: IO[bytes]) -> Mapping[str, int]:
    """Write all that a store has; returns how many rows of each table."""
    _write(file, {"abeyance": _NAME, "format": FORMAT, **msgspec.to_builtins(head)})
    counts = {}
    for table in CONTENT:
        columns = sorted(await source.columns(table))
        _write(file, {"table": table, "columns": columns})
        tally = _Tally()
        async for row in source.rows(table, columns):
            line = _line(row)
            tally.count(line)
            file.write(line)
        _write(file, tally.shown())
        counts[table] = tally.rows
    _write(file, {"end": len(CONTENT)})
    return counts


def read_head(lines: Iterator[bytes]) -> Head:
    """The first line. Raises `BadArchive`."""
    first = _object(next(lines, b""))
    if first.get("abeyance") != _NAME or first.get("format") != FORMAT:
        raise BadArchive("is none of ours, or of another program")
    try:
        return msgspec.convert(first, Head)
    except msgspec.ValidationError:
        raise BadArchive("has a first line that cannot be read") from None


async def bring_in(lines: Iterator[bytes], target: Target) -> Mapping[str, int]:
    """Add all that follows the head, and read it back. Raises `BadArchive`, whatever is wrong
    with it: then what was added is to be taken back.
    """
    counts = {}
    for table in CONTENT:
        counts[table] = await _bring_in_table(lines, target, table)
    if _object(next(lines, b"")) != {"end": len(CONTENT)} or next(lines, None) is not None:
        raise BadArchive("does not end where it should")
    return counts


async def _bring_in_table(lines: Iterator[bytes], target: Target, table: str) -> int:
    columns = sorted(await target.columns(table))
    if _object(next(lines, b"")) != {"table": table, "columns": columns}:
        raise BadArchive(f"has another table where {table} should be, or other columns")
    tally, batch, end = _Tally(), [], None
    for line in lines:
        if line.startswith(b"{"):
            end = _object(line)
            break
        tally.count(line)
        batch.append(_row(line, len(columns)))
        if len(batch) == BATCH:
            await target.add(table, columns, batch)
            batch = []
    await target.add(table, columns, batch)
    if end != tally.shown():
        raise BadArchive(f"is damaged, or was cut short, in {table}")
    there = _Tally()
    async for row in target.rows(table, columns):
        there.count(_line(row))
    if there.shown() != tally.shown():
        raise BadArchive(f"did not arrive whole in {table}")
    return tally.rows


def _write(file: IO[bytes], value: Mapping[str, Any]) -> None:
    file.write(msgspec.json.encode(value) + b"\n")


def _line(row: Iterable[Value]) -> bytes:
    return msgspec.json.encode([_packed(each) for each in row]) + b"\n"


def _packed(value: Value) -> int | str | list[str] | None:
    return [base64.b64encode(value).decode()] if isinstance(value, bytes) else value


_ROW: Final = msgspec.json.Decoder(list[int | str | list[str] | None])
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])


def _row(line: bytes, width: int) -> Row:
    try:
        row = _ROW.decode(line)
        if len(row) != width:
            raise ValueError
        return [_unpacked(each) for each in row]
    except (msgspec.DecodeError, ValueError):
        raise BadArchive("has a line that is no row") from None


def _unpacked(value: int | str | list[str] | None) -> Value:
    if not isinstance(value, list):
        return value
    [text] = value
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError from None


def _object(line: bytes) -> dict[str, Any]:
    try:
        return _OBJECT.decode(line)
    except msgspec.DecodeError:
        raise BadArchive("was cut short, or is none of ours") from None

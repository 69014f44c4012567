"""A reply as it leaves: status, header fields, body. The server adds what every reply has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

_ENCODE = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Reply:
    """`headers` as ASGI wants them: lower-case names, bytes."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def render_json(value: Mapping[str, Any]) -> bytes:
    return _ENCODE(value)


def header(name: str, value: str) -> tuple[bytes, bytes]:
    """Encode one field; raises `ValueError` for characters that could split a header."""
    if "\r" in value or "\n" in value:
        raise ValueError("a header value has no line end")
    return name.lower().encode("ascii"), value.encode("latin-1")

"""What the head of a request may be, and how we say no (SEC-TOK-17, SEC-DOS-01, T-216).

`protocol` asks it as the head arrives.
"""

import os
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from abeyance.server.http import JSON, NEVER_STORED
from abeyance.wire import names
from abeyance.wire.reply import render_json

MAX_HEAD: Final = 32 * 1024  # request line and header fields
MAX_FIELD: Final = 16 * 1024
MAX_FIELDS: Final = 100
MAX_TARGET: Final = 16 * 1024

MALFORMED: Final = "The request is not well-formed HTTP"
LARGE: Final = "The header fields are too large"


class Refused(Exception):
    """What arrives is no request that we take; the connection ends with this answer."""

    def __init__(self, status: int, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.description = description

    def render(self) -> bytes:
        body = render_json(
            {names.ERROR: names.INVALID_REQUEST, names.ERROR_DESCRIPTION: self.description}
        )
        fields = (
            JSON,
            *NEVER_STORED,
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", os.urandom(8).hex().encode()),
            (b"connection", b"close"),
        )
        lines = b"".join(b"%s: %s\r\n" % field for field in fields)
        return STATUS_LINE[self.status] + lines + b"\r\n" + body


def check_sizes(target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Of a whole head; raises `Refused`."""
    if len(target) > MAX_TARGET:
        raise Refused(414, "The target is too long")
    sizes = [len(name) + len(value) + 4 for name, value in headers]
    if max(sizes, default=0) > MAX_FIELD or len(target) + sum(sizes) > MAX_HEAD:
        raise Refused(431, LARGE)


def parse_target(target: bytes) -> tuple[str, bytes, bytes]:
    """Path decoded, path as sent, query; raises `Refused`."""
    if b"#" in target:
        raise Refused(400, MALFORMED)
    parsed = httptools.parse_url(target)
    raw_path = parsed.path or b"/"
    path = raw_path.decode("ascii")
    return unquote(path) if "%" in path else path, raw_path, parsed.query or b""


parse_short_target = lru_cache(maxsize=64)(parse_target)

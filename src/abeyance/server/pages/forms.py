"""Form bodies of the console: bounded while reading, strictly decoded (SEC-DOS-19).

The decoding is that of the back channel. A form of ours may have more fields than a
token request, so it is decoded in pieces; a name that comes twice is refused either way.
"""

import re
from typing import Final, TypeAlias

from starlette.requests import ClientDisconnect, Request

from abeyance.server.pages.refusals import MALFORMED, NO_FORM, TOO_LARGE, Refused
from abeyance.wire.errors import InvalidRequest
from abeyance.wire.form import MAX_PARAMETERS, Form, parse_form

MAX_BODY: Final = 64 * 1024
MAX_FIELDS: Final = 2_048
_CONTENT_TYPE = re.compile(
    r'application/x-www-form-urlencoded(?:[ \t]*;[ \t]*charset="?utf-8"?)?[ \t]*', re.IGNORECASE
)
# What people type on several lines becomes one: line breaks are control characters
# to the decoder, and a remark that reaches a client has none.
_PROSE: Final = (b"reason=", b"note=", b"answer.")
_LINE_BREAKS = re.compile(rb"(?:%0D|%0A)+", re.IGNORECASE)

Fields: TypeAlias = dict[str, str]


async def read_fields(request: Request) -> Fields:
    """Read and decode the form. Raises `Refused`."""
    _check_type(request)
    return parse_fields(await _read_body(request))


async def read_form(request: Request) -> Form:
    """Read protocol parameters, from the query of a GET or the body of a POST (OAUTH-HTTP-03).

    Raises `Refused`, and `InvalidRequest` for what is repeated or cannot be decoded.
    """
    if request.method == "POST":
        _check_type(request)
        return parse_form(await _read_body(request))
    return parse_form(request.scope["query_string"])


def _check_type(request: Request) -> None:
    if not _CONTENT_TYPE.fullmatch(",".join(request.headers.getlist("content-type"))):
        raise Refused(NO_FORM)
    if "content-encoding" in request.headers:
        raise Refused(NO_FORM)


def parse_fields(body: bytes) -> Fields:
    """Decode, or raise `Refused`."""
    pairs = body.split(b"&")
    if len(pairs) > MAX_FIELDS:
        raise Refused(MALFORMED)
    fields: Fields = {}
    for start in range(0, len(pairs), MAX_PARAMETERS):
        piece = b"&".join(map(_on_one_line, pairs[start : start + MAX_PARAMETERS]))
        try:
            found = parse_form(piece)
        except InvalidRequest:
            raise Refused(MALFORMED) from None
        if found.many or not fields.keys().isdisjoint(found):
            raise Refused(MALFORMED)
        fields |= found
    return fields


def _on_one_line(pair: bytes) -> bytes:
    return _LINE_BREAKS.sub(b"+", pair) if pair.startswith(_PROSE) else pair


async def _read_body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BODY:
        raise Refused(TOO_LARGE)
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BODY:
                raise Refused(TOO_LARGE)
    except ClientDisconnect:
        raise Refused(MALFORMED) from None  # nobody is there to read it
    return bytes(body)

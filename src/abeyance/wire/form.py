"""Form bodies, strictly decoded (OAUTH-PARAM-01 to -07, OAUTH-HTTP-04).

Our own parser, because the common ones hide repeated parameters and drop empty
values, and RFC 6749 §3.2 forbids the former and gives the latter a meaning.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from abeyance.wire import names
from abeyance.wire.errors import InvalidRequest

MAX_PARAMETERS: Final = 64
REPEATABLE: Final = frozenset({names.RESOURCE, names.AUDIENCE})  # RFC 8707, RFC 8693
JSON_VALUED: Final = frozenset({names.AUTHORIZATION_DETAILS})

_PLAIN = re.compile(rb"[A-Za-z0-9._~*:@/!$'(),;?\-]*")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_JSON = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

# The pairs that nearly every poll carries, decoded once.
_KNOWN_PAIRS: Final[Mapping[bytes, tuple[str, str]]] = {
    b"grant_type=" + escaped.encode(): (names.GRANT_TYPE, plain)
    for plain in (names.GRANT_DEFERRED, names.GRANT_CLIENT_CREDENTIALS)
    for escaped in (plain, plain.replace(":", "%3A"))
}


class Form(dict[str, str]):
    """Parameters by name, empty ones left out; repeatable ones also in `many`."""

    __slots__ = ("many",)

    def __init__(self) -> None:
        super().__init__()
        self.many: dict[str, tuple[str, ...]] = {}

    def all_of(self, name: str) -> tuple[str, ...]:
        """Every value of a repeatable parameter, in order."""
        many = self.many.get(name)
        if many is not None:
            return many
        return (self[name],) if name in self else ()

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every parameter with every value; `form_of` makes the same of them."""
        for name in self:
            for value in self.all_of(name):
                yield name, value


def parse_form(body: bytes) -> Form:
    """Decode an `application/x-www-form-urlencoded` body.

    Raises `InvalidRequest` for a repeated parameter (also with equal values,
    also unknown ones), too many parameters, bad escapes, invalid UTF-8 and
    control characters. An empty value counts as omitted (RFC 6749 §3.2).
    """
    form = Form()
    if not body:
        return form
    pairs = body.split(b"&", MAX_PARAMETERS)
    if len(pairs) > MAX_PARAMETERS:
        raise InvalidRequest("The request has too many parameters")
    seen: set[str] = set()
    for pair in pairs:
        known = _KNOWN_PAIRS.get(pair)
        if known is not None:
            name, value = known
        else:
            raw_name, separator, raw_value = pair.partition(b"=")
            if not separator or not raw_name:
                raise InvalidRequest("The body is not a well-formed form")
            name = _decode(raw_name, _CONTROL)
            value = _decode(raw_value, _CONTROL_IN_JSON if name in JSON_VALUED else _CONTROL)
        if name in seen:
            if name not in REPEATABLE:
                raise InvalidRequest("A parameter must not be sent twice")
            form.many[name] = (*form.all_of(name), value) if value else form.all_of(name)
        elif value:
            form[name] = value
        seen.add(name)
    return form


def form_of(pairs: Iterable[tuple[str, str]]) -> Form:
    """What `parse_form` makes of these parameters, with the same refusals."""
    try:
        return parse_form(render_form(pairs))
    except UnicodeEncodeError:
        raise InvalidRequest("A parameter is not valid UTF-8") from None


def render_form(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Encode parameters as a form body (the client's side of `parse_form`)."""
    from urllib.parse import urlencode

    return urlencode(list(pairs)).encode("ascii")


def _decode(raw: bytes, forbidden: re.Pattern[str]) -> str:
    if _PLAIN.fullmatch(raw):
        return raw.decode("ascii")
    if _BAD_ESCAPE.search(raw):
        raise InvalidRequest("A parameter has a broken percent escape")
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest("A parameter is not valid UTF-8") from None
    if forbidden.search(text):
        raise InvalidRequest("A parameter has a control character")
    return text

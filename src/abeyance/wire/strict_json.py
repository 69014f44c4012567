"""JSON from outside, strictly: no duplicate names, `NaN`, deep nesting, lone surrogates or NUL.

Source: OAUTH-PARAM-09 (RFC 8259 §4 leaves duplicate names undefined, which is
how two readers come to see two requests).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn, TypeAlias, cast

Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
JsonObject: TypeAlias = Mapping[str, Json]

MAX_DEPTH: Final = 8
MAX_INTEGER: Final = 2**53 - 1  # the last that canonical JSON can write (RFC 8785)


class NotStrictJson(ValueError):
    """The text is not JSON in our sense; the message names the reason, never the text."""


def parse_json(text: str | bytes, *, max_depth: int = MAX_DEPTH) -> Json:
    """Decode one JSON value.

    Bytes must be UTF-8 without a byte order mark. Integers of 2^53 and beyond and
    numbers that overflow a double are refused. The caller bounds the size.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError:
            raise NotStrictJson("not UTF-8") from None
    if text.startswith("\ufeff"):
        raise NotStrictJson("byte order mark")
    # Both walks are for the few texts that could fail them: too few brackets cannot
    # nest too deeply, and only an escape or a str from outside has a surrogate.
    if text.count("[") + text.count("{") > max_depth:
        _check_depth(text, max_depth)
    try:
        value = _DECODER.decode(text)
    except NotStrictJson:
        raise
    except (ValueError, RecursionError):
        raise NotStrictJson("not JSON") from None
    if "\\u" in text or not text.isascii():
        _check_text(value)
    return cast(Json, value)


def parse_json_object(text: str | bytes, *, max_depth: int = MAX_DEPTH) -> JsonObject:
    value = parse_json(text, max_depth=max_depth)
    if not isinstance(value, dict):
        raise NotStrictJson("not an object")
    return value


def _check_depth(text: str, max_depth: int) -> None:
    # Counted before the decoder recurses: a nested bomb costs one pass over the text.
    depth = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > max_depth:
                raise NotStrictJson("nested too deeply")
        elif character in "]}":
            depth -= 1


def _object_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotStrictJson("a member name occurs twice")
    return value


def _refuse_constant(_name: str) -> NoReturn:
    raise NotStrictJson("not a JSON number")


def _bounded_int(digits: str) -> int:
    if len(digits) > 17 or abs(value := int(digits)) > MAX_INTEGER:
        raise NotStrictJson("integer out of range")
    return value


def _finite_float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise NotStrictJson("number out of range")
    return value


def _check_text(value: Any) -> None:
    match value:
        case str():
            if any("\ud800" <= character <= "\udfff" for character in value):
                raise NotStrictJson("lone surrogate")
            # No database that we know keeps it as text, and nobody has a use for it.
            if "\0" in value:
                raise NotStrictJson("NUL")
        case list():
            for item in value:
                _check_text(item)
        case dict():
            for name, item in value.items():
                _check_text(name)
                _check_text(item)


# Made once: `json.loads` builds a decoder for each call that has options.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object_once,
    parse_constant=_refuse_constant,
    parse_int=_bounded_int,
    parse_float=_finite_float,
)

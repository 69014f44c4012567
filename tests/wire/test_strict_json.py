"""JSON from outside: one reading, bounded (OAUTH-PARAM-09, SEC-DOS-05)."""

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.wire.strict_json import MAX_INTEGER, NotStrictJson, parse_json, parse_json_object
from tests.covers import covers
from tests.wire.growth import grows_linearly

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
_SCALAR = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT
)
_VALUE = st.recursive(
    _SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=8,
)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


@given(_VALUE.filter(lambda value: _depth(value) <= 8), st.booleans(), st.booleans())
def test_what_is_written_is_read(value: Any, ascii_only: bool, as_bytes: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse_json(text.encode() if as_bytes else text) == value


@given(
    st.binary(max_size=100) | st.text('[]{}:,"\\/ue0123456789+-.truefalsn \t\ufeff', max_size=60)
)
def test_any_text_is_json_or_refused(text: bytes | str) -> None:
    try:
        value = parse_json(text)
    except NotStrictJson:
        return
    assert json.loads(text) == value
    assert _depth(value) <= 8


@covers("OAUTH-PARAM-09")
@pytest.mark.parametrize(
    "text",
    [
        '{"type":"a","type":"b"}',
        '{"a":{"type":"a","type":"a"}}',
        '[{"a":1,"\\u0061":2}]',
        '{"":1,"":2}',
    ],
)
def test_a_name_comes_once(text: str) -> None:
    with pytest.raises(NotStrictJson, match="twice"):
        parse_json(text)


@covers("OAUTH-PARAM-09", "SEC-DOS-05")
@pytest.mark.parametrize(
    "text",
    [
        "NaN", "[Infinity]", "-Infinity", "1e400", "-1e400", "1" * 400 + ".0",
        str(MAX_INTEGER + 1), str(-MAX_INTEGER - 1), "9" * 5_000, "-" + "9" * 5_000,
        '"\\ud800"', '["\\udc00\\ud800"]', '{"\\ud800":1}', '{"a":["\\udfff"]}',
        '"\\u0000"', '["a\\u0000b"]', '{"\\u0000":1}',
        '\ufeff{}', "[]]", "[] []", "{}x", "", " ", "[1,]", '{"a":1,}', "{'a':1}", "{a:1}",
        '"\t"', '"\x00"', "01", "+1", ".5", "1.", "0x10", "1_000", "\u0661", "\u00a01",
        "tru", "nul", "undefined", "/**/1", '"a', "[", "{", '{"a"', "[}", '"\\x41"', '"\\u00g0"',
    ],
)  # fmt: skip
def test_what_is_not_strict_is_refused(text: str) -> None:
    with pytest.raises(NotStrictJson) as refused:
        parse_json(text)
    assert refused.value.__context__ is None or refused.value.__suppress_context__
    with pytest.raises(NotStrictJson):
        parse_json(text.encode("utf-8", "surrogatepass"))


@covers("OAUTH-PARAM-09")
@pytest.mark.parametrize(
    "text", [b"\xff", b'"\xc0\xaf"', b'"\xed\xa0\x80"', b"\xfe\xff\x00[", "[]".encode("utf-16")]
)
def test_only_utf_8_is_read(text: bytes) -> None:
    with pytest.raises(NotStrictJson):
        parse_json(text)


@covers("OAUTH-PARAM-09")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"\\ud83d\\ude00"', "\U0001f600"),
        (str(MAX_INTEGER), MAX_INTEGER),
        (str(-MAX_INTEGER), -MAX_INTEGER),
        ("-0", 0),
        ("1E2", 100.0),
        (' \t\r\n{"a" : [ ] }\n', {"a": []}),
        ('{"__proto__":{}}', {"__proto__": {}}),
        ('{"a":{"a":{"a":1}}}', {"a": {"a": {"a": 1}}}),
        ('"[[[[[[[[[[[["', "[" * 12),
        ('["\\"[[[[[[[[[[", "\\\\"]', ['"[[[[[[[[[[', "\\"]),
        ("1e-400", 0.0),
        ("0." + "1" * 5_000, 0.1111111111111111),
    ],
)
def test_what_is_strict_is_read(text: str, value: Any) -> None:
    assert parse_json(text) == value


@covers("OAUTH-PARAM-09", "SEC-DOS-05")
@pytest.mark.parametrize("depth", [9, 100, 50_000, 1_000_000])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_depth_is_bounded_before_anybody_recurses(depth: int, brackets: str) -> None:
    opening = brackets[0] if brackets == "[]" else '{"a":'
    for text in (opening * depth, opening * depth + "1" + brackets[1] * depth):
        with pytest.raises(NotStrictJson, match="too deeply"):
            parse_json(text)
    shallow = opening * 8 + "1" + brackets[1] * 8
    assert _depth(parse_json(shallow)) == 8


@covers("OAUTH-PARAM-09")
def test_depth_can_be_bounded_further() -> None:
    assert parse_json("[[1]]", max_depth=2) == [[1]]
    with pytest.raises(NotStrictJson):
        parse_json("[[[1]]]", max_depth=2)


@covers("SEC-DOS-05")
@pytest.mark.parametrize(
    "bomb",
    [
        lambda size: "[" + "1," * size + "1]",
        lambda size: "[" + "[]," * size + "1]",
        lambda size: "{" + ",".join(f'"{each}":1' for each in range(size)) + "}",
        lambda size: "{" + ",".join('"a":1' for _ in range(size)) + "}",
        lambda size: '"' + "\\u0061" * size + '"',
        lambda size: '"' + '\\"' * size + '"',
        lambda size: "9" * size,
        lambda size: "0." + "9" * size,
        lambda size: "1e" + "9" * size,
        lambda size: " " * size,
        lambda size: '"' + "a" * size + '!"',
        lambda size: "[" * size,
    ],
    ids=[
        "numbers", "lists", "names", "equal names", "escapes", "quotes", "an integer",
        "a fraction", "an exponent", "blanks", "bait", "depth",
    ],
)  # fmt: skip
def test_work_grows_with_the_text_and_not_faster(bomb: Any) -> None:
    texts = {size: bomb(size) for size in (1_000, 4_000)}

    def parse(size: int) -> None:
        with suppress(NotStrictJson):
            parse_json(texts[size])

    assert grows_linearly(parse, 1_000)


@covers("SEC-DOS-05")
def test_names_chosen_to_collide_cost_nothing_special() -> None:
    # Python salts the hash of text; without that, equal low bits would make this quadratic.
    texts = {
        size: "{" + ",".join(f'"{each << 64:x}":1' for each in range(size)) + "}"
        for size in (2_500, 10_000)
    }
    assert grows_linearly(lambda size: parse_json(texts[size]), 2_500)


def test_an_object_is_asked_for() -> None:
    assert parse_json_object(b'{"a":1}') == {"a": 1}
    for text in ("[]", "1", "null", '"{}"'):
        with pytest.raises(NotStrictJson, match="not an object"):
            parse_json_object(text)


@given(st.floats())
def test_a_number_is_finite(number: float) -> None:
    try:
        assert parse_json(repr(number)) == number
    except NotStrictJson:
        assert not math.isfinite(number)


@given(st.text(min_size=1))
def test_a_refusal_repeats_nothing(text: str) -> None:
    reason = ""
    try:
        parse_json('{"bait":' + text)
    except NotStrictJson as refused:
        reason = str(refused)
    assert "bait" not in reason

"""Form bodies: one reading, no repeats, no surprises (OAUTH-PARAM-01 to -07)."""

from contextlib import suppress
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.wire import names
from abeyance.wire.errors import InvalidRequest
from abeyance.wire.form import MAX_PARAMETERS, REPEATABLE, Form, parse_form, render_form
from tests.covers import covers
from tests.wire.growth import grows_linearly, work

_NAME = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1).filter(
    lambda name: name not in REPEATABLE
)
_PLAINLY = b"grant_type=urn:ietf:params:oauth:grant-type:deferred"
_PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1)


def _refused(body: bytes) -> str:
    with pytest.raises(InvalidRequest) as refused:
        parse_form(body)
    return refused.value.description


@given(st.dictionaries(_NAME, _PRINTABLE, max_size=MAX_PARAMETERS))
def test_what_is_rendered_is_parsed(parameters: dict[str, str]) -> None:
    assert parse_form(render_form(parameters.items())) == parameters


@given(st.dictionaries(_NAME, _PRINTABLE, max_size=8), st.booleans())
def test_every_spelling_of_a_value_is_that_value(
    parameters: dict[str, str], every_byte: bool
) -> None:
    def spell(text: str) -> str:
        return "".join(f"%{byte:02x}" for byte in text.encode()) if every_byte else quote(text)

    body = "&".join(f"{spell(name)}={spell(value)}" for name, value in parameters.items())
    assert parse_form(body.encode()) == parameters


@given(st.binary(max_size=200))
def test_any_bytes_are_a_form_or_an_invalid_request(body: bytes) -> None:
    with suppress(InvalidRequest):
        assert all(parse_form(body).values())


@given(st.text("ab=&%+;0fF ", max_size=40))
def test_whoever_parses_forms_elsewhere_reads_the_same(text: str) -> None:
    try:
        form = parse_form(text.encode())
    except InvalidRequest:
        return
    assert form == dict(parse_qsl(text, strict_parsing=bool(text)))


@covers("OAUTH-PARAM-01", "SEC-TOK-11", "T-214")
@pytest.mark.parametrize(
    "value",
    [
        b"D%00", b"D\0", b"%ff", b"\xff", b"%", b"%z", b"%zz", b"%4", b"D%", b"D%0a", b"D%0D",
        b"D%09", b"D\n", b"D%7f", b"D%C2%80", b"D%c2%9f", b"%c0%af", b"%ed%a0%80", b"%f4%90%80%80",
        b"%u0041", b"% 41", b"%+1", b"%\xc3\xa9",
    ],
)  # fmt: skip
def test_what_does_not_decode_or_controls_is_refused(value: bytes) -> None:
    _refused(b"deferral_code=" + value)
    _refused(value + b"=1")


@covers("OAUTH-PARAM-01", "SEC-TOK-11")
@pytest.mark.parametrize(
    ("value", "means"),
    [
        (b"D", "D"), (b"D+", "D "), (b"D%20", "D "), (b"D%2B", "D+"), (b"%44", "D"),
        (b"%C3%A9", "é"), (b"\xc3\xa9", "é"), (b"%F0%9F%98%80", "😀"), (b"a=b", "a=b"),
        (b"%26", "&"), (b"%25", "%"),
    ],
)  # fmt: skip
def test_what_decodes_is_taken(value: bytes, means: str) -> None:
    assert parse_form(b"deferral_code=" + value) == {"deferral_code": means}


@covers("OAUTH-PARAM-01")
def test_only_json_may_have_line_ends() -> None:
    spaced = b'=[%0A%09{"type":"a"}%0D%0A]'
    details = parse_form(b"authorization_details" + spaced)
    assert details == {"authorization_details": '[\n\t{"type":"a"}\r\n]'}
    _refused(b"scope" + spaced)
    _refused(b"authorization_details=[%00]")
    _refused(b"authorization_details=[%0B]")
    _refused(b"authorization_details=[%C2%85]")


@covers("OAUTH-PARAM-02", "SEC-TOK-09", "T-210")
@pytest.mark.parametrize(
    "body",
    [
        b"deferral_code=D&deferral_code=D",
        b"deferral_code=D&deferral_code=E",
        b"&".join([b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adeferred", _PLAINLY]),
        b"grant_type=client_credentials&grant_type=client_credentials",
        b"x=1&x=2",
        b"x=1&x=",
        b"x=&x=1",
        b"x=&x=",
        b"x=1&%78=2",
        b"a+b=1&a%20b=2",
        b"x=1&y=2&z=3&x=4",
    ],
)
def test_a_parameter_comes_once(body: bytes) -> None:
    assert _refused(body) == "A parameter must not be sent twice"


@covers("OAUTH-PARAM-02")
@pytest.mark.parametrize("name", sorted(REPEATABLE))
def test_what_may_come_often_comes_in_order(name: str) -> None:
    once = parse_form(f"{name}=a".encode())
    assert once.all_of(name) == ("a",)
    often = parse_form(f"{name}=a&x=1&{name}=b&{name}=&{name}=a".encode())
    assert often.all_of(name) == ("a", "b", "a")
    assert parse_form(f"{name}=&{name}=b".encode()).all_of(name) == ("b",)
    assert parse_form(f"{name}=".encode()).all_of(name) == ()
    assert Form().all_of(name) == ()
    with pytest.raises(InvalidRequest):
        parse_form(f"{name.upper()}=a&{name.upper()}=b".encode())


@covers("OAUTH-PARAM-03", "SEC-TOK-12")
def test_an_empty_value_is_left_out() -> None:
    assert parse_form(b"deferral_code=&grant_type=x&scope=") == {"grant_type": "x"}
    assert parse_form(b"") == {}


@covers("OAUTH-PARAM-05", "OAUTH-PARAM-07", "SEC-TOK-12")
def test_names_mean_what_they_say_and_nothing_more() -> None:
    form = parse_form(
        b"Deferral_Code=D&deferral_code[]=D&deferral_code%20=D&deferral_code%5B0%5D=D"
    )
    assert "deferral_code" not in form
    assert len(form) == 4


@covers("OAUTH-PARAM-05", "SEC-TOK-12")
def test_values_keep_their_case_and_blanks() -> None:
    shouted = b"grant_type=URN:ietf:params:oauth:grant-type:deferred"
    assert parse_form(shouted)["grant_type"] != names.GRANT_DEFERRED
    blank = b"grant_type=urn:ietf:params:oauth:grant-type:deferred+"
    assert parse_form(blank)["grant_type"] == names.GRANT_DEFERRED + " "


@covers("SEC-TOK-13")
def test_a_semicolon_separates_nothing() -> None:
    assert parse_form(b"a=1;b=2") == {"a": "1;b=2"}


@covers("SEC-TOK-13")
@pytest.mark.parametrize("body", [b"a=1&&b=2", b"a=1&", b"&a=1", b"&", b"a", b"=1", b"a=1&b", b"="])
def test_every_pair_has_a_name_and_an_equals_sign(body: bytes) -> None:
    assert _refused(body) == "The body is not a well-formed form"


@covers("SEC-TOK-13", "SEC-DOS-04", "T-214")
def test_sixty_four_parameters_are_enough() -> None:
    pairs = [b"p%d=%d" % (each, each) for each in range(MAX_PARAMETERS)]
    assert len(parse_form(b"&".join(pairs))) == MAX_PARAMETERS
    assert _refused(b"&".join([*pairs, b"q=1"])) == "The request has too many parameters"
    assert _refused(b"resource=a&" * MAX_PARAMETERS + b"resource=a")


@covers("SEC-DOS-04")
def test_too_many_parameters_are_not_looked_at() -> None:
    # However many there are and whatever is in them: the same few steps.
    few = work(lambda: _refused(b"&" * 100))
    assert work(lambda: _refused(b"&" * 65_536)) == few
    assert work(lambda: _refused(b"p=%41&" * 10_000)) == few


@covers("SEC-DOS-04")
@pytest.mark.parametrize(
    "piece", [b"%41", b"%e2%82%ac", b"a", b"+", b"%2", b"=", b"\xff"], ids=repr
)
def test_work_grows_with_the_body_and_not_faster(piece: bytes) -> None:
    def parse(size: int) -> None:
        for body in (b"x=" + piece * size, piece * size + b"=x", piece * size):
            with suppress(InvalidRequest):
                parse_form(body)

    assert grows_linearly(parse, 20_000 // 4)


@covers("OAUTH-PARAM-08", "T-213")
@given(st.binary(max_size=60))
def test_a_refusal_repeats_nothing(body: bytes) -> None:
    description = ""
    try:
        parse_form(b"bait" + body)
    except InvalidRequest as refused:
        description = refused.description
    assert "bait" not in description
    assert all(" " <= each <= "~" and each not in '"\\' for each in description)

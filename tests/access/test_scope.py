"""Scope is a set of tokens in one spelling (OAUTH-SCOPE-01)."""

import pytest

from abeyance.access.scope import MAX_LENGTH, MAX_TOKENS, parse_scope, render_scope
from abeyance.wire.errors import InvalidScope
from tests.covers import covers


@covers("OAUTH-SCOPE-01", "OAUTH-SCOPE-06")
def test_a_scope_is_a_set_whatever_its_order_and_repetitions() -> None:
    assert parse_scope("b a b") == parse_scope("a b") == {"a", "b"}


@covers("OAUTH-SCOPE-01")
def test_a_scope_is_written_in_one_order() -> None:
    assert render_scope(parse_scope("write read:x admin")) == "admin read:x write"


@covers("OAUTH-SCOPE-01", "OAUTH-SCOPE-06")
def test_tokens_that_look_alike_are_different_tokens() -> None:
    assert parse_scope("read") & parse_scope("Read READ read. read* rea") == frozenset()


@covers("OAUTH-SCOPE-01")
@pytest.mark.parametrize("character", [chr(code) for code in range(0x21, 0x7F)])
def test_a_token_holds_every_character_of_the_grammar_and_no_other(character: str) -> None:
    # RFC 6749 Appendix A.4: %x21 / %x23-5B / %x5D-7E, which leaves out " and \
    if character in '"\\':
        with pytest.raises(InvalidScope):
            parse_scope(f"a{character}")
    else:
        assert parse_scope(f"a{character}") == {f"a{character}"}


@covers("OAUTH-SCOPE-01")
@pytest.mark.parametrize(
    "text",
    ["", " ", " a", "a ", "a  b", "a\tb", "a\nb", "a\r\nb", "a\u00a0b", "\u00e4", "a\x00", "a\x7f"],
)
def test_a_scope_with_foreign_characters_or_stray_spaces_is_refused(text: str) -> None:
    with pytest.raises(InvalidScope):
        parse_scope(text)


def test_a_scope_is_bounded_in_length_and_in_tokens() -> None:
    assert len(parse_scope(" ".join(f"s{n}" for n in range(MAX_TOKENS)))) == MAX_TOKENS
    assert parse_scope("a" * MAX_LENGTH)
    for text in (" ".join(f"s{n}" for n in range(MAX_TOKENS + 1)), "a" * (MAX_LENGTH + 1)):
        with pytest.raises(InvalidScope):
            parse_scope(text)

"""Scope: a set of tokens, written in a fixed order (OAUTH-SCOPE-01, RFC 6749 §3.3)."""

import re
from typing import Final, TypeAlias

from abeyance.wire.errors import InvalidScope

Scope: TypeAlias = frozenset[str]

MAX_LENGTH: Final = 2048
MAX_TOKENS: Final = 64
_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+", re.ASCII)


def parse_scope(text: str) -> Scope:
    """Parse a `scope` parameter; duplicates collapse.

    Raises `InvalidScope` for foreign characters and for leading, trailing or
    double spaces.
    """
    tokens = text.split(" ")
    if len(text) > MAX_LENGTH or len(tokens) > MAX_TOKENS:
        raise InvalidScope("The scope is too long")
    if not all(_TOKEN.fullmatch(token) for token in tokens):
        raise InvalidScope("The scope is malformed")
    return frozenset(tokens)


def render_scope(scope: Scope) -> str:
    return " ".join(sorted(scope))

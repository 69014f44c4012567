"""Which version of a thing somebody has seen (RFC 9110 §8.8.3, §13.1.1)."""

import hashlib
from collections.abc import Mapping
from typing import Any

from abeyance.server.admin.problems import Problem


def etag_of(record: Any) -> str:
    """The tag of a stored record; two that differ in anything differ here."""
    return f'"{hashlib.sha256(_spell(record).encode()).hexdigest()[:32]}"'


def check_match(if_match: str | None, record: Any) -> None:
    """Raise `Problem` unless the caller has seen the record as it stands."""
    if if_match is None:
        raise Problem(
            428, "if_match_required", "Say which version you have seen",
            "Send the ETag that came with it as If-Match.",
        )  # fmt: skip
    if if_match != etag_of(record):
        raise changed()


def changed() -> Problem:
    return Problem(
        412, "changed", "It is not what you have seen", "Read it again, and repeat your change."
    )


def _spell(value: Any) -> str:
    if hasattr(value, "__dataclass_fields__"):
        return repr({name: _spell(getattr(value, name)) for name in value.__dataclass_fields__})
    if isinstance(value, frozenset | set):
        return repr(sorted(map(_spell, value)))
    if isinstance(value, Mapping):
        return repr(sorted((str(name), _spell(each)) for name, each in value.items()))
    return repr(value)

"""The settings as they were gathered, line by line, and where each one comes from.

Nothing is judged here but names and types, so that a configuration that is refused
can be looked at too. Secrets, digests of secrets and client keys never show
(OAUTH-SEC-06, SEC-STORE-08).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from abeyance.server.settings_file import SECRETS, File
from abeyance.server.settings_sources import Sources, entry_key

DEFAULT: Final = "default"
SET: Final = "set"
_NEVER_SHOWN: Final = SECRETS | {"jwks"}
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^/@:\s]*):[^/@\s]*@")
_PASSWORD_IN_QUERY = re.compile(r"(?<=[?&]password=)[^&]*")


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting. `value` is fit for JSON; `origin` says `default`, a file, a variable or flag."""

    key: str
    value: Any
    origin: str

    def render(self) -> str:
        """The value as a person reads it; lists as the environment would spell them."""
        match self.value:
            case None | list() | dict() as nothing if not nothing:
                return "-"
            case str() as text if text and text.isprintable():
                return text
            case [*items] if all(isinstance(item, str) for item in items):
                return ", ".join(items)
            case _:
                return json.dumps(self.value, ensure_ascii=False)


def list_settings(sources: Sources) -> list[Shown]:
    """Every setting that there is, in the order of the file's shape.

    Raises `ConfigurationError` for a value of the wrong type.
    """
    return list(_of_table(sources, sources.decode(), sources.tree, File, ""))


def _of_table(
    sources: Sources, told: msgspec.Struct, tree: Any, table: type[msgspec.Struct], path: str
) -> Iterator[Shown]:
    for name in table.__struct_fields__:
        key, value = f"{path}{name}", getattr(told, name)
        said = tree.get(name) if isinstance(tree, Mapping) else None
        if isinstance(value, msgspec.Struct):
            yield from _of_table(sources, value, said, type(value), f"{key}.")
        elif isinstance(value, list) and value and isinstance(value[0], msgspec.Struct):
            for place, (entry, given) in enumerate(zip(value, said or (), strict=True)):
                inner = f"{entry_key(key, place, given)}."
                yield from _of_table(sources, entry, given, type(entry), inner)
        else:
            origin = _origin(sources, key, told=isinstance(tree, Mapping) and name in tree)
            if isinstance(value, dict) and value and name not in _NEVER_SHOWN:
                for item, text in value.items():
                    yield Shown(f"{key}[{item}]", _fit(name, text), origin)
            else:
                yield Shown(key, _fit(name, value), origin)


def _origin(sources: Sources, key: str, *, told: bool) -> str:
    if not told:
        return DEFAULT
    return sources.elsewhere.get(key) or str(sources.file)


def _fit(name: str, value: Any) -> Any:
    if name in _NEVER_SHOWN:
        return None if value is None else SET
    if isinstance(value, str):
        return _PASSWORD_IN_QUERY.sub(SET, _PASSWORD_IN_URL.sub(rf"\1:{SET}@", value))
    return value

"""Where settings come from: the file, then the environment, then flags; the last one wins.

A variable spells the key's path: `ABEYANCE_SERVER__LISTEN`. Entries of a list of
tables are found by their id: `ABEYANCE_CLIENTS__BILLING_AGENT__SECRET_FILE` (or
by number). `_FILE` behind any key reads the value from the file that the
variable names. A key that does not exist stops the start and names the nearest.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

import msgspec

from abeyance.server.settings_file import DURATIONS, SECRETS, File
from abeyance.server.settings_values import ConfigurationError, read_secret_file

PREFIX: Final = "ABEYANCE_"
CONFIG: Final = "ABEYANCE_CONFIG"  # names the file itself
# Of `abeyance token`, whose shell may be the server's.
_OTHERS: Final = frozenset({CONFIG, "ABEYANCE_CLIENT_SECRET", "ABEYANCE_CLIENT_SECRET_FILE"})
# What Kubernetes sets in every container beside a service of our name.
_NOT_OURS = re.compile(r"ABEYANCE_(SERVICE_(HOST|PORT(_.*)?)|PORT(_[0-9]+_(TCP|UDP)(_.*)?)?)")
_PLACE = re.compile(r" - at `\$(.*)`$")
_NAME = re.compile(r"[^A-Za-z0-9]+")


@dataclass(slots=True)
class Sources:
    """The settings as one tree, and which folder relative paths start from.

    `elsewhere`: keys whose value does not come from the file, and whence it came.
    `secrets_in_environment`: keys whose secret value itself came by a variable.
    """

    tree: dict[str, Any]
    base: Path
    file: Path | None = None
    elsewhere: dict[str, str] = field(default_factory=dict)
    secrets_in_environment: list[str] = field(default_factory=list)

    def resolve(self, key: str, path: str) -> Path:
        """A relative path starts at the file that says it, or where the command was run."""
        return (Path.cwd() if key in self.elsewhere else self.base) / Path(path).expanduser()

    def decode(self) -> File:
        """Check the types of everything; the names were checked when it was gathered."""
        try:
            return msgspec.convert(self.tree, File)
        except msgspec.ValidationError as error:
            raise _as_configuration_error(error, self.tree) from None


def gather(
    file: Path | None, environ: Mapping[str, str], flags: Mapping[str, str | None]
) -> Sources:
    """Read all sources. `flags` maps a key's path (`server.listen`) to its text."""
    tree = _read_toml(file) if file else {}
    # Names are checked before a variable or flag is laid over them, so that it finds its place.
    _check_names(tree, File, "")
    sources = Sources(tree, base=file.resolve().parent if file else Path.cwd(), file=file)
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in _OTHERS and not _NOT_OURS.fullmatch(name):
            steps = name.removeprefix(PREFIX).lower().split("__")
            _lay_over(sources, name, steps, environ[name], from_environment=True)
    for path, text in flags.items():
        if text is not None:
            _lay_over(sources, path, path.split("."), text, from_environment=False)
    return sources


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """A fix for a name that is not known."""
    near = nearest(name, known)
    return f'Did you mean "{near}"?' if near else otherwise


def entry_key(table: str, index: int, entry: object) -> str:
    """`clients[billing-agent]`, or the number where there is no id yet."""
    name = entry.get("id", entry.get("name")) if isinstance(entry, dict) else None
    return f"{table}[{name if isinstance(name, str) and name else index}]"


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise ConfigurationError(
            str(file), f"cannot be read ({error.strerror})", "Name a file that exists."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            str(file), f"is not TOML: {error}", "Correct the line that it names."
        ) from None


def _table_in(kind: Any) -> type[msgspec.Struct] | None:
    return kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


def _entries_of(kind: Any) -> type[msgspec.Struct] | None:
    return _table_in(get_args(kind)[0]) if get_origin(kind) is list else None


def _kinds(table: type[msgspec.Struct]) -> dict[str, Any]:
    return {each.name: each.type for each in msgspec.structs.fields(table)}


def _check_names(tree: object, table: type[msgspec.Struct], path: str) -> None:
    if not isinstance(tree, dict):
        return  # a wrong type, which decoding tells better
    kinds = _kinds(table)
    for name, value in tree.items():
        key = f"{path}{name}"
        if name not in kinds:
            raise ConfigurationError(key, "is not a setting", _name_fix(name, kinds))
        if inner := _table_in(kinds[name]):
            _check_names(value, inner, f"{key}.")
        elif (inner := _entries_of(kinds[name])) and isinstance(value, list):
            for index, entry in enumerate(value):
                _check_names(entry, inner, f"{entry_key(key, index, entry)}.")


def _name_fix(name: str, kinds: Mapping[str, Any]) -> str:
    if name in ("secret", "client_secret") and "secret_file" in kinds:
        return (
            "Put the secret into a file and name it as secret_file, or write secret_sha256 "
            "(`abeyance new-secret` prints both)."
        )
    if name == "password" and "password_hash" in kinds:
        return "Write password_hash (`abeyance hash-password` makes it)."
    return did_you_mean(name, kinds, f"Known here: {', '.join(sorted(kinds))}.")


def _lay_over(
    sources: Sources, said: str, steps: list[str], text: str, *, from_environment: bool
) -> None:
    """Put one value into the tree, at the place that `steps` names."""
    tree: Any = sources.tree
    table: type[msgspec.Struct] = File
    path = ""
    while True:
        step, *steps = steps
        kinds = _kinds(table)
        name, from_file = step, False
        if name not in kinds and name.endswith("_file") and not steps:
            name, from_file = name.removesuffix("_file"), True
        if name not in kinds:
            near = nearest(step, kinds)
            raise ConfigurationError(
                said,
                "is not a setting",
                f"Did you mean {said[: len(said) - len(step)]}{_like(near, said)}?"
                if near and not steps
                else f"Known here: {', '.join(sorted(kinds))}.",
            )
        key = f"{path}{name}"
        if inner := _table_in(kinds[name]):
            tree, table, path = tree.setdefault(name, {}), inner, f"{key}."
            if steps and isinstance(tree, dict):
                continue
        elif (inner := _entries_of(kinds[name])) and len(steps) > 1:
            entry, steps = steps[0], steps[1:]
            index = _find_entry(said, tree.get(name), entry)
            path = f"{entry_key(key, index, tree[name][index])}."
            tree, table = tree[name][index], inner
            continue
        break
    if steps or _table_in(kinds[name]) or _entries_of(kinds[name]):
        raise ConfigurationError(
            said, "does not name a single setting", "Say it in the configuration file."
        )
    if from_file:
        text = read_secret_file(said, Path(text))
    elif from_environment and name in SECRETS:
        sources.secrets_in_environment.append(said)
    tree[name] = _from_text(said, text, kinds[name])
    sources.elsewhere[key] = f"environment {said}" if from_environment else "flag"


def _like(name: str, said: str) -> str:
    return name.upper() if said.isupper() else name


def _find_entry(said: str, entries: object, wanted: str) -> int:
    known = [
        _NAME.sub("_", str(entry.get("id", entry.get("name", "")))).lower()
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict)
    ]
    if wanted in known:
        return known.index(wanted)
    if wanted.isdigit() and int(wanted) < len(known):
        return int(wanted)
    raise ConfigurationError(
        said,
        f"finds no entry {wanted!r}",
        did_you_mean(wanted, known, "Declare the entry in the configuration file first."),
    )


def _from_text(said: str, text: str, kind: Any) -> Any:
    """Read a variable or flag as the type that the setting has."""
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if str in options:
        return text
    try:
        if bool in options:
            return {"true": True, "false": False}[text.lower()]
        if int in options:
            return int(text)
        if float in options:
            return float(text)
        if any(get_origin(option) is list for option in options) and not text.startswith("["):
            return [item.strip() for item in text.split(",") if item.strip()]
        return json.loads(text)
    except (ValueError, KeyError):
        raise ConfigurationError(
            said, "has a value of the wrong type", f"Write {_describe(options[0])}."
        ) from None


def _describe(kind: Any) -> str:
    if get_origin(kind) is list:
        return "values separated by commas, or a JSON array"
    return {bool: "true or false", int: "a whole number", float: "a number"}.get(kind, "JSON")


def _as_configuration_error(
    error: msgspec.ValidationError, tree: Mapping[str, Any]
) -> ConfigurationError:
    text = str(error)
    place = _PLACE.search(text)
    key = (place[1] if place else "").removeprefix(".")
    if entry := re.match(r"(\w+)\[(\d+)\]", key):
        shown = entry_key(entry[1], int(entry[2]), tree[entry[1]][int(entry[2])])
        key = shown + key[entry.end() :]
    problem = _PLACE.sub("", text).replace("Object missing", "is missing the")
    if key.rpartition(".")[2] in DURATIONS:
        fix = 'Write a duration in quotes, such as "10m".'
    elif key.endswith(".then"):
        fix = 'Write "issue", "deny" or "defer".'
    else:
        fix = "See the commented example, examples/abeyance.toml."
    return ConfigurationError(key or "the configuration", problem[0].lower() + problem[1:], fix)

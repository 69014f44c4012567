"""A configuration file with little in it, written for one test."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from abeyance.server.settings import ConfigurationError, Settings, load_settings

DIGEST = "0123456789abcdef" * 4
HASH = (
    "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA"
    "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
SCOPES = '[scopes]\nread = "Read everything"\nwrite = "Write everything"\n'
RESOURCES = '[resources]\n"https://api.example" = "The API"\n'
RITA = f'[[reviewers]]\nid = "rita"\npassword_hash = "{HASH}"\n'


def client(*lines: str, name: str = "agent", secret: bool = True) -> str:
    table = ["[[clients]]", f'id = "{name}"', 'name = "Agent"']
    if not any(line.startswith("resources") for line in lines):
        table.append('resources = ["https://api.example"]')
    if secret:
        table.append(f'secret_sha256 = "{DIGEST}"')
    return "\n".join([*table, *lines, ""])


def rule(*lines: str, name: str = "all", then: str = "issue") -> str:
    return "\n".join(["[[rules]]", f'name = "{name}"', f'then = "{then}"', *lines, ""])


def read(
    folder: Path,
    *parts: str,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str | None] | None = None,
    demo: bool = False,
) -> Settings:
    """Load a file made of these parts; top-level keys come first."""
    file = folder / "abeyance.toml"
    file.write_text("\n".join(parts), encoding="utf-8")
    return load_settings(file, environ=environ or {}, flags=flags, demo=demo)


def refuse(
    folder: Path,
    *parts: str,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str | None] | None = None,
    demo: bool = False,
) -> ConfigurationError:
    """Load it and return why it was refused."""
    with pytest.raises(ConfigurationError) as refused:
        read(folder, *parts, environ=environ, flags=flags, demo=demo)
    error = refused.value
    assert str(error) == f"{error.key}: {error.problem}. {error.fix}"
    assert error.fix.endswith((".", "?"))
    assert "\n" not in str(error)
    return error

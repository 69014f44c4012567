"""The settings shown line by line: every one, with its origin, and nothing secret."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from abeyance.server.settings import ConfigurationError
from abeyance.server.settings_file import SECRETS, File
from abeyance.server.settings_shown import SET, Shown, list_settings
from abeyance.server.settings_sources import gather
from tests.covers import covers
from tests.settings.files import DIGEST, HASH, RITA, SCOPES, client

ENTRY = client('scope = ["read"]', name="billing-agent")


def shown(
    folder: Path,
    *parts: str,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str | None] | None = None,
) -> dict[str, Shown]:
    file = folder / "abeyance.toml"
    file.write_text("\n".join(parts), encoding="utf-8")
    found = list_settings(gather(file, environ or {}, flags or {}))
    assert len({each.key for each in found}) == len(found)
    return {each.key: each for each in found}


def test_each_setting_says_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "burst").write_text("7\n")
    found = shown(
        tmp_path,
        'issuer = "https://file.example"\ndata = "d"',
        '[server]\nlisten = "127.0.0.1:1"',
        '[lifetimes]\ncode = "20s"\nwaiting = "12h"',
        SCOPES,
        ENTRY,
        environ={
            "ABEYANCE_ISSUER": "https://environment.example",
            "ABEYANCE_SERVER__LISTEN": "127.0.0.1:2",
            "ABEYANCE_LIFETIMES__CODE": "30s",
            "ABEYANCE_LIMITS__CREATIONS_BURST_FILE": str(tmp_path / "burst"),
            "ABEYANCE_CLIENTS__BILLING_AGENT__SCOPE": "read,write",
        },
        flags={"server.listen": "127.0.0.1:3", "data": None},
    )
    file = str(tmp_path / "abeyance.toml")
    assert {key: (each.value, each.origin) for key, each in found.items()}.items() >= {
        ("issuer", ("https://environment.example", "environment ABEYANCE_ISSUER")),
        ("data", ("d", file)),
        ("server.listen", ("127.0.0.1:3", "flag")),
        ("server.debug", (False, "default")),
        ("lifetimes.code", ("30s", "environment ABEYANCE_LIFETIMES__CODE")),
        ("lifetimes.waiting", ("12h", file)),
        ("lifetimes.approval", ("1h", "default")),
        (
            "limits.creations_burst",
            (7, "environment ABEYANCE_LIMITS__CREATIONS_BURST_FILE"),
        ),
        ("scopes[read]", ("Read everything", file)),
        ("clients[billing-agent].name", ("Agent", file)),
        ("clients[billing-agent].owner", (None, "default")),
    }
    scope = found["clients[billing-agent].scope"]
    assert (scope.value, scope.origin) == (
        ["read", "write"], "environment ABEYANCE_CLIENTS__BILLING_AGENT__SCOPE",
    )  # fmt: skip


def test_a_file_is_named_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.toml").write_text('data = "d"')
    monkeypatch.chdir(tmp_path)
    found = {each.key: each for each in list_settings(gather(Path("a.toml"), {}, {}))}
    assert found["data"].origin == "a.toml"


def test_without_a_file_all_is_as_it_comes() -> None:
    assert {each.origin for each in list_settings(gather(None, {}, {}))} == {"default"}


@covers("OAUTH-SEC-06", "SEC-STORE-08")
def test_no_secret_is_shown_wherever_it_comes_from(tmp_path: Path) -> None:
    other = "f" * 64
    found = shown(
        tmp_path,
        client("jwks = { keys = [ { kty = 'oct', k = 'hidden-key' } ] }", name="a"),
        client(f'secret_sha256 = ["{DIGEST}", "{other}"]', name="b", secret=False),
        client(name="c"),
        RITA,
        environ={
            "ABEYANCE_CLIENTS__C__SECRET_SHA256": other,
            "ABEYANCE_STORE__PATH": "postgresql://abeyance:hidden-word@db/abeyance",
        },
    )
    text = repr(list(found.values())) + "".join(each.render() for each in found.values())
    for secret in (DIGEST, other, HASH, "hidden"):
        assert secret not in text
    for key in (
        "clients[a].secret_sha256", "clients[a].jwks", "clients[b].secret_sha256",
        "clients[c].secret_sha256", "reviewers[rita].password_hash",
    ):  # fmt: skip
        assert found[key].value == SET
    assert found["clients[b].jwks"].value is None
    assert found["store.path"].value == f"postgresql://abeyance:{SET}@db/abeyance"


def test_every_setting_that_sounds_secret_is_masked() -> None:
    sounds = {
        name
        for name in names_of(File)
        if any(word in name for word in ("secret", "password", "hash", "private"))
    }
    assert {name for name in sounds if not name.endswith("_file")} <= SECRETS


def names_of(kind: Any) -> Iterator[str]:
    """The name of every setting below a table."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for field in msgspec.structs.fields(kind):
            yield field.name
            yield from names_of(field.type)
    for inner in get_args(kind):
        yield from names_of(inner)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ([], "-"),
        ({}, "-"),
        (False, "false"),
        ("10m", "10m"),
        ("a\nb", r'"a\nb"'),
        ("", '""'),
        (True, "true"),
        (["read", "write"], "read, write"),
        ({"keys": 1}, '{"keys": 1}'),
    ],
)
def test_a_value_takes_one_line(value: Any, text: str) -> None:
    assert Shown("key", value, "default").render() == text


def test_a_configuration_that_is_refused_can_be_looked_at(tmp_path: Path) -> None:
    found = shown(tmp_path, 'issuer = "http://as.example"\n[lifetimes]\nwaiting = "forever"')
    assert found["lifetimes.waiting"].value == "forever"


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [("isuer = 'x'", "isuer", "issuer"), ("issuer = 5", "issuer", "example")],
)
def test_what_is_no_setting_or_of_another_type_is_told(
    tmp_path: Path, text: str, key: str, near: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        shown(tmp_path, text)
    assert refused.value.key == key
    assert near in refused.value.fix

"""The example file is loaded, so that it stays true."""

import tomllib
from pathlib import Path
from typing import get_args

import msgspec

from abeyance.access.details import TYPE
from abeyance.policy.rules import Rules
from abeyance.server.settings import load_settings
from abeyance.server.settings_file import File

EXAMPLE = Path(__file__).parents[2] / "examples" / "abeyance.toml"


def test_the_example_loads_without_a_remark() -> None:
    settings = load_settings(EXAMPLE, environ={})
    assert settings.warnings == ()
    assert [client.id for client in settings.clients] == [
        "billing-agent",
        "report-job",
        "ledger-app",
        "bank",
    ]
    assert isinstance(settings.decider, Rules)
    assert len(settings.decider.rules) == 4


def test_the_example_says_its_defaults_as_they_are() -> None:
    told = msgspec.convert(tomllib.loads(EXAMPLE.read_text(encoding="utf-8")), File)
    for section in ("server", "store", "lifetimes", "limits", "dpop"):
        assert getattr(told, section) == getattr(File(), section)


def test_the_example_mentions_every_setting() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    tables: list[type[msgspec.Struct]] = [File]
    tables += (
        kind
        for name in (
            "clients",
            "reviewers",
            "users",
            "interactions",
            "trusted_issuers",
            "exchanges",
            "assertion_targets",
            "rules",
        )
        for kind in entries(name)
    )
    for table in tables:
        for name in table.__struct_fields__:
            assert name in text, name


def entries(name: str) -> list[type[msgspec.Struct]]:
    [field] = [each for each in msgspec.structs.fields(File) if each.name == name]
    return list(get_args(field.type))


def test_the_examples_type_reads_the_request_of_its_first_lines() -> None:
    settings = load_settings(EXAMPLE, environ={})
    [line] = [
        each for each in EXAMPLE.read_text().splitlines() if "--authorization-details" in each
    ]
    [detail] = settings.types.parse(line.split("'")[1])
    assert detail[TYPE] == "payment"
    assert settings.types["payment"].render(detail).title == "Pay at most 120.50 EUR to Acme"

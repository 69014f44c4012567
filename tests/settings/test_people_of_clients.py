"""Clients with people behind them, and steps: what goes together, and how a mistake is told."""

from pathlib import Path

import pytest

from abeyance.pending.interaction import Field, FieldKind, InteractionPlan, Step
from abeyance.policy.decider import Defer
from abeyance.policy.rules import Rules
from tests.covers import covers
from tests.settings.files import HASH, RESOURCES, RITA, SCOPES, client, read, refuse, rule

CODE = 'grant_types = ["authorization_code"]'
URIS = 'redirect_uris = ["https://app.example/cb"]'
PUBLIC = 'token_endpoint_auth_method = "none"'
PURPOSE = """\
[[interactions]]
id = "purpose"
title = "Say why"
text = "Somebody wants to know what this is for."
fields = [
  { name = "why", label = "Why?", kind = "text" },
  { name = "how", label = "How?", kind = "choice", choices = ["a", "b"], required = false },
]
"""


def step(*lines: str, id_: str = "upload") -> str:
    table = ["[[interactions]]", f'id = "{id_}"']
    table += [
        f'{name} = "Words"'
        for name in ("title", "text")
        if not any(line.startswith(name) for line in lines)
    ]
    return "\n".join([*table, *lines, ""])


# --- clients


@covers("OAUTH-CLI-04")
def test_what_a_client_with_people_declares_is_read(tmp_path: Path) -> None:
    [app] = read(
        tmp_path,
        RESOURCES,
        client(
            'grant_types = ["authorization_code", "refresh_token"]',
            'redirect_uris = ["https://app.example/cb", "com.example.app:/cb"]',
            'application_type = "native"',
            'allowed_origins = ["https://app.example", "http://127.0.0.1:3000"]',
            "rotate_refresh_tokens = true",
            'introspects = ["https://api.example"]',
        ),
    ).clients
    assert app.redirect_uris == ("https://app.example/cb", "com.example.app:/cb")
    assert app.native
    assert app.allowed_origins == {"https://app.example", "http://127.0.0.1:3000"}
    assert app.rotate_refresh_tokens
    assert app.introspects == {"https://api.example"}


@covers("OAUTH-RT-04")
@pytest.mark.parametrize(
    ("line", "rotates"),
    [("", True), ("rotate_refresh_tokens = false", False), ("rotate_refresh_tokens = true", True)],
)
def test_a_public_client_rotates_unless_it_says_otherwise(
    tmp_path: Path, line: str, rotates: bool
) -> None:
    [app] = read(tmp_path, RESOURCES, client(PUBLIC, CODE, URIS, line, secret=False)).clients
    assert app.rotate_refresh_tokens is rotates
    # Without a key it is rotated all the same.
    assert app.rotates(bound=False)
    assert app.rotates(bound=True) is rotates


@covers("OAUTH-CLI-04", "OAUTH-RURI-01", "OAUTH-RURI-04")
@pytest.mark.parametrize(
    ("lines", "name", "problem"),
    [
        ([CODE], "redirect_uris", "is empty"),
        ([URIS], "redirect_uris", "has no use"),
        (['grant_types = ["refresh_token"]'], "grant_types", "no grant that yields one"),
        (
            ['grant_types = ["client_credentials", "refresh_token"]'],
            "grant_types",
            "no grant that yields one",
        ),
        ([CODE, 'redirect_uris = ["http://app.example/cb"]'], "redirect_uris", "is http"),
        ([CODE, 'redirect_uris = ["http://localhost/cb"]'], "redirect_uris", "names localhost"),
        ([CODE, 'redirect_uris = ["com.example.app:/cb"]'], "redirect_uris", "only native"),
        ([CODE, 'redirect_uris = ["https://app.example/cb#x"]'], "redirect_uris", "fragment"),
        ([CODE, 'redirect_uris = ["https://app.example/cb?code=1"]'], "redirect_uris", "query"),
        (
            [CODE, f"redirect_uris = {[f'https://app.example/{n}' for n in range(33)]}"],
            "redirect_uris",
            "more than 32",
        ),
        ([CODE, URIS, 'allowed_origins = ["*"]'], "allowed_origins", "is no origin"),
        ([CODE, URIS, 'allowed_origins = ["null"]'], "allowed_origins", "is no origin"),
        (
            [CODE, URIS, 'allowed_origins = ["https://app.example/"]'],
            "allowed_origins",
            "is no origin",
        ),
        (
            [CODE, URIS, 'allowed_origins = ["http://app.example"]'],
            "allowed_origins",
            "is no origin",
        ),
        (['introspects = ["https://api.exampel"]'], "introspects", "is not known"),
    ],
)
def test_what_does_not_go_together_is_told_with_its_key(
    tmp_path: Path, lines: list[str], name: str, problem: str
) -> None:
    error = refuse(tmp_path, RESOURCES, client(*lines))
    assert error.key == f"clients[agent].{name}"
    assert problem in error.problem


@covers("OAUTH-CLI-01", "OAUTH-TOK-11", "OAUTH-INTRO-01")
@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (['grant_types = ["client_credentials"]'], "grant_types"),
        (
            ['grant_types = ["client_credentials", "authorization_code"]', URIS],
            "grant_types",
        ),
        ([CODE, URIS, 'introspects = ["https://api.example"]'], "introspects"),
    ],
)
def test_a_public_client_neither_acts_for_itself_nor_asks_about_tokens(
    tmp_path: Path, lines: list[str], name: str
) -> None:
    error = refuse(tmp_path, RESOURCES, client(PUBLIC, *lines, secret=False))
    assert error.key == f"clients[agent].{name}"
    assert "public client" in error.problem


def test_a_mistyped_resource_is_guessed(tmp_path: Path) -> None:
    error = refuse(tmp_path, RESOURCES, client('introspects = ["https://api.exampel"]'))
    assert "https://api.example" in error.fix


# --- steps


@covers("EXT-INTERACT-05")
def test_a_step_is_read_with_its_fields_beside_the_built_in_ones(tmp_path: Path) -> None:
    steps = read(tmp_path, PURPOSE).steps
    assert set(steps) == {"confirm", "statement", "purpose"}
    assert steps["purpose"] == Step(
        id="purpose",
        title="Say why",
        text="Somebody wants to know what this is for.",
        fields=(
            Field(name="why", label="Why?", kind=FieldKind.TEXT),
            Field(
                name="how",
                label="How?",
                kind=FieldKind.CHOICE,
                choices=("a", "b"),
                required=False,
            ),
        ),
    )


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        (step(id_="Upload"), "interactions[Upload].id", "is not an id"),
        (step(id_=""), "interactions[].id", "is not an id"),
        (step(id_="a" * 41), f"interactions[{'a' * 41}].id", "is not an id"),
        (PURPOSE + PURPOSE, "interactions[purpose].id", "is used twice"),
        (step(id_="confirm"), "interactions[confirm].id", "is used twice"),
        (step('title = " "'), "interactions[upload].title", "is empty"),
        (step('text = ""'), "interactions[upload].text", "is empty"),
        (step(), "interactions[upload].fields", "is empty"),
        (
            step('hook = "tests.people.vendor:VENDOR"', 'fields = [{ name = "a", label = "A" }]'),
            "interactions[upload].fields",
            "stands beside a hook",
        ),
        (
            step('fields = [{ name = "A", label = "A" }]'),
            "interactions[upload].fields[A]",
            "has no name of its own",
        ),
        (
            step('fields = [{ name = "a", label = "A" }, { name = "a", label = "B" }]'),
            "interactions[upload].fields[a]",
            "has no name of its own",
        ),
        (
            step('fields = [{ name = "a", label = "A", kind = "choice" }]'),
            "interactions[upload].fields[a].choices",
            "does not fit the kind",
        ),
        (
            step('fields = [{ name = "a", label = "A", choices = ["x"] }]'),
            "interactions[upload].fields[a].choices",
            "does not fit the kind",
        ),
        (step('hook = "nothing"'), "interactions[upload].hook", "module:name"),
        (
            step('hook = "tests.people.vendor:Vendor"'),
            "interactions[upload].hook",
            "is a class",
        ),
        (
            step('hook = "tests.people.vendor:quote"'),
            "interactions[upload].hook",
            "is no step: it has no origin",
        ),
    ],
)
def test_a_step_that_nobody_could_take_is_told_with_its_key(
    tmp_path: Path, text: str, key: str, problem: str
) -> None:
    error = refuse(tmp_path, text)
    assert error.key == key
    assert problem in error.problem


def test_a_hook_is_loaded_and_its_step_is_an_operators(tmp_path: Path) -> None:
    settings = read(tmp_path, step('hook = "tests.people.vendor:VENDOR"'))
    assert settings.steps["upload"].operator
    assert settings.steps["upload"].fields == ()
    assert settings.operator_steps["upload"].origin == "https://verify.example"


# --- what a rule asks


def plan_of(folder: Path, *lines: str) -> InteractionPlan:
    """What the only rule says."""
    settings = read(
        folder, RESOURCES, SCOPES, RITA, PURPOSE, rule('reviewers = ["rita"]', *lines, then="defer")
    )
    assert isinstance(settings.decider, Rules)
    verdict = settings.decider.rules[0].verdict
    assert isinstance(verdict, Defer)
    return verdict.interaction


@covers("EXT-INTERACT-05", "EXT-GRANT-06")
def test_a_rule_says_which_steps_and_who_else_may_take_them(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        'interaction = "confirm"',
        'interactions = ["purpose", "statement"]',
        'interaction_people = ["rita"]',
    )
    assert plan == InteractionPlan("confirm", ("purpose", "statement"), frozenset({"rita"}))
    assert plan_of(tmp_path) == InteractionPlan()


@pytest.mark.parametrize(
    ("line", "name", "fix"),
    [
        ('interaction = "purpos"', "interaction", "purpose"),
        ('interactions = ["confirm", "sign"]', "interactions", "[[interactions]]"),
        ('interaction_people = ["ritta"]', "interaction_people", "rita"),
        ('interaction_people = ["zoe"]', "interaction_people", "[[users]]"),
    ],
)
def test_a_rule_that_names_nothing_known_is_told_what_is(
    tmp_path: Path, line: str, name: str, fix: str
) -> None:
    bad = rule('reviewers = ["rita"]', line, then="defer")
    error = refuse(tmp_path, RESOURCES, SCOPES, RITA, PURPOSE, bad)
    assert error.key == f"rules[all].{name}"
    assert fix in error.fix


def test_a_person_who_only_grants_may_be_asked_for_a_step(tmp_path: Path) -> None:
    user = f'[[users]]\nid = "uma"\npassword_hash = "{HASH}"\n'
    asks = rule('reviewers = ["rita"]', 'interaction_people = ["uma"]', then="defer")
    settings = read(tmp_path, RESOURCES, SCOPES, RITA, user, asks)
    assert {person.id for person in settings.people} == {"rita", "uma"}

"""The commands: what they print, where, and which exit code they leave."""

import hashlib
import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import argon2
import pytest

from abeyance import __version__
from abeyance.cli import main
from abeyance.proofs.jwk import parse_jwks, parse_private_jwk
from tests.covers import covers

EXAMPLE = Path(__file__).parents[2] / "examples" / "abeyance.toml"
PAYMENT = '[{"type": "payment", "amount": {"amount": "%s", "currency": "EUR"}, "creditor": "Acme"}]'


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ABEYANCE_"):
            monkeypatch.delenv(name)


def ask(*arguments: str, at: str = "2026-03-04T12:00:00") -> int:
    request = ["--config", str(EXAMPLE), "--client", "billing-agent", "--at", at]
    return main(["policy", "test", *request, *arguments])


# --- calling


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


def test_help_names_every_command_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for word in ("serve", "policy", "config", "keys", "token", "demo", "new-secret", "codes: 0"):
        assert word in text


def test_help_imports_neither_the_server_nor_the_client() -> None:
    program = (
        "import sys; from abeyance.cli import main; main(['--help']);"
        "print([each for each in sys.modules if each.startswith(('abeyance.server',"
        "'abeyance.client', 'abeyance.store', 'abeyance.keys', 'apsw', 'starlette', 'argon2',"
        "'cel_expr_python', 'structlog', 'cryptography', 'httpx2'))], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["config", "check", "--confg", "x"],
        ["policy", "test"],
        ["new-key"],
        ["new-secret", "surplus"],
    ],
)
def test_a_wrong_call_is_told_on_standard_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("abeyance: ")
    assert told.err.count("\n") == 1


def test_without_its_extra_the_script_says_which_one_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cyclopts", None)
    monkeypatch.delitem(sys.modules, "abeyance.cli.app", raising=False)
    assert main(["--help"]) == 2
    assert 'pip install "abeyance[server]"' in capsys.readouterr().err


def test_a_command_without_the_servers_extra_says_so_and_others_work() -> None:
    # In a process of its own: modules that are imported twice have two of each exception.
    program = (
        "import sys; sys.modules['cel_expr_python'] = None; from abeyance.cli import main;"
        "assert main(['new-secret']) == 0; assert main(['config', 'check']) == 2"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert 'needs the module cel_expr_python. Run: pip install "abeyance[server]"' in done.stderr


# --- config check


def test_config_check_says_what_would_be_served(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "--config", str(EXAMPLE)]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    for words in ("http://127.0.0.1:8400", "4 rules", "client billing-agent", "person rita"):
        assert words in told.out


@covers("OAUTH-SEC-06")
def test_config_check_shows_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    main(["config", "check", "--config", str(EXAMPLE)])
    shown = capsys.readouterr().out
    assert "argon2" not in shown
    assert "716d9bb475f2" not in shown


def test_config_check_reads_the_file_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ABEYANCE_CONFIG", str(EXAMPLE))
    assert main(["config", "check"]) == 0
    assert "billing-agent" in capsys.readouterr().out


def test_a_warning_is_told_beside_the_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.toml").write_text("")
    assert main(["config", "check", "--config", str(tmp_path / "a.toml")]) == 0
    assert capsys.readouterr().err.startswith("abeyance: warning: rules: there are none")


@covers("SEC-OPS-01")
def test_an_insecure_configuration_is_told_in_one_line_and_exits_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.toml"
    file.write_text('issuer = "http://as.example"\n[server]\nlisten = "0.0.0.0:8400"\n')
    for command in (["config", "check"], ["policy", "test", "--client", "a"]):
        assert main([*command, "--config", str(file)]) == 2
        told = capsys.readouterr().err
        assert told.startswith("abeyance: issuer: is http, which is allowed on loopback only. ")
        assert told.count("\n") == 1


# --- policy test


@pytest.mark.parametrize(
    ("amount", "at", "verdict", "rule", "code"),
    [
        ("50.00", "2026-03-04T12:00:00", "issue", "small payments", 0),
        ("50.01", "2026-03-04T12:00:00", "defer", "payments", 0),
        ("1000.01", "2026-03-04T23:00:00", "deny", "nothing large at night", 1),
    ],
)
def test_policy_test_says_which_rule_answered(
    amount: str, at: str, verdict: str, rule: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    details = PAYMENT % amount
    assert ask("--authorization-details", details, "-o", "json", at=at) == code
    answer = json.loads(capsys.readouterr().out)
    assert (answer["verdict"], answer["rule"]) == (verdict, rule)
    assert answer["tried"][-1] == {
        "rule": rule,
        "when": answer["tried"][-1]["when"],
        "found": "true",
    }
    assert ask("--authorization-details", details, at=at) == code
    assert capsys.readouterr().out.startswith(f"{verdict}, says {rule}\n")


def test_policy_test_reads_details_from_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "details.json").write_text(PAYMENT % "60")
    assert ask("--authorization-details", f"@{tmp_path / 'details.json'}") == 0
    told = capsys.readouterr().out
    assert told.startswith("defer, says payments\n")
    assert "reviewers: rita" in told


def test_policy_test_uses_the_clients_default_scope(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask() == 0
    assert capsys.readouterr().out.startswith("issue, says reading\n")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--scope", "accounts:write"], "invalid_scope"),
        (["--resource", "https://elsewhere.example"], "invalid_target"),
        (["--authorization-details", "[{}]"], "invalid_authorization_details"),
        (["--authorization-details", PAYMENT % "-5"], "invalid_authorization_details"),
    ],
)
def test_a_request_that_no_policy_would_see_is_refused_as_on_the_wire(
    arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(*arguments) == 2
    assert error in capsys.readouterr().err


def test_an_unknown_client_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["policy", "test", "--config", str(EXAMPLE), "--client", "biling-agent"]
    assert main(arguments) == 2
    assert '"billing-agent"' in capsys.readouterr().err


def test_a_rule_that_fails_is_shown_with_its_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.toml"
    file.write_text(
        '[scopes]\nread = "Read"\n[resources]\n"https://api.example" = "The API"\n'
        f'[[clients]]\nid = "a"\nname = "A"\nsecret_sha256 = "{"0" * 64}"\nscope = ["read"]\n'
        'resources = ["https://api.example"]\n'
        '[[rules]]\nname = "fails"\nwhen = "authorization_details[0].a == 1"\nthen = "issue"\n'
    )
    arguments = ["policy", "test", "--config", str(file), "--client", "a", "--scope", "read"]
    assert main(arguments) == 1
    told = capsys.readouterr().out
    assert told.startswith("deny, says fails (failed)\n")
    assert "FAILED fails" in told
    assert "index" in told.lower()


# --- making


def test_new_secret_prints_a_secret_and_its_digest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new-secret"]) == 0
    secret, digest = (line.split()[1] for line in capsys.readouterr().out.splitlines())
    assert len(secret) == 43
    assert hashlib.sha256(secret.encode()).hexdigest() == digest


@covers("OAUTH-SEC-06")
def test_new_key_keeps_the_private_half_to_its_owner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "agent.key.json"
    assert main(["new-key", str(file)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    pair = parse_private_jwk(json.loads(file.read_text()))
    [public] = parse_jwks(shown).keys
    assert public.jkt == pair.public.jkt
    assert public.kid == pair.kid
    before = file.read_text()
    assert main(["new-key", str(file)]) == 2
    assert file.read_text() == before


@covers("SEC-OPS-05")
def test_hash_password_reads_a_line_and_never_an_argument(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery staple\n"))
    assert main(["hash-password"]) == 0
    encoded = capsys.readouterr().out.strip()
    assert argon2.PasswordHasher().verify(encoded, "correct horse battery staple")
    assert main(["hash-password", "correct horse battery staple"]) == 2
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert main(["hash-password"]) == 2
    assert "at least 12 characters" in capsys.readouterr().err

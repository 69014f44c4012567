"""`abeyance config show` and `schema`, with a real file, the environment and flags."""

import json
import os
from pathlib import Path

import pytest

from abeyance.cli import main
from tests.covers import covers

EXAMPLE = Path(__file__).parents[2] / "examples" / "abeyance.toml"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ABEYANCE_"):
            monkeypatch.delenv(name)


def lines(text: str) -> dict[str, list[str]]:
    """What stands behind each key, word by word."""
    return {line.split()[0]: line.split()[1:] for line in text.splitlines()}


def test_config_show_says_what_is_in_force_and_whence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.toml").write_text('data = "d"\n[lifetimes]\ncode = "20s"\nwaiting = "12h"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ABEYANCE_LIFETIMES__CODE", "30s")
    monkeypatch.setenv("ABEYANCE_CONFIG", "a.toml")
    assert main(["config", "show", "--origin", "--listen", "127.0.0.1:1"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    found = lines(told.out)
    assert found["data"] == ["a.toml", "d"]
    assert found["server.listen"] == ["flag", "127.0.0.1:1"]
    assert found["lifetimes.code"] == ["environment", "ABEYANCE_LIFETIMES__CODE", "30s"]
    assert found["lifetimes.waiting"] == ["a.toml", "12h"]
    assert found["lifetimes.approval"] == ["default", "1h"]
    assert main(["config", "show"]) == 0
    assert lines(capsys.readouterr().out)["lifetimes.code"] == ["30s"]


def test_config_show_as_json_has_the_values_in_their_types(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.toml").write_text('default_scope = ["a"]\n[scopes]\na = "A"\n')
    config = str(tmp_path / "a.toml")
    assert main(["config", "show", "--config", config, "--origin", "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"key": "server.debug", "value": False, "origin": "default"} in found
    assert {"key": "default_scope", "value": ["a"], "origin": config} in found
    assert main(["config", "show", "--config", config, "-o", "json"]) == 0
    assert {"key": "scopes[a]", "value": "A"} in json.loads(capsys.readouterr().out)


@covers("OAUTH-SEC-06", "SEC-STORE-08")
@pytest.mark.parametrize("output", ["text", "json"])
def test_config_show_shows_no_secret(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--config", str(EXAMPLE), "--origin", "-o", output]) == 0
    told = capsys.readouterr().out
    assert "billing-agent" in told
    assert "argon2" not in told
    assert "716d9bb475f2" not in told


@covers("OAUTH-CAUTH-24", "OAUTH-SEC-06")
@pytest.mark.parametrize("output", ["text", "json"])
def test_config_show_and_check_show_no_secret_of_a_proxy(
    tmp_path: Path, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "secret-of-the-proxy-0123456789-0123456789"
    (tmp_path / "proxy.secret").write_text(secret)
    (tmp_path / "a.toml").write_text(
        '[server]\ntrusted_proxies = ["10.0.0.1"]\n'
        '[mtls]\nenabled = true\ncertificate_header = "Client-Cert"\n'
        'proxy_secret_file = "proxy.secret"\n'
    )
    config = str(tmp_path / "a.toml")
    assert main(["config", "show", "--config", config, "--origin", "-o", output]) == 0
    assert main(["config", "check", "--config", config]) == 0
    told = capsys.readouterr()
    assert "mtls.proxy_secret_file" in told.out
    assert secret not in told.out + told.err
    # Whoever writes it down where it does not belong is not shown it either.
    (tmp_path / "a.toml").write_text(f'[mtls]\nproxy_secret = "{secret}"\n')
    assert main(["config", "show", "--config", config, "-o", output]) == 2
    told = capsys.readouterr()
    assert "proxy_secret_file" in told.err
    assert secret not in told.out + told.err


def test_config_show_of_an_unknown_key_names_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.toml").write_text("isuer = 'x'\n")
    assert main(["config", "show", "--config", str(tmp_path / "a.toml")]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err) == (
        "", 'abeyance: isuer: is not a setting. Did you mean "issuer"?\n',
    )  # fmt: skip
    monkeypatch.setenv("ABEYANCE_SERVER__LISTN", "x")
    assert main(["config", "show"]) == 2
    assert "ABEYANCE_SERVER__LISTEN?" in capsys.readouterr().err


def test_config_schema_describes_every_table_and_refuses_what_is_unknown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["config", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    file = schema["$defs"]["File"]
    assert schema["$ref"] == "#/$defs/File"
    assert {"issuer", "clients", "rules", "lifetimes"} <= file["properties"].keys()
    assert file["additionalProperties"] is False
    assert schema["$defs"]["RuleTable"]["properties"]["then"]["enum"] == ["defer", "deny", "issue"]

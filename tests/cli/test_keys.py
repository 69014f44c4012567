"""`abeyance keys`: what it prints, what it leaves in the folder, and its exit codes."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from abeyance.cli import keys, main
from abeyance.cli.calls import BadCall
from abeyance.keys.folder import load_or_create, read_schedule
from tests.covers import covers
from tests.keys.files import NOW, lay

HOUR = timedelta(hours=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.toml").write_text('data = "data"\n')
    found = tmp_path / "data" / "keys"
    load_or_create(found, now=NOW)
    return found


@pytest.fixture
def config(tmp_path: Path, folder: Path) -> Path:
    return tmp_path / "a.toml"


def content(folder: Path) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def kids(folder: Path) -> list[str]:
    return [each.kid for each in read_schedule(folder).keys]


def listed(
    config: Path, capsys: pytest.CaptureFixture[str], at: datetime = NOW
) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert keys.list_keys(config=config, output="json", now=lambda: at) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


@covers("OAUTH-OIDC-16")
def test_rotate_lays_down_a_key_that_signs_in_an_hour(
    config: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert keys.rotate(config=config, now=lambda: NOW) == 0
    [first, second] = kids(folder)
    told = capsys.readouterr()
    assert told.out.split() == [
        "kid", second, "alg", "ES256", "signs", "from", "2026-03-04T13:00:00Z",
    ]  # fmt: skip
    assert "within 5 seconds" in told.err
    assert (folder / "signing-20260304T130000Z.pem").exists()
    for at, states in (
        (NOW, ["signing", "next"]),
        (NOW + HOUR, ["retiring", "signing"]),
        (NOW + 3 * HOUR, ["retired", "signing"]),
    ):
        rows = listed(config, capsys, at)
        assert [each["kid"] for each in rows] == [first, second]
        assert [each["state"] for each in rows] == states
    assert listed(config, capsys, NOW + HOUR)[0]["until"] == "2026-03-04T14:05:00Z"


def test_list_is_a_table_for_people(
    config: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = lay(folder, "20260304T130000Z", alg="EdDSA")
    assert keys.list_keys(config=config, now=lambda: NOW + HOUR) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split() == ["kid", "alg", "tokens", "signs", "from", "state"]
    assert [row.split() for row in rows] == [
        [
            kids(folder)[0],
            *(
                "ES256",
                "access",
                "2026-03-04T12:00:00Z",
                "retiring",
                "until",
                "2026-03-04T14:05:00Z",
            ),
        ],
        [second, "EdDSA", "access", "2026-03-04T13:00:00Z", "signing"],
    ]


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "RS256", "PS256"])
def test_rotate_makes_a_key_of_each_algorithm(
    alg: str, config: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "rotate", "--config", str(config), "--alg", alg]) == 0
    assert [each["alg"] for each in listed(config, capsys)] == ["ES256", alg]


@covers("OAUTH-META-08")
def test_rotate_refuses_what_clients_would_not_know_in_time(
    config: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(folder)
    for ahead in ("24m59s", "0s", "soon", "367d", "999999d"):
        assert main(["keys", "rotate", "--config", str(config), "--in", ahead]) == 2
        assert capsys.readouterr().err.startswith("abeyance: --in: is ")
    assert main(["keys", "rotate", "--config", str(config), "--in", "1h", "--now"]) == 2
    assert main(["keys", "rotate", "--config", str(config), "--alg", "HS256"]) == 2
    assert content(folder) == before
    assert keys.rotate(in_="25m", config=config, now=lambda: NOW) == 0
    assert read_schedule(folder).keys[1].at == NOW + timedelta(minutes=25)


def test_rotate_at_once_warns_of_those_who_do_not_know_the_key(
    config: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = NOW + HOUR
    assert keys.rotate(at_once=True, config=config, now=lambda: later) == 0
    assert "warning: who keeps our key set may refuse" in capsys.readouterr().err
    assert [each["state"] for each in listed(config, capsys, later)] == ["retiring", "signing"]


def test_rotate_twice_says_no(
    config: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert keys.rotate(config=config, now=lambda: NOW) == 0
    before = content(folder)
    capsys.readouterr()
    assert keys.rotate(config=config, now=lambda: NOW + timedelta(minutes=1)) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "waits already, to sign from 2026-03-04T13:00:00Z" in told.err
    assert content(folder) == before


@covers("OAUTH-OIDC-16")
def test_retire_takes_a_key_out_at_once(
    config: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = lay(folder, "20260304T130000Z")
    [first, _] = kids(folder)
    assert keys.retire(first, config=config, now=lambda: NOW + HOUR) == 0
    told = capsys.readouterr()
    assert f"signs    {second}" in told.out
    assert "may refuse" not in told.err
    [file] = folder.glob("retired-*.pem")
    assert file.name in told.out
    assert kids(folder) == [second]


def test_retire_warns_when_the_next_key_has_to_step_in(
    config: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay(folder, "20260304T130000Z")
    assert keys.retire(kids(folder)[0], config=config, now=lambda: NOW) == 0
    assert "warning: who keeps our key set may refuse" in capsys.readouterr().err


def test_retire_says_no_for_the_only_key(
    config: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(folder)
    assert main(["keys", "retire", kids(folder)[0], "--config", str(config)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "abeyance keys rotate --now" in told.err
    assert content(folder) == before


@pytest.mark.parametrize("kid", ["-starts-like-a-flag", "x"])
def test_retire_of_an_unknown_key_is_a_wrong_call(
    kid: str, config: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(folder)
    assert main(["keys", "retire", kid, "--config", str(config)]) == 2
    assert "KID: no signing key has it" in capsys.readouterr().err
    assert content(folder) == before
    near = kids(folder)[0][:-1]
    assert main(["keys", "retire", near, "--config", str(config)]) == 2
    assert kids(folder)[0] in capsys.readouterr().err


def test_nothing_is_made_where_no_server_has_been(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(tmp_path / "elsewhere")
    assert main(["keys", "list", "--data", data]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "there are no keys" in told.err
    assert main(["keys", "rotate", "--data", data]) == 2
    assert main(["keys", "retire", "x", "--data", data]) == 2
    assert not (tmp_path / "elsewhere").exists()


@covers("SEC-STORE-08", "OAUTH-SEC-06")
def test_a_key_that_others_could_read_is_told_with_its_fix(
    config: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "signing-20260304T120000Z.pem").chmod(0o644)
    before = content(folder)
    for command in (["list"], ["rotate"], ["retire", "x"]):
        assert main(["keys", *command, "--config", str(config)]) == 2
        assert "chmod 600" in capsys.readouterr().err
    assert content(folder) == before


@covers("OAUTH-SEC-06")
def test_no_private_key_is_printed(
    config: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys.rotate(config=config, now=lambda: NOW)
    keys.list_keys(config=config, now=lambda: NOW)
    keys.retire(kids(folder)[1], config=config, now=lambda: NOW)
    told = capsys.readouterr()
    for path in folder.iterdir():
        for line in path.read_text().splitlines():
            if "KEY" not in line:
                assert line not in told.out + told.err


@covers("OAUTH-SEC-07")
def test_a_root_is_succeeded_listed_and_taken_out(
    config: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(listed(config, capsys)) == 1, "a root alone is no news"
    assert keys.rotate(root=True, config=config, now=lambda: NOW) == 0
    assert "used from  2026-03-04T13:00:00Z" in capsys.readouterr().out
    _, first, second = listed(config, capsys)
    assert [first["state"], second["state"]] == ["root in use", "next root"]
    assert (folder / "root-20260304T130000Z.key").stat().st_mode & 0o777 == 0o600
    assert keys.rotate(root=True, config=config, now=lambda: NOW) == 1
    assert "waits already" in capsys.readouterr().err
    _, first, second = listed(config, capsys, NOW + HOUR)
    assert [first["state"], second["state"]] == ["root to retire", "root in use"]
    later = NOW + HOUR
    assert keys.retire(second["kid"], config=config, now=lambda: later) == 1
    assert keys.retire(first["kid"], config=config, now=lambda: later) == 0
    assert "is lost" in capsys.readouterr().err
    assert not (folder / "root.key").exists()
    assert len(listed(config, capsys, later)) == 1


@covers("OAUTH-SEC-07")
def test_a_root_has_no_algorithm_to_choose(config: Path, folder: Path) -> None:
    before = content(folder)
    assert main(["keys", "rotate", "--root", "--alg", "PS256", "--config", str(config)]) == 2
    assert main(["keys", "rotate", "--root", "--in", "1m", "--config", str(config)]) == 2
    assert content(folder) == before


@covers("OAUTH-FAPI-14", "OAUTH-FAPI-22")
def test_rotate_lays_down_no_key_that_the_profile_forbids(config: Path, folder: Path) -> None:
    config.write_text(f'profile = "fapi2"\n{config.read_text()}')
    before = content(folder)
    with pytest.raises(BadCall, match="fapi2"):
        keys.rotate(config=config, alg="RS256", now=lambda: NOW)
    assert content(folder) == before
    assert keys.rotate(config=config, alg="PS256", now=lambda: NOW) == 0

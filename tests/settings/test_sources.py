"""File, environment and flags: who overrules whom, and how a wrong name is told."""

from pathlib import Path

import pytest

from tests.covers import covers
from tests.settings.files import DIGEST, HASH, RESOURCES, RITA, client, read, refuse


def test_with_no_file_a_server_on_loopback_is_described(tmp_path: Path) -> None:
    settings = read(tmp_path)
    assert settings.issuer == "http://127.0.0.1:8400"
    assert str(settings.listen) == "127.0.0.1:8400"
    assert settings.is_loopback()
    assert settings.clients == ()
    assert settings.people == ()


def test_the_environment_overrules_the_file_and_a_flag_both(tmp_path: Path) -> None:
    file = '[server]\nlisten = "127.0.0.1:1"\n'
    environ = {"ABEYANCE_SERVER__LISTEN": "127.0.0.1:2"}
    flags = {"server.listen": "127.0.0.1:3"}
    assert read(tmp_path, file).listen.port == 1
    assert read(tmp_path, file, environ=environ).listen.port == 2
    assert read(tmp_path, file, environ=environ, flags=flags).listen.port == 3
    assert read(tmp_path, file, environ=environ, flags={"server.listen": None}).listen.port == 2


def test_a_variable_is_read_as_the_type_of_its_setting(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        '[scopes]\na = "A"\nb = "B"',
        environ={
            "ABEYANCE_DPOP__REQUIRE_NONCE": "true",
            "ABEYANCE_LIMITS__OPEN_REQUESTS_PER_CLIENT": "7",
            "ABEYANCE_LIMITS__CREATIONS_PER_SECOND": "2.5",
            "ABEYANCE_DEFAULT_SCOPE": "a, b",
        },
    )
    assert settings.require_nonce is True
    assert settings.limits.open_requests.client == 7
    assert settings.limits.creations_per_second == 2.5
    assert settings.default_scope == {"a", "b"}


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("ABEYANCE_DPOP__REQUIRE_NONCE", "perhaps", "true or false"),
        ("ABEYANCE_LIMITS__CREATIONS_BURST", "many", "whole number"),
        ("ABEYANCE_DEFAULT_SCOPE", "[10.0", "commas"),
    ],
)
def test_a_variable_of_the_wrong_type_says_what_to_write(
    tmp_path: Path, name: str, value: str, fix: str
) -> None:
    error = refuse(tmp_path, environ={name: value})
    assert error.key == name
    assert fix in error.fix


@pytest.mark.parametrize("place", ["SECOND_AGENT", "1"])
def test_a_variable_finds_an_entry_by_its_id_or_number(tmp_path: Path, place: str) -> None:
    other = "f" * 64
    settings = read(
        tmp_path,
        RESOURCES,
        client(name="first-agent"),
        client(name="second-agent"),
        environ={f"ABEYANCE_CLIENTS__{place}__SECRET_SHA256": other},
    )
    assert [each.secret_digests[0].hex() for each in settings.clients] == [DIGEST, other]


def test_a_variable_for_an_entry_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    error = refuse(
        tmp_path,
        RESOURCES,
        client(name="billing-agent"),
        environ={"ABEYANCE_CLIENTS__BILING_AGENT__SECRET_SHA256": DIGEST},
    )
    assert "billing_agent" in error.fix


@pytest.mark.parametrize(
    ("parts", "key", "near"),
    [
        (["isuer = 'https://as.example'"], "isuer", "issuer"),
        (["[server]\nlisten_on = '127.0.0.1:1'"], "server.listen_on", "listen"),
        (["[severs]\nlisten = '127.0.0.1:1'"], "severs", "server"),
        (["[lifetimes]\naccess_tokens = '5m'"], "lifetimes.access_tokens", "access_token"),
        ([RESOURCES, client("scopes = []")], "clients[agent].scopes", "scope"),
        (["[[reviewers]]\nid = 'r'\nadmin = true"], "reviewers[r].admin", "administrator"),
        (["[[rules]]\nname = 'x'\nif = 'true'"], "rules[x].if", "Known here"),
    ],
)
def test_an_unknown_key_is_told_with_its_path_and_the_nearest(
    tmp_path: Path, parts: list[str], key: str, near: str
) -> None:
    error = refuse(tmp_path, *parts)
    assert error.key == key
    assert near in error.fix


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("ABEYANCE_ISUER", "ABEYANCE_ISSUER?"),
        ("ABEYANCE_SERVER__LISTN", "ABEYANCE_SERVER__LISTEN?"),
        ("ABEYANCE_SERVE__LISTEN", "Known here"),
        ("ABEYANCE_DPOP", "configuration file"),
        ("ABEYANCE_SCOPES__READ", "configuration file"),
        ("ABEYANCE_CLIENTS", "configuration file"),
        ("ABEYANCE_CLIENTS__X", "configuration file"),
    ],
)
def test_an_unknown_variable_is_told_with_the_nearest(tmp_path: Path, name: str, near: str) -> None:
    error = refuse(tmp_path, environ={name: "1"})
    assert error.key == name
    assert near in error.fix


def test_variables_that_others_set_are_left_alone(tmp_path: Path) -> None:
    kubernetes = {
        "ABEYANCE_SERVICE_HOST": "10.0.0.1",
        "ABEYANCE_SERVICE_PORT_HTTP": "80",
        "ABEYANCE_PORT": "tcp://10.0.0.1:80",
        "ABEYANCE_PORT_80_TCP_ADDR": "10.0.0.1",
        "ABEYANCE_CONFIG": "somewhere.toml",
        "PATH": "/bin",
    }
    assert read(tmp_path, environ=kubernetes).issuer == "http://127.0.0.1:8400"


def test_a_variable_may_name_a_file_for_any_setting(tmp_path: Path) -> None:
    (tmp_path / "issuer").write_text("https://as.example\n")
    settings = read(tmp_path, environ={"ABEYANCE_ISSUER_FILE": str(tmp_path / "issuer")})
    assert settings.issuer == "https://as.example"


@covers("SEC-OPS-05")
def test_a_password_hash_in_the_environment_is_remarked_and_one_in_a_file_is_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "hash").write_text(HASH + "\n")
    reviewer = '[[reviewers]]\nid = "rita"\n'
    plain = read(tmp_path, reviewer, environ={"ABEYANCE_REVIEWERS__RITA__PASSWORD_HASH": HASH})
    filed = read(
        tmp_path,
        reviewer,
        environ={"ABEYANCE_REVIEWERS__RITA__PASSWORD_HASH_FILE": str(tmp_path / "hash")},
    )
    assert plain.people == filed.people
    assert "ABEYANCE_REVIEWERS__RITA__PASSWORD_HASH" in [each.key for each in plain.warnings]
    assert [each.key for each in filed.warnings] == ["rules"]


def test_paths_start_where_they_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert read(tmp_path, 'data = "d"').data == tmp_path / "d"
    assert read(tmp_path, flags={"data": "d"}).data == tmp_path / "elsewhere" / "d"
    assert read(tmp_path, environ={"ABEYANCE_DATA": "d"}).data == tmp_path / "elsewhere" / "d"
    assert read(tmp_path, 'data = "d"').store.path == tmp_path / "d" / "abeyance.db"


@pytest.mark.parametrize(
    ("text", "problem"),
    [("issuer = [", "is not TOML"), ("issuer = 'a'\nissuer = 'b'", "is not TOML")],
)
def test_a_file_that_is_not_toml_says_where(tmp_path: Path, text: str, problem: str) -> None:
    error = refuse(tmp_path, text)
    assert error.key.endswith("abeyance.toml")
    assert problem in error.problem
    assert "line" in error.problem or "end of document" in error.problem


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("issuer = 5", "issuer"),
        ("[server]\nlisten = 8400", "server.listen"),
        ("server = 'x'", "server"),
        ("clients = 'x'", "clients"),
        ("[lifetimes]\nwaiting = 24", "lifetimes.waiting"),
        (RITA.replace('id = "rita"', 'id = "rita"\nadministrator = "yes"'), "reviewers[rita]"),
        ("[[clients]]\nname = 'Agent'", "clients[Agent]"),
    ],
)
def test_a_value_of_the_wrong_type_is_told_with_its_key(
    tmp_path: Path, text: str, key: str
) -> None:
    assert refuse(tmp_path, text).key.startswith(key)

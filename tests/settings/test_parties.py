"""Clients and reviewers: credentials, owners, and what does not go together."""

import hashlib
import json
from pathlib import Path

import pytest

from abeyance.keys.making import new_private_jwk
from abeyance.parties.person import Role
from abeyance.wire import names
from tests.covers import covers
from tests.settings.files import DIGEST, HASH, RESOURCES, RITA, client, read, refuse

LONG = "a-secret-of-40-characters-0123456789-abc"


def test_a_client_is_read_with_all_that_it_may_do(tmp_path: Path) -> None:
    [agent] = read(
        tmp_path, RESOURCES, RITA, client('owner = "rita"', "dpop_bound_access_tokens = true")
    ).clients
    assert (agent.id, agent.name, agent.owner) == ("agent", "Agent", "rita")
    assert agent.auth_method == names.CLIENT_SECRET_BASIC
    assert agent.secret_digests == (bytes.fromhex(DIGEST),)
    assert agent.grant_types == {names.GRANT_CLIENT_CREDENTIALS}
    assert agent.resources == {"https://api.example"}
    assert agent.dpop_bound_access_tokens
    assert agent.declared
    assert agent.enabled


@covers("OAUTH-CAUTH-10")
def test_a_secret_may_lie_in_a_file_and_rests_as_its_digest(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(LONG + "\n")
    settings = read(tmp_path, RESOURCES, client('secret_file = "secret"', secret=False))
    assert settings.clients[0].secret_digests == (hashlib.sha256(LONG.encode()).digest(),)
    assert LONG not in repr(settings.clients)


@covers("OAUTH-CAUTH-10")
def test_two_secrets_may_be_valid_at_once_and_no_third(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(LONG)
    [agent] = read(tmp_path, RESOURCES, client('secret_file = "secret"')).clients
    assert len(agent.secret_digests) == 2
    three = f'secret_sha256 = ["{DIGEST}", "{DIGEST}"]'
    error = refuse(tmp_path, RESOURCES, client(three, 'secret_file = "secret"', secret=False))
    assert "more than 2" in error.problem


@pytest.mark.parametrize(
    "weak", ["short", LONG[:31], "x" * 64, "ab" * 40, "two lines\n" * 5, "", "é" * 40]
)
@covers("OAUTH-CAUTH-10")
def test_a_weak_secret_is_refused_and_not_repeated(tmp_path: Path, weak: str) -> None:
    (tmp_path / "secret").write_text(weak, encoding="utf-8")
    error = refuse(tmp_path, RESOURCES, client('secret_file = "secret"', secret=False))
    assert error.key == "clients[agent].secret_file"
    assert not weak or weak not in str(error)


@covers("OAUTH-CAUTH-08")
def test_a_secret_that_libraries_forget_to_encode_is_remarked(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(LONG + "+%:")
    settings = read(tmp_path, RESOURCES, client('secret_file = "secret"', secret=False))
    assert "clients[agent].secret_file" in [each.key for each in settings.warnings]


@pytest.mark.parametrize("line", ['secret = "x"', 'client_secret = "x"'])
@covers("SEC-OPS-05")
def test_a_secret_in_the_file_itself_is_refused_with_the_way_to_do_it(
    tmp_path: Path, line: str
) -> None:
    assert "secret_file" in refuse(tmp_path, RESOURCES, client(line)).fix


@pytest.mark.parametrize("text", ["x", DIGEST[:-1], DIGEST.upper(), DIGEST + "0"])
def test_a_digest_is_64_hexadecimal_digits(tmp_path: Path, text: str) -> None:
    error = refuse(tmp_path, RESOURCES, client(f'secret_sha256 = "{text}"', secret=False))
    assert error.key == "clients[agent].secret_sha256"


def test_a_secret_file_that_is_missing_is_named(tmp_path: Path) -> None:
    error = refuse(tmp_path, RESOURCES, client('secret_file = "nowhere"', secret=False))
    assert str(tmp_path / "nowhere") in error.problem


# --- private_key_jwt


def key_set(**more: object) -> str:
    private = {**new_private_jwk(), **more}
    return json.dumps({"keys": [{name: private[name] for name in private if name != "d"}]})


PRIVATE_KEY = 'token_endpoint_auth_method = "private_key_jwt"'


@covers("OAUTH-CAUTH-16")
def test_a_clients_keys_come_from_a_file_or_stand_inline(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_text(key_set())
    [filed] = read(
        tmp_path, RESOURCES, client(PRIVATE_KEY, 'jwks_file = "jwks.json"', secret=False)
    ).clients
    assert filed.keys is not None
    assert len(filed.keys) == 1
    [jwk] = json.loads(key_set())["keys"]
    members = ", ".join(f'{name} = "{value}"' for name, value in jwk.items())
    [inline] = read(
        tmp_path,
        RESOURCES,
        client(PRIVATE_KEY, f"jwks = {{ keys = [{{ {members} }}] }}", secret=False),
    ).clients
    assert inline.keys is not None
    assert len(inline.keys) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"keys": []}',
        '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}',
        '{"keys": [1], "keys": []}',
        "private",
    ],
)
@covers("OAUTH-CAUTH-16", "SEC-JOSE-20")
def test_a_key_set_that_cannot_be_used_is_refused(tmp_path: Path, text: str) -> None:
    if text == "private":
        text = json.dumps({"keys": [new_private_jwk()]})
    (tmp_path / "jwks.json").write_text(text)
    error = refuse(
        tmp_path, RESOURCES, client(PRIVATE_KEY, 'jwks_file = "jwks.json"', secret=False)
    )
    assert error.key == "clients[agent].jwks_file"


@pytest.mark.parametrize("alg", ["none", "HS256", "ES255", "RS512"])
@covers("OAUTH-CAUTH-18", "SEC-OPS-02")
def test_an_assertion_algorithm_outside_the_list_is_refused(tmp_path: Path, alg: str) -> None:
    (tmp_path / "jwks.json").write_text(key_set())
    error = refuse(
        tmp_path,
        RESOURCES,
        client(
            PRIVATE_KEY,
            'jwks_file = "jwks.json"',
            f'token_endpoint_auth_signing_alg = "{alg}"',
            secret=False,
        ),
    )
    assert error.key == "clients[agent].token_endpoint_auth_signing_alg"


@covers("OAUTH-CAUTH-14")
def test_the_legacy_audience_is_allowed_and_remarked(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_text(key_set())
    settings = read(
        tmp_path,
        RESOURCES,
        client(
            PRIVATE_KEY,
            'jwks_file = "jwks.json"',
            "legacy_assertion_audience = true",
            secret=False,
        ),
    )
    assert settings.clients[0].legacy_assertion_audience
    assert "clients[agent].legacy_assertion_audience" in [each.key for each in settings.warnings]


@pytest.mark.parametrize(
    ("lines", "secret", "key"),
    [
        ([], False, "secret_sha256"),
        ([PRIVATE_KEY], False, "jwks_file"),
        ([PRIVATE_KEY, 'jwks_file = "jwks.json"'], True, "secret_sha256"),
        (['jwks_file = "jwks.json"'], True, "jwks"),
        (["legacy_assertion_audience = true"], True, "legacy_assertion_audience"),
        (['token_endpoint_auth_method = "none"'], False, "grant_types"),
        (['token_endpoint_auth_method = "client_secret_jwt"'], True, "token_endpoint_auth_method"),
        (['grant_types = ["password"]'], True, "grant_types"),
        (['resources = ["https://other.example"]'], True, "resources"),
        (["resources = []"], True, "resources"),
        (['owner = "nobody"'], True, "owner"),
    ],
)
@covers("OAUTH-CAUTH-03", "OAUTH-CLI-01")
def test_a_client_has_one_method_and_what_it_needs(
    tmp_path: Path, lines: list[str], secret: bool, key: str
) -> None:
    (tmp_path / "jwks.json").write_text(key_set())
    assert refuse(tmp_path, RESOURCES, client(*lines, secret=secret)).key == f"clients[agent].{key}"


@pytest.mark.parametrize("name", ["", "with space", "https://a.example", "-a", "ü", "x" * 101])
@covers("OAUTH-CLI-03")
def test_a_client_id_is_plain(tmp_path: Path, name: str) -> None:
    assert refuse(tmp_path, RESOURCES, client(name=name)).key.endswith(".id")


def test_two_entries_never_share_an_id(tmp_path: Path) -> None:
    assert refuse(tmp_path, RESOURCES, client(), client()).key == "clients[agent].id"
    assert refuse(tmp_path, RITA, RITA).key == "people[rita].id"


# --- reviewers


def test_a_reviewer_is_read_with_roles_and_hash(tmp_path: Path) -> None:
    [rita] = read(tmp_path, RITA + "administrator = true\n").people
    assert (rita.id, rita.name, rita.password_hash) == ("rita", "rita", HASH)
    assert rita.roles == {Role.REVIEWER, Role.ADMINISTRATOR}
    assert rita.declared
    [olga] = read(tmp_path, '[[reviewers]]\nid = "olga"\nname = "Olga"\n').people
    assert (olga.name, olga.password_hash) == ("Olga", None)
    assert olga.roles == {Role.REVIEWER}


@pytest.mark.parametrize(
    "encoded",
    [
        "correct horse battery staple",
        HASH.replace("argon2id", "argon2i"),
        HASH.replace("m=65536", "m=8192"),
        HASH.replace("m=65536", "m=99999999"),
        HASH.replace("t=3", "t=1"),
        HASH.replace("v=19", "v=16"),
        "",
    ],
)
@covers("OAUTH-SEC-03")
def test_a_hash_that_is_weak_or_none_is_refused_and_not_repeated(
    tmp_path: Path, encoded: str
) -> None:
    error = refuse(tmp_path, RITA.replace(HASH, encoded))
    assert error.key == "reviewers[rita].password_hash"
    assert "hash-password" in error.fix
    assert not encoded or encoded not in str(error)


def test_a_password_is_refused_with_the_way_to_hash_it(tmp_path: Path) -> None:
    error = refuse(tmp_path, '[[reviewers]]\nid = "rita"\npassword = "x"\n')
    assert "hash-password" in error.fix


@pytest.mark.parametrize("name", ["Rita", "rita example", "", "-rita"])
def test_a_sign_in_name_is_plain_and_in_lower_case(tmp_path: Path, name: str) -> None:
    assert refuse(tmp_path, RITA.replace('"rita"', f'"{name}"')).key.endswith(".id")


def test_the_settings_do_not_show_what_they_hold(tmp_path: Path) -> None:
    assert HASH not in repr(read(tmp_path, RITA))

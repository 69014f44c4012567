"""How a client's authorization requests come: pushed, signed, or from an app of one's own."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.covers import covers
from tests.settings.files import RESOURCES, client, read, refuse
from tests.settings.test_parties import key_set

CODE = 'grant_types = ["authorization_code"]'
URIS = 'redirect_uris = ["https://app.example/cb"]'
PUBLIC = 'token_endpoint_auth_method = "none"'
NATIVE = 'application_type = "native"'
OWN = "first_party = true"
KEYS = 'jwks_file = "jwks.json"'
SIGNS = 'request_object_signing_alg = "ES256"'
MUST_SIGN = "require_signed_request_object = true"
PUSHES = "pushes_redirect_uris = true"


@covers("OAUTH-JAR-04", "OAUTH-JAR-07", "OAUTH-PAR-10", "OAUTH-FIPA-01", "OAUTH-DEC-11")
def test_what_a_client_declares_of_its_requests_is_read(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_text(key_set())
    must_push = "require_pushed_authorization_requests = true"
    given = (CODE, URIS, KEYS, SIGNS, MUST_SIGN, must_push, OWN, PUSHES)
    [app] = read(tmp_path, RESOURCES, client(*given)).clients
    assert app.keys is not None
    assert app.request_object_alg == "ES256"
    assert (app.require_signed, app.require_pushed) == (True, True)
    assert (app.first_party, app.pushes_redirect_uris) == (True, True)
    [plain] = read(tmp_path, RESOURCES, client(CODE, URIS)).clients
    assert (plain.require_signed, plain.require_pushed) == (False, False)
    assert (plain.first_party, plain.pushes_redirect_uris) == (False, False)


@covers("OAUTH-JAR-04", "OAUTH-JAR-07", "OAUTH-FIPA-01", "OAUTH-DEC-11")
@pytest.mark.parametrize(
    ("lines", "secret", "key"),
    [
        ([CODE, URIS, KEYS], True, "jwks"),
        ([CODE, URIS, SIGNS], True, "jwks_file"),
        ([CODE, URIS, MUST_SIGN], True, "request_object_signing_alg"),
        ([CODE, URIS, KEYS, SIGNS.replace("ES256", "none")], True, "request_object_signing_alg"),
        ([CODE, URIS, KEYS, SIGNS.replace("ES256", "HS256")], True, "request_object_signing_alg"),
        ([CODE, URIS, PUBLIC, OWN], False, "first_party"),
        (
            [CODE, URIS, PUBLIC, NATIVE, OWN, 'allowed_origins = ["https://app.example"]'],
            False,
            "first_party",
        ),
        ([OWN], True, "first_party"),
        ([CODE, URIS, PUBLIC, NATIVE, PUSHES], False, "pushes_redirect_uris"),
    ],
)
def test_what_does_not_go_together_is_refused(
    tmp_path: Path, lines: list[str], secret: bool, key: str
) -> None:
    (tmp_path / "jwks.json").write_text(key_set())
    assert refuse(tmp_path, RESOURCES, client(*lines, secret=secret)).key == f"clients[agent].{key}"


@covers("OAUTH-PAR-04")
@pytest.mark.parametrize(
    ("life", "right"), [("5s", True), ("599s", True), ("4s", False), ("10m", False)]
)
def test_a_reference_lives_for_seconds_only(tmp_path: Path, life: str, right: bool) -> None:
    table = f'[lifetimes]\npushed = "{life}"\n'
    if right:
        seconds = timedelta(seconds=int(life.rstrip("s")))
        assert read(tmp_path, RESOURCES, table).lifetimes.pushed == seconds
    else:
        assert refuse(tmp_path, RESOURCES, table).key == "lifetimes.pushed"

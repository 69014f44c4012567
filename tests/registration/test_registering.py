"""Clients register by themselves, see to it, and leave (RFC 7591, 7592)."""

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abeyance.access.scope import parse_scope
from abeyance.acts import dispose
from abeyance.oauth.registration import MEMBERS, Offered, read_metadata
from abeyance.parties.client import ClientId
from abeyance.proofs.jws import sign_jws
from abeyance.server.settings import load_settings
from abeyance.server.settings_values import ConfigurationError
from abeyance.wire.errors import OAuthError
from tests.answer import Answer
from tests.config import CONFIG
from tests.covers import covers
from tests.registration.house import INITIAL, MACHINE, TABLE, Desk, open_registry
from tests.served import Served, make_key, serve

METADATA = "/.well-known/oauth-authorization-server"
WEB = {"redirect_uris": ["https://app.example.com/cb"], "client_name": "App"}


async def ask(served: Served, told: Any, scope: str = "read") -> Answer:
    """A first request by client credentials, to be deferred."""
    pair = base64.b64encode(f"{told['client_id']}:{told['client_secret']}".encode()).decode()
    form = [
        ("grant_type", "client_credentials"),
        ("scope", scope),
        ("completion_mode", "deferred"),
    ]
    return await served.post("/token", form, headers=[("authorization", f"Basic {pair}")])


async def poll(served: Served, told: Any, code: str) -> Answer:
    pair = base64.b64encode(f"{told['client_id']}:{told['client_secret']}".encode()).decode()
    form = [("grant_type", "urn:ietf:params:oauth:grant-type:deferred"), ("deferral_code", code)]
    return await served.post("/token", form, headers=[("authorization", f"Basic {pair}")])


@covers("OAUTH-DCR-01")
async def test_nobody_registers_where_it_is_not_switched_on(tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        desk = Desk(served)
        before = await desk.ids()
        assert (await desk.register()).status == 404
        told = (await served.send("GET", METADATA)).json
        assert "registration_endpoint" not in told
        assert "client_id_metadata_document_supported" not in told
        assert await desk.ids() == before


@covers("OAUTH-DCR-02", "OAUTH-DCR-04")
async def test_a_client_registers_and_gets_a_token_like_any_other(desk: Desk) -> None:
    answer = await desk.register(unknown="x", client_uri="https://app.example.com/")
    assert answer.status == 201
    assert answer.header("cache-control") == "no-store"
    told = answer.json
    assert told["client_secret_expires_at"] == 0
    assert told["client_id_issued_at"] == int(desk.served.clock.now().timestamp())
    assert told["registration_client_uri"].startswith("https://as.example/register?client_id=")
    assert told["token_endpoint_auth_method"] == "client_secret_basic"
    assert told["client_uri"] == "https://app.example.com/"
    assert told["scope"] == "now read write"
    assert "unknown" not in told
    assert (await ask(desk.served, told, "now")).status == 200
    metadata = (await desk.served.send("GET", METADATA)).json
    assert metadata["registration_endpoint"] == "https://as.example/register"


@covers("OAUTH-DCR-01", "OAUTH-DCR-03")
@pytest.mark.parametrize("token", [None, "wrong", INITIAL + "x", ""])
async def test_without_a_good_initial_token_nothing_is_registered(
    desk: Desk, token: str | None
) -> None:
    before = await desk.ids()
    answer = await desk.register(token=token)
    assert answer.status == 401
    expected = "Bearer" if token is None else 'Bearer error="invalid_token"'
    assert answer.header("www-authenticate") == expected
    assert await desk.ids() == before


@covers("OAUTH-DCR-01", "OAUTH-DCR-06")
async def test_a_name_is_looked_up_only_for_who_may_register(desk: Desk) -> None:
    looked: list[str] = []

    async def check_now(url: str) -> None:
        looked.append(url)

    desk.network.check_now = check_now  # type: ignore[method-assign]  # the world watches
    uri = "https://app.example.com/jwks"
    method = {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": uri}
    assert (await desk.register(token="wrong", **method)).status == 401
    assert looked == []
    assert (await desk.register(**method)).status == 201
    assert looked == [uri]


@covers("OAUTH-DCR-01")
async def test_an_initial_token_is_used_up_and_ends(desk: Desk) -> None:
    for _ in range(5):
        assert (await desk.register()).status == 201
    assert (await desk.register()).status == 401
    assert len([each for each in await desk.ids() if len(each) == 32]) == 5


@covers("OAUTH-DCR-01")
async def test_what_is_refused_uses_up_no_initial_token(desk: Desk) -> None:
    for _ in range(7):
        assert (await desk.register(grant_types=["password"])).status == 400
    [left] = await desk.served.house.store.list_initial_tokens(now=desk.served.clock.now())
    assert left.left == 5
    desk.served.clock.move(timedelta(days=2).total_seconds())
    assert (await desk.register()).status == 401


@covers("OAUTH-DCR-01")
async def test_an_open_registry_is_slow_and_has_an_end(tmp_path: Path) -> None:
    table = TABLE.replace("enabled = true", "enabled = true\nopen = true")
    async with open_registry(tmp_path, extra=table.replace("= 50", "= 3")) as desk:
        answers = [(await desk.register(token=None)).status for _ in range(5)]
        assert answers == [201, 201, 201, 429, 429]
        statuses = [(await desk.register(token=None)).status for _ in range(30)]
        assert set(statuses) == {429}
        assert len([each for each in await desk.ids() if len(each) == 32]) == 3


REFUSED = [
    ({"client_name": 7}, "invalid_client_metadata"),
    ({"client_name": None}, "invalid_client_metadata"),
    ({"client_name": "a\u202eb"}, "invalid_client_metadata"),
    ({"grant_types": "client_credentials"}, "invalid_client_metadata"),
    ({"grant_types": ["client_credentials", None]}, "invalid_client_metadata"),
    ({"grant_types": ["password"]}, "invalid_client_metadata"),
    ({"response_types": ["token"]}, "invalid_client_metadata"),
    ({"response_types": ["code"]}, "invalid_client_metadata"),
    ({"dpop_bound_access_tokens": "true"}, "invalid_client_metadata"),
    ({"dpop_bound_access_tokens": 1}, "invalid_client_metadata"),
    ({"default_max_age": True}, "invalid_client_metadata"),
    ({"default_max_age": -1}, "invalid_client_metadata"),
    ({"scope": ["read"]}, "invalid_client_metadata"),
    ({"scope": "read  write"}, "invalid_client_metadata"),
    ({"scope": "never"}, "invalid_client_metadata"),
    ({"scope": "abeyance:decide"}, "invalid_client_metadata"),
    ({"subject_type": "pairwise"}, "invalid_client_metadata"),
    ({"application_type": "desktop"}, "invalid_client_metadata"),
    ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
    ({"token_endpoint_auth_method": "tls"}, "invalid_client_metadata"),
    ({"token_endpoint_auth_method": "none"}, "invalid_client_metadata"),
    ({"jwks": {"keys": []}}, "invalid_client_metadata"),
    ({"jwks": []}, "invalid_client_metadata"),
    ({"jwks_uri": "http://app.example.com/jwks"}, "invalid_client_metadata"),
    ({"jwks_uri": "https://127.0.0.1/jwks"}, "invalid_client_metadata"),
    ({"jwks_uri": "https://as.example/jwks", "jwks": {"keys": []}}, "invalid_client_metadata"),
    ({"logo_uri": "javascript:alert(1)"}, "invalid_client_metadata"),
    ({"logo_uri": "data:image/png,x"}, "invalid_client_metadata"),
    ({"tos_uri": "http://app.example.com"}, "invalid_client_metadata"),
    (
        {"deferred_client_notification_endpoint": "http://app.example.com/"},
        "invalid_client_metadata",
    ),
    ({"deferred_client_notification_endpoint": "https://10.0.0.1/"}, "invalid_client_metadata"),
    (
        {"deferred_client_notification_endpoint": "https://private.example.com/"},
        "invalid_client_metadata",
    ),
    ({"software_statement": "a.b.c"}, "unapproved_software_statement"),
    ({"redirect_uris": ["https://app.example.com/#f"], "grant_types": ["authorization_code"]},
     "invalid_redirect_uri"),
    ({"redirect_uris": ["http://app.example.com/"], "grant_types": ["authorization_code"]},
     "invalid_redirect_uri"),
    ({"redirect_uris": ["javascript:x"], "grant_types": ["authorization_code"]},
     "invalid_redirect_uri"),
    ({"redirect_uris": "https://app.example.com/"}, "invalid_redirect_uri"),
    ({"redirect_uris": [], "grant_types": ["authorization_code"]}, "invalid_redirect_uri"),
    ({"redirect_uris": ["https://a.example/"] * 33, "grant_types": ["authorization_code"]},
     "invalid_redirect_uri"),
]  # fmt: skip


@covers("OAUTH-DCR-03", "OAUTH-DCR-05", "OAUTH-DCR-06", "OAUTH-SCOPE-07")
@pytest.mark.parametrize(("changes", "error"), REFUSED)
async def test_what_cannot_be_registered_is_refused_and_nothing_is_fetched(
    desk: Desk, changes: dict[str, Any], error: str
) -> None:
    before = await desk.ids()
    answer = await desk.register(**changes)
    assert (answer.status, answer.error) == (400, error)
    assert await desk.ids() == before
    assert desk.network.gets == []
    assert desk.network.posts == []


@covers("OAUTH-HTTP-04")
@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"a":1,"a":2}', "application/json", 400),
        (b"a=b", "application/x-www-form-urlencoded", 400),
        (b'{"client_name":"' + b"x" * 70_000 + b'"}', "application/json", 413),
    ],
)
async def test_a_body_that_is_no_object_is_refused(
    desk: Desk, body: bytes, kind: str, status: int
) -> None:
    answer = await desk.call("POST", "/register", body, token=INITIAL, kind=kind)
    assert answer.status == status


@covers("OAUTH-DCR-04", "OAUTH-SCOPE-07")
async def test_what_the_server_alone_grants_cannot_be_set(desk: Desk) -> None:
    told = (
        await desk.register(
            scope="read abeyance:decide abeyance:clients never",
            first_party=True,
            pushes_redirect_uris=True,
            pkce_optional=True,
            introspects=["https://rs.example"],
            owner="rita",
            allowed_origins=["https://evil.example"],
            resources=["https://rs2.example"],
            legacy_assertion_audience=True,
            authorization_details_types=["payment", "export"],
            client_id="s1",
            client_secret="chosen-by-the-client-0123456789abcdef",
            declared=True,
        )
    ).json
    assert told["scope"] == "read"
    assert told["authorization_details_types"] == ["payment"]
    client = await desk.served.house.store.find_client(ClientId(told["client_id"]))
    assert client is not None
    assert client.id != "s1"
    assert client.scope == {"read"}
    assert client.resources == {"https://rs.example"}
    for name in (
        "first_party", "pushes_redirect_uris", "pkce_optional", "introspects", "owner",
        "allowed_origins", "declared", "legacy_assertion_audience",
    ):  # fmt: skip
        assert not getattr(client, name), name
    assert told["client_secret"] != "chosen-by-the-client-0123456789abcdef"
    for name in ("first_party", "owner", "introspects", "resources"):
        assert name not in told


@covers("OAUTH-DCR-05")
async def test_defaults_are_those_of_the_code_grant(desk: Desk) -> None:
    told = (await desk.register({**WEB, "client_name#de": "Anwendung"})).json
    assert told["grant_types"] == ["authorization_code"]
    assert told["response_types"] == ["code"]
    assert told["token_endpoint_auth_method"] == "client_secret_basic"
    assert told["client_name#de"] == "Anwendung"


@covers("OAUTH-DCR-09")
async def test_a_client_sees_and_replaces_what_it_has_registered(desk: Desk) -> None:
    told = (await desk.register(software_id="s", contacts=["a@example.com"])).json
    seen = await desk.manage("GET", told)
    assert seen.status == 200
    assert seen.json["registration_access_token"] == told["registration_access_token"]
    assert "client_secret" not in seen.json
    assert seen.json["contacts"] == ["a@example.com"]
    change = {**MACHINE, "client_id": told["client_id"], "scope": "now", "client_name": "New"}
    changed = await desk.manage("PUT", told, {**change, "client_secret": told["client_secret"]})
    assert changed.status == 200
    assert changed.json["client_name"] == "New"
    # All is replaced: what is not said any more is gone.
    assert "contacts" not in changed.json
    assert (await ask(desk.served, told, "now")).status == 200
    assert (await ask(desk.served, told, "read")).error == "invalid_scope"


@covers("OAUTH-DCR-09")
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "s1"},
        {"client_id": None},
        {"registration_access_token": "x"},
        {"registration_client_uri": "x"},
        {"client_secret_expires_at": 0},
        {"client_id_issued_at": 0},
        {"client_secret": "mine"},
        {"client_secret": 7},
        {"scope": "never"},
        {"software_statement": "a.b.c"},
    ],
)
async def test_a_change_that_is_refused_changes_nothing(
    desk: Desk, changes: dict[str, Any]
) -> None:
    told = (await desk.register()).json
    before = (await desk.manage("GET", told)).json
    body = {**MACHINE, "client_id": told["client_id"], "client_name": "New", **changes}
    assert (await desk.manage("PUT", told, body)).status == 400
    assert (await desk.manage("GET", told)).json == before
    assert (await ask(desk.served, told, "now")).status == 200


@covers("OAUTH-DCR-10")
async def test_a_registration_token_is_for_its_own_client_alone(desk: Desk) -> None:
    one, two = (await desk.register()).json, (await desk.register()).json
    for token in (two["registration_access_token"], INITIAL, "wrong", None):
        for method in ("GET", "PUT", "DELETE"):
            answer = await desk.manage(method, one, {} if method == "PUT" else None, token=token)
            assert answer.status == 401, (method, token)
    declared = {**one, "registration_client_uri": "https://as.example/register?client_id=s1"}
    assert (await desk.manage("DELETE", declared)).status == 401
    assert (await desk.manage("GET", one)).status == 200
    assert (await desk.manage("POST", one, {})).status == 405
    assert (await desk.call("GET", "/register", token=INITIAL)).status == 405
    assert (await desk.call("GET", "/register?a=b", token=INITIAL)).status == 400


@covers("OAUTH-DCR-09", "OAUTH-DCR-10")
async def test_a_client_that_leaves_takes_what_waits_with_it(desk: Desk) -> None:
    told = (await desk.register()).json
    code = (await ask(desk.served, told)).code
    token = (await ask(desk.served, told, "now")).json["access_token"]
    key = await desk.served.key_of(code)
    assert (await desk.manage("DELETE", told)).status == 204
    loaded = await desk.served.house.store.find_loaded(key)
    assert loaded is not None
    assert type(loaded.held.state).__name__ == "Denied"
    assert (await poll(desk.served, told, code)).error == "invalid_client"
    assert (await ask(desk.served, told, "now")).error == "invalid_client"
    form = [("token", token)]
    assert (await desk.served.s1.post("/introspect", form)).json == {"active": False}
    for method in ("GET", "DELETE"):
        assert (await desk.manage(method, told)).status == 401


@covers("OAUTH-DCR-09", "OAUTH-DCR-10")
async def test_a_client_that_was_disabled_may_leave_and_do_nothing_else(desk: Desk) -> None:
    told = (await desk.register()).json
    client = await desk.served.house.store.find_client(ClientId(told["client_id"]))
    assert client is not None

    await dispose.disable_client(desk.served.house, client, by="test")
    assert (await desk.manage("GET", told)).status == 401
    change = {**MACHINE, "client_id": told["client_id"]}
    assert (await desk.manage("PUT", told, change)).status == 401
    present = await desk.served.house.store.find_client(client.id)
    assert present is not None
    assert not present.enabled
    assert (await desk.manage("DELETE", told)).status == 204


@covers("T-207")
async def test_the_notification_endpoint_is_echoed_changed_and_removed(desk: Desk) -> None:
    endpoint = "deferred_client_notification_endpoint"
    told = (await desk.register(**{endpoint: "https://app.example.com/n"})).json
    assert told[endpoint] == "https://app.example.com/n"

    async def known() -> str | None:
        client = await desk.served.house.store.find_client(ClientId(told["client_id"]))
        assert client is not None
        return client.notification_endpoint

    assert await known() == "https://app.example.com/n"
    change = {**MACHINE, "client_id": told["client_id"]}
    moved = await desk.manage("PUT", told, {**change, endpoint: "https://app.example.com/m"})
    assert moved.json[endpoint] == "https://app.example.com/m"
    assert await known() == "https://app.example.com/m"
    assert endpoint not in (await desk.manage("PUT", told, change)).json
    assert await known() is None


@covers("OAUTH-DCR-09")
async def test_tokens_of_registration_rest_as_digests(desk: Desk, tmp_path: Path) -> None:
    told = (await desk.register()).json
    await desk.served.house.store.check()
    contents = [file.read_bytes() for file in tmp_path.rglob("abeyance.db*")]  # noqa: ASYNC240
    assert contents
    for content in contents:
        for name in ("registration_access_token", "client_secret"):
            assert told[name].encode() not in content
        assert INITIAL.encode() not in content


@covers("OAUTH-CAUTH-26", "OAUTH-CAUTH-16")
async def test_a_client_signs_with_keys_that_it_publishes_and_changes(desk: Desk) -> None:
    keys, uri = [make_key(), make_key()], "https://app.example.com/jwks"
    told = (await desk.register(token_endpoint_auth_method="private_key_jwt", jwks_uri=uri)).json
    assert desk.network.gets == []
    caller = type(desk.served.s1)(desk.served, told["client_id"], key=keys[0])
    assert (await caller.ask(scope="now")).error == "invalid_client"
    assert desk.network.gets == [uri]
    desk.network.serves(uri, {"keys": [keys[0].public.jwk]})
    # Nobody is asked again so soon, whatever comes.
    for _ in range(3):
        assert (await caller.ask(scope="now")).status in (401, 429)
    assert desk.network.gets == [uri]
    desk.served.clock.move(60)
    assert (await caller.ask(scope="now")).status == 200
    assert (await caller.ask(scope="now")).status == 200
    assert desk.network.gets == [uri, uri]
    desk.network.serves(uri, {"keys": [keys[1].public.jwk]})
    desk.served.clock.move(60)
    other = type(desk.served.s1)(desk.served, told["client_id"], key=keys[1])
    assert (await other.ask(scope="now")).status == 200
    assert (await caller.ask(scope="now")).error == "invalid_client"


@covers("OAUTH-CAUTH-26")
async def test_declared_clients_never_make_the_server_call_anybody(desk: Desk) -> None:
    assert (await desk.served.c1.ask(scope="now")).status == 200
    assert (await desk.served.s1.ask(scope="now")).status == 200
    assert desk.network.gets == []


OFFERED = Offered(
    scope=parse_scope("read now"),
    default_scope=frozenset(),
    resources=frozenset({"https://rs.example"}),
    grant_types=frozenset({"authorization_code", "client_credentials"}),
    details_types=frozenset({"payment"}),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@covers("OAUTH-DCR-04", "OAUTH-DCR-05", "OAUTH-SCOPE-07")
@given(st.dictionaries(st.sampled_from([*MEMBERS, "owner", "first_party"]) | st.text(), JSON))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_whatever_is_said_nothing_beyond_the_offer_is_taken(told: dict[str, Any]) -> None:
    try:
        taken = read_metadata(told, OFFERED)
    except OAuthError:
        return
    assert {name.partition("#")[0] for name in taken} <= MEMBERS.keys()
    assert set(str(taken["scope"]).split()) <= OFFERED.scope
    grants = json.loads(json.dumps(taken["grant_types"]))
    assert set(grants) <= OFFERED.grant_types


@covers("OAUTH-SCOPE-07")
@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('scope = ["abeyance:read"]', "registration.scope"),
        ('scope = ["what"]', "registration.scope"),
        ("resources = []", "registration.resources"),
        ('grant_types = ["password"]', "registration.grant_types"),
        ("most_clients = 0", "registration.most_clients"),
        ('document_hosts = ["https://a.example"]', "registration.document_hosts"),
    ],
)
def test_an_operator_is_told_what_cannot_be_offered(tmp_path: Path, line: str, key: str) -> None:
    name = line.partition(" ")[0]
    kept = [each for each in TABLE.splitlines() if not each.startswith(f"{name} ")]
    file = tmp_path / "abeyance.toml"
    head = f'issuer = "https://as.example"\ndata = "{tmp_path}"\n'
    scopes = (
        '[scopes]\nread = "r"\nwrite = "w"\nnow = "n"\n[resources]\n"https://rs.example" = "x"\n'
    )
    table = "\n".join([*kept, line]).replace('authorization_details_types = ["payment"]\n', "")
    file.write_text(head + table + "\n" + scopes)
    with pytest.raises(ConfigurationError) as wrong:
        load_settings(file, environ={})
    assert wrong.value.key == key


@covers("OAUTH-CAUTH-26")
async def test_request_objects_are_judged_by_published_keys_too(desk: Desk) -> None:
    key, uri = make_key(), "https://app.example.com/jwks"
    desk.network.serves(uri, {"keys": [key.public.jwk]})
    told = (
        await desk.register(
            WEB | {"token_endpoint_auth_method": "none", "jwks_uri": uri}
            | {"request_object_signing_alg": "ES256", "require_signed_request_object": True}
        )
    ).json  # fmt: skip
    now = int(desk.served.clock.now().timestamp())
    asked: dict[str, Any] = {
        "iss": told["client_id"], "client_id": told["client_id"], "aud": "https://as.example",
        "exp": now + 60, "response_type": "code", "redirect_uri": WEB["redirect_uris"][0],
        "scope": "read", "code_challenge": "c" * 43, "code_challenge_method": "S256",
    }  # fmt: skip

    async def push(by: Any) -> Answer:
        signed = sign_jws(asked, by, typ="oauth-authz-req+jwt")
        form = [("client_id", told["client_id"]), ("request", signed)]
        return await desk.served.post("/par", form)

    assert (await push(make_key())).error == "invalid_request_object"
    good = await push(key)
    assert good.status == 201, good.body
    assert desk.network.gets == [uri]


@covers("OAUTH-DCR-07", "OAUTH-MTLS-01", "OAUTH-CAUTH-19")
async def test_a_client_may_register_its_certificate_where_they_are_looked_at(
    tmp_path: Path,
) -> None:
    certificate: dict[str, Any] = {
        "token_endpoint_auth_method": "tls_client_auth",
        "tls_client_auth_san_dns": "robot.example",
        "tls_client_certificate_bound_access_tokens": True,
    }
    mtls = """
[mtls]
enabled = true
certificate_header = "Client-Cert"
"""
    config = CONFIG.replace("[server]", '[server]\ntrusted_proxies = ["192.0.2.9"]')
    async with open_registry(tmp_path, extra=TABLE + mtls, config=config) as desk:
        served = desk.served
        answer = await desk.register(**certificate)
        assert answer.status == 201, answer.body
        assert {name: answer.json[name] for name in certificate} == certificate
        client = await served.house.store.find_client(ClientId(answer.json["client_id"]))
        assert client is not None
        assert client.certificate_subject is not None
        assert client.certificate_subject.value == "robot.example"
        assert client.certificate_bound
        two = await desk.register(**certificate, tls_client_auth_san_uri="urn:x")
        assert (two.status, two.error) == (400, "invalid_client_metadata")


@covers("OAUTH-DCR-07")
async def test_where_no_certificate_is_looked_at_none_is_registered(desk: Desk) -> None:
    answer = await desk.register(
        token_endpoint_auth_method="tls_client_auth", tls_client_auth_san_dns="robot.example"
    )
    assert (answer.status, answer.error) == (400, "invalid_client_metadata")

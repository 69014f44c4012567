"""The FAPI 2.0 Security Profile as one switch: what it demands, of whom, and what it forbids."""

import hashlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from abeyance.oauth.fapi import hold
from abeyance.parties.client import Client, ClientId
from abeyance.proofs.client_assertion import make_assertion
from abeyance.proofs.jwk import KeyPair, KeySet, parse_private_pem
from abeyance.server.settings import ConfigurationError
from abeyance.wire import names
from tests.console.house import HASH
from tests.covers import covers
from tests.people.house import Flow, back_at_client, challenge
from tests.served import Caller, Served, serve

CONFIG: Final = """
profile = "fapi2"
issuer = "https://as.example"
data = "{data}"
{extra}

[server]
listen = "127.0.0.1:8400"

[scopes]
now = "Granted at once"
read = "Read the ledger"

[resources]
"https://ledger.example" = "The ledger"

[[users]]
id = "uma"
name = "Uma Underwood"
password_hash = "{password}"

[[reviewers]]
id = "rita"
name = "Rita"
password_hash = "{password}"

[[rules]]
name = "at once"
when = "'now' in scope"
then = "issue"

[[rules]]
name = "review"
then = "defer"
reviewers = ["rita"]
interval = "5s"
lifetime = "1h"

[[clients]]
id = "rp"
name = "Bank's partner"
token_endpoint_auth_method = "private_key_jwt"
jwks_file = "{data}/c1.jwks"
grant_types = ["authorization_code", "refresh_token", "client_credentials"]
redirect_uris = ["https://rp.example/cb"]
scope = ["now", "read"]
resources = ["https://ledger.example"]
"""
_COUNTS: "itertools.count[int]" = itertools.count()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve(tmp_path, config=CONFIG.replace("{password}", HASH)) as running:
        yield running


@pytest.fixture
def rp(served: Served) -> Caller:
    return Caller(served, "rp", key=served.keys["c1"], dpop=served.keys["d1"], count=_COUNTS)


def rsa_key(alg: str) -> KeyPair:
    pem = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return parse_private_pem(pem, alg=alg)


async def change(served: Served, **changes: Any) -> None:
    """The client, as a store from before the switch would have it."""
    client = await served.house.store.find_client(ClientId("rp"))
    assert client is not None
    await served.house.store.put_client(replace(client, **changes))


async def code_of(flow: Flow, **more: str | None) -> str:
    page = await flow.open(await flow.pushed(**more))
    back = back_at_client(await flow.answer(page))
    assert back["iss"] == "https://as.example"
    return back["code"]


@covers(
    "OAUTH-FAPI-05", "OAUTH-FAPI-06", "OAUTH-FAPI-08", "OAUTH-FAPI-11", "OAUTH-FAPI-12",
    "OAUTH-RT-12",
)  # fmt: skip
async def test_the_code_flow_is_pushed_bound_and_refreshes_without_rotation(rp: Caller) -> None:
    flow = Flow(rp)
    answer = await flow.redeem(await code_of(flow, scope="now"))
    assert (answer.status, answer.json["token_type"]) == (200, "DPoP")
    refresh = str(answer.json["refresh_token"])
    for _ in range(3):
        form = [("grant_type", "refresh_token"), ("refresh_token", refresh)]
        again = await rp.post("/token", form)
        assert (again.status, again.json["token_type"]) == (200, "DPoP")
        assert again.json.get("refresh_token", refresh) == refresh


@covers("OAUTH-FAPI-04", "DTR-BIND-01", "OAUTH-FAPI-09")
async def test_a_deferral_is_bound_as_everything_else(rp: Caller, served: Served) -> None:
    code = await rp.defer()
    await served.approve(code)
    assert (await rp.without_proof().poll(code)).error == "invalid_dpop_proof"
    assert (await rp.poll(code)).json["token_type"] == "DPoP"


@covers("OAUTH-FAPI-04")
async def test_no_token_goes_to_whoever_could_be_robbed_of_it(rp: Caller, served: Served) -> None:
    flow = Flow(rp)
    code = await code_of(flow, scope="now")
    bare = Flow(rp.without_proof())
    refused = await bare.redeem(code)
    assert (refused.status, refused.error) == (400, "invalid_dpop_proof")
    assert (await rp.without_proof().ask(scope="now")).error == "invalid_dpop_proof"
    assert (await flow.redeem(code)).status == 200, "and nothing was used up"


@covers("OAUTH-FAPI-05", "OAUTH-PAR-10")
async def test_what_was_not_pushed_is_refused_and_so_is_a_stranger_s_push(
    rp: Caller, served: Served
) -> None:
    page = await Flow(rp).visit(scope="now")
    assert "consent" not in page.path
    form = list(Flow(rp).parameters(scope="now").items())
    assert (await served.post("/par", form)).status == 401


@covers("OAUTH-FAPI-06", "OAUTH-FAPI-07", "OAUTH-PKCE-01")
@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": challenge(), "code_challenge_method": "plain"},
        {"redirect_uri": None},
        {"response_type": "token"},
        {"response_type": "code id_token"},
    ],
)
async def test_a_push_without_what_the_profile_wants_is_refused(
    rp: Caller, changes: dict[str, str | None]
) -> None:
    answer = await Flow(rp).push(scope="now", **changes)
    assert answer.status == 400
    assert "request_uri" not in answer.json


@covers("OAUTH-FAPI-01", "OAUTH-FAPI-02")
@pytest.mark.parametrize(
    ("method", "form"),
    [
        (names.NONE, [("client_id", "rp")]),
        (names.CLIENT_SECRET_POST, [("client_id", "rp"), ("client_secret", "s" * 43)]),
    ],
)
async def test_clients_from_before_that_authenticate_otherwise_are_nobody(
    served: Served, method: str, form: list[tuple[str, str]]
) -> None:
    digest = hashlib.sha256(b"s" * 43).digest()
    await change(served, auth_method=method, secret_digests=(digest,), keys=None)
    ask = [("grant_type", "client_credentials"), ("scope", "now"), *form]
    answer = await served.post("/token", ask)
    assert (answer.status, answer.error) == (401, "invalid_client")


@covers("OAUTH-FAPI-03", "OAUTH-FAPI-06", "OAUTH-FAPI-12")
async def test_nothing_of_an_older_registration_widens_it(served: Served, rp: Caller) -> None:
    await change(
        served,
        require_pushed=False,
        pkce_optional=True,
        rotate_refresh_tokens=True,
        legacy_assertion_audience=True,
    )
    assert "consent" not in (await Flow(rp).visit(scope="now")).path
    bare = await Flow(rp).push(
        scope="now", code_challenge=None, code_challenge_method=None, nonce="n"
    )
    assert bare.status == 400
    legacy = replace(rp, count=itertools.count(10_000))
    assertion = legacy_assertion(legacy)
    form = [
        ("grant_type", "client_credentials"), ("scope", "now"),
        ("client_assertion_type", names.ASSERTION_JWT_BEARER), ("client_assertion", assertion),
    ]  # fmt: skip
    assert (await served.post("/token", form)).status == 401
    flow = Flow(rp)
    answer = await flow.redeem(await code_of(flow, scope="now"))
    refreshed = await rp.post(
        "/token",
        [("grant_type", "refresh_token"), ("refresh_token", str(answer.json["refresh_token"]))],
    )
    assert refreshed.json.get("refresh_token") in (None, answer.json["refresh_token"])


def legacy_assertion(caller: Caller, audience: str = "https://as.example/token") -> str:
    assert caller.key is not None
    return make_assertion(
        caller.key,
        client_id=caller.id,
        audience=audience,
        now=caller.served.clock.now(),
        jti=f"legacy-{next(caller.count)}",
        lifetime=timedelta(seconds=60),
    )


@covers("OAUTH-FAPI-03")
@pytest.mark.parametrize(
    ("audience", "error"),
    [("https://as.example", "invalid_dpop_proof"), (["https://as.example"], "invalid_client")],
)
async def test_the_issuer_is_named_as_a_string(
    served: Served, rp: Caller, audience: Any, error: str
) -> None:
    shown = legacy_assertion(replace(rp, count=itertools.count(20_000)), audience)
    form = [
        ("grant_type", "client_credentials"), ("scope", "now"),
        ("client_assertion_type", names.ASSERTION_JWT_BEARER), ("client_assertion", shown),
    ]  # fmt: skip
    # Without a proof: who is let in is refused for the want of one, and only then.
    assert (await served.post("/token", form)).error == error
    assert (await rp.ask(scope="now")).status == 200


@covers("OAUTH-FAPI-14", "OAUTH-OIDC-03")
def test_an_older_choice_of_rs256_for_id_tokens_counts_no_more() -> None:
    client = Client(
        id=ClientId("old"), name="Old", auth_method=names.PRIVATE_KEY_JWT, id_token_alg="RS256"
    )
    assert hold(client).id_token_alg is None
    assert hold(replace(client, id_token_alg="PS256")).id_token_alg == "PS256"


@covers("OAUTH-FAPI-14", "OAUTH-JWT-11")
@pytest.mark.parametrize(("alg", "status"), [("PS256", 200), ("RS256", 401)])
async def test_assertions_are_signed_as_the_profile_allows(
    served: Served, rp: Caller, alg: str, status: int
) -> None:
    key = rsa_key(alg)
    await change(served, keys=KeySet((key.public,), ()))
    assert (await replace(rp, key=key).ask(scope="now")).status == status


@covers("OAUTH-FAPI-14", "OAUTH-JWT-11")
@pytest.mark.parametrize(("alg", "error"), [("PS256", None), ("RS256", "invalid_dpop_proof")])
async def test_proofs_are_signed_as_the_profile_allows(
    rp: Caller, alg: str, error: str | None
) -> None:
    answer = await replace(rp, dpop=rsa_key(alg)).ask(scope="now")
    assert answer.json.get("error") == error


@covers(
    "OAUTH-FAPI-02", "OAUTH-FAPI-05", "OAUTH-FAPI-06", "OAUTH-FAPI-08", "OAUTH-FAPI-14",
    "OAUTH-FAPI-19", "DEV-META-02", "DEV-T28", "OAUTH-DEC-05",
)  # fmt: skip
async def test_the_metadata_says_what_is_left(served: Served) -> None:
    told = (await served.get("/.well-known/oauth-authorization-server")).json
    assert told["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert told["require_pushed_authorization_requests"] is True
    assert told["response_types_supported"] == ["code"]
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["authorization_response_iss_parameter_supported"] is True
    allowed = {"ES256", "EdDSA", "Ed25519", "PS256"}
    for name, value in told.items():
        if name.endswith("_alg_values_supported"):
            assert set(value) <= allowed, name
    for gone in ("device_authorization_endpoint", "authorization_challenge_endpoint"):
        assert gone not in told
    assert names.GRANT_DEVICE_CODE not in told["grant_types_supported"]
    assert "password" not in told["grant_types_supported"]
    for path in ("/device_authorization", "/challenge"):
        assert (await served.post(path, [])).status == 404


@covers("OAUTH-FAPI-13")
@pytest.mark.parametrize(("ahead", "status"), [(0, 200), (10, 200), (61, 401)])
async def test_a_clock_that_is_a_little_ahead_does_no_harm(
    served: Served, rp: Caller, ahead: int, status: int
) -> None:
    served.clock.jump(ahead)
    made = legacy_assertion(rp, "https://as.example")
    proof = rp.proof("https://as.example/token")
    served.clock.jump(-ahead)
    form = [
        ("grant_type", "client_credentials"), ("scope", "now"),
        ("client_assertion_type", names.ASSERTION_JWT_BEARER), ("client_assertion", made),
    ]  # fmt: skip
    answer = await served.post("/token", form, headers=[("dpop", proof)])
    assert answer.status == status


@covers("OAUTH-FAPI-10", "OAUTH-FAPI-09", "OAUTH-FAPI-18")
async def test_references_live_shortly_and_codes_too_and_those_once(
    rp: Caller, served: Served
) -> None:
    flow = Flow(rp)
    pushed = await flow.push(scope="now", nonce="n" * 64, state="s" * 300)
    assert pushed.json["expires_in"] < 600
    code = await code_of(flow, scope="now")
    assert (await flow.redeem(code)).status == 200
    again = await flow.redeem(code)
    assert (again.status, again.error) == (400, "invalid_grant")
    flow = Flow(rp)
    code = back_at_client(await flow.open(await flow.pushed(scope="now")))["code"]
    served.clock.move(61)
    late = await flow.redeem(code)
    assert (late.status, late.error) == (400, "invalid_grant")


FORBIDDEN: dict[str, tuple[str, str]] = {
    "first_party_apps = true": ("extra", "first_party_apps"),
    "device_authorization = true": ("extra", "device_authorization"),
    'lifetimes.code = "61s"': ("extra", "lifetimes.code"),
    'openid.enabled = true\nopenid.signing_algorithms = ["RS256"]': (
        "extra", "openid.signing_algorithms",
    ),
    'token_endpoint_auth_method = "none"': ("client", "clients[rp].token_endpoint_auth_method"),
    "legacy_assertion_audience = true": ("client", "clients[rp].legacy_assertion_audience"),
    "rotate_refresh_tokens = true": ("client", "clients[rp].rotate_refresh_tokens"),
    'token_endpoint_auth_signing_alg = "RS256"': (
        "client", "clients[rp].token_endpoint_auth_signing_alg",
    ),
    'request_object_signing_alg = "RS256"': ("client", "clients[rp].request_object_signing_alg"),
}  # fmt: skip


@covers("OAUTH-FAPI-22", "OAUTH-FAPI-01", "OAUTH-FAPI-02", "OAUTH-FAPI-03", "OAUTH-FAPI-14")
@pytest.mark.parametrize(("line", "where"), FORBIDDEN.items(), ids=FORBIDDEN.keys())
async def test_what_contradicts_the_switch_stops_the_start_and_is_named(
    tmp_path: Path, line: str, where: tuple[str, str]
) -> None:
    place, key = where
    config = CONFIG.replace("{password}", HASH)
    if place == "client":
        name = line.partition(" ")[0]
        config = "\n".join(each for each in config.splitlines() if not each.startswith(name))
        config = config.replace('id = "rp"', f'id = "rp"\n{line}')
    with pytest.raises(ConfigurationError) as wrong:
        async with serve(tmp_path, config=config, extra=line if place == "extra" else ""):
            pass
    assert wrong.value.key == key
    assert "fapi2" in wrong.value.problem


@covers("OAUTH-FAPI-02", "OAUTH-FAPI-04")
def test_a_client_that_shows_a_certificate_has_its_tokens_bound_to_it() -> None:
    client = Client(id=ClientId("c"), name="C", auth_method=names.TLS_CLIENT_AUTH)
    held = hold(client)
    assert (held.certificate_bound, held.require_pushed, held.enabled) == (True, True, True)
    assert hold(held) is held, "and a poll pays nothing for what fits"
    assert not hold(replace(client, auth_method=names.CLIENT_SECRET_BASIC)).enabled

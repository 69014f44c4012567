"""The FAPI 2.0 profile from end to end: with DPoP, with certificates, and what stops it."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from cryptography.x509 import DNSName

from abeyance.keys import UnsafeKeys
from abeyance.keys.folder import load_or_create
from abeyance.keys.making import Alg
from abeyance.keys.rotating import lay_down, take_out
from abeyance.proofs.certificate import thumbprint
from abeyance.proofs.dpop import make_proof
from abeyance.proofs.jwk import KeySet
from abeyance.proofs.jws import sign_jws
from abeyance.server.settings import ConfigurationError
from abeyance.wire.secret import Secret
from tests.certificates import make_certificate
from tests.console.house import HASH
from tests.covers import covers
from tests.fapi.test_profile import CONFIG, change, code_of, rsa_key
from tests.people.house import Flow
from tests.served import Caller, Served, serve
from tests.server.test_certificates import Certified, WithBoth, field

CA: Final = make_certificate("CN=Clients", authority=True)
MINE: Final = make_certificate(by=CA, others=[DNSName("rp.example")])
OTHER: Final = make_certificate(by=CA, others=[DNSName("other.example")])
WITH_ALL: Final = """

[openid]
enabled = true
signing_algorithms = ["ES256"]

[mtls]
enabled = true
certificate_header = "Client-Cert"
ca_file = "ca.pem"

[[clients]]
id = "web"
name = "Partner with a certificate"
token_endpoint_auth_method = "tls_client_auth"
tls_client_auth_san_dns = "rp.example"
grant_types = ["authorization_code", "refresh_token", "client_credentials"]
redirect_uris = ["https://web.example/callback?tenant=7"]
scope = ["openid", "now", "read"]
resources = ["https://ledger.example"]

[[clients]]
id = "many"
name = "Partner with a key and a certificate"
token_endpoint_auth_method = "private_key_jwt"
jwks_file = "{data}/c2.jwks"
tls_client_certificate_bound_access_tokens = true
redirect_uris = ["https://many.example/cb"]
grant_types = ["authorization_code", "refresh_token", "client_credentials"]
scope = ["now", "read"]
resources = ["https://ledger.example"]
"""
WITH_OPENID: Final = ('scope = ["now", "read"]', 'scope = ["openid", "now", "read"]')
USERINFO: Final = "https://as.example/userinfo"
ISSUED_ELSEWHERE: Final = """
[[trusted_issuers]]
issuer = "https://idp.example"
uses = ["jwt-bearer"]
clients = ["rp"]
jwks_file = "{data}/c1.jwks"
people = [{ subject = "u", person = "uma" }]
"""


def config(*more: str) -> str:
    whole = CONFIG.replace("{password}", HASH) + "".join(more)
    return whole.replace(
        'listen = "127.0.0.1:8400"', 'listen = "127.0.0.1:8400"\ntrusted_proxies = ["192.0.2.1"]'
    )


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    (tmp_path / "ca.pem").write_text(CA.pem)
    async with serve(tmp_path, config=config(WITH_ALL).replace(*WITH_OPENID)) as running:
        yield running


@pytest.fixture
def by_key(served: Served) -> Caller:
    return Caller(
        served, "rp", key=served.keys["c1"], dpop=served.keys["d1"], count=itertools.count()
    )


@pytest.fixture
def by_certificate(served: Served) -> Certified:
    return Certified(served, "web", fields=tuple(field(MINE)))


@covers("OAUTH-FAPI-02", "OAUTH-FAPI-04", "OAUTH-FAPI-05", "OAUTH-FAPI-12", "OAUTH-FAPI-14")
async def test_a_client_with_key_and_dpop_goes_all_the_way(by_key: Caller, served: Served) -> None:
    flow = Flow(by_key)
    answer = await flow.redeem(await code_of(flow, scope="openid now", resource=USERINFO))
    assert answer.json["token_type"] == "DPoP"
    assert answer.claims()["cnf"] == {"jkt": served.keys["d1"].public.jkt}
    assert "id_token" in answer.json
    token = str(answer.json["access_token"])
    proof = make_proof(
        served.keys["d1"], method="GET", url=USERINFO,
        now=served.clock.now(), jti="userinfo", access_token=Secret(token),
    )  # fmt: skip
    shown = [("authorization", f"DPoP {token}"), ("dpop", proof)]
    assert (await served.get("/userinfo", shown)).json["sub"] == "uma"
    for unproven in ([("authorization", f"Bearer {token}")], shown[:1]):
        assert (await served.get("/userinfo", unproven)).status == 401
    refreshed = await flow.refresh(str(answer.json["refresh_token"]))
    assert refreshed.json["token_type"] == "DPoP"


@covers(
    "OAUTH-FAPI-02", "OAUTH-FAPI-04", "OAUTH-FAPI-05", "OAUTH-FAPI-08", "OAUTH-FAPI-12",
    "OAUTH-MTLS-01", "DTR-BIND-01",
)  # fmt: skip
async def test_a_client_with_a_certificate_goes_all_the_way(
    by_certificate: Certified, served: Served
) -> None:
    flow = Flow(by_certificate)
    answer = await flow.redeem(await code_of(flow, scope="openid now", resource=USERINFO))
    bound = {"x5t#S256": thumbprint(MINE.der)}
    assert (answer.json["token_type"], answer.claims()["cnf"]) == ("Bearer", bound)
    shown = [("authorization", f"Bearer {answer.json['access_token']}")]
    assert (await served.get("/userinfo", [*shown, *field(MINE)])).json["sub"] == "uma"
    for wrong in (field(OTHER), []):
        assert (await served.get("/userinfo", [*shown, *wrong])).status == 401
    refreshed = await flow.refresh(str(answer.json["refresh_token"]))
    assert refreshed.claims()["cnf"] == bound
    code = await flow.deferred_for(await code_of(flow, scope="read"))
    await served.approve(code)
    assert (await by_certificate.poll(code)).claims()["cnf"] == bound


@covers("OAUTH-FAPI-04", "OAUTH-MTLS-02", "OAUTH-MTLS-07")
async def test_a_key_that_authenticates_may_go_with_a_certificate_that_binds(
    served: Served,
) -> None:
    key, count = served.keys["c2"], itertools.count()
    bare = Caller(served, "many", key=key, count=count)
    assert (await bare.ask(scope="now")).status == 400, "nothing would bind the token"
    both = WithBoth(served, "many", key=key, count=count, fields=tuple(field(OTHER)))
    answer = await both.ask(scope="now")
    assert answer.claims()["cnf"] == {"x5t#S256": thumbprint(OTHER.der)}


@covers("OAUTH-FAPI-02", "OAUTH-FAPI-05")
async def test_a_certificate_of_somebody_else_pushes_nothing(served: Served) -> None:
    for fields in (field(OTHER), []):
        stranger = Certified(served, "web", fields=tuple(fields))
        refused = await Flow(stranger).push(scope="now")
        assert (refused.status, refused.error) == (401, "invalid_client")


@covers("OAUTH-FAPI-14", "OAUTH-JAR-03")
@pytest.mark.parametrize(("alg", "error"), [("PS256", None), ("RS256", "invalid_request_object")])
async def test_request_objects_are_signed_as_the_profile_allows(
    served: Served, by_key: Caller, alg: str, error: str | None
) -> None:
    key = rsa_key(alg)
    await change(served, keys=KeySet((served.keys["c1"].public, key.public), ()))
    flow = Flow(by_key)
    now = int(served.clock.now().timestamp())
    told = flow.parameters(scope="now") | {"iss": "rp", "aud": "https://as.example"}
    compact = sign_jws(
        {**told, "iat": now, "nbf": now, "exp": now + 60, "jti": alg},
        key,
        typ="oauth-authz-req+jwt",
    )
    answer = await by_key.post("/par", [("client_id", "rp"), ("request", compact)])
    assert answer.json.get("error") == error


@covers("OAUTH-FAPI-14", "OAUTH-AT-09", "OAUTH-DPOP-21")
@pytest.mark.parametrize("path", ["/userinfo", "/admin/v1/clients"])
async def test_a_challenge_offers_nothing_that_is_refused(served: Served, path: str) -> None:
    told = (await served.get(path)).header("www-authenticate")
    assert told == 'Bearer, DPoP algs="ES256 Ed25519 EdDSA PS256"'


# --- what keeps it from starting


def keys_of(tmp_path: Path, alg: Alg) -> Path:
    """A folder of keys in which one of this algorithm signs."""
    then, folder = datetime(2026, 11, 1, tzinfo=UTC), tmp_path / "keys"
    later = then + timedelta(seconds=1)
    first = load_or_create(folder, now=then).schedule.keys[0]
    lay_down(folder, at=later, alg=alg, now=later)
    take_out(folder, first.kid, now=later)
    return folder


@covers("OAUTH-FAPI-14", "OAUTH-FAPI-22")
async def test_a_signing_key_that_the_profile_forbids_stops_the_start(tmp_path: Path) -> None:
    folder = keys_of(tmp_path, "RS256")
    with pytest.raises(UnsafeKeys, match="RS256"):
        async with serve(tmp_path, config=config()):
            pass
    async with serve(tmp_path, config=config().replace('profile = "fapi2"', "")):
        pass  # nothing else is wrong with it
    now = datetime(2026, 11, 22, tzinfo=UTC)
    lay_down(folder, at=now, alg="PS256", now=now)
    async with serve(tmp_path, config=config()) as served:
        assert served.house.keys.signing.alg == "PS256"


@covers("OAUTH-FAPI-14", "OAUTH-OIDC-16")
async def test_a_forbidden_key_beside_a_running_server_never_signs(tmp_path: Path) -> None:
    async with serve(tmp_path, config=config()) as served:
        before = served.house.keys.signing
        served.clock.move(1)
        now = served.clock.now()
        lay_down(tmp_path / "keys", at=now, alg="RS256", now=now)
        served.clock.move(3600)
        assert served.house.keys.signing.kid == before.kid
        assert served.house.keys.published.keys == (before.public,)


@covers("OAUTH-FAPI-14", "OAUTH-FAPI-22", "OAUTH-JWTB-02")
async def test_whoever_is_believed_signs_as_the_profile_allows(tmp_path: Path) -> None:
    believed = ISSUED_ELSEWHERE.lstrip()
    async with serve(tmp_path, config=config(believed)) as served:
        issuer = served.house.trust.issuers["https://idp.example"]
        assert issuer.algorithms == {"ES256", "EdDSA", "Ed25519", "PS256"}
    forbidden = believed.replace('clients = ["rp"]', 'clients = ["rp"]\nalgorithms = ["RS256"]')
    with pytest.raises(ConfigurationError) as wrong:
        async with serve(tmp_path, config=config(forbidden)):
            pass
    assert wrong.value.key == "trusted_issuers[https://idp.example].algorithms"

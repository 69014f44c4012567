"""The endpoints at another origin, where alone callers are asked for a certificate."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from abeyance.acts.present import TokenRefused, present
from abeyance.proofs.dpop import make_proof
from abeyance.wire.secret import Secret
from tests.config import CONFIG, ISSUER
from tests.covers import covers
from tests.oauth.test_metadata import document
from tests.served import Served, serve
from tests.server.test_certificates import CLIENTS, MINE, MTLS, PROXY, Certified, field, write

ALIAS = "https://mtls.as.example"
SECRET = "secret-of-the-proxy-0123456789-0123456789"
PLACE = "/.well-known/oauth-authorization-server"


@dataclass(slots=True)
class AtTheAlias(Certified):
    """Its proofs name the alias."""

    origin: str = ALIAS

    def proof(self, url: str, *, jti: str | None = None) -> str:
        return Certified.proof(self, url.replace(ISSUER, self.origin), jti=jti)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    write(tmp_path)
    (tmp_path / "proxy.secret").write_text(SECRET)
    extra = f'{PROXY}\n\n{MTLS}\norigin = "{ALIAS}"\nproxy_secret_file = "proxy.secret"\n'
    openid = "\n[openid]\nenabled = true\n"
    config = CONFIG.replace('data = "{data}"\n', 'data = "{data}"\ndevice_authorization = true\n')
    async with serve(tmp_path, config=config + CLIENTS, extra=extra + openid) as running:
        yield running


def shown(secret: str | None = SECRET) -> tuple[tuple[str, str], ...]:
    return (*field(MINE), *(() if secret is None else (("proxy-secret", secret),)))


@covers("OAUTH-MTLS-05", "DEV-META-01")
async def test_the_metadata_names_an_alias_for_all_that_takes_a_certificate(
    served: Served,
) -> None:
    told = (await served.get(PLACE)).json
    aliases = told["mtls_endpoint_aliases"]
    assert sorted(aliases) == [
        "device_authorization_endpoint",
        "introspection_endpoint",
        "pushed_authorization_request_endpoint",
        "revocation_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
    ]
    for name, alias in aliases.items():
        assert alias == told[name].replace(ISSUER, ALIAS)
        assert told[name].startswith(ISSUER)
    # Nobody's browser is sent there.
    assert told["authorization_endpoint"].startswith(ISSUER)
    assert "mtls_endpoint_aliases" not in document()


@covers("OAUTH-MTLS-05", "OAUTH-DPOP-06")
async def test_a_proof_that_is_shown_with_a_certificate_may_name_the_alias(
    served: Served,
) -> None:
    for origin in (ALIAS, ISSUER):
        agent = AtTheAlias(served, "t1", fields=shown(), origin=origin)
        agent.dpop = served.keys["d1"]
        agent.count = served.c1.count
        assert (await agent.ask(scope="now")).json["token_type"] == "DPoP"
    for origin in ("https://other.example", "http://mtls.as.example", f"{ALIAS}.evil"):
        agent = AtTheAlias(served, "t1", fields=shown(), origin=origin)
        agent.dpop = served.keys["d1"]
        assert (await agent.ask(scope="now")).error == "invalid_dpop_proof"


@covers("OAUTH-MTLS-05", "OAUTH-DPOP-12")
async def test_a_proof_for_the_alias_is_used_up_there_and_here(served: Served) -> None:
    agent = AtTheAlias(served, "t1", fields=shown())
    agent.dpop = served.keys["d1"]
    proof = agent.proof(f"{ISSUER}/token", jti="once-and-not-again")
    form = [("grant_type", "client_credentials"), ("scope", "now"), ("client_id", "t1")]
    fields = [*shown(), ("dpop", proof)]
    assert (await served.post("/token", form, headers=fields)).status == 200
    assert (await served.post("/token", form, headers=fields)).error == "invalid_dpop_proof"


@covers("OAUTH-MTLS-05")
async def test_without_a_certificate_a_proof_names_the_usual_address(served: Served) -> None:
    usual = served.c1
    assert (await usual.ask(scope="now")).status == 200
    elsewhere = [("dpop", usual.proof(f"{ALIAS}/token"))]
    more, _ = usual.credentials()
    form = [("grant_type", "client_credentials"), ("scope", "now"), *more]
    refused = await served.post("/token", form, headers=elsewhere)
    assert refused.error == "invalid_dpop_proof"


@covers("OAUTH-MTLS-05", "OAUTH-DPOP-06")
async def test_our_own_resources_take_a_proof_for_their_alias_too(served: Served) -> None:
    agent = AtTheAlias(served, "t1", fields=shown())
    agent.dpop, agent.count = served.keys["d1"], served.c1.count
    token = (await agent.ask(scope="now")).json["access_token"]
    ours = f"{ISSUER}/userinfo"

    async def show(url: str, certificate: bytes | None) -> str:
        proof = make_proof(
            served.keys["d1"],
            method="GET",
            url=url,
            now=served.clock.now(),
            jti=f"shown-{next(served.c1.count)}-of-many",
            access_token=Secret(token),
        )
        bearer = await present(
            served.house,
            authorization=[f"DPoP {token}".encode()],
            dpop=[proof.encode()],
            method="GET",
            url=ours,
            audience="https://rs.example",
            certificate=certificate,
        )
        return bearer.client

    for url in (ours, f"{ALIAS}/userinfo"):
        assert await show(url, MINE.der) == "t1"
    for url, certificate in ((f"{ALIAS}/token", MINE.der), (ours, None)):
        with pytest.raises(TokenRefused):
            await show(url, certificate)


@covers("OAUTH-CAUTH-24")
async def test_a_certificate_without_the_proxys_secret_lets_nobody_in(served: Served) -> None:
    assert (await Certified(served, "t1", fields=shown()).ask(scope="now")).status == 200
    for wrong in (None, SECRET[:-1], ""):
        refused = await Certified(served, "t1", fields=shown(wrong)).ask(scope="now")
        assert (refused.status, refused.error) == (401, "invalid_client")

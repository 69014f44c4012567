"""Mutual TLS through the whole server: who a certificate speaks for, and what it binds."""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.x509 import DNSName

from abeyance.acts.present import TokenRefused, present
from abeyance.proofs.certificate import thumbprint
from abeyance.proofs.dpop import make_proof
from abeyance.proofs.jwk import KeyPair, parse_public_jwk
from abeyance.wire.base64url import render_base64url
from abeyance.wire.secret import Secret
from tests.answer import Answer
from tests.certificates import Made, make_certificate
from tests.config import CONFIG
from tests.covers import covers
from tests.served import Caller, Served, serve

CA = make_certificate("CN=Clients", authority=True)
MINE = make_certificate(by=CA, others=[DNSName("t1.example")])
OTHER = make_certificate(by=CA, others=[DNSName("t2.example")])
SELF = make_certificate("CN=whoever")
_REVIEW = 'name = "review"\nthen = "defer"'
PROXY = 'trusted_proxies = ["192.0.2.1"]'
MTLS = '[mtls]\nenabled = true\ncertificate_header = "Client-Cert"\nca_file = "ca.pem"'
CLIENTS = """
[[clients]]
id = "t1"
name = "Certified agent"
token_endpoint_auth_method = "tls_client_auth"
tls_client_auth_san_dns = "t1.example"
tls_client_certificate_bound_access_tokens = true
scope = ["now", "read"]
resources = ["https://rs.example"]
introspects = ["https://rs.example"]

[[clients]]
id = "t2"
name = "Self-made agent"
token_endpoint_auth_method = "self_signed_tls_client_auth"
jwks_file = "{data}/t2.jwks"
scope = ["now", "read"]
resources = ["https://rs.example"]

[[clients]]
id = "t3"
name = "Agent with a secret and a certificate"
secret_file = "{data}/s1.secret"
tls_client_certificate_bound_access_tokens = true
scope = ["now", "read"]
resources = ["https://rs.example"]
"""


def jwks_of(made: Made) -> str:
    """The key of a certificate, as a client registers it."""
    numbers = made.key.public_key().public_numbers()
    x, y = (render_base64url(each.to_bytes(32)) for each in (numbers.x, numbers.y))
    jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
    parse_public_jwk(dict(jwk))
    return json.dumps({"keys": [jwk]})


def field(*made: Made) -> list[tuple[str, str]]:
    return [("client-cert", f":{base64.b64encode(each.der).decode()}:") for each in made]


@dataclass(slots=True)
class Certified(Caller):
    """Authenticates by nothing but the certificate that the proxy shows."""

    fields: tuple[tuple[str, str], ...] = ()

    def credentials(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        return [("client_id", self.id)], list(self.fields)


@dataclass(slots=True)
class WithBoth(Caller):
    fields: tuple[tuple[str, str], ...] = ()

    def credentials(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        form, fields = Caller.credentials(self)
        return form, [*fields, *self.fields]


def caller(served: Served, name: str, *made: Made) -> Certified:
    return Certified(served, name, fields=tuple(field(*made)))


def write(folder: Path) -> None:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "ca.pem").write_text(CA.pem)
    (folder / "t2.jwks").write_text(jwks_of(SELF))


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    write(tmp_path)
    async with serve(tmp_path, config=CONFIG + CLIENTS, extra=f"{PROXY}\n\n{MTLS}") as running:
        yield running


def _failures(served: Served) -> float:
    counted = served.house.counters.registry.get_sample_value(
        "abeyance_client_authentication_failures_total"
    )
    assert counted is not None
    return counted


def is_refused(answer: Answer) -> bool:
    return (answer.status, answer.error) == (401, "invalid_client")


@covers("OAUTH-CAUTH-19", "OAUTH-MTLS-01", "OAUTH-CAUTH-22", "OAUTH-MTLS-06")
async def test_a_client_gets_a_token_bound_to_the_certificate_that_names_it(
    served: Served,
) -> None:
    answer = await caller(served, "t1", MINE).ask(scope="now")
    assert answer.json["token_type"] == "Bearer"
    assert answer.claims()["cnf"] == {"x5t#S256": thumbprint(MINE.der)}
    told = await caller(served, "t1", MINE).post(
        "/introspect", [("token", answer.json["access_token"])]
    )
    assert told.json["cnf"] == {"x5t#S256": thumbprint(MINE.der)}
    assert told.json["token_type"] == "Bearer"


@covers("EXT-QUEUE-06", "OAUTH-MTLS-06")
async def test_what_was_approved_for_a_certificate_answers_that_one_again(tmp_path: Path) -> None:
    write(tmp_path)
    config = (CONFIG + CLIENTS).replace(_REVIEW, _REVIEW + "\nremember = true")
    async with serve(tmp_path, config=config, extra=f"{PROXY}\n\n{MTLS}") as served:

        def with_both(made: Made) -> WithBoth:
            return WithBoth(served, "t3", fields=tuple(field(made)))

        waits = await with_both(MINE).ask(scope="read")
        await served.approve(waits.code)
        assert (await with_both(MINE).poll(waits.code)).status == 200
        assert (await with_both(MINE).ask(scope="read")).status == 200
        assert (await with_both(OTHER).ask(scope="read")).error == "authorization_pending"


@covers("OAUTH-CAUTH-19", "OAUTH-CAUTH-21", "SEC-TM-34")
async def test_nothing_but_its_own_certificate_lets_a_client_in(served: Served) -> None:
    forged = make_certificate(others=[DNSName("t1.example")])
    for made in ((OTHER,), (forged,), ()):
        assert is_refused(await caller(served, "t1", *made).ask(scope="now")), made


@covers("OAUTH-CAUTH-21")
async def test_a_certificate_speaks_for_no_client_but_the_one_that_is_named(
    served: Served,
) -> None:
    form = [("grant_type", "client_credentials"), ("scope", "now")]
    assert is_refused(await served.post("/token", form, headers=field(MINE)))
    for other in ("s1", "t2"):
        assert is_refused(await caller(served, other, MINE).ask(scope="now"))


@covers("OAUTH-CAUTH-19")
async def test_a_client_with_a_certificate_has_no_secret(served: Served) -> None:
    assert is_refused(await WithBoth(served, "t1", fields=tuple(field(MINE))).ask(scope="now"))


@covers("OAUTH-CAUTH-20")
async def test_a_self_made_certificate_is_known_by_its_key_alone(served: Served) -> None:
    again = make_certificate("CN=another name", key=SELF.key)
    for made in (SELF, again):
        assert (await caller(served, "t2", made).ask(scope="now")).status == 200
    for made in (MINE, make_certificate("CN=whoever")):
        assert is_refused(await caller(served, "t2", made).ask(scope="now"))


@covers("T-133", "DTR-BIND-01", "DTR-POLL-04", "DTR-INV-03", "DTR-RD-04", "OAUTH-MTLS-03")
async def test_a_poll_shows_the_certificate_of_the_first_request(served: Served) -> None:
    agent = WithBoth(served, "t3", fields=tuple(field(MINE)))
    code = await agent.defer()
    await served.approve(code)
    before = await served.held(code)
    for fields in (field(OTHER), []):
        refused = await WithBoth(served, "t3", fields=tuple(fields)).poll(code)
        assert (refused.status, refused.error) == (400, "invalid_grant")
    assert await served.held(code) == before
    answer = await agent.poll(code)
    assert answer.claims()["cnf"] == {"x5t#S256": thumbprint(MINE.der)}


@covers("T-133", "DTR-BIND-01")
async def test_another_certificate_with_the_same_key_does_not_continue(served: Served) -> None:
    code = await caller(served, "t2", SELF).defer()
    renewed = make_certificate("CN=renewed", key=SELF.key)
    assert (await caller(served, "t2", renewed).poll(code)).error == "invalid_grant"
    assert (await caller(served, "t2", SELF).poll(code)).error == "authorization_pending"


@covers("T-134", "OAUTH-MTLS-07")
async def test_key_and_certificate_of_a_first_request_are_both_asked_for(served: Served) -> None:
    agent = caller(served, "t1", MINE)
    agent.dpop, agent.count = served.keys["d1"], served.c1.count
    code = await agent.defer()
    await served.approve(code)
    assert (await caller(served, "t1", MINE).poll(code)).error == "invalid_dpop_proof"
    assert (await caller(served, "t1", MINE).revoke(code)).error == "invalid_dpop_proof"
    answer = await agent.poll(code)
    assert answer.json["token_type"] == "DPoP"
    jkt = served.keys["d1"].public.jkt
    assert answer.claims()["cnf"] == {"jkt": jkt, "x5t#S256": thumbprint(MINE.der)}


@covers("OAUTH-MTLS-02")
async def test_a_client_that_binds_its_tokens_gets_none_without_a_certificate(
    served: Served,
) -> None:
    refused = await Caller(served, "t3").ask(scope="now")
    assert (refused.status, refused.error) == (400, "invalid_grant")
    answer = await WithBoth(served, "t3", fields=tuple(field(SELF))).ask(scope="now")
    assert answer.claims()["cnf"] == {"x5t#S256": thumbprint(SELF.der)}
    # Whoever has said nothing of certificates is served as ever.
    plain = await WithBoth(served, "s1", fields=tuple(field(SELF))).ask(scope="now")
    assert "cnf" not in plain.claims()


@covers("T-133", "OAUTH-MTLS-03")
async def test_a_cancellation_shows_the_certificate_too(served: Served) -> None:
    agent = WithBoth(served, "t3", fields=tuple(field(MINE)))
    code = await agent.defer()
    refused = await WithBoth(served, "t3", fields=tuple(field(OTHER))).revoke(code)
    assert refused.error == "invalid_grant"
    assert (await agent.poll(code)).error == "authorization_pending"
    assert (await agent.revoke(code)).status == 200


@covers("OAUTH-CAUTH-23")
@pytest.mark.parametrize(
    "fields",
    [
        field(MINE, MINE),
        field(MINE, OTHER),
        [("client-cert", base64.b64encode(MINE.der).decode())],
        [("client-cert", ":not base64:")],
        [("client-cert", ":AAAA:")],
        [("client-cert", quote(MINE.pem))],
        [("client-cert", field(MINE)[0][1] + ", " + field(OTHER)[0][1])],
    ],
)
async def test_a_field_that_has_no_one_meaning_lets_nobody_in(
    served: Served, fields: list[tuple[str, str]]
) -> None:
    failures = _failures(served)
    agent = Certified(served, "t1", fields=tuple(fields))
    assert is_refused(await agent.ask(scope="now"))
    assert _failures(served) == failures + 1


@covers("OAUTH-CAUTH-22", "OAUTH-CAUTH-23", "SEC-TM-34")
async def test_a_field_of_a_stranger_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    write(tmp_path)
    elsewhere = PROXY.replace("192.0.2.1", "10.0.0.1")
    async with serve(tmp_path, config=CONFIG + CLIENTS, extra=f"{elsewhere}\n\n{MTLS}") as served:
        assert is_refused(await caller(served, "t1", MINE).ask(scope="now"))
        agent = WithBoth(served, "t3", fields=tuple(field(MINE)))
        assert (await agent.ask(scope="now")).error == "invalid_grant"
        plain = replace(agent, id="s1", fields=tuple(field(MINE, MINE)))
        assert (await plain.ask(scope="now")).status == 200


@covers("OAUTH-CAUTH-22")
async def test_a_proxy_may_write_pem_with_percent_escapes(tmp_path: Path) -> None:
    write(tmp_path)
    extra = f'{PROXY}\n\n{MTLS}\ncertificate_format = "pem"'
    async with serve(tmp_path, config=CONFIG + CLIENTS, extra=extra) as served:
        agent = Certified(served, "t1", fields=(("client-cert", quote(MINE.pem)),))
        assert (await agent.ask(scope="now")).status == 200
        two = Certified(served, "t1", fields=(("client-cert", quote(MINE.pem + OTHER.pem)),))
        assert is_refused(await two.ask(scope="now"))
        # So nginx says that none was shown.
        none = replace(agent, fields=(("client-cert", ""),))
        assert is_refused(await none.ask(scope="now"))


@covers("OAUTH-CAUTH-19", "OAUTH-MTLS-01")
async def test_the_metadata_names_certificates_only_where_they_are_looked_at(
    served: Served, tmp_path: Path
) -> None:
    place = "/.well-known/oauth-authorization-server"
    told = (await served.get(place)).json
    assert {"tls_client_auth", "self_signed_tls_client_auth"} <= set(
        told["token_endpoint_auth_methods_supported"]
    )
    assert told["tls_client_certificate_bound_access_tokens"] is True
    async with serve(tmp_path / "plain") as plain:
        told = (await plain.get(place)).json
    assert not any("tls" in each for each in told["token_endpoint_auth_methods_supported"])
    assert "tls_client_certificate_bound_access_tokens" not in told


@covers("OAUTH-MTLS-04", "SEC-JOSE-40")
async def test_our_own_resources_ask_for_the_certificate_of_a_token(served: Served) -> None:
    token = (await caller(served, "t1", MINE).ask(scope="now")).json["access_token"]

    async def show(certificate: bytes | None) -> str:
        bearer = await present(
            served.house,
            authorization=[f"Bearer {token}".encode()],
            dpop=(),
            method="GET",
            url="https://rs.example",
            audience="https://rs.example",
            certificate=certificate,
        )
        return bearer.client

    for wrong in (OTHER.der, b"", None):
        with pytest.raises(TokenRefused) as refused:
            await show(wrong)
        assert refused.value.error == "invalid_token"
    assert await show(MINE.der) == "t1"


@covers("SEC-JOSE-40", "OAUTH-MTLS-04", "OAUTH-DPOP-21")
async def test_a_token_that_is_bound_twice_needs_both(served: Served) -> None:
    agent = caller(served, "t1", MINE)
    agent.dpop, agent.count = served.keys["d1"], served.c1.count
    token = (await agent.ask(scope="now")).json["access_token"]
    place = "https://rs.example/things"

    async def show(scheme: str, certificate: bytes | None, key: KeyPair | None) -> str:
        proofs: list[bytes] = []
        if key is not None:
            proof = make_proof(
                key,
                method="GET",
                url=place,
                now=served.clock.now(),
                jti=f"twice-{next(agent.count)}",
                access_token=Secret(token),
            )
            proofs = [proof.encode()]
        bearer = await present(
            served.house,
            authorization=[f"{scheme} {token}".encode()],
            dpop=proofs,
            method="GET",
            url=place,
            audience="https://rs.example",
            certificate=certificate,
        )
        return bearer.client

    mine, other = served.keys["d1"], served.keys["d2"]
    for scheme, certificate, key in (
        ("DPoP", None, mine),
        ("DPoP", OTHER.der, mine),
        ("DPoP", MINE.der, None),
        ("DPoP", MINE.der, other),
        ("Bearer", MINE.der, None),
        ("Bearer", MINE.der, mine),
    ):
        with pytest.raises(TokenRefused):
            await show(scheme, certificate, key)
    assert await show("DPoP", MINE.der, mine) == "t1"

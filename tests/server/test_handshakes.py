"""Mutual TLS over real handshakes: the client library and the command before a proxy."""

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anyio import to_thread
from cryptography.x509 import DNSName

from abeyance.cli import main
from abeyance.client import (
    AsyncClient,
    Authentication,
    Client,
    ClientCertificate,
    ClientSecretBasic,
    InvalidGrant,
    ServerRefused,
    Surroundings,
    TlsClientAuth,
    Token,
    Unavailable,
    generate_key,
)
from abeyance.proofs.certificate import thumbprint
from abeyance.wire.base64url import parse_base64url
from abeyance.wire.strict_json import parse_json_object
from tests.certificates import Made
from tests.config import CONFIG, ISSUER, SECRET
from tests.covers import covers
from tests.served import Served, serve
from tests.server.test_certificates import CLIENTS, jwks_of
from tests.tls import AUTHORITY, Front, in_front, make_lasting, write_pem
from tests.tls import SECRET as PROXYS

CA = make_lasting("CN=Clients", authority=True)
MINE = make_lasting("CN=agent", by=CA, others=[DNSName("t1.example")])
OTHER = make_lasting("CN=agent", by=CA, others=[DNSName("t2.example")])
SELF = make_lasting("CN=whoever")
STRANGER = make_lasting("CN=stranger")
MTLS = """trusted_proxies = ["192.0.2.1"]

[mtls]
enabled = true
certificate_header = "Client-Cert"
proxy_secret_file = "proxy.secret"
ca_file = "ca.pem"
origin = "{asking}"
"""


@dataclass(frozen=True, slots=True)
class House:
    """A server behind a proxy that ends TLS, and what a client of either kind does there."""

    served: Served
    front: Front
    folder: Path

    def certificate(self, made: Made) -> ClientCertificate:
        name = hashlib.sha256(made.der).hexdigest()[:8]
        return ClientCertificate(*write_pem(made, self.folder, name))

    def client(
        self,
        kind: str,
        name: str,
        made: Made | None,
        how: Authentication | None = None,
        **more: Any,
    ) -> Any:
        clock = self.served.clock
        return (Client if kind == "sync" else AsyncClient)(
            self.front.usual,
            name,
            how or TlsClientAuth(),
            certificate=None if made is None else self.certificate(made),
            surroundings=Surroundings(now=clock.now, tick=clock.tick),
            **more,
        )


async def run(call: Any, *args: Any, **named: Any) -> Any:
    """A method of either client; the blocking one in a thread, since the server is in this one."""
    if asyncio.iscoroutinefunction(call):
        return await call(*args, **named)
    return await to_thread.run_sync(lambda: call(*args, **named))


@asynccontextmanager
async def opened(client: Any) -> AsyncIterator[Any]:
    try:
        yield client
    finally:
        await (client.aclose() if isinstance(client, AsyncClient) else run(client.close))


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    (tmp_path / "servers.pem").write_text(AUTHORITY.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "servers.pem"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    (tmp_path / "ca.pem").write_text(CA.pem)
    (tmp_path / "t2.jwks").write_text(jwks_of(SELF))
    (tmp_path / "proxy.secret").write_text(PROXYS)
    async with in_front(tmp_path, (CA, SELF)) as front:
        config = CONFIG.replace(ISSUER, front.usual) + CLIENTS
        extra = MTLS.replace("{asking}", front.asking)
        async with serve(tmp_path, config=config, extra=extra) as served:
            front.served = served
            yield House(served, front, tmp_path)


def bound_to(token: Token) -> Any:
    claims = parse_json_object(parse_base64url(token.access_token.reveal().split(".")[1]))
    return claims.get("cnf")


@covers("OAUTH-CAUTH-19", "OAUTH-CAUTH-20", "OAUTH-MTLS-01", "OAUTH-MTLS-05", "OAUTH-MTLS-06")
@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(("name", "made"), [("t1", MINE), ("t2", SELF)])
async def test_a_handshake_authenticates_a_client_and_binds_its_token(
    house: House, kind: str, name: str, made: Made
) -> None:
    async with opened(house.client(kind, name, made)) as client:
        token = await run(client.request_token, scope="now")
        assert token.token_type == "Bearer"
        if name == "t1":
            assert bound_to(token) == {"x5t#S256": thumbprint(made.der)}
        await run(client.revoke, token)
    # Nothing but the metadata was asked for where no certificate is.
    assert [(each.path, each.asked, each.shown) for each in house.front.passed] == [
        ("/.well-known/oauth-authorization-server", False, None),
        ("/token", True, made.der),
        ("/revoke", True, made.der),
    ]


@covers("OAUTH-CAUTH-19", "OAUTH-CAUTH-20", "OAUTH-CAUTH-21")
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_another_certificate_or_none_lets_nobody_in(house: House, kind: str) -> None:
    for name, made in (("t1", OTHER), ("t1", SELF), ("t2", MINE), ("s1", MINE)):
        async with opened(house.client(kind, name, made)) as client:
            with pytest.raises(ServerRefused) as refused:
                await run(client.request_token, scope="now")
            assert refused.value.error == "invalid_client"
    # The certificate stays at home if the program brings an HTTP client without one.
    http = httpx2.Client() if kind == "sync" else httpx2.AsyncClient()
    client = house.client(kind, "t1", None, http=http)
    with pytest.raises(ServerRefused) as refused:
        await run(client.request_token, scope="now")
    assert refused.value.error == "invalid_client"
    await (run(http.close) if isinstance(http, httpx2.Client) else http.aclose())


@covers("OAUTH-MTLS-06")
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_handshake_that_fails_is_no_answer(house: House, kind: str) -> None:
    async with opened(house.client(kind, "t1", STRANGER)) as client:
        with pytest.raises(Unavailable):
            await run(client.request_token, scope="now", defer=False)
    assert not any(each.asked for each in house.front.passed)


@covers("T-133", "DTR-BIND-01", "DTR-POLL-04", "OAUTH-MTLS-03")
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_wait_is_for_the_certificate_with_which_it_began(house: House, kind: str) -> None:
    saved = house.folder / "agent.pending"
    async with opened(house.client(kind, "t3", MINE, ClientSecretBasic(SECRET))) as client:
        pending = await run(client.request_token, scope="read")
        await run(pending.save, saved)
        await house.served.approve(pending._pursuit.held.code.reveal())
    stolen = _steal(saved)
    async with opened(house.client(kind, "t3", OTHER, ClientSecretBasic(SECRET))) as thief:
        pending = await run(thief.resume, stolen)
        house.served.clock.move(10)
        with pytest.raises(InvalidGrant):
            await run(pending.poll)
    async with opened(house.client(kind, "t3", MINE, ClientSecretBasic(SECRET))) as client:
        pending = await run(client.resume, saved)
        house.served.clock.move(10)
        token = await run(pending.poll)
        assert isinstance(token, Token)
        assert bound_to(token) == {"x5t#S256": thumbprint(MINE.der)}


def _steal(saved: Path) -> Path:
    """A copy of a request that waits, with the key that opens it."""
    stolen = saved.with_name("stolen.pending")
    for end in ("", ".key"):
        shutil.copy(f"{saved}{end}", f"{stolen}{end}")
    return stolen


@covers("OAUTH-MTLS-05", "OAUTH-MTLS-07", "OAUTH-DPOP-06")
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_key_is_proven_where_the_certificate_is_shown(house: House, kind: str) -> None:
    key = generate_key()
    async with opened(house.client(kind, "t1", MINE, dpop_key=key)) as client:
        token = await run(client.request_token, scope="now")
    assert token.token_type == "DPoP"
    assert bound_to(token) == {"jkt": key.public.jkt, "x5t#S256": thumbprint(MINE.der)}


@covers("OAUTH-CAUTH-22", "OAUTH-CAUTH-24", "SEC-TM-34")
async def test_what_a_caller_writes_into_the_proxys_fields_says_nothing(house: House) -> None:
    made = house.certificate(MINE)
    form = {"grant_type": "client_credentials", "client_id": "t1", "scope": "now"}
    forged = {"client-cert": f":{_base64(MINE)}:", "proxy-secret": PROXYS}
    async with httpx2.AsyncClient() as plain:
        for origin in (house.front.usual, house.front.asking):
            answer = await plain.post(f"{origin}/token", data=form, headers=forged)
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    async with httpx2.AsyncClient(verify=made.context()) as shown:
        # At the usual address nobody is asked for it, so it is not shown there.
        answer = await shown.post(f"{house.front.usual}/token", data=form)
        assert answer.status_code == 401
        answer = await shown.post(f"{house.front.asking}/token", data=form)
        assert answer.status_code == 200


def _base64(made: Made) -> str:
    return "".join(made.pem.splitlines()[1:-1])


@covers("OAUTH-CAUTH-19", "OAUTH-CAUTH-20")
@pytest.mark.parametrize(("name", "made"), [("t1", MINE), ("t2", SELF)])
async def test_the_command_shows_a_certificate(
    house: House, capsys: pytest.CaptureFixture[str], name: str, made: Made
) -> None:
    chain, key = write_pem(made, house.folder, "command")
    words = [
        "token", "--issuer", house.front.usual, "--client-id", name, "--scope", "now",
        "--certificate", str(chain), "--certificate-key", str(key), "--no-dpop", "-o", "token",
    ]  # fmt: skip
    code = await to_thread.run_sync(main, words)
    told = capsys.readouterr()
    assert (code, told.err) == (0, "")
    assert told.out.count(".") == 2
    assert [each.shown for each in house.front.passed] == [None, made.der]

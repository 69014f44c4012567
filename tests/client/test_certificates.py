"""Certificates of clients: read, and shown where the server asks for them."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from abeyance.client import (
    Client,
    ClientCertificate,
    ClientSecretBasic,
    DiscoveryFailed,
    Misconfigured,
    PublicClient,
    ServerMetadata,
    TlsClientAuth,
)
from abeyance.wire.secret import Secret
from tests.certificates import make_certificate
from tests.client.fakes import CLIENT_SECRET, ISSUER, Answer, Kit, answer, granted
from tests.covers import covers
from tests.tls import write_pem

ALIAS = "https://mtls.as.test"
MINE = make_certificate()
WHATEVER = ClientCertificate("never-read.pem")


@pytest.fixture(autouse=True)
def aliases(kit: Kit) -> None:
    more = {
        "pushed_authorization_request_endpoint": f"{ISSUER}/par",
        "device_authorization_endpoint": f"{ISSUER}/device_authorization",
        "authorization_endpoint": f"{ISSUER}/authorize",
        "userinfo_endpoint": f"{ISSUER}/userinfo",
        "jwks_uri": f"{ISSUER}/jwks",
    }
    kit.server.metadata |= more
    kit.server.metadata["mtls_endpoint_aliases"] = {
        name: url.replace(ISSUER, ALIAS)
        for name, url in kit.server.metadata.items()
        if name.endswith(("endpoint", "uri"))
    }


def hosts(kit: Kit) -> dict[str, str]:
    return {seen.path: seen.host for seen in kit.server.seen}


@covers("OAUTH-MTLS-05", "OAUTH-CAUTH-21")
def test_whoever_shows_a_certificate_goes_where_it_is_asked_for(kit: Kit) -> None:
    client = kit.client(authentication=TlsClientAuth())
    kit.server.says(granted())
    token = kit.run(client.request_token(scope="a"))
    [sent] = kit.server.token_requests
    assert sent.host == "mtls.as.test"
    assert sent["client_id"] == "agent"
    assert "authorization" not in sent.headers
    assert not any(name.startswith("client_") for name in sent.names - {"client_id"})
    kit.run(client.revoke(token))
    kit.server.pushing.append(answer({"request_uri": "urn:x", "expires_in": 60}, status=201))
    request = kit.run(client.authorization_request("https://app.test/cb"))
    kit.server.documents["/device_authorization"] = _device()
    kit.run(client.device_request())
    kit.server.documents["/jwks"] = answer({"keys": []}, status=200)
    told = hosts(kit)
    metadata = told.pop("/.well-known/oauth-authorization-server")
    assert metadata == "as.test"
    assert set(told) == {"/token", "/revoke", "/par", "/device_authorization"}
    assert set(told.values()) == {"mtls.as.test"}
    # A browser is never sent to where it would be asked for a certificate.
    assert request.url.startswith(f"{ISSUER}/authorize?")
    known: ServerMetadata = kit.run(client.metadata())
    assert known.userinfo_endpoint == f"{ALIAS}/userinfo"
    assert known.jwks_uri == f"{ISSUER}/jwks"


def _device() -> Answer:
    told = {"device_code": "d", "user_code": "WDJB", "verification_uri": f"{ISSUER}/device"}
    return answer(told | {"expires_in": 600}, status=200)


@covers("OAUTH-MTLS-05", "OAUTH-MTLS-02")
@pytest.mark.parametrize(
    ("authentication", "certificate", "host"),
    [
        (ClientSecretBasic(CLIENT_SECRET), WHATEVER, "mtls.as.test"),
        (PublicClient(), WHATEVER, "mtls.as.test"),
        (ClientSecretBasic(CLIENT_SECRET), None, "as.test"),
        (PublicClient(), None, "as.test"),
    ],
)
def test_so_does_whoever_binds_tokens_to_one_however_it_authenticates(
    kit: Kit, authentication: Any, certificate: ClientCertificate | None, host: str
) -> None:
    kit.server.says(granted())
    client = kit.client(authentication=authentication, certificate=certificate)
    kit.run(client.request_token(defer=False))
    assert hosts(kit)["/token"] == host


@covers("OAUTH-MTLS-05")
@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        [],
        "https://mtls.as.test",
        {"token_endpoint": 1},
        {"jwks_uri": f"{ALIAS}/jwks"},
        {"scopes_supported": f"{ALIAS}/x", "issuer": ALIAS},
    ],
)
def test_without_an_alias_the_usual_address_serves(kit: Kit, told: Any) -> None:
    kit.server.metadata["mtls_endpoint_aliases"] = told
    kit.server.says(granted())
    kit.run(kit.client(authentication=TlsClientAuth()).request_token())
    assert hosts(kit)["/token"] == "as.test"


@covers("OAUTH-MTLS-05")
@pytest.mark.parametrize("url", ["http://mtls.as.test/token", "https://u@mtls.as.test/token", ""])
def test_an_alias_that_must_not_be_talked_to_is_refused(kit: Kit, url: str) -> None:
    kit.server.metadata["mtls_endpoint_aliases"] = {"token_endpoint": url}
    for authentication in (TlsClientAuth(), None):
        with pytest.raises(DiscoveryFailed):
            kit.run(kit.client(authentication=authentication).request_token())
    assert kit.server.token_requests == []


@covers("OAUTH-MTLS-05")
def test_metadata_that_the_caller_gives_has_aliases_too(kit: Kit) -> None:
    known = ServerMetadata(
        issuer=ISSUER,
        token_endpoint=f"{ISSUER}/token",
        mtls_endpoint_aliases={"token_endpoint": f"{ALIAS}/token", "issuer": ALIAS},
    )
    kit.server.says(granted(), granted())
    kit.run(kit.client(known, authentication=TlsClientAuth()).request_token())
    kit.run(kit.client(known).request_token())
    assert [seen.host for seen in kit.server.token_requests] == ["mtls.as.test", "as.test"]


@covers("DTR-SEC-02")
def test_a_client_with_a_certificate_is_not_told_that_its_wait_is_unbound(
    kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="abeyance.client")
    for authentication, certificate in ((TlsClientAuth(), None), (None, WHATEVER)):
        kit.server.says(granted())
        client = kit.client(authentication=authentication, certificate=certificate)
        kit.run(client.request_token())
    assert "not bound" not in caplog.text


def test_a_client_that_has_no_certificate_cannot_authenticate_with_one(sync_kit: Kit) -> None:
    with pytest.raises(Misconfigured, match="has to have one"):
        Client(ISSUER, "agent", TlsClientAuth())


def test_files_that_do_not_serve_are_told_before_anything_is_sent(
    sync_kit: Kit, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    chain, key = write_pem(MINE, tmp_path, "mine")
    _, other = write_pem(make_certificate(), tmp_path, "other")
    sealed = tmp_path / "sealed.key"
    encryption = BestAvailableEncryption(b"open sesame")
    sealed.write_bytes(MINE.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + chain.read_bytes())
    (tmp_path / "nonsense.pem").write_text("nonsense")
    for good in (
        ClientCertificate(chain, key),
        ClientCertificate(both),
        ClientCertificate(str(chain), sealed, Secret("open sesame")),
    ):
        Client(ISSUER, "agent", TlsClientAuth(), certificate=good).close()
        assert "sesame" not in repr(good)
    for bad in (
        ClientCertificate(chain),
        ClientCertificate(chain, other),
        ClientCertificate(chain, sealed),
        ClientCertificate(chain, sealed, Secret("wrong")),
        ClientCertificate(tmp_path / "nonsense.pem", key),
        ClientCertificate(tmp_path / "absent.pem", key),
    ):
        with pytest.raises(Misconfigured) as refused:
            Client(ISSUER, "agent", TlsClientAuth(), certificate=bad)
        assert str(tmp_path) not in str(refused.value)
    # Nobody is asked for a password at the terminal.
    assert json.dumps(capfd.readouterr()) == '["", ""]'

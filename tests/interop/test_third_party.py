"""OAuth client libraries that know nothing of us, against a running server."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests_oauth2client
from cryptography.hazmat.primitives.asymmetric import ec

from abeyance.server.launch import address_of, reserve, running_server
from abeyance.server.settings import Listen, load_settings
from abeyance.wire import names
from abeyance.wire.base64url import render_base64url
from tests.config import CONFIG, SECRET
from tests.covers import covers

HASH = (
    "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA"
    "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)


@dataclass(frozen=True, slots=True)
class Peer:
    issuer: str
    jwk: dict[str, str]


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """A running server; its client c2 may name the token endpoint as audience."""
    folder = tmp_path_factory.mktemp("peer")
    jwk = make_jwk()
    public = {name: value for name, value in jwk.items() if name != "d"}
    for name in ("c1", "c2"):
        (folder / f"{name}.jwks").write_text(json.dumps({"keys": [public]}))
    (folder / "s1.secret").write_text(SECRET)
    with reserve(Listen("127.0.0.1", 0)) as listener:
        issuer = f"http://{address_of(listener)}"
        text = CONFIG.replace("https://as.example", issuer).replace("127.0.0.1:8400", issuer[7:])
        text = text.replace('id = "c2"', 'id = "c2"\nlegacy_assertion_audience = true')
        file = folder / "abeyance.toml"
        file.write_text(
            text.replace("{data}", str(folder)).replace("{extra}", "").replace("{hash}", HASH)
        )
        with running_server(load_settings(file, environ={}), listener=listener):
            yield Peer(issuer, jwk)


def make_jwk() -> dict[str, str]:
    numbers = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    point = numbers.public_numbers
    members = {"d": numbers.private_value, "x": point.x, "y": point.y}
    return {
        "kty": "EC", "crv": "P-256", "kid": "k1", "alg": "ES256",
        **{name: render_base64url(value.to_bytes(32, "big")) for name, value in members.items()},
    }  # fmt: skip


@covers("OAUTH-DEC-01", "OAUTH-CAUTH-12", "OAUTH-DPOP-13", "OAUTH-META-01")
def test_openid_client_gets_tokens_and_hears_not_yet(
    node_project: Path, node: Path, peer: Peer
) -> None:
    done = subprocess.run(
        [node, "client_credentials.mjs", peer.issuer, json.dumps(peer.jwk)],
        cwd=node_project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "plain": "bearer",
        "bound": "dpop",
        "first": "authorization_pending",
        "members": ["deferral_code", "error", "error_description", "expires_in", "interval"],
        "poll": "authorization_pending",
    }


@pytest.mark.parametrize("audience", ["issuer", "library's own"])
@covers("OAUTH-DEC-01", "OAUTH-CAUTH-12", "OAUTH-DPOP-13", "T-077", "T-125", "EXT-NOTE-11")
def test_requests_oauth2client_gets_tokens_and_hears_not_yet(peer: Peer, audience: str) -> None:
    auth = requests_oauth2client.PrivateKeyJwt(
        "c2", peer.jwk, alg="ES256", aud=peer.issuer if audience == "issuer" else None
    )
    client = requests_oauth2client.OAuth2Client.from_discovery_endpoint(
        f"{peer.issuer}/.well-known/oauth-authorization-server",
        issuer=peer.issuer,
        auth=auth,
        testing=True,
    )
    assert client.client_credentials(scope="now").token_type == "Bearer"
    bound = client.client_credentials(scope="now", dpop=True)
    assert bound.token_type == "DPoP"
    with pytest.raises(requests_oauth2client.AuthorizationPending) as pending:
        client.client_credentials(scope="read", completion_mode="deferred")
    code = pending.value.response.json()["deferral_code"]
    poll = {"grant_type": names.GRANT_DEFERRED, "deferral_code": code}
    with pytest.raises(requests_oauth2client.AuthorizationPending):
        client.token_request(poll)
    with pytest.raises(requests_oauth2client.SlowDown):
        client.token_request(poll)
    if audience != "issuer":
        return  # it would name the revocation endpoint, which no setting allows (decision 1)
    client.revoke_token(code)
    with pytest.raises(requests_oauth2client.AccessDenied):
        client.token_request(poll)

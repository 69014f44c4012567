"""Third-party clients of OpenID Connect: discovery, code flow, ID tokens, UserInfo."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
import requests_oauth2client

from tests.config import SECRET
from tests.covers import covers
from tests.interop.people import Browser, closing_after, running
from tests.openid.house import CONFIG, client

CALLBACK: Final = "https://rs.example/cb"
PATIENCE: Final = 60.0  # seconds for a script that ought to take one or two
UMA: Final = {
    "sub": "uma",
    "name": "Uma Underwood",
    "preferred_username": "uma",
    "email": "uma@example.com",
    "email_verified": True,
}


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running provider."""
    text = CONFIG.replace("{algorithms}", '["RS256", "ES256", "EdDSA"]') + client("rs")
    with running(tmp_path_factory.mktemp("provider"), text) as found:
        yield found


@covers("OAUTH-OIDC-02", "OAUTH-OIDC-03", "OAUTH-OIDC-05", "OAUTH-OIDC-12", "OAUTH-OIDC-13")
def test_openid_client_signs_somebody_in_and_learns_who_it_is(
    node_project: Path, node: Path, issuer: str
) -> None:
    with (
        closing(Browser(issuer, "uma")) as browser,
        subprocess.Popen(
            [node, "openid.mjs", issuer, SECRET, CALLBACK],
            cwd=node_project,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as script,
        closing_after(PATIENCE, script),
    ):
        assert script.stdin is not None
        assert script.stdout is not None
        assert script.stderr is not None
        told = ""
        for line in script.stdout:
            told = line.strip()
            if told.startswith("http"):
                script.stdin.write(browser.agree(told) + "\n")
                script.stdin.flush()
        complaint = script.stderr.read()
    assert told.startswith("{"), complaint
    assert json.loads(told) == {
        "subject": "uma",
        "alg": "RS256",
        "userinfo": UMA,
        "same": True,
        "refreshed": "uma",
        "refused": "consent_required",
    }


@covers("OAUTH-OIDC-02", "OAUTH-OIDC-03", "OAUTH-OIDC-13", "OAUTH-META-01")
def test_requests_oauth2client_signs_somebody_in_and_learns_who_it_is(issuer: str) -> None:
    provider = requests_oauth2client.OAuth2Client.from_discovery_endpoint(
        f"{issuer}/.well-known/openid-configuration",
        issuer=issuer,
        auth=requests_oauth2client.ClientSecretBasic("rs", SECRET),
        redirect_uri=CALLBACK,
        testing=True,
    )
    request = provider.authorization_request(scope="openid profile email", max_age=3600)
    with closing(Browser(issuer, "uma")) as browser:
        returned = browser.agree(str(request))
    token = provider.authorization_code(request.validate_callback(returned))
    identity = token.id_token
    assert isinstance(identity, requests_oauth2client.IdToken)
    assert (identity.sub, identity.alg, identity.nonce) == ("uma", "RS256", request.nonce)
    assert provider.userinfo(token) == UMA

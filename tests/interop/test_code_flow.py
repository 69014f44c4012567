"""Third-party clients with people behind them: discovery, code flow, PAR, PKCE, DPoP, refresh."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
import requests_oauth2client

from abeyance.wire.base64url import parse_base64url
from tests.config import SECRET
from tests.covers import covers
from tests.interop.people import Browser, closing_after, running
from tests.people.house import CONFIG

CALLBACK: Final = "https://many.example/cb"
LEDGER: Final = "https://ledger.example"
PATIENCE: Final = 60.0  # seconds for a script that ought to take one or two


def key_of(token: str) -> str:
    """The thumbprint to which an access token is bound."""
    claims = json.loads(parse_base64url(token.split(".")[1]))
    return str(claims["cnf"]["jkt"])


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running server with people."""
    with running(tmp_path_factory.mktemp("people"), CONFIG) as issuer:
        yield issuer


@covers(
    "OAUTH-DEC-01", "OAUTH-PAR-01", "OAUTH-PKCE-04", "OAUTH-ISS-01", "OAUTH-RT-02",
    "OAUTH-DPOP-19", "T-077",
)  # fmt: skip
def test_openid_client_goes_through_the_code_flow_and_refreshes(
    node_project: Path, node: Path, issuer: str
) -> None:
    browser, reviewer = Browser(issuer, "uma"), Browser(issuer, "rita")
    with (
        closing(browser),
        closing(reviewer),
        subprocess.Popen(
            [node, "code_flow.mjs", issuer, SECRET, CALLBACK],
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
            elif told == "decide":
                reviewer.approve()
                script.stdin.write("decided\n")
            script.stdin.flush()
        complaint = script.stderr.read()
    assert told.startswith("{"), complaint
    assert json.loads(told) == {
        "type": "dpop",
        "rotated": True,
        "fresh": True,
        "bound": [True, True, True],
        "pushed": ["client_id request_uri"] * 2,
        "first": "authorization_pending",
        "collected": ["dpop", "read"],
    }


@covers(
    "OAUTH-DEC-01", "OAUTH-PAR-01", "OAUTH-PKCE-04", "OAUTH-ISS-01", "OAUTH-RT-02",
    "OAUTH-DPOP-19",
)  # fmt: skip
def test_requests_oauth2client_goes_through_the_code_flow_and_refreshes(issuer: str) -> None:
    client = requests_oauth2client.OAuth2Client.from_discovery_endpoint(
        f"{issuer}/.well-known/oauth-authorization-server",
        issuer=issuer,
        auth=requests_oauth2client.ClientSecretBasic("many", SECRET),
        redirect_uri=CALLBACK,
        testing=True,
    )
    request = client.authorization_request(scope="now", resource=LEDGER, dpop=True)
    pushed = client.pushed_authorization_request(request)
    assert "code_challenge" not in str(pushed.uri)
    with closing(Browser(issuer, "uma")) as browser:
        returned = browser.agree(str(pushed.uri))
    response = request.validate_callback(returned)
    token = client.authorization_code(response)
    assert token.token_type == "DPoP"
    assert token.refresh_token
    fresh = client.refresh_token(token)
    assert fresh.token_type == "DPoP"
    assert key_of(fresh.access_token) == key_of(token.access_token)
    assert fresh.access_token != token.access_token
    assert fresh.refresh_token != token.refresh_token
    with pytest.raises(requests_oauth2client.InvalidGrant):
        client.authorization_code(response)

"""Third-party libraries on a device: the device flow, and what they make of "not yet"."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests_oauth2client

from abeyance.wire import names
from tests.config import SECRET
from tests.covers import covers
from tests.devices.house import CLIENTS
from tests.interop.people import Browser, closing_after, running
from tests.people.house import CONFIG


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running server to which devices speak."""
    text = CONFIG.replace("{extra}", "device_authorization = true") + CLIENTS
    with running(tmp_path_factory.mktemp("devices"), text) as found:
        yield found


@covers("DEV-T01", "DEV-RESP-01", "DEV-META-01")
def test_openid_client_connects_a_device(node_project: Path, node: Path, issuer: str) -> None:
    with (
        closing(Browser(issuer, "uma")) as browser,
        subprocess.Popen(
            [node, "device.mjs", issuer],
            cwd=node_project,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as script,
        closing_after(60, script),
    ):
        assert script.stdout is not None
        assert script.stderr is not None
        told = ""
        for line in script.stdout:
            told = line.strip()
            if told.startswith("http"):
                assert browser.connect(told) == "Connected: return to your device"
        complaint = script.stderr.read()
    assert told.startswith("{"), complaint
    assert json.loads(told) == {"type": "dpop", "scope": "now", "interval": 5}


@covers("DEV-T01", "DEV-T29", "DEV-POLL-03", "DEV-DTR-02")
def test_requests_oauth2client_connects_a_device_and_hears_not_yet(issuer: str) -> None:
    client = requests_oauth2client.OAuth2Client.from_discovery_endpoint(
        f"{issuer}/.well-known/oauth-authorization-server",
        issuer=issuer,
        auth=requests_oauth2client.ClientSecretBasic("box", SECRET),
        # The library asks for it here, since it reads no such member of the metadata.
        device_authorization_endpoint=f"{issuer}/device_authorization",
        testing=True,
    )
    with closing(Browser(issuer, "uma")) as browser:
        now = client.authorize_device(scope="now")
        with pytest.raises(requests_oauth2client.AuthorizationPending):
            client.device_code(now)
        with pytest.raises(requests_oauth2client.SlowDown):
            client.device_code(now)
        browser.connect(str(now.verification_uri_complete))
        assert client.device_code(now).token_type == "Bearer"
        later = client.authorize_device(scope="read")
        browser.connect(str(later.verification_uri_complete))
        with pytest.raises(requests_oauth2client.AuthorizationPending) as pending:
            client.device_code(later, completion_mode="deferred")
    code = pending.value.response.json()["deferral_code"]
    poll = {"grant_type": names.GRANT_DEFERRED, "deferral_code": code}
    with pytest.raises(requests_oauth2client.AuthorizationPending):
        client.token_request(poll)
    with closing(Browser(issuer, "rita")) as reviewer:
        reviewer.approve()
    assert client.token_request(poll).scope == "read"

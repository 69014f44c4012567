"""A device that authenticates by certificate: what it began with one, it ends with the same."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.x509 import DNSName

from abeyance.proofs.certificate import thumbprint
from tests.certificates import Made, make_certificate
from tests.covers import covers
from tests.devices.house import CLIENTS, Device, Viewer, open_devices
from tests.served import Served
from tests.server.test_certificates import CA, OTHER, Certified, field

MINE, RENEWED = (make_certificate(by=CA, others=[DNSName("till.example")]) for _ in range(2))
TILL = """
[[clients]]
id = "till"
name = "Till"
token_endpoint_auth_method = "tls_client_auth"
tls_client_auth_san_dns = "till.example"
tls_client_certificate_bound_access_tokens = true
grant_types = ["urn:ietf:params:oauth:grant-type:device_code"]
scope = ["read", "now"]
resources = ["https://ledger.example"]

[mtls]
enabled = true
certificate_header = "Client-Cert"
ca_file = "ca.pem"
"""


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    (tmp_path / "ca.pem").write_text(CA.pem)
    proxy = 'trusted_proxies = ["192.0.2.1"]'
    async with open_devices(tmp_path, clients=CLIENTS + TILL, server=proxy) as served:
        yield served


def till(served: Served, *made: Made) -> Device:
    return Device(Certified(served, "till", fields=tuple(field(*made))))


def with_certificate(device: Device, *made: Made) -> Device:
    """The same device session, shown with another certificate."""
    return Device(till(device.served, *made).client, device.told)


@covers("DEV-BIND-03", "OAUTH-MTLS-01")
async def test_a_device_polls_with_the_certificate_with_which_it_asked(served: Served) -> None:
    device = await till(served, MINE).begin(scope="now")
    await Viewer(served).agree(device.code)
    renewed = await with_certificate(device, RENEWED).poll()
    assert (renewed.status, renewed.error) == (400, "invalid_grant")
    for others in ((OTHER,), ()):
        refused = await with_certificate(device, *others).poll()
        assert (refused.status, refused.error) == (401, "invalid_client")
    answer = await device.poll()
    assert answer.claims()["cnf"] == {"x5t#S256": thumbprint(MINE.der)}


@covers("DEV-BIND-03", "DTR-BIND-01")
async def test_so_it_does_when_somebody_else_must_agree_too(served: Served) -> None:
    device = await till(served, MINE).begin(scope="read")
    await Viewer(served).agree(device.code)
    refused = await with_certificate(device, RENEWED).poll(defer=True)
    assert refused.error == "invalid_grant"
    code = (await device.poll(defer=True)).code
    await served.approve(code)
    refused = await with_certificate(device, RENEWED).client.poll(code)
    assert refused.error == "invalid_grant"
    assert (await device.client.poll(code)).claims()["cnf"] == {"x5t#S256": thumbprint(MINE.der)}

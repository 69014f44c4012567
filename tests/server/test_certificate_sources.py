"""Where a certificate is looked for, and where not."""

from ipaddress import ip_network
from typing import Any

import pytest

from abeyance.server.certificates import UNUSABLE, CertificateSource, showing
from abeyance.server.http import CERTIFICATE
from tests.certificates import make_certificate
from tests.covers import covers

MINE, OTHER = make_certificate(), make_certificate()
PROXIES = (ip_network("10.0.0.0/8"),)


async def shown(source: CertificateSource | None, **scope: Any) -> Any:
    seen: dict[str, Any] = {}

    async def endpoint(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)

    whole = {"client": ("10.0.0.1", 1), "headers": [], **scope}
    await showing(endpoint, source, PROXIES)(whole, None, None)  # type: ignore[arg-type]  # unused
    return seen


def layer(*pem: str) -> dict[str, Any]:
    return {"extensions": {"tls": {"client_cert_chain": list(pem)}}}


@covers("OAUTH-CAUTH-25")
async def test_the_tls_layer_shows_the_leaf_of_its_chain() -> None:
    source = CertificateSource(None)
    assert (await shown(source, **layer(MINE.pem, OTHER.pem)))[CERTIFICATE] == MINE.der
    nothing: list[dict[str, Any]] = [{}, layer(), {"extensions": {}}, {"extensions": None}]
    for none in nothing:
        assert (await shown(source, **none))[CERTIFICATE] is None
    assert (await shown(source, **layer("nonsense")))[CERTIFICATE] == UNUSABLE


@covers("OAUTH-CAUTH-22", "OAUTH-CAUTH-23")
async def test_only_the_named_place_is_looked_at() -> None:
    headers = [(b"client-cert", b":AAAA:"), (b"x-other", b"1")]
    # Where it is the TLS layer, a field says nothing, whoever sends it.
    assert (await shown(CertificateSource(None), headers=headers))[CERTIFICATE] is None
    named = CertificateSource(b"client-cert")
    seen = await shown(named, headers=headers)
    assert seen[CERTIFICATE] == b"\0\0\0"
    assert seen["headers"] == [(b"x-other", b"1")]
    assert (await shown(named, headers=headers, **layer(MINE.pem)))[CERTIFICATE] == UNUSABLE
    assert (await shown(named, **layer(MINE.pem)))[CERTIFICATE] is None


@covers("OAUTH-CAUTH-22", "SEC-TM-34")
@pytest.mark.parametrize("client", [("192.0.2.9", 1), None])
async def test_the_field_of_a_stranger_is_taken_away_unread(client: Any) -> None:
    seen = await shown(
        CertificateSource(b"client-cert"), client=client, headers=[(b"client-cert", b":AAAA:")]
    )
    assert seen[CERTIFICATE] is None
    assert seen["headers"] == []


@covers("OAUTH-CAUTH-22")
async def test_nothing_is_looked_for_where_it_is_off() -> None:
    seen = await shown(None, headers=[(b"client-cert", b":AAAA:")], **layer(MINE.pem))
    assert CERTIFICATE not in seen

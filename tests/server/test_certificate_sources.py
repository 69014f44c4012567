"""Where a certificate is looked for, and where not."""

import base64
import hashlib
import hmac
from ipaddress import ip_network
from typing import Any

import pytest
from structlog.testing import capture_logs

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


SECRETS = (
    b"secret-of-the-proxy-0123456789-0123456789",
    b"the-one-that-replaces-it-9876543210-98765",
)
GUARDED = CertificateSource(
    b"client-cert",
    secret_header=b"proxy-secret",
    secrets=tuple(hashlib.sha256(each).digest() for each in SECRETS),
)
CERTIFIED = (b"client-cert", b":" + base64.b64encode(MINE.der) + b":")


@covers("OAUTH-CAUTH-24")
async def test_a_proxy_with_a_secret_is_believed_by_both_of_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[int] = []
    compare = hmac.compare_digest

    def count(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", count)
    for secret in SECRETS:
        seen = await shown(GUARDED, headers=[CERTIFIED, (b"proxy-secret", secret)])
        assert seen[CERTIFICATE] == MINE.der
        assert seen["headers"] == []
    # Each time with every one of them, digest with digest: time tells nothing.
    assert compared == [32] * 4


@covers("OAUTH-CAUTH-24")
@pytest.mark.parametrize(
    "secrets",
    [
        [],
        [b""],
        [b"wrong"],
        [SECRETS[0][:-1]],
        [SECRETS[0] + b" "],
        [hashlib.sha256(SECRETS[0]).digest()],
        [SECRETS[0], SECRETS[0]],
        [SECRETS[0], b"wrong"],
    ],
)
async def test_a_certificate_without_the_proxys_secret_is_nobodys(secrets: list[bytes]) -> None:
    fields = [(b"proxy-secret", each) for each in secrets]
    with capture_logs() as told:
        seen = await shown(GUARDED, headers=[CERTIFIED, *fields, (b"x-other", b"1")])
    assert seen[CERTIFICATE] == UNUSABLE
    assert seen["headers"] == [(b"x-other", b"1")]
    assert [line["log_level"] for line in told] == ["warning"]
    assert not any(each.decode("latin-1") in str(told) for each in (*SECRETS, *secrets) if each)


@covers("OAUTH-CAUTH-24")
async def test_whoever_shows_no_certificate_needs_no_secret() -> None:
    for headers in ([], [(b"client-cert", b"")], [(b"proxy-secret", b"wrong")]):
        assert (await shown(GUARDED, headers=headers))[CERTIFICATE] is None


@covers("OAUTH-CAUTH-22", "OAUTH-CAUTH-24")
async def test_the_secret_of_the_proxy_does_not_make_a_stranger_one() -> None:
    seen = await shown(
        GUARDED, client=("192.0.2.9", 1), headers=[CERTIFIED, (b"proxy-secret", SECRETS[0])]
    )
    assert seen[CERTIFICATE] is None
    assert seen["headers"] == []


@covers("OAUTH-CAUTH-24", "OAUTH-SEC-06")
def test_a_source_does_not_show_its_secrets() -> None:
    assert "secrets" not in repr(GUARDED)

"""`[mtls]`, and what does not go together with it."""

import hashlib
from pathlib import Path

import pytest

from abeyance.proofs.certificate import CertificateSubject
from abeyance.server.certificates import CertificateSource
from tests.certificates import make_certificate
from tests.covers import covers
from tests.settings.files import RESOURCES, SCOPES, client, read, refuse

PROXIES = '[server]\ntrusted_proxies = ["10.0.0.1"]\n'
ON = '[mtls]\nenabled = true\ncertificate_header = "X-Client-Cert"\ncertificate_format = "pem"\n'
BY_CA = 'token_endpoint_auth_method = "tls_client_auth"'
DNS = 'tls_client_auth_san_dns = "agent.example"'
BOUND = "tls_client_certificate_bound_access_tokens = true"


@covers("OAUTH-CAUTH-22")
def test_certificates_are_looked_for_where_the_settings_say(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(make_certificate(authority=True).pem)
    settings = read(
        tmp_path, PROXIES, ON + 'ca_file = "ca.pem"\n', RESOURCES, client(BY_CA, DNS, secret=False)
    )
    assert settings.mtls is not None
    assert settings.mtls.source == CertificateSource(b"x-client-cert", "pem")
    assert len(settings.mtls.authorities) == 1
    [agent] = settings.clients
    assert agent.certificate_subject == CertificateSubject(
        "tls_client_auth_san_dns", "agent.example"
    )
    assert read(tmp_path).mtls is None


@covers("OAUTH-CAUTH-25")
def test_it_is_said_where_no_server_of_ours_shows_certificates(tmp_path: Path) -> None:
    settings = read(tmp_path, "[mtls]\nenabled = true\n")
    assert "mtls.enabled" in [each.key for each in settings.warnings]


@covers("OAUTH-CAUTH-22")
@pytest.mark.parametrize("header", ["Authorization", "x forwarded", "DPoP", ""])
def test_a_header_that_means_something_else_is_no_place(tmp_path: Path, header: str) -> None:
    on = ON.replace("X-Client-Cert", header)
    assert refuse(tmp_path, PROXIES, on).key == "mtls.certificate_header"


@covers("OAUTH-CAUTH-22")
def test_a_header_needs_a_proxy_that_is_trusted(tmp_path: Path) -> None:
    assert refuse(tmp_path, ON).key == "mtls.certificate_header"


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    assert refuse(tmp_path, PROXIES, ON + 'ca_file = "ca.pem"\n').key == "mtls.ca_file"


@covers("OAUTH-CAUTH-19")
@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ((BY_CA,), "tls_client_auth_subject_dn"),
        ((BY_CA, DNS, 'tls_client_auth_san_ip = "192.0.2.1"'), "tls_client_auth_san_dns"),
        ((BY_CA, 'tls_client_auth_san_ip = "agent"'), "tls_client_auth_san_ip"),
        ((BY_CA, 'tls_client_auth_san_dns = "*.example"'), "tls_client_auth_san_dns"),
        ((BY_CA, 'tls_client_auth_subject_dn = "agent"'), "tls_client_auth_subject_dn"),
        (('token_endpoint_auth_method = "none"', DNS), "tls_client_auth_san_dns"),
        (('token_endpoint_auth_method = "self_signed_tls_client_auth"',), "jwks_file"),
        (
            (
                'token_endpoint_auth_method = "self_signed_tls_client_auth"',
                'jwks_uri = "https://agent.example/jwks"',
            ),
            "jwks_uri",
        ),
    ],
)
def test_a_client_has_exactly_one_name_that_a_certificate_can_have(
    tmp_path: Path, lines: tuple[str, ...], key: str
) -> None:
    refused = refuse(tmp_path, PROXIES, ON, RESOURCES, client(*lines, secret=False))
    assert refused.key == f"clients[agent].{key}"


@covers("OAUTH-MTLS-02")
def test_a_client_has_no_certificate_where_none_is_looked_at(tmp_path: Path) -> None:
    refused = refuse(tmp_path, RESOURCES, client(BOUND))
    assert refused.key == "clients[agent].tls_client_certificate_bound_access_tokens"
    refused = refuse(tmp_path, RESOURCES, client(BY_CA, DNS, secret=False))
    assert refused.key == "clients[agent].token_endpoint_auth_method"
    [agent] = read(tmp_path, PROXIES, ON, SCOPES, RESOURCES, client(BOUND)).clients
    assert agent.certificate_bound


SECRET = "secret-of-the-proxy-0123456789-0123456789"


def secrets(folder: Path, *values: str) -> str:
    for place, value in enumerate(values):
        (folder / f"proxy{place}.secret").write_text(value + "\n")
    names = ", ".join(f'"proxy{place}.secret"' for place in range(len(values)))
    return f"proxy_secret_file = [{names}]\n"


@covers("OAUTH-CAUTH-24")
def test_a_secret_of_the_proxy_rests_as_a_digest(tmp_path: Path) -> None:
    other = SECRET[::-1]
    source = read(tmp_path, PROXIES, ON + secrets(tmp_path, SECRET, other)).mtls
    assert source is not None
    assert source.source.secret_header == b"proxy-secret"
    assert source.source.secrets == tuple(
        hashlib.sha256(each.encode()).digest() for each in (SECRET, other)
    )
    named = ON + 'proxy_header = "X-Front"\n' + 'proxy_secret_file = "proxy0.secret"\n'
    source = read(tmp_path, PROXIES, named).mtls
    assert source is not None
    assert source.source.secret_header == b"x-front"
    assert len(source.source.secrets) == 1


@covers("OAUTH-CAUTH-24")
def test_start_up_warns_where_a_header_is_believed_without_a_secret(tmp_path: Path) -> None:
    key = "mtls.proxy_secret_file"
    without = read(tmp_path, PROXIES, ON)
    assert key in [each.key for each in without.warnings]
    with_one = read(tmp_path, PROXIES, ON + secrets(tmp_path, SECRET))
    assert key not in [each.key for each in with_one.warnings]
    # Where no header is believed, there is nothing to warn of.
    assert key not in [each.key for each in read(tmp_path, "[mtls]\nenabled = true\n").warnings]


@covers("OAUTH-CAUTH-24", "OAUTH-CAUTH-10")
@pytest.mark.parametrize(
    ("values", "more", "key"),
    [
        (["short"], "", "proxy_secret_file"),
        (["a" * 40], "", "proxy_secret_file"),
        ([SECRET + "\nsecond line"], "", "proxy_secret_file"),
        ([SECRET, SECRET + "2", SECRET + "3"], "", "proxy_secret_file"),
        ([SECRET], 'proxy_header = "X-Client-Cert"\n', "proxy_header"),
        ([SECRET], 'proxy_header = "Authorization"\n', "proxy_header"),
        ([SECRET], 'proxy_header = "no header"\n', "proxy_header"),
    ],
)
def test_a_secret_is_strong_and_stands_in_a_field_of_its_own(
    tmp_path: Path, values: list[str], more: str, key: str
) -> None:
    refused = refuse(tmp_path, PROXIES, ON + secrets(tmp_path, *values) + more)
    assert refused.key == f"mtls.{key}"
    assert SECRET not in str(refused)


@covers("OAUTH-CAUTH-24")
def test_a_secret_is_no_use_without_a_header(tmp_path: Path) -> None:
    refused = refuse(tmp_path, "[mtls]\nenabled = true\n" + secrets(tmp_path, SECRET))
    assert refused.key == "mtls.proxy_secret_file"


@covers("OAUTH-MTLS-05")
@pytest.mark.parametrize("origin", ["https://mtls.as.example", "https://as.example:8443"])
def test_certificates_may_be_asked_for_at_another_origin(tmp_path: Path, origin: str) -> None:
    issuer = 'issuer = "https://as.example/tenant"\n'
    settings = read(tmp_path, issuer, PROXIES, ON + f'origin = "{origin}"\n')
    assert settings.mtls is not None
    assert settings.mtls.origin == origin


@covers("OAUTH-MTLS-05")
@pytest.mark.parametrize(
    "origin",
    [
        "https://as.example",
        "https://mtls.as.example/",
        "https://mtls.as.example/tenant",
        "http://mtls.as.example",
        "https://mtls.as.example?x",
        "https://user@mtls.as.example",
        "mtls.as.example",
        "",
    ],
)
def test_what_is_no_other_origin_is_refused(tmp_path: Path, origin: str) -> None:
    issuer = 'issuer = "https://as.example/tenant"\n'
    refused = refuse(tmp_path, issuer, PROXIES, ON + f'origin = "{origin}"\n')
    assert refused.key == "mtls.origin"

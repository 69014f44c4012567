"""Certificates of clients: read, trusted and compared as what they are."""

from datetime import timedelta

import pytest
from cryptography.x509 import DNSName
from cryptography.x509.oid import ExtendedKeyUsageOID

from abeyance.proofs.binding import ProvenKey, lacks_proof, proves, read_confirmation
from abeyance.proofs.certificate import (
    BadCertificate,
    CertificateSubject,
    check_subject,
    is_trusted,
    names_subject,
    parse_certificate,
)
from tests.certificates import NOW, make_certificate, names_of_all_kinds
from tests.covers import covers

CA = make_certificate("CN=Clients", authority=True)
LEAF = parse_certificate(make_certificate(by=CA, others=names_of_all_kinds("agent.example")).der)


@covers("OAUTH-CAUTH-19")
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("tls_client_auth_subject_dn", "CN=agent,O=Example"),
        ("tls_client_auth_subject_dn", "CN=AGENT,O=example"),
        ("tls_client_auth_san_dns", "Agent.example"),
        ("tls_client_auth_san_uri", "spiffe://agent.example/agent"),
        ("tls_client_auth_san_ip", "192.0.2.77"),
        ("tls_client_auth_san_email", "agent@Agent.Example"),
    ],
)
def test_a_certificate_names_its_client_in_any_spelling_of_the_name(
    member: str, value: str
) -> None:
    subject = CertificateSubject(member, value)
    check_subject(subject)
    assert names_subject(LEAF, subject)


@covers("OAUTH-CAUTH-19")
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("tls_client_auth_subject_dn", "CN=agent"),
        ("tls_client_auth_subject_dn", "O=Example,CN=agent"),
        ("tls_client_auth_subject_dn", "CN=agent\\,O=Example"),
        ("tls_client_auth_subject_dn", "OU=x,CN=agent,O=Example"),
        ("tls_client_auth_san_dns", "example"),
        ("tls_client_auth_san_dns", "x.agent.example"),
        ("tls_client_auth_san_uri", "spiffe://agent.example/AGENT"),
        ("tls_client_auth_san_ip", "192.0.2.78"),
        ("tls_client_auth_san_email", "Agent@agent.example"),
        ("tls_client_auth_san_dns", "agent@agent.example"),
    ],
)
def test_a_certificate_names_nobody_else(member: str, value: str) -> None:
    assert not names_subject(LEAF, CertificateSubject(member, value))


@covers("OAUTH-CAUTH-19")
def test_only_what_an_authority_issued_for_clients_and_stands_is_trusted() -> None:
    stranger = make_certificate("CN=Clients", authority=True)
    usual = make_certificate(by=CA)
    authorities = [CA.certificate]

    def trusted(der: bytes) -> bool:
        return is_trusted(parse_certificate(der), authorities, NOW)

    assert trusted(usual.der)
    assert trusted(make_certificate(by=CA, others=[DNSName("a.example")]).der)
    assert not trusted(make_certificate(by=stranger).der)
    assert not trusted(make_certificate().der)
    assert not trusted(make_certificate(by=CA, usage=ExtendedKeyUsageOID.SERVER_AUTH).der)
    assert not trusted(make_certificate(by=CA, usage=None).der)
    assert not trusted(make_certificate(by=usual).der)
    assert not trusted(make_certificate(by=CA, until=NOW - timedelta(seconds=1)).der)
    assert not is_trusted(parse_certificate(usual.der), [], NOW)


@covers("OAUTH-CAUTH-23")
@pytest.mark.parametrize("der", [b"", b"\x30\x00", LEAF.read.tbs_certificate_bytes, b"x" * 20_000])
def test_what_is_no_certificate_is_not_read_as_one(der: bytes) -> None:
    with pytest.raises(BadCertificate):
        parse_certificate(der)


@covers("T-134", "OAUTH-MTLS-07")
def test_a_binding_holds_whoever_continues_to_every_part() -> None:
    both, key, certificate = ProvenKey("k", "c"), ProvenKey("k"), ProvenKey(None, "c")
    assert all(proves(both, each.bound) for each in (both, key, certificate))
    assert proves(None, None)
    for other in (None, key, certificate, ProvenKey("k", "d"), ProvenKey("l", "c")):
        assert not proves(other, both.bound)
    # One kind never stands for the other.
    assert not proves(ProvenKey("c"), certificate.bound)
    assert not proves(ProvenKey(None, "k"), key.bound)
    assert lacks_proof(certificate, both.bound)
    assert not lacks_proof(key, both.bound)
    assert not lacks_proof(None, certificate.bound)
    assert read_confirmation({"jkt": "k", "x5t#S256": "c"}) == both.bound
    assert read_confirmation({"x5t#S256": "c"}) == certificate.bound
    assert read_confirmation({"other": "c"}) is None

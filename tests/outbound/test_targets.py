"""What may be called, by its spelling and by its address: the corpus of the security tests."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.outbound.addresses import is_public
from abeyance.outbound.targets import Forbidden, Reach, Target, parse_target
from tests.covers import covers

REACH = Reach(
    ports=frozenset({8443}),
    own=frozenset({"as.example"}),
    exceptions=frozenset({"127.0.0.1:9443"}),
)

NEVER = [
    "https://127.0.0.1/cb", "https://127.1/cb", "https://2130706433/cb", "https://0x7f000001/cb",
    "https://0177.0.0.1/cb", "https://0x7f.1/cb", "https://017700000001/", "https://0/",
    "https://0.0.0.0/", "https://169.254.169.254/latest/meta-data/", "https://10.0.0.1/",
    "https://172.31.255.255/", "https://192.168.1.1/", "https://100.64.0.1/",
    "https://192.0.0.8/", "https://198.18.0.1/", "https://224.0.0.1/", "https://255.255.255.255/",
    "https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:a9fe:a9fe]/", "https://[::127.0.0.1]/", "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::a00:1]/", "https://[2002:7f00:1::]/",
    "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/", "https://[fe80::1%25eth0]/",
    "https://[fd00:ec2::254]/", "https://[fec0::1]/", "https://[ff02::1]/", "https://[3fff::1]/",
    "https://[2001:db8::1]/", "https://8.8.8.8/", "https://[2001:4860:4860::8888]/",
    "https://[v1.fe80]/", "https://a.example.0x7f/", "https://a.example.1/",
    # names and syntax
    "http://cb.example/", "http://127.0.0.1:9443/", "https://localhost/", "https://x.localhost/",
    "https://ip6-localhost/", "https://cb.example./", "https://metadata.google.internal/",
    "https://printer.local/", "https://router.home.arpa/", "https://intranet/",
    "https://user:pw@cb.example/", "https://@cb.example/",
    "https://a.example\\@169.254.169.254/", "https://a.example%2f@10.0.0.1/",
    "https://a%2eexample/", "https://①②⑦.⓪.⓪.①/", "https://ⓛocalhost/",
    "https://localhost。/", "https://example\u2024com/", "https://ex\u00adample.com/",
    "https://xn--a/", "https://xn--80ak6aa92e.com./", "https://faß.de/",
    "https://cb.example/%0d%0aX:%20y", "https://cb.example/\r\nX: y", "https://cb.example/\t",
    "https://cb .example/", "https://cb.\texample/", "https://cb.example/a b",
    "https://cb.example:22/", "https://cb.example:25/", "https://cb.example:6379/",
    "https://cb.example:0/", "https://cb.example:65536/", "https://cb.example:0443/",
    "https://cb.example:443:80/", "https://cb.example:\u0664\u0664\u0663/",
    "https://cb.example:/", "https:/cb.example/", "https:///cb.example/", "//cb.example/",
    "HTTPS:cb.example", "https://cb.example/#x", "https://cb.example/#", "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_x", "javascript:1", "data:,x", "unix:/run/x", "",
    f"https://cb.example/{'a' * 2_048}", f"https://{'a' * 64}.example/",
    f"https://{'a.' * 124}examples/", "https://-cb.example/", "https://cb-.example/",
    "https://cb..example/", "https://as.example/", "https://AS.example/cb",
]  # fmt: skip

ALWAYS = {
    "https://cb.example/": Target("cb.example", 443, "/"),
    "https://cb.example": Target("cb.example", 443, "/"),
    "https://cb.example?a=b": Target("cb.example", 443, "/?a=b"),
    "HTTPS://CB.EXAMPLE:443/a?b=c%20d": Target("cb.example", 443, "/a?b=c%20d"),
    "https://xn--bcher-kva.example/": Target("xn--bcher-kva.example", 443, "/"),
    "https://cb.example:8443/": Target("cb.example", 8443, "/"),
    "https://127.0.0.1:9443/": Target("127.0.0.1", 9443, "/", excepted=True),
}


@covers(
    "OAUTH-SSRF-01", "OAUTH-SSRF-06", "SEC-SSRF-01", "SEC-SSRF-02", "SEC-SSRF-03",
    "SEC-SSRF-04", "SEC-SSRF-05", "SEC-SSRF-06", "SEC-SSRF-07", "SEC-SSRF-08", "SEC-SSRF-09",
    "SEC-SSRF-10", "SEC-SSRF-11", "SEC-SSRF-12", "SEC-SSRF-13", "SEC-SSRF-14", "SEC-SSRF-15",
    "SEC-SSRF-16", "SEC-SSRF-17", "SEC-SSRF-18", "SEC-SSRF-19", "SEC-SSRF-20", "SEC-SSRF-21",
    "SEC-SSRF-22", "SEC-SSRF-23", "SEC-SSRF-24", "SEC-SSRF-25", "SEC-SSRF-26", "SEC-SSRF-27",
    "SEC-SSRF-28", "SEC-SSRF-29", "SEC-SSRF-30", "SEC-SSRF-31", "SEC-SSRF-32", "SEC-SSRF-33",
    "SEC-SSRF-34", "SEC-SSRF-35", "SEC-SSRF-36", "SEC-SSRF-37", "SEC-SSRF-38", "SEC-SSRF-39",
    "SEC-SSRF-40", "SEC-SSRF-41", "SEC-SSRF-42", "SEC-SSRF-43", "SEC-SSRF-44", "SEC-SSRF-45",
    "SEC-SSRF-46", "SEC-SSRF-47", "SEC-SSRF-48", "SEC-SSRF-49", "SEC-SSRF-50", "SEC-SSRF-51",
    "DTR-CB-06", "T-181", "T-183",
)  # fmt: skip
@pytest.mark.parametrize("url", NEVER)
def test_what_could_mean_two_things_or_the_own_network_is_refused(url: str) -> None:
    with pytest.raises(Forbidden):
        parse_target(url, REACH)


@covers(
    "OAUTH-SSRF-01", "OAUTH-SSRF-06", "SEC-SSRF-52", "SEC-SSRF-53", "SEC-SSRF-54",
    "SEC-SSRF-55", "SEC-SSRF-56", "T-183", "T-184",
)  # fmt: skip
@pytest.mark.parametrize(("url", "target"), ALWAYS.items())
def test_what_is_plain_is_read(url: str, target: Target) -> None:
    assert parse_target(url, REACH) == target


@covers("OAUTH-SSRF-06", "SEC-SSRF-56")
def test_an_exception_is_for_one_host_and_port() -> None:
    for url in ("https://127.0.0.1/", "https://127.0.0.1:9444/", "https://127.0.0.2:9443/"):
        with pytest.raises(Forbidden):
            parse_target(url, REACH)


@covers("OAUTH-SSRF-01")
@given(st.text(max_size=40), st.text(max_size=20))
def test_whatever_is_read_is_a_name_that_nobody_reads_otherwise(host: str, rest: str) -> None:
    try:
        target = parse_target(f"https://{host}/{rest}", Reach())
    except Forbidden:
        return
    assert target.host == host.partition("/")[0].partition("?")[0].lower()
    assert target.host.isascii()
    assert not target.host.rpartition(".")[2].isdigit()


PRIVATE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1",
    "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1",
    "::ffff:127.0.0.1", "::ffff:93.184.216.34", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a00:1", "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::",
    "3fff::1", "4000::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1",
    "2606:4700::1%eth0",
]  # fmt: skip


@covers("OAUTH-SSRF-03")
@pytest.mark.parametrize("address", PRIVATE)
def test_no_address_of_a_private_network_is_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@covers("OAUTH-SSRF-03")
@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1", "2001:4860::8888", "64:ff9b::808:808"]
)
def test_public_addresses_are(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@covers("OAUTH-SSRF-03")
@given(st.ip_addresses())
def test_what_python_calls_private_is_never_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert not (is_public(address) and address.is_private and not address.is_global)

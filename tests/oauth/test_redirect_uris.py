"""What may be registered as a redirect URI, what equals it, what is appended (OAUTH-RURI)."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.oauth.redirect_uris import (
    MAX_LENGTH,
    BadRedirectUri,
    append,
    check_redirect_uri,
    host_of,
    is_claimed_https,
    matches,
    source_of,
)
from tests.covers import covers

CALLBACK = "https://client.example/callback"
LOOPBACK = "http://127.0.0.1/callback"
LOOPBACK_6 = "http://[::1]/callback"
PRIVATE = "com.example.app:/callback"
PRINTABLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=40)
PAIRS = st.lists(st.tuples(st.text(min_size=1, max_size=8), st.text(max_size=8)), min_size=1)


# --- what may be registered


@covers("OAUTH-RURI-01")
@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(
    "uri",
    [
        CALLBACK,
        "https://client.example",
        "https://client.example:8443/callback",
        "https://client.example/callback?tenant=one",
        "https://client.example?tenant=one",
        "https://xn--bcher-kva.example/cb",
        "https://[2001:db8::1]/cb",
        "https://client.example/a%2Fb",
        LOOPBACK,
        LOOPBACK_6,
        "http://127.0.0.1:8080/callback",
    ],
)
def test_a_whole_uri_of_https_or_of_this_machine_is_for_every_client(
    uri: str, native: bool
) -> None:
    check_redirect_uri(uri, native=native)


@covers("OAUTH-RURI-04", "OAUTH-RURI-05")
@pytest.mark.parametrize(
    "uri", ["http://localhost/cb", "http://localhost:7000", PRIVATE, "com.example.app:/"]
)
def test_localhost_and_private_schemes_are_for_native_clients_only(uri: str) -> None:
    check_redirect_uri(uri, native=True)
    with pytest.raises(BadRedirectUri):
        check_redirect_uri(uri, native=False)


@covers("OAUTH-RURI-01", "OAUTH-RURI-05")
@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/callback",
        "//client.example/callback",
        "client.example/callback",
        "https:/client.example/callback",
        "https:client.example",
        "https:///callback",
        "https://",
        "https://client.example/#",
        "https://client.example/callback#part",
        "https://user@client.example/callback",
        "https://user:pass@client.example/callback",
        "https://client.example@evil.example/callback",
        "https://client.example\\@evil.example/callback",
        "https://client.example\\.evil.example/callback",
        "https://*.client.example/callback",
        "https://client.example/*",
        "https://Client.example/callback",
        "HTTPS://client.example/callback",
        "https://client_x.example/callback",
        "https://client.example:/callback",
        "https://client.example:port/callback",
        "https://client.example:123456/callback",
        "https://client.example./callback",
        "https://.example/callback",
        "https://b\u00fccher.example/callback",
        "https://client.example/\u0430",
        "https://client.example/a b",
        "https://client.example/a\tb",
        "https://client.example/\r\nSet-Cookie:x=y",
        "https://client.example/callback\n",
        "https://client.example/callback\x00",
        " https://client.example/callback",
        "http://client.example/callback",
        "http://127.0.0.2/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.1@evil.example/callback",
        "http://localhost.evil.example/callback",
        "http://127.1/callback",
        "http://2130706433/callback",
        "http://[::ffff:127.0.0.1]/callback",
        "http://0.0.0.0/callback",
        "javascript:alert(1)",
        "javascript:/alert(1)",
        "JavaScript:/alert(1)",
        "java\tscript:/alert(1)",
        "data:/text/html,x",
        "vbscript:/x",
        "file:/etc/passwd",
        "file:///etc/passwd",
        "blob:/x",
        "about:/blank",
        "mailto:/a@example.org",
        "ws:/x",
        "wss://client.example/callback",
        "ftp://client.example/callback",
        "myapp:/callback",
        "com.example.app://callback",
        "com.example.app:callback",
        "com.example.app:",
        "com.example.app:/callback#part",
        "Com.Example.App:/callback",
        "1com.example:/callback",
        "https://client.example/" + "a" * MAX_LENGTH,
    ],
)
def test_what_could_lead_elsewhere_is_never_registered(uri: str, native: bool) -> None:
    with pytest.raises(BadRedirectUri):
        check_redirect_uri(uri, native=native)


@covers("OAUTH-RURI-09")
@pytest.mark.parametrize(
    "name",
    [
        "code", "state", "iss", "error", "error_description", "error_uri", "response",
        "id_token", "access_token", "session_state", "c%6fde", "%73tate", "%69%73%73",
    ],
)  # fmt: skip
@pytest.mark.parametrize("shape", ["{}=1", "{}", "{}=", "a=1&{}=1", "&{}=1", "a&{}"])
def test_a_query_that_could_pass_for_an_answer_is_refused(name: str, shape: str) -> None:
    for base in (CALLBACK, LOOPBACK, PRIVATE):
        with pytest.raises(BadRedirectUri, match="query"):
            check_redirect_uri(f"{base}?{shape.format(name)}", native=True)


@pytest.mark.parametrize("query", ["codes=1", "a=code", "Code=1", "my_state=1", "a=b&c=d", ""])
def test_a_query_of_the_clients_own_may_be_registered(query: str) -> None:
    check_redirect_uri(f"{CALLBACK}?{query}", native=False)


@covers("OAUTH-RURI-01")
@given(PRINTABLE, st.booleans())
def test_nothing_registered_has_a_fragment_or_somebody_before_its_host(
    rest: str, native: bool
) -> None:
    for uri in (f"https://client.example{rest}", f"http://127.0.0.1{rest}", f"com.example{rest}"):
        try:
            check_redirect_uri(uri, native=native)
        except BadRedirectUri:
            continue
        parts = urlsplit(uri)
        assert not parts.fragment
        assert "@" not in parts.netloc
        assert not set(uri) & set("#\\*")
        assert parts.scheme in ("https", "http") or "." in parts.scheme


# --- what equals it


@covers("OAUTH-RURI-02")
@pytest.mark.parametrize(
    "asked",
    [
        "https://client.example/callback/",
        "https://client.example/callback?",
        "https://client.example/callback?a=b",
        "https://client.example/Callback",
        "https://client.example/c%61llback",
        "https://client.example/callback#",
        "https://client.example/callback/../callback",
        "https://client.example//callback",
        "https://client.example:443/callback",
        "https://client.example:8443/callback",
        "https://CLIENT.example/callback",
        "HTTPS://client.example/callback",
        "https://client.example/callbac",
        "https://client.example",
        "https://sub.client.example/callback",
        "https://client.example.evil.example/callback",
        "https://user@client.example/callback",
        "http://client.example/callback",
        "https://client.example/callback ",
        "https://client.example/callback\n",
        "",
    ],
)
def test_only_the_equal_string_is_the_registered_one(asked: str) -> None:
    assert matches(CALLBACK, [CALLBACK])
    assert not matches(asked, [CALLBACK])


@covers("OAUTH-RURI-03", "OAUTH-RURI-04")
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
@pytest.mark.parametrize("registered", ["", ":8080"])
def test_a_loopback_address_may_be_asked_at_any_port(host: str, registered: str) -> None:
    known = [f"http://{host}{registered}/callback?a=b"]
    for port in ("", ":1", ":8080", ":51004", ":65535"):
        assert matches(f"http://{host}{port}/callback?a=b", known)


@covers("OAUTH-RURI-03")
@pytest.mark.parametrize(
    "asked",
    [
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:/callback",
        "http://127.0.0.1:80a/callback",
        "http://127.0.0.1:8080/callback/",
        "http://127.0.0.1:8080/other",
        "http://127.0.0.1:8080",
        "http://127.0.0.1:8080/callback?a=b",
        "http://127.0.0.1:8080/callback#",
        "http://127.0.0.1:8080/callback\n",
        "http://127.0.0.2:8080/callback",
        "http://localhost:8080/callback",
        "http://[::1]:8080/callback",
        "https://127.0.0.1:8080/callback",
        "http://127.0.0.1:8080@evil.example/callback",
        "http://user@127.0.0.1:8080/callback",
        "http://127.0.0.1.evil.example:8080/callback",
    ],
)
def test_everything_else_of_a_loopback_address_is_as_registered(asked: str) -> None:
    assert matches("http://127.0.0.1:8080/callback", [LOOPBACK])
    assert not matches(asked, [LOOPBACK])


@covers("OAUTH-RURI-02", "OAUTH-RURI-03")
@given(st.text(max_size=60))
def test_no_text_matches_by_chance(asked: str) -> None:
    known = [CALLBACK, PRIVATE]
    assert matches(asked, known) == (asked in known)


# --- what is appended


@covers("OAUTH-RURI-08", "OAUTH-RURI-10")
@pytest.mark.parametrize(
    ("uri", "joined"),
    [
        (CALLBACK, CALLBACK + "?code=a%2Bb+c&state=%26%3D"),
        (CALLBACK + "?", CALLBACK + "?code=a%2Bb+c&state=%26%3D"),
        (CALLBACK + "?t=%7e&", CALLBACK + "?t=%7e&code=a%2Bb+c&state=%26%3D"),
        (CALLBACK + "?t=%7e+x", CALLBACK + "?t=%7e+x&code=a%2Bb+c&state=%26%3D"),
        (PRIVATE, PRIVATE + "?code=a%2Bb+c&state=%26%3D"),
    ],
)
def test_an_answer_is_added_and_what_is_there_stays(uri: str, joined: str) -> None:
    assert append(uri, [("code", "a+b c"), ("state", "&=")]) == joined


@covers("OAUTH-RURI-08", "OAUTH-AUTHZ-03")
@given(PAIRS)
def test_what_is_appended_is_read_back_as_it_was_and_opens_nothing(
    pairs: list[tuple[str, str]],
) -> None:
    uri = append(CALLBACK, pairs)
    assert uri.isascii()
    assert not set(uri) & set("#\\\r\n \"'<>")
    assert urlsplit(uri).netloc == "client.example"
    assert parse_qsl(urlsplit(uri).query, keep_blank_values=True) == pairs


# --- what a page says of it


@pytest.mark.parametrize(
    ("uri", "source", "host"),
    [
        (CALLBACK, "https://client.example", "client.example"),
        ("https://client.example:8443?a", "https://client.example:8443", "client.example:8443"),
        (LOOPBACK, "http://127.0.0.1", "127.0.0.1"),
        (LOOPBACK_6, "http:", "[::1]"),
        (PRIVATE, "com.example.app:", "com.example.app"),
    ],
)
def test_a_page_names_where_the_browser_goes(uri: str, source: str, host: str) -> None:
    assert (source_of(uri), host_of(uri)) == (source, host)


@covers("OAUTH-CLI-06")
def test_only_https_is_answered_by_the_owner_of_its_domain_alone() -> None:
    told = [is_claimed_https(uri) for uri in (CALLBACK, LOOPBACK, LOOPBACK_6, PRIVATE)]
    assert told == [True, False, False, False]

"""What is sent, to whom, and as whom (DTR-OPT, DTR-POLL-01, DTR-HINT-05, DTR-SEC, DTR-PRIV)."""

from base64 import b64decode
from typing import Any
from urllib.parse import unquote_plus

import httpx2
import pytest

from abeyance.client import (
    Access,
    Authentication,
    Client,
    ClientError,
    ClientSecretBasic,
    ClientSecretPost,
    DiscoveryFailed,
    Misconfigured,
    PrivateKeyJwt,
    PublicClient,
    ServerMetadata,
    Token,
    Unavailable,
    generate_key,
)
from abeyance.proofs.client_assertion import verify_assertion
from abeyance.proofs.jwk import KeySet
from abeyance.wire import names
from abeyance.wire.form import parse_form
from abeyance.wire.secret import Secret
from tests.client.fakes import (
    CLIENT_SECRET,
    CODE,
    ISSUER,
    Answer,
    Kit,
    answer,
    cut,
    error,
    granted,
    pending,
)
from tests.covers import covers


@covers("DTR-POLL-01", "DTR-INV-04", "DTR-HINT-05", "DTR-RESP-07")
def test_a_poll_has_the_grant_type_and_the_code_and_nothing_else(kit: Kit) -> None:
    held = kit.defer(
        scope="a b", resource="https://api.test", authorization_details=[{"type": "x"}]
    )
    kit.server.says(pending(), granted())
    held.wait()
    for poll in kit.server.polls:
        assert poll.method == "POST"
        assert poll.headers["content-type"] == "application/x-www-form-urlencoded"
        assert poll.form == [("grant_type", names.GRANT_DEFERRED), ("deferral_code", CODE)]
        assert poll.host == "as.test"


@covers("DTR-INV-05", "DTR-RESP-07")
@pytest.mark.parametrize("code", ["a", "a b+c%20&d=e", '"q"\\', "eyJhbGciOiJ9.e30.", "~" * 4000])
def test_the_code_is_opaque_and_travels_as_it_is(kit: Kit, code: str) -> None:
    kit.server.says(error("authorization_pending", deferral_code=code), pending(), granted())
    held = kit.request()
    assert not isinstance(held, Token)
    held.wait()
    assert {poll["deferral_code"] for poll in kit.server.polls} == {code}


@covers("DTR-SEC-02")
@pytest.mark.parametrize(
    ("authentication", "bound", "told"),
    [
        (ClientSecretBasic(CLIENT_SECRET), False, True),
        (ClientSecretPost(CLIENT_SECRET), False, True),
        (ClientSecretPost(CLIENT_SECRET), True, False),
        (PrivateKeyJwt(generate_key()), False, False),
    ],
)
def test_a_client_with_a_secret_is_advised_to_bind(
    kit: Kit,
    authentication: Authentication,
    bound: bool,
    told: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "abeyance.client")
    key = generate_key() if bound else None
    kit.defer(client=kit.client(authentication=authentication, dpop_key=key))
    assert ("not bound to a key" in caplog.text) is told


@covers("DTR-PRIV-02", "T-225")
def test_requests_carry_no_field_that_tells_them_apart(kit: Kit) -> None:
    held = kit.defer(scope="something:special")
    kit.server.says(
        pending(), pending(headers={"Set-Cookie": "id=1; Path=/"}), pending(), granted()
    )
    held.wait()
    assert len({tuple(sorted(poll.headers.items())) for poll in kit.server.polls}) == 1
    assert set(kit.server.polls[0].headers) == {
        "accept",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "user-agent",
    }
    assert kit.server.polls[0].headers["user-agent"] == "abeyance"


def test_fields_and_cookies_of_the_callers_http_client_are_not_sent(sync_kit: Kit) -> None:
    http = httpx2.Client(
        transport=httpx2.MockTransport(sync_kit.server),
        headers={"X-Agent": "42"},
        cookies={"session": "1"},
        auth=("other", "credentials"),
        follow_redirects=True,
    )
    sync_kit.server.says(granted())
    Client(ISSUER, "agent", ClientSecretBasic(CLIENT_SECRET), http=http).request_token()
    (sent,) = sync_kit.server.token_requests
    assert "x-agent" not in sent.headers
    assert "cookie" not in sent.headers
    assert b64decode(sent.headers["authorization"].removeprefix("Basic ")).startswith(b"agent:")


@covers("DTR-OPT-02", "DTR-OPT-06")
@pytest.mark.parametrize("support", [True, False, None, "true"])
def test_the_opt_in_is_sent_whatever_the_metadata_says(kit: Kit, support: Any) -> None:
    kit.server.metadata["deferred_token_response_supported"] = support
    if support is None:
        del kit.server.metadata["deferred_token_response_supported"]
    client = kit.client()
    kit.server.says(granted(), granted())
    kit.request(client=client, scope="a")
    kit.request(client=client, scope="a", defer=False)
    first, second = kit.server.token_requests
    assert first["completion_mode"] == "deferred"
    assert "completion_mode" not in second.names
    metadata: ServerMetadata = kit.run(client.metadata())
    assert metadata.deferral_supported is (support is True)


def test_the_form_is_one_that_a_strict_server_reads(kit: Kit) -> None:
    details = [{"type": "payment", "amount": "10.00", "to": "Café & Söhne+%"}]
    kit.server.says(granted())
    kit.request(
        scope=["b", "a", "b"],
        resource=["https://one.test", "https://two.test/o"],
        authorization_details=details,
        parameters={"audience": "x y&z", "code": Secret("secret=code")},
        grant_type="authorization_code",
    )
    (sent,) = kit.server.token_requests
    form = parse_form(sent.body)
    assert form["scope"] == "b a"
    assert form.all_of("resource") == ("https://one.test", "https://two.test/o")
    assert '"Caf\u00e9 & S\u00f6hne+%"' in form["authorization_details"]
    assert form["code"] == "secret=code"
    assert form["audience"] == "x y&z"


@covers("DTR-POLL-01")
def test_client_secret_basic_encodes_both_halves(kit: Kit) -> None:
    client = kit.client(client_id="a:b c", authentication=ClientSecretBasic(Secret("p%+:äx")))
    kit.server.says(granted())
    kit.request(client=client)
    (sent,) = kit.server.token_requests
    pair = b64decode(sent.headers["authorization"].removeprefix("Basic ")).decode()
    who, _, secret = pair.partition(":")
    assert (unquote_plus(who), unquote_plus(secret)) == ("a:b c", "p%+:äx")
    assert sent.names.isdisjoint({"client_id", "client_secret"})


@covers("DTR-POLL-01")
def test_client_secret_post_is_in_the_body_alone(kit: Kit) -> None:
    held = kit.defer(client=kit.client(authentication=ClientSecretPost(CLIENT_SECRET)))
    kit.server.says(granted())
    held.wait()
    for sent in kit.server.token_requests:
        assert sent["client_id"] == "agent"
        assert sent["client_secret"] == CLIENT_SECRET
        assert "authorization" not in sent.headers


@covers("DTR-POLL-01")
def test_private_key_jwt_is_made_anew_for_each_request(kit: Kit) -> None:
    key = generate_key()
    held = kit.defer(client=kit.client(authentication=PrivateKeyJwt(key)))
    kit.server.says(pending(), granted())
    held.wait()
    marks = set()
    for sent in kit.server.token_requests:
        assert sent["client_assertion_type"] == names.ASSERTION_JWT_BEARER
        verified = verify_assertion(
            sent["client_assertion"],
            client_id="agent",
            keys=KeySet((key.public,)),
            algorithms=frozenset({"ES256"}),
            signing_alg=None,
            issuer=ISSUER,
            legacy_audience=None,
            now=kit.time.wall,
        )
        marks.add(verified.mark.digest)
    assert len(marks) == 3


@covers("DTR-SEC-01", "T-239")
def test_a_public_client_without_a_key_accepts_no_deferral(kit: Kit) -> None:
    client = kit.client(authentication=PublicClient())
    with pytest.raises(Misconfigured):
        kit.request(client=client)
    assert kit.server.seen == []
    kit.server.says(granted())
    assert isinstance(kit.request(client=client, defer=False), Token)


@pytest.mark.parametrize(
    "issuer",
    [
        "http://as.test",
        "http://10.0.0.1",
        "http://127.0.0.1.as.test",
        "http://localhost.as.test",
        "https://as.test?x",
        "https://as.test#x",
        "https://me@as.test",
        "https://as .test",
        "ftp://as.test",
        "as.test",
        "https://",
        "",
    ],
)
def test_an_issuer_that_is_not_safe_is_refused_before_anything_is_sent(
    kit: Kit, issuer: str
) -> None:
    with pytest.raises(Misconfigured):
        kit.client(issuer)
    assert kit.server.seen == []


@pytest.mark.parametrize(
    "issuer", ["http://127.0.0.1:8400", "http://localhost", "http://[::1]:1", "http://127.9.9.9/a"]
)
def test_http_is_accepted_on_loopback(kit: Kit, issuer: str) -> None:
    kit.server.metadata |= {"issuer": issuer, "token_endpoint": f"{issuer}/token"}
    kit.run(kit.client(issuer).metadata())


@pytest.mark.parametrize(
    ("issuer", "path"),
    [
        ("https://as.test", "/.well-known/oauth-authorization-server"),
        ("https://as.test/", "/.well-known/oauth-authorization-server"),
        ("https://as.test/tenant/1", "/.well-known/oauth-authorization-server/tenant/1"),
    ],
)
def test_the_well_known_path_stands_before_the_issuers_path(
    kit: Kit, issuer: str, path: str
) -> None:
    kit.server.metadata["issuer"] = issuer
    kit.run(kit.client(issuer).metadata())
    assert kit.server.seen[0].path == path


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (answer(b"", status=404), DiscoveryFailed),
        (answer(b"<html>", status=200), DiscoveryFailed),
        (answer(b"", status=302, headers={"Location": "https://as.test/x"}), DiscoveryFailed),
        (answer(b"", status=503, headers={"Retry-After": "7"}), Unavailable),
        (cut, Unavailable),
    ],
)
def test_failed_discovery_says_whether_to_try_again(
    kit: Kit, given: Answer, kind: type[ClientError]
) -> None:
    kit.server.metadata_answer = given
    client = kit.client()
    with pytest.raises(kind):
        kit.request(client=client)
    kit.server.metadata_answer = None
    kit.server.says(granted())
    assert isinstance(kit.request(client=client), Token)


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://other.test"},
        {"issuer": "https://as.test/"},
        {"issuer": None},
        {"token_endpoint": None},
        {"token_endpoint": "http://as.test/token"},
        {"token_endpoint": "http://127.0.0.1/token"},
        {"token_endpoint": "https://u:p@as.test/token"},
        {"revocation_endpoint": "http://as.test/revoke"},
    ],
)
def test_metadata_that_cannot_be_trusted_is_refused(kit: Kit, change: dict[str, Any]) -> None:
    kit.server.metadata |= change
    with pytest.raises(DiscoveryFailed):
        kit.request()
    assert kit.server.token_requests == []


def test_discovery_is_done_once_and_not_needed_with_explicit_metadata(kit: Kit) -> None:
    client = kit.client()
    kit.server.says(granted(), granted(), granted())
    kit.request(client=client)
    kit.request(client=client)
    assert [seen.method for seen in kit.server.seen] == ["GET", "POST", "POST"]
    told = ServerMetadata(issuer=ISSUER, token_endpoint=f"{ISSUER}/token")
    kit.request(client=kit.client(told))
    assert len(kit.server.seen) == 4


def test_a_redirect_is_not_followed(kit: Kit) -> None:
    away = {"Location": "https://elsewhere.test/token"}
    for status in (301, 302, 303, 307, 308):
        kit.server.says(answer(b"", status=status, headers=away))
        with pytest.raises(Unavailable):
            kit.request(client=kit.client())
    assert {seen.host for seen in kit.server.seen} == {"as.test"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"parameters": {"scope": "x"}},
        {"parameters": {"completion_mode": "deferred"}},
        {"grant_type": names.GRANT_DEFERRED},
        {"on_partial": "maybe"},
    ],
)
def test_arguments_that_cannot_work_are_refused_before_anything_is_sent(
    kit: Kit, arguments: dict[str, Any]
) -> None:
    with pytest.raises(Misconfigured):
        kit.request(**arguments)
    assert kit.server.seen == []


def test_access_takes_strings_and_lists() -> None:
    one = Access.of(scope="a  b a", resource="https://x.test")
    assert one == Access.of(scope=["a", "b"], resource=["https://x.test", "https://x.test"])
    assert one
    assert not Access()

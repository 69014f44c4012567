"""Where somebody must act first: which addresses are shown, and which never (SEC-SSRF-72)."""

import logging

import pytest

from abeyance.client import Authentication, Progress, TlsClientAuth
from abeyance.client.progress import Waiting
from tests.client.fakes import ISSUER, Handle, Kit, answer, error, granted
from tests.covers import covers

URI = f"{ISSUER}/interact/planted-interaction-secret"


def required(uri: object) -> dict[str, object]:
    return {"error": "interaction_required", "interaction_uri": uri}


@covers("DTR-IURI-04", "DTR-ERR-03")
def test_the_address_is_told_with_the_progress_and_does_not_show_itself(kit: Kit) -> None:
    first = required(URI) | {"deferral_code": "d", "interval": 5, "expires_in": 600}
    kit.server.says(answer(first))
    handle = kit.request()
    assert isinstance(handle, Handle)
    told = handle.inner.progress
    assert told.interaction_uri is not None
    assert told.interaction_uri.reveal() == URI
    assert "planted-interaction-secret" not in repr(told)
    kit.server.says(error("authorization_pending"), answer(required(URI)), granted())
    seen: list[Progress] = []
    handle.wait(seen.append)
    assert [each.state for each in seen] == [
        Waiting.INTERACTION_REQUIRED,
        Waiting.PENDING,
        Waiting.INTERACTION_REQUIRED,
    ]
    assert [each.interaction_uri is None for each in seen] == [False, True, False]


@covers("SEC-SSRF-72", "DTR-IURI-04", "T-247")
@pytest.mark.parametrize(
    "uri",
    [
        "javascript:alert(1)",
        "http://as.test/interact/x",
        "https://evil.test/interact/x",
        "https://as.test@evil.test/interact/x",
        "https://user:pw@as.test/interact/x",
        "https://as.test:8443/interact/x",
        "https://as.test.evil.test/x",
        "//as.test/interact/x",
        "https://as.test/interact/\u202ex",
        "https://as.test/interact/x#fragment",
        "https://as.test/a b",
        "file:///etc/passwd",
        "",
        17,
        None,
        ["https://as.test/interact/x"],
    ],
)
def test_an_address_that_is_not_the_servers_own_is_never_shown(kit: Kit, uri: object) -> None:
    handle = kit.defer()
    kit.server.says(answer(required(uri)), granted())
    seen: list[Progress] = []
    handle.wait(seen.append)
    assert Waiting.INTERACTION_REQUIRED in {each.state for each in seen}
    assert all(each.interaction_uri is None for each in seen)


@covers("T-247", "DTR-IURI-04")
@pytest.mark.parametrize("uri", [URI, "https://evil.test/interact/planted-interaction-secret"])
def test_an_address_is_neither_fetched_nor_logged(
    kit: Kit, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    handle = kit.defer()
    kit.server.says(answer(required(uri)), granted())
    with caplog.at_level(logging.DEBUG):
        handle.wait()
    assert not [seen for seen in kit.server.seen if "interact" in seen.path]
    assert {seen.host for seen in kit.server.seen} == {"as.test"}
    assert "planted-interaction-secret" not in caplog.text


@covers("EXT-INTERACT-13", "SEC-SSRF-72")
@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://people.as.test/act/1", True),
        ("https://tokens.as.test/act/1", True),
        ("https://other.as.test/act/1", False),
        ("http://people.as.test/act/1", False),
        ("https://people.as.test:8443/act/1", False),
        ("https://people.as.test@evil.test/act/1", False),
    ],
)
@pytest.mark.parametrize("authentication", [None, TlsClientAuth()])
def test_an_address_may_stand_where_the_server_says_that_people_act(
    kit: Kit, uri: str, shown: bool, authentication: Authentication | None
) -> None:
    kit.server.metadata |= {
        "token_endpoint": "https://tokens.as.test/token",
        "deferred_interaction_origins": ["https://people.as.test", 7],
        # Where a client shows its certificate, people do not act.
        "mtls_endpoint_aliases": {"token_endpoint": "https://mtls.as.test/token"},
    }
    handle = kit.defer(client=kit.client(authentication=authentication))
    kit.server.says(answer(required(uri)), granted())
    seen: list[Progress] = []
    handle.wait(seen.append)
    assert any(each.interaction_uri is not None for each in seen) is shown

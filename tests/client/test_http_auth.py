"""The `auth` object: what goes into a request, when it is tried again, and where never."""

import hashlib
from collections import deque
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from abeyance.client import AsyncTokenSource, Misconfigured, TokenAuth, TokenSource, generate_key
from abeyance.wire.base64url import render_base64url
from tests.client.fakes import Kit, decode, error
from tests.client.test_sources import fresh
from tests.covers import covers

API = "https://api.test"


class Resource:
    """A resource server that answers from a script, then 200."""

    def __init__(self) -> None:
        self.script: deque[Callable[[], httpx2.Response]] = deque()
        self.seen: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        # A copy: the next try changes the request itself.
        self.seen.append(
            httpx2.Request(
                request.method, request.url, headers=request.headers, content=request.content
            )
        )
        return self.script.popleft()() if self.script else httpx2.Response(200, json={"ok": True})

    def proof(self, n: int) -> dict[str, Any]:
        return decode(self.seen[n].headers["dpop"].split(".")[1])


def refused(challenge: str, **headers: str) -> Callable[[], httpx2.Response]:
    more = {"WWW-Authenticate": challenge} | {k.replace("_", "-"): v for k, v in headers.items()}
    return lambda: httpx2.Response(401, headers=more)


class Browser:
    """An HTTP client of either kind with the auth object, with blocking methods."""

    def __init__(self, kit: Kit, *, key: bool = True, refresh: str | None = "r1") -> None:
        self.kit = kit
        self.api = Resource()
        client: Any = kit.client(dpop_key=generate_key() if key else None)
        kind = "DPoP" if key else "Bearer"
        kit.server.says(fresh(refresh, token_type=kind))
        obtain = lambda: client.request_token(scope="read write")  # noqa: E731
        transport = httpx2.MockTransport(self.api)
        self.kind = kind
        self.http: Any
        if kit.kind == "sync":
            auth = TokenAuth(TokenSource(client, obtain), origins=[API])
            self.http = httpx2.Client(transport=transport, auth=auth)
        else:
            auth = TokenAuth(AsyncTokenSource(client, obtain), origins=[API])
            self.http = httpx2.AsyncClient(transport=transport, auth=auth)

    def send(self, method: str = "GET", url: str = f"{API}/balance?x=1", **more: Any) -> Any:
        return self.kit.run(self.http.request(method, url, **more))


@covers("OAUTH-DPOP-10")
def test_a_bound_token_goes_with_a_proof_for_this_request_and_this_token(kit: Kit) -> None:
    browser = Browser(kit)
    assert browser.send().status_code == 200
    [seen] = browser.api.seen
    scheme, _, token = seen.headers["authorization"].partition(" ")
    proof = browser.api.proof(0)
    assert scheme == "DPoP"
    assert (proof["htm"], proof["htu"]) == ("GET", f"{API}/balance")
    assert proof["ath"] == render_base64url(hashlib.sha256(token.encode()).digest())


def test_an_unbound_token_is_a_bearer_token(kit: Kit) -> None:
    browser = Browser(kit, key=False)
    browser.send()
    [seen] = browser.api.seen
    assert seen.headers["authorization"].startswith("Bearer a-")
    assert "dpop" not in seen.headers


def test_a_nonce_is_used_once_it_is_told_and_kept_for_the_origin(kit: Kit) -> None:
    browser = Browser(kit)
    browser.api.script.append(refused('DPoP error="use_dpop_nonce"', DPoP_Nonce="n1"))
    assert browser.send("POST", content=b"the body").status_code == 200
    assert [request.read() for request in browser.api.seen] == [b"the body"] * 2
    assert browser.api.proof(1)["nonce"] == "n1"
    assert browser.api.proof(0)["jti"] != browser.api.proof(1)["jti"]
    browser.send()
    assert browser.api.proof(2)["nonce"] == "n1"
    assert len(kit.server.token_requests) == 1


def test_a_rejected_token_is_replaced_once(kit: Kit) -> None:
    browser = Browser(kit)
    browser.api.script.extend([refused('DPoP error="invalid_token"')] * 5)
    kit.server.says(fresh("r2", token_type="DPoP"))
    assert browser.send().status_code == 401
    assert len(browser.api.seen) == 2
    assert (
        browser.api.seen[0].headers["authorization"] != browser.api.seen[1].headers["authorization"]
    )
    assert [sent["grant_type"] for sent in kit.server.token_requests] == [
        "client_credentials",
        "refresh_token",
    ]


def test_each_reason_to_try_again_counts_once(kit: Kit) -> None:
    browser = Browser(kit)
    nonce = refused('DPoP error="use_dpop_nonce"', DPoP_Nonce="n1")
    browser.api.script.extend([nonce, refused("DPoP"), nonce, nonce, nonce])
    kit.server.says(fresh("r2", token_type="DPoP"))
    assert browser.send().status_code == 401
    assert len(browser.api.seen) == 3


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
def test_no_other_answer_is_tried_again(kit: Kit, status: int) -> None:
    browser = Browser(kit)
    browser.api.script.append(lambda: httpx2.Response(status))
    assert browser.send().status_code == status
    assert len(browser.api.seen) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test/balance",
        "http://api.test/balance",
        "https://api.test:8443/balance",
        "https://api.test.evil.test/",
    ],
)
def test_no_other_origin_sees_the_token(kit: Kit, url: str) -> None:
    browser = Browser(kit)
    browser.send(url=url)
    assert not {"authorization", "dpop"} & set(browser.api.seen[0].headers)
    assert kit.server.seen == []


def test_a_redirect_to_somebody_else_takes_nothing_along(kit: Kit) -> None:
    browser = Browser(kit)
    browser.api.script.append(
        lambda: httpx2.Response(302, headers={"Location": "https://evil.test/x"})
    )
    browser.send(follow_redirects=True)
    assert browser.api.seen[1].url.host == "evil.test"
    assert "authorization" not in browser.api.seen[1].headers


@pytest.mark.parametrize(
    "answer", ['DPoP error="use_dpop_nonce"', 'DPoP error="invalid_token"'], ids=["nonce", "token"]
)
def test_who_a_redirect_led_to_has_no_say_about_the_token(kit: Kit, answer: str) -> None:
    browser = Browser(kit)
    browser.api.script.extend(
        [
            lambda: httpx2.Response(302, headers={"Location": "https://evil.test/x"}),
            refused(answer, DPoP_Nonce="planted"),
        ]
    )
    assert browser.send(follow_redirects=True).status_code == 401
    assert len(browser.api.seen) == 2
    assert len(kit.server.token_requests) == 1
    browser.send()
    assert "nonce" not in browser.api.proof(2)


def test_a_grant_that_has_ended_and_cannot_be_had_again_is_told(kit: Kit) -> None:
    browser = Browser(kit)
    browser.api.script.append(refused('DPoP error="invalid_token"'))
    kit.server.says(error("invalid_grant"), error("unauthorized_client"))
    with pytest.raises(Exception, match="refused"):
        browser.send()


@pytest.mark.parametrize("origin", ["api.test", "http://api.test", "https://api.test/v1", ""])
def test_what_is_no_origin_is_refused_at_once(sync_kit: Kit, origin: str) -> None:
    client: Any = sync_kit.client()
    with pytest.raises(Misconfigured):
        TokenAuth(TokenSource(client), origins=[origin])


def test_the_wrong_kind_of_source_says_so(sync_kit: Kit) -> None:
    client: Any = Kit("async").client()
    auth = TokenAuth(AsyncTokenSource(client), origins=[API])
    transport = httpx2.MockTransport(Resource())
    with (
        httpx2.Client(transport=transport, auth=auth) as http,
        pytest.raises(Misconfigured, match="AsyncClient"),
    ):
        http.get(f"{API}/x")

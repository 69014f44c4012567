"""The code flow: what is sent, what is believed, what is redeemed (RFC 7636, 9207, 9449 §10)."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from abeyance.client import (
    AccessDenied,
    AuthorizationRequest,
    DiscoveryFailed,
    InvalidGrant,
    Misconfigured,
    NotOurs,
    ServerRefused,
    Token,
    generate_key,
)
from abeyance.proofs.pkce import verifies
from tests.client.fakes import ISSUER, Handle, Kit, deferred, error, granted, pending
from tests.covers import covers

CALLBACK = "https://app.test/callback"
DETAIL = {"type": "payment", "amount": "12.00"}


def open_up(kit: Kit, **members: Any) -> None:
    kit.server.metadata |= {
        "authorization_endpoint": f"{ISSUER}/authorize",
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
    } | members


def begin(kit: Kit, *, key: bool = False, **asked: Any) -> tuple[Any, AuthorizationRequest]:
    client = kit.client(dpop_key=generate_key() if key else None)
    given = {"scope": "read write"} | asked
    return client, kit.run(client.authorization_request(CALLBACK, **given))


def said(request: AuthorizationRequest) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.url).query, keep_blank_values=True)


def come_back(request: AuthorizationRequest, **changes: str | None) -> str:
    told = {"code": "the-code", "state": request.state.reveal(), "iss": ISSUER} | changes
    return f"{CALLBACK}?{urlencode({name: value for name, value in told.items() if value})}"


def redeem(kit: Kit, client: Any, request: AuthorizationRequest, returned: Any) -> Any:
    answer = kit.run(client.exchange_code(request, returned))
    return answer if isinstance(answer, Token) else Handle(kit, answer)


@covers("DTR-HINT-01")
def test_the_request_has_pkce_a_state_and_all_that_was_asked(kit: Kit) -> None:
    open_up(kit)
    _, request = begin(
        kit,
        resource=["https://a.test", "https://b.test"],
        authorization_details=[DETAIL],
        parameters={"login_hint": "uma"},
    )
    assert request.url.startswith(f"{ISSUER}/authorize?")
    told = said(request)
    assert told["response_type"] == ["code"]
    assert told["client_id"] == ["agent"]
    assert told["redirect_uri"] == [CALLBACK]
    assert told["scope"] == ["read write"]
    assert told["resource"] == ["https://a.test", "https://b.test"]
    assert json.loads(told["authorization_details"][0]) == [DETAIL]
    assert told["completion_mode"] == ["deferred"]
    assert told["login_hint"] == ["uma"]
    assert told["code_challenge_method"] == ["S256"]
    assert verifies(request.code_verifier.reveal(), told["code_challenge"][0])
    assert request.code_verifier.reveal() not in request.url
    assert "dpop_jkt" not in told


def test_no_two_requests_share_a_state_or_a_verifier(kit: Kit) -> None:
    open_up(kit)
    requests = [begin(kit)[1] for _ in range(20)]
    assert len({request.state.reveal() for request in requests}) == 20
    assert len({request.code_verifier.reveal() for request in requests}) == 20


def test_a_code_is_bound_to_the_key_where_there_is_one(kit: Kit) -> None:
    open_up(kit)
    client, request = begin(kit, key=True)
    assert said(request)["dpop_jkt"] == [client.dpop_key.public.jkt]
    kit.server.says(granted("DPoP"))
    token = redeem(kit, client, request, come_back(request))
    assert token.dpop_key is client.dpop_key
    assert kit.server.token_requests[-1].proof["htu"] == f"{ISSUER}/token"


@covers("DTR-INIT-01")
def test_the_code_is_redeemed_once_with_its_verifier_and_the_same_hint(kit: Kit) -> None:
    open_up(kit)
    client, request = begin(kit)
    kit.server.says(granted(scope="read"))
    token = redeem(kit, client, request, come_back(request))
    [sent] = kit.server.token_requests
    assert sent["grant_type"] == "authorization_code"
    assert sent["code"] == "the-code"
    assert sent["redirect_uri"] == CALLBACK
    assert sent["code_verifier"] == request.code_verifier.reveal()
    assert sent["completion_mode"] == "deferred"
    assert not sent.names & {"scope", "resource", "authorization_details", "state"}
    assert token.missing.scope == ("write",)


def test_who_does_not_defer_says_so_at_neither_step(kit: Kit) -> None:
    open_up(kit)
    client, request = begin(kit, defer=False)
    assert "completion_mode" not in said(request)
    kit.server.says(granted())
    redeem(kit, client, request, come_back(request))
    assert "completion_mode" not in kit.server.token_requests[-1].names


@covers("DTR-RESP-01", "DTR-INIT-01")
def test_a_code_that_is_told_to_wait_is_polled_like_any_other_request(kit: Kit) -> None:
    open_up(kit)
    client, request = begin(kit, key=True)
    kit.server.says(deferred(), pending(), granted("DPoP"))
    handle = redeem(kit, client, request, come_back(request))
    token = handle.wait()
    assert token.requested.scope == ("read", "write")
    assert len(kit.server.polls) == 2
    assert "code" not in kit.server.polls[-1].names


WRONG: dict[str, dict[str, str | None]] = {
    "another state": {"state": "x"},
    "no state": {"state": None},
    "another issuer": {"iss": "https://evil.test"},
    "no issuer although the server says that it names itself": {"iss": None},
    "neither code nor error": {"code": None},
    "code and error": {"error": "access_denied"},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG.keys())
def test_what_does_not_answer_this_request_redeems_nothing(
    kit: Kit, changes: dict[str, str | None]
) -> None:
    open_up(kit)
    client, request = begin(kit)
    with pytest.raises(NotOurs):
        redeem(kit, client, request, come_back(request, **changes))
    assert kit.server.token_requests == []


@covers("SEC-TM-32")
def test_a_code_of_one_server_is_never_carried_to_another(kit: Kit) -> None:
    open_up(kit)
    client, ours = begin(kit)
    other = "https://other.test"
    request = replace(ours, issuer=other)
    kit.server.says(granted())
    with pytest.raises(NotOurs):
        redeem(kit, client, request, come_back(request, iss=other))
    assert kit.server.token_requests == []


@pytest.mark.parametrize("name", ["code", "state", "iss"])
def test_what_is_said_twice_is_not_believed(kit: Kit, name: str) -> None:
    open_up(kit)
    client, request = begin(kit)
    whole = come_back(request)
    for returned in (f"{whole}&{name}=x", whole.replace("?", f"?{name}=x&")):
        with pytest.raises(NotOurs):
            redeem(kit, client, request, returned)
    with pytest.raises(NotOurs):
        redeem(kit, client, request, "a=" + "b" * 20_000)
    assert kit.server.token_requests == []


def test_a_server_that_does_not_name_itself_is_still_checked_where_it_does(kit: Kit) -> None:
    open_up(kit, authorization_response_iss_parameter_supported=False)
    client, request = begin(kit)
    with pytest.raises(NotOurs):
        redeem(kit, client, request, come_back(request, iss="https://evil.test"))
    kit.server.says(granted())
    assert isinstance(redeem(kit, client, request, come_back(request, iss=None)), Token)


@pytest.mark.parametrize(
    ("code", "kind"),
    [("access_denied", AccessDenied), ("invalid_scope", ServerRefused)],
)
def test_a_refusal_at_the_redirect_uri_is_told_as_what_it_is(
    kit: Kit, code: str, kind: type[Exception]
) -> None:
    open_up(kit)
    client, request = begin(kit)
    returned = come_back(request, code=None, error=code, error_description="no\x1b[2J")
    with pytest.raises(kind) as refused:
        redeem(kit, client, request, returned)
    assert "\x1b" not in str(getattr(refused.value, "description", ""))
    assert kit.server.token_requests == []


def test_a_code_that_was_used_is_an_end(kit: Kit) -> None:
    open_up(kit)
    client, request = begin(kit)
    kit.server.says(error("invalid_grant"))
    with pytest.raises(InvalidGrant):
        redeem(kit, client, request, come_back(request))


def test_a_web_application_keeps_the_request_in_its_session(kit: Kit) -> None:
    open_up(kit)
    client, request = begin(kit, authorization_details=[DETAIL])
    kept = json.loads(json.dumps(request.to_session()))
    again = AuthorizationRequest.from_session(kept)
    kit.server.says(granted())
    query = dict(parse_qsl(urlsplit(come_back(request)).query))
    token = redeem(kit, client, again, query)
    assert token.requested.authorization_details == (DETAIL,)
    unfit: list[dict[str, Any]] = [{}, kept | {"more": 1}, kept | {"scope": "read"}]
    for broken in unfit:
        with pytest.raises(NotOurs):
            AuthorizationRequest.from_session(broken)


@pytest.mark.parametrize(
    "members",
    [
        {"authorization_endpoint": None},
        {"code_challenge_methods_supported": ["plain"]},
        {"authorization_endpoint": "http://as.test/authorize"},
    ],
)
def test_a_server_without_what_is_needed_is_not_used(kit: Kit, members: dict[str, Any]) -> None:
    open_up(kit, **members)
    with pytest.raises(DiscoveryFailed):
        begin(kit)


def test_what_has_an_argument_of_its_own_is_no_further_parameter(kit: Kit) -> None:
    open_up(kit)
    for name in ("state", "code_challenge", "redirect_uri", "resource"):
        with pytest.raises(Misconfigured):
            begin(kit, parameters={name: "x"})


@covers("OAUTH-LOG-06")
def test_neither_state_nor_verifier_shows_itself(kit: Kit) -> None:
    open_up(kit)
    _, request = begin(kit)
    for secret in (request.state, request.code_verifier):
        assert secret.reveal() not in repr(request)

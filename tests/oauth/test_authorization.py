"""The authorization request: first where an answer may go, then the rest (OAUTH-AUTHZ)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from abeyance.oauth.authorization import (
    MAX_STATE,
    Address,
    NotAddressed,
    Nowhere,
    read_address,
    read_authorization,
    read_client_id,
    render_code,
    render_refusal,
)
from abeyance.parties.client import Client
from abeyance.pending.authorization import AuthorizationRequest
from abeyance.wire.errors import (
    AccessDenied,
    InvalidAuthorizationDetails,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from abeyance.wire.form import Form
from tests.access.examples import API, TYPES, access
from tests.covers import covers
from tests.oauth.examples import ISSUER, client, form
from tests.pending.credentials import CHALLENGE, REDIRECT_URI
from tests.pending.examples import HOME, LIFE, NOW, SECRET

OTHER_URI = "https://client.example/other"
RIGHT = {
    "client_id": "batch",
    "response_type": "code",
    "redirect_uri": REDIRECT_URI,
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "scope": "read",
}


def app(*uris: str, grants: str = "authorization_code", enabled: bool = True) -> Client:
    return replace(
        client(enabled=enabled),
        redirect_uris=uris or (REDIRECT_URI,),
        grant_types=frozenset(grants.split()),
    )


def asked(**members: str | None) -> Form:
    """The right request, but for `members`; `None` leaves one out."""
    return form(*((name, text) for name, text in (RIGHT | members).items() if text is not None))


def read(sent: Form, by: Client | None = None) -> AuthorizationRequest:
    by = by or app()
    return read_authorization(
        sent,
        read_address(sent, by),
        TYPES,
        approval=timedelta(hours=1),
        interact=True,
        digest=SECRET,
        home=HOME,
        now=NOW,
        life=LIFE,
    )


def nowhere(sent: Form, by: Client | None) -> Nowhere:
    with pytest.raises(NotAddressed) as told:
        read_address(sent, by)
    return told.value.why


# --- where an answer may go


@covers("OAUTH-AUTHZ-06")
def test_who_asks_is_the_client_id_and_without_one_there_is_nobody() -> None:
    assert read_client_id(asked()) == "batch"
    with pytest.raises(NotAddressed) as told:
        read_client_id(asked(client_id=None))
    assert told.value.why is Nowhere.CLIENT


@covers("OAUTH-AUTHZ-06")
def test_an_unknown_and_a_disabled_client_are_answered_nowhere() -> None:
    assert nowhere(asked(), None) is nowhere(asked(), app(enabled=False)) is Nowhere.CLIENT


@covers("OAUTH-RURI-06", "OAUTH-AUTHZ-06")
@pytest.mark.parametrize(
    "uri",
    ["", OTHER_URI, REDIRECT_URI + "/", REDIRECT_URI + "#", "javascript:alert(1)", "/callback"],
)
def test_an_address_that_is_not_registered_is_none(uri: str) -> None:
    if uri:  # an empty parameter is as if it were absent
        assert nowhere(asked(redirect_uri=uri), app()) is Nowhere.REDIRECT_URI
    assert nowhere(asked(redirect_uri=uri), app(OTHER_URI + "2", OTHER_URI + "3")) is (
        Nowhere.REDIRECT_URI
    )


@covers("OAUTH-RURI-06", "OAUTH-AUTHZ-06")
def test_a_wrong_address_is_told_on_a_page_whatever_else_is_wrong() -> None:
    sent = asked(redirect_uri=OTHER_URI, response_type="token", code_challenge=None, scope="root")
    assert nowhere(sent, app()) is Nowhere.REDIRECT_URI


@covers("OAUTH-RURI-06", "OAUTH-RURI-07")
def test_the_only_address_may_be_left_out_and_one_of_several_may_not() -> None:
    sent = asked(redirect_uri=None)
    assert read_address(sent, app()).redirect_uri == REDIRECT_URI
    assert nowhere(sent, app(REDIRECT_URI, OTHER_URI)) is Nowhere.REDIRECT_URI
    assert nowhere(sent, replace(app(), redirect_uris=())) is Nowhere.REDIRECT_URI


@covers("OAUTH-RURI-03", "OAUTH-RURI-10")
def test_the_string_that_was_checked_is_the_string_that_is_kept() -> None:
    uri = "http://127.0.0.1:51004/cb?a=%7e"
    sent = asked(redirect_uri=uri)
    assert read(sent, app("http://127.0.0.1/cb?a=%7e")).redirect_uri == uri


@covers("OAUTH-AUTHZ-02")
@pytest.mark.parametrize(
    ("mode", "told_by"),
    [
        (None, "query"),
        ("query", "query"),
        ("form_post", "form_post"),
        ("fragment", "query"),
        ("web_message", "query"),
        ("FORM_POST", "query"),
    ],
)
def test_an_answer_is_told_in_a_known_mode(mode: str | None, told_by: str) -> None:
    sent = asked(response_mode=mode)
    assert read_address(sent, app()).response_mode == told_by
    if mode in (None, told_by):
        assert read(sent).response_mode == told_by
    else:
        with pytest.raises(InvalidRequest):
            read(sent)


@covers("OAUTH-AUTHZ-03")
@pytest.mark.parametrize("state", [None, "x", "a b+c&d=e%20", "\u6771 #?", "x" * MAX_STATE])
def test_the_state_is_kept_as_it_came(state: str | None) -> None:
    assert read_address(asked(state=state), app()).state == state
    assert read(asked(state=state)).state == state


def test_a_state_without_end_is_not_carried() -> None:
    assert nowhere(asked(state="x" * (MAX_STATE + 1)), app()) is Nowhere.MALFORMED


# --- the rest


@covers("OAUTH-AUTHZ-01", "OAUTH-PKCE-06", "OAUTH-RURI-11")
def test_a_right_request_is_frozen_with_all_that_was_checked() -> None:
    assert read(asked(state="s", completion_mode="deferred")) == AuthorizationRequest(
        id=SECRET,
        home=HOME,
        client=app().id,
        redirect_uri=REDIRECT_URI,
        response_mode="query",
        state="s",
        asked=access("read"),
        challenge=CHALLENGE,
        dpop_jkt=None,
        hinted=True,
        began_at=NOW,
        expires_at=NOW + LIFE,
    )


@covers("OAUTH-AUTHZ-01", "OAUTH-AUTHZ-05")
@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"response_type": None}, InvalidRequest),
        ({"response_type": "token"}, UnsupportedResponseType),
        ({"response_type": "code token"}, UnsupportedResponseType),
        ({"response_type": "id_token code"}, UnsupportedResponseType),
        ({"response_type": "CODE"}, UnsupportedResponseType),
        ({"response_type": "none"}, UnsupportedResponseType),
        ({"scope": "read root"}, InvalidScope),
        ({"resource": "https://other.example"}, InvalidTarget),
        ({"authorization_details": "[{}]"}, InvalidAuthorizationDetails),
    ],
)
def test_what_is_asked_wrongly_is_refused_to_the_client(
    members: dict[str, str | None], error: type[OAuthError]
) -> None:
    with pytest.raises(error):
        read(asked(**members))


@covers("OAUTH-AUTHZ-05")
def test_a_client_without_the_grant_is_not_authorized() -> None:
    with pytest.raises(UnauthorizedClient):
        read(asked(), app(grants="client_credentials refresh_token"))


@covers("OAUTH-PKCE-01", "OAUTH-PKCE-02", "OAUTH-PKCE-03")
@pytest.mark.parametrize(
    "members",
    [
        {"code_challenge": None},
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "s256"},
        {"code_challenge_method": "S512"},
        {"code_challenge": CHALLENGE[:-1]},
        {"code_challenge": CHALLENGE + "A"},
        {"code_challenge": CHALLENGE + "="},
        {"code_challenge": CHALLENGE[:-1] + "~"},
    ],
)
@pytest.mark.parametrize("public", [False, True])
def test_no_client_does_without_a_challenge_of_s256(
    members: dict[str, str | None], public: bool
) -> None:
    by = replace(app(), auth_method="none", secret_digests=()) if public else app()
    assert read(asked(), by).challenge == CHALLENGE
    with pytest.raises(InvalidRequest):
        read(asked(**members), by)


@covers("OAUTH-CODE-10")
def test_a_key_is_promised_by_its_thumbprint_or_not_at_all() -> None:
    assert read(asked(dpop_jkt=CHALLENGE)).dpop_jkt == CHALLENGE
    for wrong in (CHALLENGE[:-1], CHALLENGE + "=", "none"):
        with pytest.raises(InvalidRequest):
            read(asked(dpop_jkt=wrong))


def test_a_request_may_be_for_several_resources_and_a_person_is_asked_once() -> None:
    other = "https://other.example"
    sent = form(*RIGHT.items(), ("resource", API), ("resource", other))
    by = replace(app(), resources=frozenset({API, other}))
    assert read(sent, by).asked.resources == {API, other}


# --- what is answered


@covers("OAUTH-AUTHZ-03", "OAUTH-AUTHZ-04", "OAUTH-ISS-01", "DTR-HINT-02")
@pytest.mark.parametrize("hint", [None, "deferred"])
def test_a_success_is_code_state_and_issuer_and_tells_nothing_of_deferral(
    hint: str | None,
) -> None:
    request = read(asked(state="s t", completion_mode=hint))
    told = render_code(request, "the-code", ISSUER)
    assert list(told) == [("code", "the-code"), ("state", "s t"), ("iss", ISSUER)]
    silent = render_code(read(asked()), "the-code", ISSUER)
    assert list(silent) == [("code", "the-code"), ("iss", ISSUER)]


@covers("OAUTH-AUTHZ-03", "OAUTH-AUTHZ-04", "OAUTH-AUTHZ-11", "OAUTH-ISS-01")
def test_a_refusal_is_error_state_and_issuer() -> None:
    error = AccessDenied("No")
    told = [("error", "access_denied"), ("error_description", "No")]
    assert list(render_refusal(error, "s", ISSUER)) == [*told, ("state", "s"), ("iss", ISSUER)]
    assert list(render_refusal(error, None, ISSUER)) == [*told, ("iss", ISSUER)]


def test_an_address_knows_the_client_that_it_was_checked_for() -> None:
    assert read_address(asked(), app()) == Address(app(), REDIRECT_URI, "query", None)

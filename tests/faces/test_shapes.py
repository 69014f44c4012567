"""What goes over the wire, member by member (DTR-RESP, DTR-ERR; readings 25, 29, 30)."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.faces.deferral import DEFERRAL
from abeyance.faces.render import (
    render_answer,
    render_deferred,
    render_error,
    render_interaction,
    render_success,
)
from abeyance.oauth.client_authentication import challenge
from abeyance.pending.interaction import Invitation
from abeyance.pending.judging import Refused, StillPending, Why, judge
from abeyance.pending.opening import Opened, Proposal, open_request
from abeyance.pending.pacing import FRESH
from abeyance.pending.quota import Quota
from abeyance.pending.states import Denied, Outcome
from abeyance.wire import errors
from abeyance.wire.errors import OAuthError
from abeyance.wire.reply import Reply
from abeyance.wire.secret import Secret
from abeyance.wire.strict_json import JsonObject
from tests.covers import covers
from tests.pending.examples import HOME, INTERVAL, LIFE, NOW, SECOND, SECRET, held, snapshot

ENDED = [Why.UNKNOWN, Why.KEY, Why.STOP, Why.EXPIRED, Why.DENIED, Why.REDEEMED]
ERRORS: list[OAuthError] = [
    errors.InvalidRequest("The request is malformed"),
    errors.BodyTooLarge("The body is too large"),
    errors.EncodedBody("The body must not be encoded"),
    errors.WrongMethod("POST"),
    errors.InvalidClient(challenge("https://as.example")),
    errors.InvalidGrant("The grant has been used already"),
    errors.UnauthorizedClient("The client may not use this grant"),
    errors.UnsupportedGrantType("The grant type is not supported"),
    errors.InvalidScope("The scope is malformed"),
    errors.InvalidTarget("The request must name a resource"),
    errors.InvalidAuthorizationDetails("The type is not known"),
    errors.AccessDenied("The request was not granted"),
    errors.ExpiredToken("The request has expired"),
    errors.UnsupportedResponseType("The response type is not supported"),
    errors.RequestNotSupported("Request objects are not supported"),
    errors.RequestUriNotSupported("Request URIs are not supported"),
    errors.InvalidRequestUri(),
    errors.RegistrationNotSupported("Registration is not supported"),
    errors.LoginRequired(),
    errors.AccountSelectionRequired(),
    errors.ConsentRequired(),
    errors.InteractionNeeded(),
    errors.InvalidRedirectUri("A redirect URI is malformed"),
    errors.InvalidClientMetadata("The client_name is malformed"),
    errors.UnapprovedSoftwareStatement(),
    errors.InvalidRequestObject("The object is malformed"),
    errors.InsufficientAuthorization("The application must ask for a password", Secret("abc")),
    errors.InvalidSession(),
    errors.RedirectToWeb(),
    errors.InvalidDpopProof("The proof is malformed"),
    errors.InsufficientUserAuthentication(timedelta(minutes=5)),
    errors.UseDpopNonce("abc"),
    errors.TooManyRequests("The client sends requests too fast", 7),
    errors.Unavailable(),
    errors.ServerError(),
]


def opened(*, interval: timedelta = INTERVAL, lifetime: timedelta = LIFE) -> Opened:
    return open_request(
        Proposal(HOME, snapshot()),
        interval=interval,
        lifetime=lifetime,
        at_most=Quota(client=1),
        secret=SECRET,
        now=NOW,
    )


def body(reply: Reply) -> dict[str, Any]:
    value = json.loads(reply.body)
    assert isinstance(value, dict)
    return value


def headers(reply: Reply) -> dict[bytes, bytes]:
    assert len(dict(reply.headers)) == len(reply.headers)
    return dict(reply.headers)


# --- the deferred response


@covers("DTR-RESP-01", "DTR-RESP-02", "DTR-RESP-03", "DTR-RESP-04", "T-077", "T-080")
def test_the_deferred_response_is_this_and_nothing_else() -> None:
    made = opened()
    reply = render_deferred(DEFERRAL, made, NOW)
    assert reply.status == 400
    assert body(reply) == {
        "error": "authorization_pending",
        "error_description": "step=in_review",
        "deferral_code": made.code.reveal(),
        "expires_in": 600,
        "interval": 5,
    }
    assert headers(reply) == {b"retry-after": b"5"}


@covers("DTR-RD-25", "T-080", "DTR-RESP-03", "DTR-RESP-04")
@given(
    st.timedeltas(timedelta(seconds=1), timedelta(hours=1)),
    st.timedeltas(timedelta(hours=2), timedelta(days=3650)),
    st.timedeltas(timedelta(0), timedelta(minutes=1)),
)
def test_interval_and_expiry_are_positive_integers_that_both_sides_can_keep(
    interval: timedelta, lifetime: timedelta, later: timedelta
) -> None:
    made = opened(interval=interval, lifetime=lifetime)
    told = body(render_deferred(DEFERRAL, made, NOW + later))
    assert type(told["interval"]) is type(told["expires_in"]) is int
    # Never sooner than the server allows, and the end to the nearest second.
    assert timedelta(seconds=told["interval"]) >= made.held.interval
    end = NOW + later + timedelta(seconds=told["expires_in"])
    assert abs(end - made.held.expires_at) <= SECOND / 2
    assert told["interval"] > 0
    assert told["expires_in"] > 0


@covers("DTR-RESP-03")
def test_what_is_left_is_told_and_not_what_there_was() -> None:
    assert body(render_deferred(DEFERRAL, opened(), NOW + 90 * SECOND))["expires_in"] == 510


@covers("DTR-ERR-03", "DTR-IURI-01", "T-077")
def test_a_deferral_that_needs_somebody_first_says_where() -> None:
    made = opened()
    reply = render_deferred(DEFERRAL, made, NOW, Invitation(uri="https://as.example/interact/x"))
    assert reply.status == 400
    assert body(reply) == {
        "error": "interaction_required",
        "error_description": "step=interaction",
        "deferral_code": made.code.reveal(),
        "expires_in": 600,
        "interval": 5,
        "interaction_uri": "https://as.example/interact/x",
    }
    assert headers(reply) == {b"retry-after": b"5"}


# --- polls


@covers("DTR-ERR-03", "DTR-IURI-01", "DTR-RD-25")
def test_a_poll_that_needs_somebody_first_says_where_and_keeps_the_pace() -> None:
    reply = render_interaction(
        DEFERRAL, 7 * SECOND, Invitation(uri="https://as.example/interact/x")
    )
    assert (reply.status, headers(reply)) == (400, {b"retry-after": b"7"})
    assert body(reply) == {
        "error": "interaction_required",
        "error_description": "step=interaction",
        "interaction_uri": "https://as.example/interact/x",
    }


@covers("DTR-ERR-02", "DTR-RESP-04", "T-081")
def test_a_pending_poll_repeats_neither_code_nor_interval() -> None:
    reply = render_answer(DEFERRAL, StillPending(INTERVAL))
    assert (reply.status, body(reply)) == (
        400,
        {"error": "authorization_pending", "error_description": "step=in_review"},
    )


@covers("DTR-RD-29")
@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (StillPending(INTERVAL), b"5"),
        (StillPending(timedelta(seconds=20)), b"20"),
        (StillPending(timedelta(seconds=4.2)), b"5"),
        (Refused(Why.EARLY, timedelta(seconds=10)), b"10"),
    ],
)
def test_a_client_is_told_to_come_again_at_the_pace_that_is_kept_here(
    answer: StillPending | Refused, seconds: bytes
) -> None:
    assert headers(render_answer(DEFERRAL, answer)) == {b"retry-after": seconds}


@covers("DTR-RD-29", "DTR-ERR-09")
@pytest.mark.parametrize("why", ENDED)
def test_a_client_that_shall_not_come_again_is_not_told_when(why: Why) -> None:
    assert headers(render_answer(DEFERRAL, Refused(why))) == {}


@covers("DTR-RD-29", "DTR-ERR-04", "DTR-ERR-09")
def test_the_pace_that_is_judged_is_the_pace_that_is_told() -> None:
    clock, told = FRESH, []
    for n in range(21):
        judged = judge(held(), None, clock=clock, now=NOW, tick=n / 10)
        clock = judged.clock or clock
        assert isinstance(judged.answer, StillPending | Refused)
        reply = render_answer(DEFERRAL, judged.answer)
        told.append((body(reply)["error"], headers(reply).get(b"retry-after")))
    assert told[:3] == [
        ("authorization_pending", b"5"),
        ("slow_down", b"10"),
        ("slow_down", b"15"),
    ]
    assert told[-2:] == [("slow_down", b"100"), ("invalid_request", None)]


@covers("DTR-ERR-05", "T-092")
def test_unknown_and_foreign_codes_have_one_answer_byte_for_byte() -> None:
    # Both are `Why.UNKNOWN` (see `owned`); one value is one rendering.
    assert render_answer(DEFERRAL, Refused(Why.UNKNOWN)) == render_answer(
        DEFERRAL, Refused(Why.UNKNOWN)
    )
    assert body(render_answer(DEFERRAL, Refused(Why.UNKNOWN))) == {
        "error": "invalid_grant",
        "error_description": "The deferral code is not known",
    }


@covers("EXT-OUTCOME-03", "DTR-ERR-10")
def test_a_shared_remark_is_a_member_of_its_own_and_never_the_description() -> None:
    plain = body(render_answer(DEFERRAL, Refused(Why.DENIED)))
    remarked = body(render_answer(DEFERRAL, Refused(Why.DENIED, remark='Ask for "less" \\ \u00fc')))
    assert remarked == {**plain, "deferral_remark": 'Ask for "less" \\ \u00fc'}


@covers("EXT-OUTCOME-03", "DTR-ERR-10", "SEC-TOK-23")
def test_a_remark_of_one_denial_never_shows_in_another() -> None:
    first, second = (
        judge(held(Denied(Outcome.DENIED, remark)), None, clock=FRESH, now=NOW, tick=0.0).answer
        for remark in ("only for you", None)
    )
    assert isinstance(first, Refused)
    assert isinstance(second, Refused)
    render_answer(DEFERRAL, first)
    assert b"only for you" not in render_answer(DEFERRAL, second).body


@covers("DTR-RESP-01", "DTR-ERR-02", "T-077", "OAUTH-TOK-05")
@pytest.mark.parametrize(
    "reply",
    [
        render_deferred(DEFERRAL, opened(), NOW),
        render_answer(DEFERRAL, StillPending(INTERVAL)),
        *(render_answer(DEFERRAL, Refused(why)) for why in Why),
        render_answer(DEFERRAL, Refused(Why.DENIED, remark="No")),
    ],
)
def test_no_answer_that_is_no_success_looks_like_one(reply: Reply) -> None:
    assert reply.status == 400
    assert not set(body(reply)) & {"access_token", "refresh_token", "id_token", "token_type"}
    assert None not in body(reply).values()
    assert b"www-authenticate" not in headers(reply)  # reading 30


# --- success


@covers("DTR-OK-01", "T-098")
def test_a_success_is_the_grants_own_and_unchanged() -> None:
    answer: JsonObject = {
        "access_token": "x",
        "token_type": "DPoP",
        "expires_in": 300,
        "scope": "read",
    }
    reply = render_success(answer)
    assert (reply.status, body(reply), headers(reply)) == (200, answer, {})


# --- errors


@covers("DTR-RD-30", "OAUTH-CAUTH-01")
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_challenge_goes_with_a_401_and_with_nothing_else(error: OAuthError) -> None:
    reply = render_error(error)
    assert (b"www-authenticate" in headers(reply)) == (reply.status == 401)


@covers("DTR-RD-29")
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_limit_and_an_outage_say_when_to_come_again(error: OAuthError) -> None:
    reply = render_error(error)
    assert (b"retry-after" in headers(reply)) == (reply.status in (429, 503))


@covers("OAUTH-PARAM-08", "OAUTH-TOK-04", "T-213")
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_in_the_characters_of_the_grammar_and_says_no_more_than_it_must(
    error: OAuthError,
) -> None:
    told = body(render_error(error))
    assert set(told) == {"error", "error_description", *error.members}
    for text in (told["error"], told["error_description"]):
        assert all(" " <= character <= "~" and character not in '"\\' for character in text)
        assert not text.endswith(".")


def test_every_kind_of_error_is_among_the_examples() -> None:
    def kinds(of: type[OAuthError]) -> set[type[OAuthError]]:
        return {of}.union(*(kinds(each) for each in of.__subclasses__()))

    assert {type(error) for error in ERRORS} == kinds(OAuthError) - {OAuthError}


def test_a_header_is_never_split() -> None:
    for text in ("a\r\nSet-Cookie: x", "a\nb", "a\r"):
        with pytest.raises(ValueError):
            render_error(errors.InvalidClient(f'Basic realm="{text}"'))

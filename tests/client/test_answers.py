"""What each answer means (T-227 to T-232, T-248; DTR-ERR rows of the client)."""

import json
import logging
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.client import (
    AccessDenied,
    ClientError,
    Expired,
    InvalidGrant,
    MalformedResponse,
    Progress,
    ServerRefused,
    StopPolling,
    Token,
    Unavailable,
    Waiting,
)
from tests.client.fakes import ACCESS_TOKEN, CODE, Kit, answer, deferred, error, granted, pending
from tests.covers import covers

ENDS = [
    ("access_denied", AccessDenied),
    ("expired_token", Expired),
    ("invalid_grant", InvalidGrant),
    ("invalid_request", StopPolling),
    ("invalid_client", ServerRefused),
    ("unauthorized_client", ServerRefused),
    ("invalid_dpop_proof", ServerRefused),
    ("something_new", ServerRefused),
]


@covers("T-227", "DTR-ERR-07", "DTR-ERR-09", "DTR-RD-26", "CM-02")
@pytest.mark.parametrize(("code", "kind"), ENDS)
@pytest.mark.parametrize("status", [400, 200, 401, 500])
def test_an_end_is_final_and_nothing_more_is_sent(
    kit: Kit, code: str, kind: type[ClientError], status: int
) -> None:
    held = kit.defer()
    kit.server.says(pending(), error(code, status=status))
    with pytest.raises(kind):
        held.wait()
    sent = len(kit.server.seen)
    for _ in range(3):
        kit.time.pass_(60)
        with pytest.raises(kind):
            held.poll()
        with pytest.raises(kind):
            held.wait()
    assert len(kit.server.seen) == sent


@covers("T-227")
def test_after_success_nothing_more_is_sent_and_the_token_stays(kit: Kit) -> None:
    held = kit.defer()
    kit.server.says(granted())
    token = held.wait()
    sent = len(kit.server.seen)
    kit.time.pass_(60)
    assert held.poll() is token
    assert held.wait() is token
    assert len(kit.server.seen) == sent


@covers("T-228", "DTR-RD-26", "EXT-INTERACT-02", "CM-03", "CM-04")
@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("authorization_pending", Waiting.PENDING),
        ("interaction_required", Waiting.INTERACTION_REQUIRED),
        ("interaction_pending", Waiting.INTERACTION_PENDING),
    ],
)
def test_all_pending_states_go_on(kit: Kit, code: str, state: Waiting) -> None:
    held = kit.defer()
    kit.server.says(error(code, interaction_uri="https://as.test/i"), pending(), granted())
    told: list[Waiting] = []
    held.wait(on_progress=lambda progress: told.append(progress.state))
    assert told[1:] == [state, Waiting.PENDING]


@covers("T-228", "DTR-RD-26")
def test_an_unknown_error_ends_and_is_shown_raw(kit: Kit) -> None:
    held = kit.defer()
    kit.server.says(error("Something-New", error_description="look here"))
    with pytest.raises(ServerRefused) as refused:
        held.wait()
    assert refused.value.error == "Something-New"
    assert refused.value.description == "look here"


@covers("T-229", "EXT-NOTE-09", "CM-02", "CM-03")
@pytest.mark.parametrize("status", [200, 202, 403, 404, 429, 500])
def test_the_error_decides_and_not_the_status(
    kit: Kit, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    held = kit.defer()
    kit.server.says(error("authorization_pending", status=status), granted())
    with caplog.at_level(logging.WARNING, "abeyance.client"):
        kit.time.pass_(5)
        progress = held.poll()
    assert isinstance(progress, Progress)
    assert progress.state is Waiting.PENDING
    assert str(status) in caplog.text
    held.wait().access_token.reveal()


@covers("T-229", "EXT-NOTE-09")
@pytest.mark.parametrize("status", [200, 202, 403, 500])
def test_a_deferred_response_counts_with_any_status(kit: Kit, status: int) -> None:
    body = {
        "error": "authorization_pending",
        "deferral_code": CODE,
        "interval": 5,
        "expires_in": 60,
    }
    kit.server.says(answer(body, status=status), granted())
    held = kit.request()
    assert not isinstance(held, Token)
    held.wait()


@covers("T-230")
@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    "members",
    [
        {"error": "authorization_pending", "deferral_code": CODE, "access_token": ACCESS_TOKEN},
        {"error": "interaction_required", "deferral_code": CODE, "access_token": ACCESS_TOKEN},
        {"deferral_code": CODE, "access_token": ACCESS_TOKEN, "token_type": "Bearer"},
        {
            "access_token": CODE,
            "token_type": "N_A",
            "issued_token_type": "urn:ietf:params:oauth:token-type:deferral-code",
        },
    ],
)
def test_a_deferral_with_a_token_is_malformed(
    kit: Kit, members: dict[str, Any], status: int
) -> None:
    kit.server.says(answer({"interval": 5, "expires_in": 60} | members, status=status))
    with pytest.raises(MalformedResponse):
        kit.request()
    assert len(kit.server.token_requests) == 1


@covers("T-230")
def test_a_pending_poll_with_a_token_is_malformed_and_ends(kit: Kit) -> None:
    held = kit.defer()
    kit.server.says(pending(access_token=ACCESS_TOKEN, token_type="Bearer"))
    with pytest.raises(MalformedResponse):
        held.wait()
    with pytest.raises(MalformedResponse):
        held.poll()
    assert len(kit.server.polls) == 1


@covers("T-231", "DTR-RESP-07", "DTR-ERR-08")
def test_unknown_members_are_ignored_everywhere(kit: Kit) -> None:
    strange: dict[str, Any] = {
        "odd": {"nested": [{"deep": {"deeper": [1, [2, [3, [4, [5, [6, [7, [8, [9]]]]]]]]]}}]},
        "big": 10**400,
        "tiny": -1e308,
        "nothing": None,
        "text": "\U0001f600",
    }
    kit.server.says(
        answer(
            {
                "error": "authorization_pending",
                "deferral_code": CODE,
                "interval": 5,
                "expires_in": 600,
            }
            | strange
        ),
        pending(**strange, deferral_code="another", interval=1),
        pending(deferral_code={"not": "text"}),
        pending(error_description=["not", "text"], deferral_code=None),
        granted(**strange),
    )
    held = kit.request()
    assert not isinstance(held, Token)
    assert held.wait().other["text"] == "\U0001f600"
    assert {poll["deferral_code"] for poll in kit.server.polls} == {CODE}
    assert kit.server.gaps() == [5, 5, 5]


@covers("T-231")
@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "authorization_pending", "error": "access_denied"}',
        b'{"error": "authorization_pending", "x": NaN}',
        b"[" * 100_000,
        b'\xff{"error": "authorization_pending"}',
        b'["error"]',
        b'{"error": 1}',
        b'{"error": ""}',
        b"{}",
        b"null",
    ],
)
def test_what_cannot_be_read_is_no_answer(kit: Kit, body: bytes) -> None:
    kit.server.says(answer(body))
    with pytest.raises(Unavailable):
        kit.request()
    held = kit.defer()
    kit.server.says(answer(body), granted())
    held.wait()


@covers("T-232")
@pytest.mark.parametrize(
    "members",
    [
        {"access_token": 1, "token_type": "Bearer"},
        {"access_token": "", "token_type": "Bearer"},
        {"access_token": "a\nb", "token_type": "Bearer"},
        {"access_token": "a"},
        {"access_token": "a", "token_type": 7},
        {"access_token": "a", "token_type": "Bearer", "scope": ["a"]},
        {"access_token": "a", "token_type": "Bearer", "authorization_details": {"type": "x"}},
    ],
)
def test_a_success_that_cannot_be_used_is_malformed(kit: Kit, members: dict[str, Any]) -> None:
    kit.server.says(answer(members, status=200))
    with pytest.raises(MalformedResponse):
        kit.request()


@covers("T-232")
@pytest.mark.parametrize("code", [1, "", None, "with\nline", {}, "ä"])
def test_a_deferral_code_that_cannot_be_sent_is_malformed(kit: Kit, code: Any) -> None:
    body = {"error": "authorization_pending", "deferral_code": code}
    kit.server.says(answer(body))
    with pytest.raises(MalformedResponse):
        kit.request()


@covers("T-248", "DTR-RESP-06")
def test_the_life_of_the_code_never_becomes_the_life_of_the_token(kit: Kit) -> None:
    held = kit.defer(expires_in=86_400)
    kit.server.says(granted(expires_in=120))
    assert held.wait().expires_at == kit.time.wall + timedelta(seconds=120)

    held = kit.defer(expires_in=86_400)
    kit.server.says(granted(expires_in=None))
    assert held.wait().expires_at is None
    assert len(kit.server.polls) == 2


@covers("EXT-OUTCOME-03")
def test_a_remark_is_cleaned_and_kept_out_of_the_message(kit: Kit) -> None:
    remark = "No\x1b[31m \u202emoney" + "!" * 500
    held = kit.defer()
    kit.server.says(
        error("access_denied", deferral_remark=remark, deferral_outcome="denied"),
    )
    with pytest.raises(AccessDenied) as denied:
        held.wait()
    assert denied.value.remark is not None
    assert denied.value.remark.startswith("No[31m money!")
    assert len(denied.value.remark) == 240
    assert denied.value.outcome == "denied"
    assert "money" not in str(denied.value)
    assert "money" not in repr(denied.value)


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
_MEMBERS = st.dictionaries(
    st.sampled_from(
        [
            "error",
            "access_token",
            "token_type",
            "deferral_code",
            "interval",
            "expires_in",
            "scope",
            "authorization_details",
            "error_description",
            "refresh_token",
            "issued_token_type",
        ]
    ),
    _JSON
    | st.sampled_from(
        ["authorization_pending", "slow_down", "access_denied", "use_dpop_nonce", "Bearer", 5]
    ),
    max_size=6,
)
_BODY = st.binary(max_size=60) | _MEMBERS.map(lambda members: json.dumps(members).encode())


@covers("T-232", "T-231", "CM-10")
@given(
    bodies=st.lists(_BODY, min_size=1, max_size=6),
    status=st.integers(min_value=200, max_value=599),
    retry_after=st.none() | st.text(st.characters(max_codepoint=126, min_codepoint=33), max_size=9),
)
def test_no_answer_breaks_the_library(
    bodies: list[bytes], status: int, retry_after: str | None
) -> None:
    kit = Kit("sync")
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    try:
        for body in bodies:
            kit.server.says(answer(body, status=status, headers=headers))
        kit.server.forever = error("expired_token")
        try:
            held = kit.request()
            if not isinstance(held, Token):
                held.wait()
        except ClientError:
            pass
        assert len(kit.server.polls) <= len(bodies) + 1
        assert all(gap >= 1 for gap in kit.server.gaps())
    finally:
        kit.close()


def test_a_refusal_of_the_first_request_is_told_at_once(kit: Kit) -> None:
    for code, kind in [*ENDS, ("invalid_scope", ServerRefused), ("slow_down", ServerRefused)]:
        kit.server.says(error(code))
        expected = ServerRefused if code == "invalid_request" else kind
        with pytest.raises(expected) as refused:
            kit.request()
        assert type(refused.value) is expected
    assert kit.server.polls == []


def test_a_pending_answer_without_a_code_leaves_nothing_to_poll_with(kit: Kit) -> None:
    kit.server.says(pending())
    with pytest.raises(ServerRefused) as refused:
        kit.request()
    assert refused.value.error == "authorization_pending"


def test_the_first_request_is_never_repeated_by_itself(kit: Kit) -> None:
    for fault in (httpx2.ReadTimeout("slow"), answer(b"", status=503), error("server_error")):
        kit.server.says(fault)
        with pytest.raises(Unavailable):
            kit.request()
    assert len(kit.server.token_requests) == 3


def test_a_deferral_that_was_not_asked_for_is_malformed(kit: Kit) -> None:
    kit.server.says(deferred())
    with pytest.raises(MalformedResponse):
        kit.request(defer=False)
    assert "completion_mode" not in kit.server.token_requests[0].names

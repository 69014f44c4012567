"""Cancelling, and tokens that the caller does not want (T-245, T-246, T-249)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from abeyance.client import (
    Access,
    AlreadyGranted,
    Cancelled,
    CancelNotSupported,
    PartialGrant,
    ServerRefused,
    Token,
    Unavailable,
)
from abeyance.client.exchange import Send
from abeyance.client.transport import perform
from abeyance.wire import names
from tests.client.fakes import ACCESS_TOKEN, CODE, Kit, answer, cut, error, granted, pending
from tests.covers import covers


@covers("DTR-CANC-11")
def test_a_cancelled_request_is_polled_no_more(kit: Kit, tmp_path: Path) -> None:
    held = kit.defer()
    held.save(tmp_path / "state")
    held.cancel()
    (sent,) = kit.server.revocations
    assert sent["token"] == CODE
    assert sent["token_type_hint"] == names.TOKEN_TYPE_DEFERRAL_CODE
    assert "authorization" in sent.headers
    kit.time.pass_(60)
    with pytest.raises(Cancelled):
        held.poll()
    with pytest.raises(Cancelled):
        held.wait()
    held.cancel()
    assert len(kit.server.revocations) == 1
    assert kit.server.polls == []
    assert list(tmp_path.iterdir()) == []


@covers("T-245", "DTR-CANC-08")
@pytest.mark.parametrize(
    "metadata",
    [
        {"revocation_endpoint_token_type_values_supported": ["access_token"]},
        {"revocation_endpoint_token_type_values_supported": None},
        {"revocation_endpoint": None},
    ],
)
def test_a_server_that_cannot_cancel_is_told_apart_and_polling_stops(
    kit: Kit, metadata: dict[str, Any]
) -> None:
    kit.server.metadata |= metadata
    held = kit.defer()
    with pytest.raises(CancelNotSupported):
        held.cancel()
    assert kit.server.revocations == []
    kit.time.pass_(60)
    for _ in range(2):
        with pytest.raises(CancelNotSupported):
            held.poll()
        with pytest.raises(CancelNotSupported):
            held.wait()
    assert kit.server.polls == []


@covers("T-245")
def test_unsupported_token_type_is_no_success(kit: Kit) -> None:
    held = kit.defer()
    kit.server.revoking.append(error("unsupported_token_type"))
    with pytest.raises(CancelNotSupported):
        held.cancel()


@covers("T-245", "DTR-CANC-11")
def test_a_cancellation_is_repeated_after_a_fault_of_the_network(kit: Kit) -> None:
    held = kit.defer()
    kit.server.revoking.extend([cut, answer(b"", status=503)])
    held.cancel()
    assert len(kit.server.revocations) == 3


@covers("DTR-CANC-11")
def test_a_cancellation_that_is_not_confirmed_is_no_success_and_ends_nothing(kit: Kit) -> None:
    held = kit.defer()
    not_ok = answer({"error": "temporarily_unavailable"}, status=200)
    kit.server.revoking.extend([cut, answer(b"", status=302), not_ok])
    with pytest.raises(Unavailable):
        held.cancel()
    kit.server.revoking.append(error("invalid_dpop_proof"))
    with pytest.raises(ServerRefused):
        held.cancel()
    kit.server.says(granted())
    held.wait()


@covers("T-246")
def test_a_token_that_was_delivered_is_not_said_to_be_cancelled(kit: Kit) -> None:
    client = kit.client()
    held = kit.defer(client=client)
    kit.server.says(granted())
    token = held.wait()
    with pytest.raises(AlreadyGranted) as late:
        held.cancel()
    assert late.value.token is token
    assert kit.server.revocations == []
    kit.run(client.revoke(token))
    (sent,) = kit.server.revocations
    assert sent["token"] == ACCESS_TOKEN


def test_what_ended_without_a_token_needs_no_cancellation(kit: Kit) -> None:
    held = kit.defer()
    kit.server.says(error("access_denied"))
    with pytest.raises(Exception, match="denied"):
        held.wait()
    held.cancel()
    assert kit.server.revocations == []


_DETAILS: list[Mapping[str, Any]] = [
    {"type": "files", "actions": ["read", "write"], "locations": ["https://a.test"]},
    {"type": "payment", "amount": "10.00"},
    {"type": "payment", "amount": "10.00"},
]


@covers("T-249", "EXT-NARROW-04")
@pytest.mark.parametrize("wait", [True, False])
def test_what_is_missing_is_computed(kit: Kit, wait: bool) -> None:
    asked: dict[str, Any] = {
        "scope": "a b c",
        "resource": "https://api.test",
        "authorization_details": _DETAILS,
    }
    less = granted(
        scope="c a",
        authorization_details=[
            {"type": "payment", "amount": "10.00"},
            {"type": "files", "actions": ["read"], "locations": ["https://a.test"]},
        ],
    )
    if wait:
        held = kit.defer(**asked)
        kit.server.says(less)
        token = held.wait()
    else:
        kit.server.says(less)
        at_once = kit.request(**asked)
        assert isinstance(at_once, Token)
        token = at_once

    assert token.partial
    assert token.requested.scope == ("a", "b", "c")
    assert token.scope == ("c", "a")
    assert token.missing == Access(scope=("b",), authorization_details=(_DETAILS[0], _DETAILS[1]))
    assert kit.server.revocations == []


@covers("T-249")
def test_what_the_server_does_not_tell_is_as_asked(kit: Kit) -> None:
    kit.server.says(granted())
    token = kit.request(scope="a", authorization_details=_DETAILS, on_partial="reject")
    assert isinstance(token, Token)
    assert not token.partial
    assert token.granted == token.requested


@covers("T-249")
def test_more_than_asked_misses_nothing(kit: Kit) -> None:
    more = [{"type": "files", "actions": ["write", "delete", "read"], "locations": ["x", "y"]}]
    kit.server.says(granted(scope="a b", authorization_details=more))
    wanted = [{"type": "files", "actions": ["read"], "locations": ["y"]}]
    token = kit.request(scope="a", authorization_details=wanted, on_partial="reject")
    assert isinstance(token, Token)
    assert not token.missing


@covers("T-249", "EXT-NARROW-04")
@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("less", [{"scope": "a"}, {"scope": ""}, {"authorization_details": []}])
def test_all_or_nothing_revokes_at_once(kit: Kit, wait: bool, less: dict[str, Any]) -> None:
    asked: dict[str, Any] = {
        "scope": "a b",
        "authorization_details": [{"type": "x"}],
        "on_partial": "reject",
    }
    if wait:
        held = kit.defer(**asked)
        kit.server.says(granted(**less))
        with pytest.raises(PartialGrant) as partial:
            held.wait()
        with pytest.raises(PartialGrant):
            held.poll()
    else:
        kit.server.says(granted(**less))
        with pytest.raises(PartialGrant) as partial:
            kit.request(**asked)
    assert partial.value.revoked
    assert partial.value.missing
    (sent,) = kit.server.revocations
    assert sent["token"] == ACCESS_TOKEN
    assert sent["token_type_hint"] == "access_token"


@covers("T-249")
@pytest.mark.parametrize("how", ["no endpoint", "refused", "away"])
def test_a_revocation_that_fails_is_told(kit: Kit, how: str) -> None:
    if how == "no endpoint":
        del kit.server.metadata["revocation_endpoint"]
    kit.server.revoking.extend([error("invalid_client")] if how == "refused" else [cut] * 3)
    kit.server.says(granted(scope="a"))
    with pytest.raises(PartialGrant) as partial:
        kit.request(scope="a b", on_partial="reject")
    assert not partial.value.revoked
    assert partial.value.token.access_token.reveal() == ACCESS_TOKEN


@covers("T-246")
def test_a_poll_under_way_during_a_cancellation_hands_its_token_over(kit: Kit) -> None:
    held = kit.defer()

    def approve_and_cancel(_seen: object) -> httpx2.Response:
        # The server has written the token; now, before its answer arrives, the caller cancels.
        cancel_beside(kit, held)
        return httpx2.Response(200, json={"access_token": ACCESS_TOKEN, "token_type": "Bearer"})

    kit.server.says(approve_and_cancel)
    token = held.wait()
    assert token.access_token.reveal() == ACCESS_TOKEN
    assert len(kit.server.revocations) == 1
    assert held.poll() is token


@covers("T-246")
@pytest.mark.parametrize("then", [pending(), error("access_denied"), cut])
def test_a_poll_under_way_during_a_cancellation_ends_as_cancelled(kit: Kit, then: Any) -> None:
    held = kit.defer()

    def cancel_first(seen: Any) -> Any:
        cancel_beside(kit, held)
        return then(seen)

    kit.server.says(cancel_first)
    with pytest.raises(Cancelled):
        held.wait()
    assert len(kit.server.polls) == 1


@covers("T-246")
def test_a_cancellation_between_two_polls_ends_the_wait(kit: Kit) -> None:
    held = kit.defer()
    kit.time.on_sleep = lambda _seconds: cancel_beside(kit, held)
    with pytest.raises(Cancelled):
        held.wait()
    assert kit.server.polls == []


def cancel_beside(kit: Kit, held: Any) -> None:
    """Cancel while another flow of the same handle stands still, without a second event loop."""
    flow = held.inner._pursuit.cancel()
    reply = None
    try:
        while True:
            step = flow.send(reply)
            reply = None
            if isinstance(step, Send):
                with httpx2.Client(transport=httpx2.MockTransport(kit.server)) as http:
                    reply = perform(http, step)
    except StopIteration:
        pass

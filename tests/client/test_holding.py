"""Polls that the server may hold, names that it knows again, callbacks that hurry a poll."""

import httpx2
import pytest

from abeyance.client import InvalidGrant, StillPending, Unavailable
from abeyance.client.exchange import Send
from abeyance.client.transport import HOLD_GRACE, TIMEOUT, _request
from tests.client.fakes import Handle, Kit, deferred, error, granted
from tests.covers import covers

PENDING = "authorization_pending"


def offer(kit: Kit, *profiles: str) -> None:
    kit.server.metadata |= {"deferred_token_response_profiles_supported": list(profiles)}


def asked(kit: Kit) -> Handle:
    handle = kit.request()
    assert isinstance(handle, Handle)
    return handle


def waits(kit: Kit) -> list[str | None]:
    return [seen.headers.get("prefer") for seen in kit.server.polls]


@covers("EXT-WAIT-07", "DTR-POLL-02")
def test_only_a_wait_at_a_server_that_offers_it_asks_to_be_held(kit: Kit) -> None:
    offer(kit, "wait")
    kit.server.says(deferred(interval=5), error(PENDING), error(PENDING), granted())
    handle = asked(kit)
    kit.time.pass_(5)
    handle.poll()
    handle.wait()
    assert waits(kit) == [None, "wait=25", "wait=25"]
    assert min(kit.server.gaps()) >= 5


@covers("EXT-WAIT-07", "DTR-OPT-06")
def test_a_server_that_does_not_offer_it_is_never_asked(kit: Kit) -> None:
    kit.server.says(deferred(interval=5), error(PENDING), granted())
    asked(kit).wait()
    assert waits(kit) == [None, None]


@covers("EXT-WAIT-07")
def test_a_wait_that_ends_sooner_is_not_held_beyond_its_end(kit: Kit) -> None:
    offer(kit, "wait")
    kit.server.says(deferred(interval=5))
    kit.server.forever = error(PENDING)
    with pytest.raises(StillPending):
        asked(kit).wait(timeout=12)
    assert waits(kit) == ["wait=7", "wait=2"]


@covers("EXT-WAIT-07")
@pytest.mark.parametrize(("own", "read"), [(30.0, 30.0), (10.0, 30.0), (60.0, 60.0)])
def test_our_time_out_is_longer_than_the_server_may_hold(own: float, read: float) -> None:
    step = Send("POST", "https://as.test/token", hold=25)
    limits = httpx2.Timeout(own, connect=3.0)
    told = _request(step, limits).extensions["timeout"]
    assert told == {"connect": 3.0, "read": read, "write": own, "pool": own}
    assert read >= 25 + HOLD_GRACE
    plain = Send("POST", "https://as.test/token")
    assert _request(plain, TIMEOUT).extensions["timeout"] == TIMEOUT.as_dict()


@covers("EXT-WAIT-07")
def test_a_held_poll_that_breaks_off_is_repeated_with_growing_patience(kit: Kit) -> None:
    offer(kit, "wait")
    broken = httpx2.ReadTimeout("")
    kit.server.says(deferred(interval=5, expires_in=6000), broken, broken, broken, granted())
    asked(kit).wait()
    assert [round(gap) for gap in kit.server.gaps()] == [10, 20, 40]


@covers("EXT-WAIT-06", "EXT-WAIT-08")
@pytest.mark.parametrize(("profile", "at_once"), [("wait", True), ("notify", True), ("", False)])
def test_a_callback_hurries_a_poll_only_where_one_is_free(
    kit: Kit, profile: str, at_once: bool
) -> None:
    offer(kit, profile)
    kit.server.says(deferred(interval=5), error(PENDING), granted())
    handle = asked(kit)
    kit.time.pass_(5)
    handle.poll()
    kit.time.pass_(1)
    handle.inner.notified()
    handle.poll()
    assert len(kit.server.polls) == (2 if at_once else 1)


# --- names


@covers("EXT-IDEMP-03", "EXT-IDEMP-01")
def test_a_first_request_is_named_where_the_server_knows_names(kit: Kit) -> None:
    offer(kit, "idempotent")
    kit.server.says(deferred(), deferred(), granted())
    asked(kit)
    asked(kit)
    kit.request(defer=False)
    named = [dict(seen.form).get("deferral_request_id") for seen in kit.server.token_requests]
    assert None not in named[:2]
    assert named[0] != named[1], "each has its own"
    assert named[2] is None


@covers("EXT-IDEMP-03", "EXT-META-05")
def test_a_server_that_does_not_list_names_is_not_sent_any(kit: Kit) -> None:
    offer(kit, "wait")
    kit.server.says(deferred())
    asked(kit)
    [first] = kit.server.token_requests
    assert "deferral_request_id" not in dict(first.form)


@covers("EXT-IDEMP-03", "EXT-IDEMP-07")
def test_a_first_request_without_an_answer_is_sent_again_under_its_name(kit: Kit) -> None:
    offer(kit, "idempotent")
    lost = httpx2.ReadError("")
    kit.server.says(lost, lost, deferred())
    asked(kit)
    names = {dict(seen.form)["deferral_request_id"] for seen in kit.server.token_requests}
    assert len(kit.server.token_requests) == 3
    assert len(names) == 1
    kit.server.says(lost, lost, lost)
    with pytest.raises(Unavailable):
        kit.request()
    assert len(kit.server.token_requests) == 6


@covers("EXT-IDEMP-08")
def test_without_a_name_nothing_is_sent_again(kit: Kit) -> None:
    kit.server.says(httpx2.ReadError(""))
    with pytest.raises(Unavailable):
        kit.request()
    assert len(kit.server.token_requests) == 1


@covers("T-250", "EXT-IDEMP-07")
def test_what_may_be_lost_is_asked_for_once_and_then_reported(kit: Kit) -> None:
    offer(kit, "idempotent")
    kit.server.says(
        deferred(interval=5), httpx2.ReadError(""), error("invalid_grant"), error("invalid_grant")
    )
    with pytest.raises(InvalidGrant) as lost:
        asked(kit).wait()
    assert lost.value.result_may_be_lost
    first, *_, again = kit.server.token_requests
    assert again.form == first.form
    assert len(kit.server.token_requests) == 4


@covers("T-250", "EXT-IDEMP-07")
def test_a_plain_no_is_no_reason_to_ask_again(kit: Kit) -> None:
    offer(kit, "idempotent")
    kit.server.says(deferred(interval=5), error(PENDING), error("invalid_grant"))
    with pytest.raises(InvalidGrant):
        asked(kit).wait()
    assert len(kit.server.token_requests) == 3

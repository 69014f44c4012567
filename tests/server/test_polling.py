"""Polls: their order, their outcomes and their pace (test plan sections E and F)."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from abeyance.pending.pacing import PERSISTENT
from abeyance.wire import names
from tests.config import PAYMENT
from tests.covers import covers
from tests.served import Served, serve

UNKNOWN = "A" * 43


@covers("T-020", "T-097", "T-098", "T-099", "DTR-OK-01", "DTR-OK-02", "DTR-OK-03", "DTR-RD-02")
async def test_an_approved_request_becomes_one_token_and_never_a_second(served: Served) -> None:
    code = await served.s1.defer()
    assert (await served.s1.poll(code)).error == "authorization_pending"
    await served.approve(code)
    token = await served.s1.poll(code)
    assert token.status == 200
    assert set(token.json) == {"access_token", "token_type", "expires_in", "scope"}
    assert token.json["expires_in"] == 600
    for _ in range(50):
        again = await served.s1.poll(code)
        assert (again.status, again.error) == (400, "invalid_grant")


@covers("T-021", "T-154", "DTR-POLL-03", "EXT-DECIDE-04")
async def test_a_denied_request_stays_denied(served: Served) -> None:
    code = await served.s1.defer()
    await served.deny(code)
    for _ in range(3):
        assert (await served.s1.poll(code)).error == "access_denied"


@covers("T-022", "T-094", "T-082", "T-118", "DTR-RESP-03", "EXT-DECIDE-12")
async def test_an_undecided_request_expires_exactly_when_it_said(served: Served) -> None:
    code = await served.s1.defer()
    served.clock.move(3599)
    assert (await served.s1.poll(code)).error == "authorization_pending"
    served.clock.move(1)
    for _ in range(2):
        assert (await served.s1.poll(code)).error == "expired_token"


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's time zone is another one meanwhile."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Pacific/Kiritimati")
        time.tzset()
        yield
    time.tzset()


@covers("T-082", "DTR-RESP-03", "T-172")
async def test_it_expires_when_it_said_also_after_a_restart_in_another_time_zone(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with serve(tmp_path) as before:
        code = await before.s1.defer()
        before.clock.move(1_000)
    request.getfixturevalue("far_away")
    async with serve(tmp_path) as after:
        after.clock.move(3_599)
        assert (await after.s1.poll(code)).error == "authorization_pending"
        after.clock.move(1)
        assert (await after.s1.poll(code)).error == "expired_token"


@covers("T-095", "DTR-RD-01", "EXT-NOTE-01", "EXT-BOUND-05")
async def test_an_approval_that_nobody_collected_expires(served: Served) -> None:
    code = await served.s1.defer()
    served.clock.move(3000)
    await served.approve(code)
    served.clock.move(600)
    assert (await served.s1.poll(code)).error == "expired_token"


@covers("T-096", "DTR-RD-03")
async def test_what_had_ended_before_it_expired_stays_as_it_ended(served: Served) -> None:
    denied, redeemed = await served.s1.defer(), await served.s1.defer()
    await served.deny(denied)
    await served.approve(redeemed)
    assert (await served.s1.poll(redeemed)).status == 200
    served.clock.move(4000)
    assert (await served.s1.poll(denied)).error == "access_denied"
    assert (await served.s1.poll(redeemed)).error == "invalid_grant"


@covers("T-081", "DTR-ERR-02", "EXT-NOTE-03", "EXT-ROTATE-01")
async def test_a_pending_poll_repeats_neither_code_nor_interval(served: Served) -> None:
    code = await served.s1.defer()
    answer = await served.s1.poll(code)
    assert answer.status == 400
    assert set(answer.json) == {"error", "error_description"}
    assert answer.header("retry-after") == "5"


@covers(
    "T-092", "T-128", "SEC-TOK-01", "DTR-ERR-05", "SEC-TM-03", "OAUTH-DEFER-07", "DTR-POLL-03",
)  # fmt: skip
async def test_another_clients_code_looks_like_one_that_never_was(served: Served) -> None:
    expired = await served.c1.defer(scope="brief")
    served.clock.move(60)
    assert (await served.c1.poll(expired)).error == "expired_token"
    pending, denied, approved, redeemed = [await served.c1.defer() for _ in range(4)]
    await served.deny(denied)
    for code in (approved, redeemed):
        await served.approve(code)
    assert (await served.c1.poll(redeemed)).status == 200
    answers = [
        await caller.poll(code)
        for caller in (served.c2, served.c2.without_proof())
        for code in (pending, denied, approved, redeemed, expired, UNKNOWN, "x", "A" * 64)
    ]
    assert {(each.status, each.body, _stable(each.headers)) for each in answers} == {
        (400, answers[0].body, _stable(answers[0].headers))
    }
    assert answers[0].error == "invalid_grant"
    assert (await served.c1.poll(approved)).status == 200


def _stable(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple(field for field in headers if field[0] != "x-request-id")


@covers("T-093", "DTR-ERR-06")
async def test_the_rightful_client_is_told_that_it_redeemed_already(served: Served) -> None:
    code = await served.s1.defer()
    await served.approve(code)
    await served.s1.poll(code)
    again, unknown = await served.s1.poll(code), await served.s1.poll(UNKNOWN)
    assert again.json["error_description"] != unknown.json["error_description"]


@covers("SEC-TOK-28")
async def test_the_reuse_of_a_code_stands_in_the_audit_once(served: Served) -> None:
    code = await served.s1.defer()
    await served.approve(code)
    for _ in range(5):
        await served.s1.poll(code)
    events = await served.house.store.find_events(await served.key_of(code))
    assert [each.event for each in events] == [
        "opened", "approved", "redeemed", "deferral_code_reuse",
    ]  # fmt: skip


@covers("T-091", "DTR-POLL-01")
async def test_a_poll_authenticates_like_every_request(served: Served) -> None:
    code = await served.s1.defer()
    form = [("grant_type", names.GRANT_DEFERRED), ("deferral_code", code)]
    for more in ([], [("client_id", "s1")], [("client_id", "s1"), ("client_secret", "x" * 40)]):
        answer = await served.post("/token", [*form, *more])
        assert (answer.status, answer.error) == (401, "invalid_client")


@covers("T-102", "DTR-RD-17")
async def test_a_client_need_not_register_the_deferred_grant_to_poll(served: Served) -> None:
    code = await served.s1.defer()
    client = await served.house.store.find_client((await served.held(code)).client)
    assert client is not None
    assert names.GRANT_DEFERRED not in client.grant_types
    assert (await served.s1.poll(code)).error == "authorization_pending"


@covers("T-103", "SEC-TOK-10", "OAUTH-PARAM-06")
async def test_a_code_in_the_query_is_refused_and_not_logged(
    served: Served, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    code = await served.s1.defer()
    poll = f"grant_type={quote(names.GRANT_DEFERRED)}&deferral_code={code}"
    _, headers = served.s1.credentials()
    for target, body in (
        (f"/token?{poll}", b""),
        (f"/token?deferral_code={code}", f"grant_type={quote(names.GRANT_DEFERRED)}".encode()),
        (f"/token?grant_type={quote(names.GRANT_DEFERRED)}", f"deferral_code={code}".encode()),
    ):
        answer = await served.post(target, body, headers=headers)
        assert answer.error == "invalid_request"
    told = capsys.readouterr()
    assert code not in caplog.text + told.out + told.err


@covers("T-104", "SEC-TOK-25", "SEC-TOK-11")
async def test_a_near_miss_is_an_unknown_code(served: Served) -> None:
    code = await served.s1.defer()
    for near in (
        code.swapcase(),
        code[:-1],
        code + "A",
        code * 2,
        code + " ",
        quote(quote("é" + code)),
    ):
        assert (await served.s1.poll(near)).error == "invalid_grant"
    for broken in ("%00", "%ff", "%", "%zz", "%0a", "%c0%af", "%ed%a0%80"):
        body = f"grant_type={quote(names.GRANT_DEFERRED)}&deferral_code={code}{broken}".encode()
        answer = await served.post("/token", body, headers=served.s1.credentials()[1])
        assert answer.error == "invalid_request"


@covers("T-101", "OAUTH-DEFER-07", "SEC-TOK-08", "SEC-TM-33", "T-100")
async def test_a_code_opens_nothing_but_its_own_grant(served: Served) -> None:
    code = await served.s1.defer()
    await served.approve(code)
    form = [("grant_type", names.GRANT_CLIENT_CREDENTIALS), ("scope", "read"), ("code", code)]
    assert (await served.s1.post("/token", form)).error == "invalid_scope"
    for name in ("code", "device_code", "refresh_token", "auth_req_id"):
        polled = [("grant_type", names.GRANT_DEFERRED), (name, code)]
        assert (await served.s1.post("/token", polled)).error == "invalid_request"
    token = (await served.s1.poll(code)).json["access_token"]
    assert (await served.s1.poll(token)).error == "invalid_grant"


@covers("T-105", "OAUTH-CAUTH-03")
async def test_only_the_registered_way_to_authenticate_works(served: Served) -> None:
    code = await served.s1.defer()
    other = served.s1
    other.method = names.CLIENT_SECRET_POST
    assert (await other.poll(code)).status == 401


@covers("T-107")
async def test_many_codes_of_one_client_are_independent(served: Served) -> None:
    served.house.limits.creations._rate = 1e9
    served.house.limits.creations._burst = 1_000
    codes = [await served.s1.defer() for _ in range(100)]
    await served.deny(codes[0])
    await served.approve(codes[1])
    assert [(await served.s1.poll(codes[2])).error for _ in range(2)] == [
        "authorization_pending", "slow_down",
    ]  # fmt: skip
    answers = [await served.s1.poll(code) for code in codes]
    assert answers[0].error == "access_denied"
    assert answers[1].status == 200
    assert answers[2].error == "slow_down"
    assert {each.error for each in answers[3:]} == {"authorization_pending"}, (
        "nobody else is slowed"
    )


# --- pace


@covers("T-108", "DTR-RD-14")
async def test_a_first_poll_at_once_is_not_too_fast(served: Served) -> None:
    assert (await served.s1.poll(await served.s1.defer())).error == "authorization_pending"


@covers("T-109", "T-110", "DTR-ERR-04")
async def test_the_interval_holds_between_polls_with_half_a_second_of_tolerance(
    served: Served,
) -> None:
    code = await served.s1.defer()
    for _ in range(20):
        assert (await served.s1.poll(code)).error == "authorization_pending"
        served.clock.move(4.95)
    served.clock.move(-0.95)
    early = await served.s1.poll(code)
    assert early.error == "slow_down"
    assert early.header("retry-after") == "10"


@covers("T-111", "T-112", "T-170", "DTR-RD-05", "DTR-RD-13")
async def test_each_slow_down_adds_five_seconds_for_good(served: Served) -> None:
    code = await served.s1.defer()
    await served.s1.poll(code)
    assert (await served.s1.poll(code)).error == "slow_down"
    served.clock.move(9)
    assert (await served.s1.poll(code)).error == "slow_down"
    for _ in range(3):
        served.clock.move(15)
        assert (await served.s1.poll(code)).error == "authorization_pending"
    served.clock.move(10)
    assert (await served.s1.poll(code)).error == "slow_down"


@covers("T-113", "DTR-RD-05")
async def test_slow_down_does_not_lengthen_the_wait(served: Served) -> None:
    code = await served.s1.defer()
    expires_at = (await served.held(code)).expires_at
    for _ in range(5):
        await served.s1.poll(code)
    assert (await served.held(code)).expires_at == expires_at


@covers("T-114", "SEC-DOS-13", "DTR-RD-13", "DTR-ERR-04")
async def test_a_hammering_client_is_told_to_stop_and_its_request_lives_on(
    served: Served,
) -> None:
    code, other = await served.s1.defer(), await served.s1.defer()
    await served.s1.poll(code)
    answers = [await served.s1.poll(code) for _ in range(PERSISTENT + 3)]
    assert [each.error for each in answers] == (
        ["slow_down"] * (PERSISTENT - 1) + ["invalid_request"] * 4
    )
    assert (await served.s1.poll(other)).error == "authorization_pending"
    served.clock.move(5 + 5 * PERSISTENT)
    assert (await served.s1.poll(code)).error == "authorization_pending"


@covers("T-115", "DTR-RD-20", "OAUTH-DEFER-13")
async def test_polls_that_fail_before_the_code_is_looked_at_do_not_count(served: Served) -> None:
    code = await served.c1.defer()
    await served.c1.poll(code)
    served.clock.move(4)
    stranger = served.c1
    stranger.key = served.keys["c2"]
    for _ in range(5):
        assert (await served.c1.without_proof().poll(code)).error == "invalid_dpop_proof"
        wrong = await served.c1.with_dpop(served.keys["d2"]).poll(code)
        assert wrong.error == "invalid_dpop_proof"
        assert (await served.c2.poll(code)).error == "invalid_grant"
        assert (await stranger.poll(code)).error == "invalid_client"
    served.clock.move(1)
    assert (await served.c1.poll(code)).error == "authorization_pending"


@covers("T-116", "DTR-RD-06")
async def test_a_request_that_has_ended_is_answered_at_once_however_early(
    served: Served,
) -> None:
    approved, denied, cancelled, expired = [await served.s1.defer() for _ in range(4)]
    for code in (approved, denied, cancelled, expired):
        await served.s1.poll(code)
    await served.approve(approved)
    await served.deny(denied)
    await served.s1.revoke(cancelled)
    assert (await served.s1.poll(approved)).status == 200
    assert (await served.s1.poll(denied)).error == "access_denied"
    assert (await served.s1.poll(cancelled)).error == "access_denied"
    served.clock.move(3600)
    assert (await served.s1.poll(expired)).error == "expired_token"


@covers("T-119")
async def test_a_clock_that_is_set_neither_slows_nor_expires_for_good(served: Served) -> None:
    code = await served.s1.defer()
    await served.s1.poll(code)
    served.clock.jump(-3600)
    served.clock.move(5)
    assert (await served.s1.poll(code)).error == "authorization_pending"
    served.clock.jump(7200)
    served.clock.jump(-3600)
    served.clock.move(5)
    assert (await served.s1.poll(code)).error == "authorization_pending"


@covers("T-121", "EXT-DECIDE-11", "DTR-RD-01")
async def test_an_approval_at_the_last_moment_can_still_be_collected(served: Served) -> None:
    code = await served.s1.defer()
    held = await served.held(code)
    served.clock.move((held.decide_by - served.clock.now()).total_seconds() - 1)
    await served.approve(code)
    served.clock.move(held.interval.total_seconds())
    assert (await served.s1.poll(code)).status == 200


@covers("T-122", "EXT-DECIDE-11", "EXT-DECIDE-12")
async def test_an_approval_after_the_deadline_is_refused(served: Served) -> None:
    code = await served.s1.defer()
    held = await served.held(code)
    served.clock.move((held.decide_by - served.clock.now()).total_seconds())
    refused = await served.vote(code)
    assert getattr(refused, "obstacle", None) is not None
    assert (await served.s1.poll(code)).error == "authorization_pending"
    served.clock.move(60)
    assert (await served.s1.poll(code)).error == "expired_token"


@covers("T-172", "T-136", "DTR-SEC-03", "OAUTH-DEFER-12", "T-112", "DTR-RD-13")
async def test_a_restart_changes_nothing_for_a_waiting_client(tmp_path: Path) -> None:
    async with serve(tmp_path) as before:
        waiting, approved = await before.c1.defer(), await before.c1.defer()
        denied, cancelled, redeemed = [await before.c1.defer() for _ in range(3)]
        for code in (approved, redeemed):
            await before.approve(code)
        await before.deny(denied)
        assert (await before.c1.revoke(cancelled)).status == 200
        assert (await before.c1.poll(redeemed)).status == 200
        await before.c1.poll(waiting)
        assert (await before.c1.poll(waiting)).error == "slow_down"
        lives = {code: await before.held(code) for code in (waiting, approved, denied, redeemed)}
    async with serve(tmp_path) as after:
        assert {code: await after.held(code) for code in lives} == lives
        for code, error in (
            (denied, "access_denied"), (cancelled, "access_denied"), (redeemed, "invalid_grant"),
        ):  # fmt: skip
            assert (await after.c1.poll(code)).error == error
        assert (await after.c1.poll(waiting)).error == "authorization_pending"
        after.clock.move(4)
        assert (await after.c1.poll(waiting)).error == "slow_down"
        assert (await after.c1.without_proof().poll(approved)).error == "invalid_dpop_proof"
        assert (await after.c1.poll(approved)).json["token_type"] == "DPoP"


@covers("T-140", "T-141", "SEC-TOK-06", "SEC-TOK-07", "DTR-INV-04", "DTR-RD-15", "DTR-HINT-05")
async def test_strays_on_a_poll_are_counted_and_change_nothing(served: Served) -> None:
    code = await served.s1.defer(scope="read", authorization_details=[PAYMENT])
    strays = {
        "scope": "read write",
        "resource": "https://rs2.example",
        "audience": "x",
        "authorization_details": "[]",
        "completion_mode": "deferred",
        "client_notification_token": "y" * 30,
        "requested_expiry": "1",
        "redirect_uri": "https://evil.example",
        "foo": "bar",
        "code_verifier": "v" * 50,
        "requested_token_type": names.URN_ID_JAG,
    }
    before = served.house.counters.strays._value.get()
    for name, value in strays.items():
        served.clock.move(5)
        answer = await served.s1.poll(code, **{name: value})
        assert answer.error == "authorization_pending"
    assert served.house.counters.strays._value.get() == before + 7
    await served.approve(code)
    token = await served.s1.poll(code, **strays)
    assert token.json["scope"] == "read"
    assert token.claims()["aud"] == "https://rs.example"
    assert token.claims()["authorization_details"] == [PAYMENT]


@pytest.mark.parametrize("shareable", [True, False])
@covers("SEC-TOK-23", "T-090", "DTR-ERR-10", "EXT-OUTCOME-03", "EXT-OUTCOME-04", "SEC-TM-25")
async def test_a_reason_reaches_the_client_only_if_the_reviewer_shares_it(
    served: Served, shareable: bool
) -> None:
    reason = "contact x@corp.example, rule 7, risk 0.93" + "!" * 300
    await served.registers("s1", "outcome")
    code = await served.s1.defer()
    await served.deny(code, reason, shareable=shareable)
    answer = await served.s1.poll(code)
    assert answer.error == "access_denied"
    assert "corp" not in answer.json["error_description"]
    assert b"rita" not in answer.body.lower()
    if shareable:
        assert answer.json["deferral_remark"] == reason[:240]
    else:
        assert answer.json.keys() - {"deferral_outcome", "next_action"} == {
            "error",
            "error_description",
        }

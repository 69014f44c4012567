"""The revocation endpoint: withdrawing what waits, revoking what was issued (section L)."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from abeyance.parties.person import PersonId
from abeyance.wire import names
from tests.answer import Answer
from tests.config import ISSUER
from tests.covers import covers
from tests.served import Served, make_key


@covers("T-023", "DTR-CANC-02", "DTR-CANC-10", "T-171", "DTR-CANC-06", "DTR-CANC-09", "T-197")
async def test_a_withdrawn_request_is_denied_ever_after(served: Served) -> None:
    code = await served.s1.defer()
    assert await waiting_for_rita(served) == 1
    for _ in range(2):
        answer = await served.s1.revoke(code)
        assert (answer.status, answer.body) == (200, b"{}")
    assert (await served.s1.poll(code)).error == "access_denied"
    assert await waiting_for_rita(served) == 0
    late = await served.vote(code)
    assert getattr(late, "obstacle", None) is not None
    assert (await served.s1.poll(code)).error == "access_denied"


@covers("T-189", "DTR-CANC-01", "OAUTH-REVO-04")
async def test_the_hint_is_not_needed_and_a_wrong_one_is_harmless(served: Served) -> None:
    hints = (names.TOKEN_TYPE_DEFERRAL_CODE, "access_token", "refresh_token", "nonsense", None)
    for hint in hints:
        code = await served.s1.defer()
        told = {} if hint is None else {"token_type_hint": hint}
        assert (await served.s1.revoke(code, **told)).status == 200
        assert (await served.s1.poll(code)).error == "access_denied"


@covers("T-190", "SEC-TOK-02", "DTR-CANC-03", "OAUTH-DEC-12", "T-198", "OAUTH-REVO-02")
async def test_what_is_not_there_to_withdraw_is_answered_alike(served: Served) -> None:
    foreign = await served.c1.defer()
    redeemed, cancelled, expired = [await served.s1.defer() for _ in range(3)]
    await served.approve(redeemed)
    token = await served.s1.poll(redeemed)
    await served.s1.revoke(cancelled)
    served.clock.move(3600)
    live = await served.c1.defer()
    answers = [
        await served.s1.revoke(code)
        for code in (foreign, live, redeemed, cancelled, expired, "A" * 64, "x")
    ]
    assert {(each.status, each.body) for each in answers} == {(200, b"{}")}
    assert (await served.c1.poll(live)).error == "authorization_pending"
    assert token.status == 200


@covers("T-191", "DTR-CANC-04")
async def test_withdrawing_a_redeemed_code_leaves_its_token(served: Served) -> None:
    code = await served.s1.defer()
    await served.approve(code)
    token = await served.s1.poll(code)
    await served.s1.revoke(code)
    assert not await is_revoked(served, token.claims()["jti"])


@covers("T-192", "DTR-CANC-05", "T-155", "T-193")
async def test_an_approval_that_was_withdrawn_never_becomes_a_token(served: Served) -> None:
    approved, denied = await served.s1.defer(), await served.s1.defer()
    await served.approve(approved)
    await served.deny(denied)
    for code in (approved, denied):
        assert (await served.s1.revoke(code)).status == 200
        assert (await served.s1.poll(code)).error == "access_denied"


@covers("T-137", "T-138", "DTR-CANC-07", "DTR-RD-24", "OAUTH-REVO-09", "DTR-SEC-03")
async def test_only_the_bound_key_withdraws(served: Served) -> None:
    code = await served.c1.defer()
    for other in (served.c1.without_proof(), served.c1.with_dpop(make_key())):
        assert (await other.revoke(code)).error == "invalid_dpop_proof"
    wrong = [("dpop", served.c1.proof(ISSUER + "/token"))]
    refused = await served.c1.without_proof().post("/revoke", [("token", code)], headers=wrong)
    assert refused.error == "invalid_dpop_proof"
    assert (await served.c1.poll(code)).error == "authorization_pending"
    assert (await served.c1.revoke(code)).status == 200
    assert (await served.c1.poll(code)).error == "access_denied"
    # Ended: nothing is left to protect, so nothing is asked (reading 24).
    assert (await served.c1.without_proof().revoke(code)).status == 200


@covers("T-194", "OAUTH-REVO-01", "OAUTH-REVO-07")
async def test_a_stranger_withdraws_nothing(served: Served) -> None:
    code = await served.s1.defer()
    wrong = await served.post(
        "/revoke", [("token", code), ("client_id", "s1"), ("client_secret", "x" * 40)]
    )
    assert (wrong.status, wrong.error) == (401, "invalid_client")
    got = await served.get(f"/revoke?token={code}")
    assert (got.status, got.header("allow")) == (405, "POST")
    missing = await served.s1.post("/revoke", [])
    assert missing.error == "invalid_request"
    assert (await served.s1.poll(code)).error == "authorization_pending"


async def calls(served: Served, act: Awaitable[Answer]) -> tuple[Answer, list[str]]:
    """Which operations of the store a request takes, in their order."""
    store, taken = served.house.store, list[str]()

    def counted(name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            taken.append(name)
            return operation(*arguments, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name, operation in inspect.getmembers(store, inspect.iscoroutinefunction):
            # The outbox looks by itself, beside the request.
            if not name.startswith("_") and name != "next_message":
                patch.setattr(store, name, counted(name, operation), raising=False)
        return await act, taken


@covers("DTR-CANC-06", "T-217", "SEC-STORE-14")
async def test_withdrawing_takes_the_same_reads_and_writes_whatever_the_code(
    served: Served,
) -> None:
    own, foreign, ended = await served.s1.defer(), await served.c1.defer(), await served.s1.defer()
    await served.s1.revoke(ended)
    taken = []
    for code in (own, foreign, ended, "A" * 64):
        answer, operations = await calls(served, served.s1.revoke(code))
        assert answer.status == 200
        taken.append(operations)
    assert taken[0].count("apply") == 1
    assert taken == [taken[0]] * 4


@covers("DTR-ERR-05", "T-218", "T-220", "SEC-STORE-14")
async def test_polling_takes_the_same_reads_for_a_foreign_a_near_and_an_unknown_code(
    served: Served,
) -> None:
    foreign = await served.c1.defer()
    near = foreign[:-1] + ("A" if foreign[-1] != "A" else "B")
    taken = []
    for code in (foreign, near, "A" * 64):
        answer, operations = await calls(served, served.s1.poll(code))
        assert answer.error == "invalid_grant"
        taken.append(operations)
    assert taken[0]
    assert "apply" not in taken[0]
    assert taken == [taken[0]] * 3


@covers("OAUTH-REVO-03", "OAUTH-REVO-05", "OAUTH-REVO-08", "EXT-NARROW-04", "OAUTH-AT-06")
async def test_an_access_token_is_revoked_by_its_client_only(served: Served) -> None:
    issued = await served.s1.ask(scope="now")
    token, jti = issued.json["access_token"], issued.claims()["jti"]
    foreign = await served.c2.revoke(token)
    assert (foreign.status, foreign.error) == (400, "invalid_grant")
    assert not await is_revoked(served, jti)
    for _ in range(2):
        assert (await served.s1.revoke(token)).status == 200
    assert await is_revoked(served, jti)
    for unknown in (token[:-4] + "AAAA", "a.b.c", "e30.e30."):
        assert (await served.s1.revoke(unknown)).status == 200


async def is_revoked(served: Served, jti: str) -> bool:
    from abeyance.oauth.minting import parse_jti

    place = parse_jti(jti)
    assert place is not None
    record = await served.house.store.find_token(*place)
    assert record is not None
    return record.revoked_at is not None


async def waiting_for_rita(served: Served) -> int:
    now = served.clock.now()
    return await served.house.store.count_waiting(PersonId("rita"), now=now, at_most=9)

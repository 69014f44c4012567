"""DPoP: proofs at the endpoints and one key from the first request to the token (section G)."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from abeyance.proofs import dpop
from abeyance.wire import names
from tests.config import ISSUER
from tests.covers import covers
from tests.served import Caller, Served, make_key, serve

TOKEN = ISSUER + "/token"


@covers(
    "T-125", "T-129", "T-131", "DTR-BIND-01", "DTR-POLL-04", "DTR-OK-04", "DTR-INV-03",
    "DTR-SEC-03", "OAUTH-DPOP-11", "OAUTH-DPOP-13", "EXT-NOTE-06", "DTR-RD-04", "OAUTH-DEC-07",
)  # fmt: skip
async def test_only_the_key_of_the_first_request_collects(served: Served) -> None:
    code = await served.c1.defer()
    for other in (served.c1.without_proof(), served.c1.with_dpop(make_key())):
        answer = await other.poll(code)
        assert (answer.status, answer.error) == (400, "invalid_dpop_proof")
    assert (await served.c1.poll(code)).error == "authorization_pending"
    await served.approve(code)
    token = await served.c1.poll(code)
    assert token.json["token_type"] == "DPoP"
    assert token.claims()["cnf"] == {"jkt": served.keys["d1"].public.jkt}


@covers("SEC-TOK-03", "DTR-RD-04")
async def test_a_wrong_key_learns_nothing_of_the_state(served: Served) -> None:
    pending, approved, denied = [await served.c1.defer() for _ in range(3)]
    await served.approve(approved)
    await served.deny(denied)
    stranger = make_key()
    bodies = {
        (await caller.poll(code)).body
        for caller in (served.c1.without_proof(), served.c1.with_dpop(stranger))
        for code in (pending, approved, denied)
    }
    assert len(bodies) == 1


@covers("SEC-TOK-04", "SEC-TM-04", "OAUTH-DPOP-24")
async def test_a_bearer_header_is_no_proof(served: Served) -> None:
    code = await served.c1.defer()
    await served.approve(code)
    form = [("grant_type", names.GRANT_DEFERRED), ("deferral_code", code)]
    bearer = [("authorization", "Bearer x")]
    answer = await served.c1.without_proof().post("/token", form, headers=bearer)
    assert answer.error == "invalid_dpop_proof"


@covers("T-132", "OAUTH-DPOP-13")
async def test_a_code_without_a_key_is_not_bound_by_a_later_proof(served: Served) -> None:
    code = await served.s1.defer()
    one, two = served.s1.with_dpop(make_key()), served.s1.with_dpop(make_key())
    assert (await one.poll(code)).error == "authorization_pending"
    served.clock.move(5)
    assert (await two.poll(code)).error == "authorization_pending"
    await served.approve(code)
    token = await one.poll(code)
    assert one.dpop is not None
    assert token.claims()["cnf"] == {"jkt": one.dpop.public.jkt}


@covers("T-074", "DTR-SEC-02")
async def test_a_client_with_a_secret_may_be_deferred_without_a_key(served: Served) -> None:
    code = await served.s1.defer()
    await served.approve(code)
    assert (await served.s1.poll(code)).json["token_type"] == "Bearer"


@covers("OAUTH-DPOP-15", "OAUTH-TOK-10")
async def test_a_client_that_must_prove_a_key_gets_nothing_without(served: Served) -> None:
    for scope in ("now", "read"):
        answer = await served.c1.without_proof().ask(scope=scope)
        assert answer.error == "invalid_dpop_proof"


@covers(
    "T-126", "OAUTH-DPOP-05", "OAUTH-DPOP-06", "OAUTH-DPOP-09", "OAUTH-DPOP-12", "OAUTH-DPOP-23"
)
async def test_a_bad_proof_is_refused_and_the_code_lives(served: Served) -> None:
    code = await served.c1.defer()
    caller, now = served.c1, served.clock.now()
    assert caller.dpop is not None
    good = {"method": "POST", "url": TOKEN, "now": now}
    for bad in (
        good | {"method": "GET"},
        good | {"url": ISSUER + "/revoke"},
        good | {"now": now - timedelta(seconds=61)},
        good | {"now": now + timedelta(seconds=11)},
    ):
        proof = dpop.make_proof(caller.dpop, jti="x", nonce=None, **bad)  # type: ignore[arg-type]
        assert (await _poll_with(caller, code, proof)).error == "invalid_dpop_proof"
    once = caller.proof(TOKEN, jti="once")
    assert (await _poll_with(caller, code, once)).error == "authorization_pending"
    assert (await _poll_with(caller, code, once)).error == "invalid_dpop_proof"
    assert (await _poll_with(caller, code, once[:-4] + "AAAA")).error == "invalid_dpop_proof"
    served.clock.move(5)
    assert (await caller.poll(code)).error == "authorization_pending"


@covers("SEC-JOSE-28", "OAUTH-DPOP-01")
async def test_two_proofs_are_none(served: Served) -> None:
    code = await served.c1.defer()
    proof = served.c1.proof(TOKEN)
    form = [("grant_type", names.GRANT_DEFERRED), ("deferral_code", code)]
    for headers in (
        [("dpop", proof), ("dpop", served.c1.proof(TOKEN))],
        [("dpop", f"{proof}, {proof}")],
        [("dpop", "")],
    ):
        answer = await served.c1.without_proof().post("/token", form, headers=headers)
        assert answer.error == "invalid_dpop_proof"


@covers("SEC-JOSE-41")
async def test_a_proof_seen_at_one_endpoint_is_useless_at_another(served: Served) -> None:
    code = await served.c1.defer()
    proof = served.c1.proof(TOKEN)
    await _poll_with(served.c1, code, proof)
    stolen = [("dpop", proof)]
    bare = served.c1.without_proof()
    assert (await bare.post("/revoke", [("token", code)], headers=stolen)).error == (
        "invalid_dpop_proof"
    )
    again = [("grant_type", "client_credentials"), ("scope", "now")]
    assert (await bare.post("/token", again, headers=stolen)).error == "invalid_dpop_proof"


@covers("SEC-JOSE-34")
async def test_a_replay_with_its_url_spelled_otherwise_is_a_replay(served: Served) -> None:
    code = await served.c1.defer()
    key = served.c1.dpop
    assert key is not None
    spelled = [
        dpop.make_proof(key, method="POST", url=url, now=served.clock.now(), jti="same", nonce=None)
        for url in (TOKEN, TOKEN + "?x", "https://AS.example:443/token")
    ]
    answers = [await _poll_with(served.c1, code, proof) for proof in spelled]
    assert [each.error for each in answers] == [
        "authorization_pending", "invalid_dpop_proof", "invalid_dpop_proof",
    ]  # fmt: skip


@covers("SEC-JOSE-35", "OAUTH-SEC-09")
async def test_a_proof_dated_ahead_is_remembered_to_the_end_of_its_window(served: Served) -> None:
    code = await served.c1.defer()
    assert served.c1.dpop is not None
    proof = dpop.make_proof(
        served.c1.dpop, method="POST", url=TOKEN, jti="ahead", nonce=None,
        now=served.clock.now() + timedelta(seconds=10),
    )  # fmt: skip
    assert (await _poll_with(served.c1, code, proof)).error == "authorization_pending"
    served.clock.move(69)
    assert (await _poll_with(served.c1, code, proof)).error == "invalid_dpop_proof"


@covers("SEC-JOSE-36", "SEC-DOS-15", "SEC-TOK-18")
async def test_proofs_of_strangers_leave_no_trace(served: Served) -> None:
    before = len(served.house.replay)  # type: ignore[arg-type]
    for _ in range(5):
        proof = Caller(served, "nobody", dpop=make_key()).proof(TOKEN)
        answer = await served.post(
            "/token", [("grant_type", "x"), ("client_id", "nobody")], headers=[("dpop", proof)]
        )
        assert answer.error == "invalid_client"
    assert len(served.house.replay) == before  # type: ignore[arg-type]


# --- nonces


@covers(
    "T-127",
    "OAUTH-DPOP-08",
    "OAUTH-DPOP-16",
    "OAUTH-DPOP-17",
    "SEC-JOSE-37",
    "SEC-JOSE-38",
    "OAUTH-DEFER-13",
    "OAUTH-CAUTH-17",
)
async def test_a_nonce_is_asked_for_once_and_burns_nothing(tmp_path: Path) -> None:
    async with serve(tmp_path, extra="[dpop]\nrequire_nonce = true") as served:
        caller = served.c1
        assertion = caller.assertion()
        form = [
            ("grant_type", "client_credentials"), ("scope", "read"),
            ("completion_mode", "deferred"),
            ("client_assertion_type", names.ASSERTION_JWT_BEARER), ("client_assertion", assertion),
        ]  # fmt: skip
        challenged = await served.post("/token", form, headers=[("dpop", caller.proof(TOKEN))])
        assert challenged.error == "use_dpop_nonce"
        nonces = [value for name, value in challenged.headers if name == "dpop-nonce"]
        assert len(nonces) == 1
        caller.nonce = nonces[0]
        proof = [("dpop", caller.proof(TOKEN))]
        assert (await served.post("/token", form, headers=proof)).error == "authorization_pending"
        code = await caller.defer()
        await caller.poll(code)
        served.clock.move(4)
        stale = served.c1
        stale.nonce = "A" * len(nonces[0])
        assert (await stale.poll(code)).error == "use_dpop_nonce"
        served.clock.move(1)
        assert (await caller.poll(code)).error == "authorization_pending"
        served.clock.move(150)
        assert (await caller.poll(code)).error == "authorization_pending"
        served.clock.move(150)
        assert (await caller.poll(code)).error == "use_dpop_nonce"


# --- assertions


@covers("T-135", "OAUTH-CAUTH-17", "SEC-JOSE-24", "SEC-JOSE-25", "DTR-POLL-01", "OAUTH-DEFER-04")
async def test_an_assertion_works_once_and_at_one_endpoint(served: Served) -> None:
    code = await served.c2.defer()
    assertion = served.c2.assertion()
    form = [("client_assertion_type", names.ASSERTION_JWT_BEARER), ("client_assertion", assertion)]
    poll = [("grant_type", names.GRANT_DEFERRED), ("deferral_code", code), *form]

    async def send(path: str, body: list[tuple[str, str]]) -> str | None:
        proof = [("dpop", served.c2.proof(ISSUER + path))]
        return (await served.post(path, body, headers=proof)).error

    assert await send("/token", poll) == "authorization_pending"
    assert await send("/token", poll) == "invalid_client"
    assert await send("/revoke", [("token", code), *form]) == "invalid_client"


@covers("SEC-JOSE-26")
async def test_fifty_uses_of_one_assertion_at_once_give_one(served: Served) -> None:
    form = [
        ("grant_type", "client_credentials"), ("scope", "now"),
        ("client_assertion_type", names.ASSERTION_JWT_BEARER),
        ("client_assertion", served.c2.assertion()),
    ]  # fmt: skip
    answers = await asyncio.gather(*(served.post("/token", form) for _ in range(50)))
    assert sorted(each.status for each in answers).count(200) == 1
    assert {each.error for each in answers if each.status != 200} <= {
        "invalid_client", "temporarily_unavailable",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/token", "/revoke"])
@covers("SEC-TOK-18", "OAUTH-CAUTH-02")
async def test_two_ways_to_authenticate_are_none(served: Served, path: str) -> None:
    basic = served.s1.credentials()[1]
    assertion = [
        ("client_assertion_type", names.ASSERTION_JWT_BEARER),
        ("client_assertion", served.c2.assertion()),
    ]
    secret = [("client_id", "s1"), ("client_secret", "x" * 40)]
    for form, headers in (
        (assertion, basic),
        (secret, basic),
        (secret + assertion, []),
        ([], basic * 2),
    ):
        answer = await served.post(path, [("token", "x"), *form], headers=headers)
        assert (answer.status, answer.error) == (400, "invalid_request")


@covers("OAUTH-CAUTH-06", "SEC-JOSE-21", "OAUTH-CAUTH-13")
async def test_an_assertion_does_not_speak_for_another_client(served: Served) -> None:
    form = [
        ("grant_type", "client_credentials"), ("scope", "now"), ("client_id", "c1"),
        ("client_assertion_type", names.ASSERTION_JWT_BEARER),
        ("client_assertion", served.c2.assertion()),
    ]  # fmt: skip
    assert (await served.post("/token", form)).error == "invalid_client"


async def _poll_with(caller: Caller, code: str, proof: str):  # type: ignore[no-untyped-def]
    form = [("grant_type", names.GRANT_DEFERRED), ("deferral_code", code)]
    return await caller.without_proof().post("/token", form, headers=[("dpop", proof)])

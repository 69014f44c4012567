"""A first request: a token at once, a clear no, or "not yet" (test plan sections B, C, D)."""

import json
import re
import statistics
from base64 import urlsafe_b64decode
from typing import Any

import pytest

from abeyance.wire import names
from tests.config import EXPORT, PAYMENT
from tests.covers import covers
from tests.served import Served

DTR_MEMBERS = {"deferral_code", "interval", "interaction_uri"}


@covers("T-019", "T-056", "DTR-OPT-03", "OAUTH-TOK-03", "OAUTH-TOK-11")
async def test_an_opted_in_request_that_policy_allows_gets_its_token_at_once(
    served: Served,
) -> None:
    answer = await served.s1.ask(scope="now")
    assert answer.status == 200
    assert set(answer.json) == {"access_token", "token_type", "expires_in", "scope"}
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["expires_in"] == 600
    assert answer.claims()["sub"] == "client:s1"


@covers("T-049", "DTR-OPT-01", "EXT-ARAP-02", "OAUTH-DEFER-14")
async def test_a_client_that_did_not_opt_in_is_never_deferred(served: Served) -> None:
    answer = await served.s1.ask(defer=False, scope="read")
    assert (answer.status, answer.error) == (400, "invalid_scope")
    assert not DTR_MEMBERS & set(answer.json)
    assert "review" in answer.json["error_description"]


@pytest.mark.parametrize("mode", ["", "other", "Deferred", "DEFERRED", "undeferred", "deferred,x"])
@covers("T-050", "T-052", "T-054", "DTR-OPT-02")
async def test_what_is_not_exactly_deferred_is_no_opt_in(served: Served, mode: str) -> None:
    answer = await served.s1.ask(completion_mode=mode)
    assert answer.error == "invalid_scope"


@pytest.mark.parametrize(
    "mode", ["deferred", "other deferred", "deferred other", "deferred deferred", "x deferred y"]
)
@covers("T-051", "T-053", "DTR-OPT-02", "DTR-RD-11", "EXT-META-03", "SEC-TOK-20")
async def test_unknown_and_repeated_values_of_completion_mode_are_harmless(
    served: Served, mode: str
) -> None:
    answer = await served.s1.ask(completion_mode=mode)
    assert answer.error == "authorization_pending"


@covers("T-053", "T-054", "SEC-TOK-20", "DTR-RD-11")
async def test_a_repeated_parameter_a_tab_or_too_many_values_refuse_the_request(
    served: Served,
) -> None:
    twice = [("grant_type", "client_credentials"), ("scope", "read")]
    mode = ("completion_mode", "deferred")
    for form in (
        [*twice, mode, mode],
        [*twice, ("completion_mode", "deferred\tx")],
        [*twice, ("completion_mode", " ".join(["x"] * 10_000))],
    ):
        assert (await served.s1.post("/token", form)).error == "invalid_request"
    assert await waiting(served) == 0


@covers("DTR-HINT-04", "T-064")
async def test_a_request_without_a_hint_before_it_may_be_deferred(served: Served) -> None:
    assert (await served.s1.ask(scope="read")).error == "authorization_pending"


@covers(
    "T-077", "T-080", "DTR-RESP-01", "DTR-RESP-02", "DTR-RESP-03", "DTR-RESP-04", "DTR-RD-25",
    "DTR-RESP-05", "DTR-RD-29", "DTR-RD-30", "DTR-ERR-01", "EXT-NOTE-11", "OAUTH-PARAM-10",
)  # fmt: skip
async def test_the_deferred_response_has_the_drafts_shape(served: Served) -> None:
    answer = await served.s1.ask(scope="read")
    assert answer.status == 400
    assert answer.header("content-type") == "application/json"
    assert answer.header("cache-control") == "no-store"
    assert answer.header("retry-after") == "5"
    assert answer.header("www-authenticate") is None
    assert set(answer.json) == {
        "error", "error_description", "deferral_code", "expires_in", "interval",
    }  # fmt: skip
    assert answer.error == "authorization_pending"
    assert type(answer.json["expires_in"]) is int
    assert answer.json["expires_in"] == 3600
    assert type(answer.json["interval"]) is int
    assert answer.json["interval"] == 5


@covers("OAUTH-FAPI-15", "T-078", "T-079", "DTR-RESP-02", "DTR-INV-05", "OAUTH-SEC-01")
async def test_codes_are_long_unique_and_mean_nothing(served: Served) -> None:
    served.house.limits.creations._rate = 1e9
    served.house.limits.creations._burst = 10_000
    codes = [await served.s1.defer() for _ in range(300)]
    assert len(set(codes)) == len({code[:10] for code in codes}) == 300
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{64}", code) for code in codes)
    secrets = [urlsafe_b64decode(code)[16:] for code in codes]
    assert min(len(set(secret)) for secret in secrets) > 20, "32 bytes of chance, not fewer"
    symbols = [sum(code.count(c) for code in codes) for c in "ABCxyz019_-"]
    expected = 300 * 64 / 64
    assert statistics.mean(symbols) == pytest.approx(expected, rel=0.2)


@covers("T-067", "T-068", "DTR-INIT-01", "DTR-INIT-06")
async def test_a_request_that_is_wrong_gets_the_grants_error_and_no_code(served: Served) -> None:
    refresh = [("grant_type", names.GRANT_REFRESH_TOKEN), ("refresh_token", "x")]
    foreign = await served.s1.post("/token", [*refresh, ("completion_mode", "deferred")])
    assert (foreign.status, foreign.error) == (400, "unauthorized_client")
    assert (await served.s1.ask(scope="unknown")).error == "invalid_scope"
    assert (await served.s1.ask(scope="read", resource="https://other")).error == "invalid_target"
    form = [("grant_type", "client_credentials"), ("completion_mode", "deferred")]
    wrong = await served.post("/token", [*form, ("client_id", "s1"), ("client_secret", "x" * 40)])
    assert (wrong.status, wrong.error) == (401, "invalid_client")
    assert await waiting(served) == 0


@pytest.mark.parametrize("scope", ["never", "now never"])
@covers("EXT-ARAP-01")
async def test_a_denied_request_is_refused_at_once_by_what_it_asked(
    served: Served, scope: str
) -> None:
    answer = await served.s1.ask(scope="never")
    assert answer.error == "invalid_scope"
    detailed = await served.s1.ask(scope="never", authorization_details=[PAYMENT])
    assert detailed.error == "invalid_authorization_details"
    assert await waiting(served) == 0


@pytest.mark.parametrize(
    "token", ["x" * 10, "x" * 513, "x" * 30 + "\r\nX: y", "x" * 30 + " ", "x" * 30 + "\u00e9"]
)
@covers("T-070", "SEC-TOK-21", "DTR-RD-19")
async def test_a_notification_token_that_cannot_be_a_header_is_refused(
    served: Served, token: str
) -> None:
    answer = await served.s1.ask(client_notification_token=token)
    assert answer.error == "invalid_request"
    assert await waiting(served) == 0


@pytest.mark.parametrize(
    "token", ["A1-._~+/bcdefghijklmnop=", "123e4567-e89b-42d3-a456-426614174000"]
)
@covers("T-071", "T-072", "DTR-INIT-04", "DTR-RD-19")
async def test_a_notification_token_without_an_endpoint_is_accepted_and_forgotten(
    served: Served, token: str
) -> None:
    code = await served.s1.defer(client_notification_token=token)
    loaded = await served.house.store.find_loaded(await served.key_of(code))
    assert token not in repr(loaded)


@covers("T-076", "SEC-TOK-12")
async def test_the_deferred_grant_without_a_code_is_an_invalid_request(served: Served) -> None:
    for form in (
        [("grant_type", names.GRANT_DEFERRED)],
        [("grant_type", names.GRANT_DEFERRED), ("deferral_code", "")],
    ):
        assert (await served.s1.post("/token", form)).error == "invalid_request"


@pytest.mark.parametrize(
    "grant_type",
    ["password", "implicit", names.GRANT_DEFERRED + " ", names.GRANT_DEFERRED.upper(), "x"],
)
@covers("OAUTH-TOK-07", "SEC-TOK-12", "OAUTH-PARAM-05")
async def test_other_grant_types_are_not_supported(served: Served, grant_type: str) -> None:
    answer = await served.s1.post("/token", [("grant_type", grant_type)])
    assert (answer.status, answer.error) == (400, "unsupported_grant_type")


@covers("OAUTH-TOK-01", "OAUTH-CAUTH-04")
async def test_a_stranger_is_not_told_which_grants_there_are(served: Served) -> None:
    answer = await served.post("/token", [("grant_type", "password"), ("client_id", "s1")])
    assert (answer.status, answer.error) == (401, "invalid_client")


@covers("OAUTH-SCOPE-02", "OAUTH-RES-02", "OAUTH-RES-03", "OAUTH-RES-04", "OAUTH-AT-03")
async def test_defaults_fill_what_is_left_out_only_where_they_are_clear(served: Served) -> None:
    form = [("grant_type", "client_credentials"), ("completion_mode", "deferred")]
    # p1 has a default scope but two resources: which one is meant must be said.
    assert (await served.p1.post("/token", form)).error == "invalid_target"
    both = [("resource", "https://rs.example"), ("resource", "https://rs2.example")]
    assert (await served.p1.post("/token", [*form, *both])).error == "invalid_target"
    one = await served.p1.post("/token", [*form, ("resource", "https://rs2.example/")])
    await served.approve(one.code)
    token = await served.p1.poll(one.code)
    assert token.json["scope"] == "read"
    assert token.claims()["aud"] == "https://rs2.example"
    assert (await served.s1.post("/token", form)).error == "invalid_scope"


@covers("OAUTH-RAR-01", "OAUTH-RAR-08", "OAUTH-RAR-10", "OAUTH-RAR-12", "OAUTH-AT-02")
async def test_authorization_details_travel_from_request_to_token(served: Served) -> None:
    code = await served.s1.defer(scope="read", authorization_details=[PAYMENT])
    await served.approve(code)
    token = await served.s1.poll(code)
    assert token.json["authorization_details"] == [PAYMENT]
    assert token.claims()["authorization_details"] == [PAYMENT]
    assert token.json["scope"] == token.claims()["scope"] == "read"


BAD_DETAILS: list[Any] = [
    "", "x", "{}", "[]", "null", "[1]", '[{"type":"payment"}]', '[{"type":"unknown"}]', "[[]]",
    '[{"type":"a","type":"b"}]', '[{"type":"payment","amount":NaN}]', "[1e400]",
    "[" * 9 + "]" * 9, "[" * 20_000, '[{"__proto__":{}}]', '["\\ud800"]', "\ufeff[]", "[]]",
    json.dumps([{**PAYMENT, "__proto__": {}}]), json.dumps([{**PAYMENT, "amount": 120}]),
    json.dumps([{**PAYMENT, "amount": {"amount": "1.000,00", "currency": "EUR"}}]),
    json.dumps([{**PAYMENT, "amount": {"amount": "-1", "currency": "EUR"}}]),
    json.dumps([{**EXPORT, "tables": []}]), json.dumps([{**EXPORT, "tables": ["secrets"]}]),
    json.dumps([PAYMENT] * 33), json.dumps([{**PAYMENT, "reason": "x" * 32_768}]),
]  # fmt: skip


@pytest.mark.parametrize("details", BAD_DETAILS, ids=range(len(BAD_DETAILS)))
@covers("SEC-TOK-22", "SEC-DOS-05", "OAUTH-RAR-02", "OAUTH-PARAM-09", "OAUTH-RAR-06")
async def test_bad_authorization_details_are_refused_and_open_nothing(
    served: Served, details: str
) -> None:
    answer = await served.s1.ask(authorization_details=details)
    assert answer.status == 400
    expected = ("invalid_authorization_details",) if details else ("invalid_scope",)
    assert answer.error in (*expected, "invalid_request")
    assert await waiting(served) == 0


@covers("OAUTH-CLI-04", "OAUTH-RAR-02")
async def test_a_type_that_the_client_may_not_use_is_refused(served: Served) -> None:
    answer = await served.c2.ask(authorization_details=[PAYMENT])
    assert answer.error == "invalid_authorization_details"


@covers("SEC-TOK-30")
@pytest.mark.parametrize(
    "bait", ["' OR 1=1--", "{{7*7}}", "${jndi:ldap://x}", "%s%n", "$(id)", "../../etc/passwd"]
)
async def test_bait_for_interpreters_is_an_ordinary_error(served: Served, bait: str) -> None:
    for name in ("scope", "resource", "authorization_details", "completion_mode", "audience"):
        form = {"grant_type": "client_credentials", "scope": "read", name: bait}
        answer = await served.s1.post("/token", list(form.items()))
        assert answer.status == 400
        assert bait.encode() not in answer.body
        assert b"49" not in answer.body


@covers("SEC-TOK-29", "T-215", "OAUTH-HTTP-01", "SEC-OPS-07")
async def test_forged_hosts_change_no_url(served: Served) -> None:
    forged = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example"),
    ]
    answer = await served.post("/token", [("grant_type", "x")], headers=forged)
    assert answer.header("www-authenticate") == 'Basic realm="https://as.example", charset="UTF-8"'
    metadata = await served.get("/.well-known/oauth-authorization-server", headers=forged)
    assert b"evil" not in metadata.body


async def waiting(served: Served) -> int:
    """How many requests Rita could decide now."""
    rita = next(each for each in await served.house.store.list_people() if each.id == "rita")
    return await served.house.store.count_waiting(rita.id, now=served.clock.now(), at_most=1_000)

"""What every answer has and every request must have, at each form endpoint (section O)."""

from datetime import timedelta
from pathlib import Path

import pytest

from abeyance.proofs.client_assertion import make_assertion
from abeyance.wire import names
from tests.answer import Answer, check_not_stored
from tests.config import CONFIG, ISSUER
from tests.covers import covers
from tests.served import Caller, Served, serve

ENDPOINTS = ["/token", "/revoke"]


@covers("T-211", "DTR-ERR-01", "OAUTH-HTTP-05", "OAUTH-DEC-15")
async def test_no_answer_may_be_stored(served: Served) -> None:
    code, other = await served.c1.defer(), await served.c1.defer()
    answers = [
        await served.c1.poll(code),
        await served.c1.poll(code),
        await served.c1.without_proof().poll(code),
        await served.c1.poll("x"),
        await served.c1.poll(""),
        await served.post("/token", []),
        await served.c1.revoke(other),
        await served.c1.poll(other),
        await served.c1.ask(scope="now"),
    ]
    await served.approve(code)
    answers.append(await served.c1.poll(code))
    brief = await served.c1.defer(scope="brief")
    served.clock.move(60)
    answers.append(await served.c1.poll(brief))
    wrong = [("client_id", "s1"), ("client_secret", "x" * 40)]
    answers += [await served.post("/token", wrong) for _ in range(7)]
    assert {each.error for each in answers if each.status != 200} == {
        "authorization_pending", "slow_down", "invalid_dpop_proof", "invalid_grant",
        "invalid_request", "invalid_client", "access_denied", "expired_token",
        "temporarily_unavailable",
    }  # fmt: skip
    assert {each.status for each in answers} == {200, 400, 401, 429}
    for answer in answers:
        check_not_stored(answer)


class CachingProxy:
    """Keeps what it is not forbidden to keep, and answers from that (RFC 9111 section 3)."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._kept: dict[str, Answer] = {}

    async def poll(self, code: str) -> Answer:
        if code not in self._kept:
            answer = await self._caller.poll(code)
            if answer.header("cache-control") == "no-store":
                return answer
            self._kept[code] = answer
        return self._kept[code]


@covers("T-212", "DTR-ERR-01")
async def test_a_proxy_that_caches_hides_no_decision(served: Served) -> None:
    code, proxy = await served.s1.defer(), CachingProxy(served.s1)
    assert (await proxy.poll(code)).error == "authorization_pending"
    await served.approve(code)
    assert (await proxy.poll(code)).status == 200
    assert (await proxy.poll(code)).error == "invalid_grant"


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
@covers("T-208", "SEC-TOK-14", "OAUTH-HTTP-02")
async def test_other_methods_are_refused(served: Served, path: str, method: str) -> None:
    override = [("x-http-method-override", "POST")]
    answer = await served.send(method, path, headers=override)
    assert (answer.status, answer.error) == (405, "invalid_request")
    assert answer.header("allow") == "POST"


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    "content_type",
    ["application/json", "multipart/form-data; boundary=x", "text/plain", "",
     "application/x-www-form-urlencoded; charset=utf-7"],
)  # fmt: skip
@covers("T-209", "SEC-TOK-15", "OAUTH-HTTP-04", "OAUTH-DEC-14")
async def test_other_types_are_refused_and_the_code_lives(
    served: Served, path: str, content_type: str
) -> None:
    code = await served.s1.defer()
    headers = [("content-type", content_type)] if content_type else []
    body = f'{{"token":"{code}"}}'.encode()
    answer = await served.send("POST", path, body=body, headers=headers)
    assert (answer.status, answer.error) == (400, "invalid_request")
    assert (await served.s1.poll(code)).error == "authorization_pending"


@covers("SEC-TOK-15", "SEC-TOK-16", "OAUTH-HTTP-04", "OAUTH-HTTP-06")
async def test_a_charset_may_be_named_and_an_encoding_may_not(served: Served) -> None:
    form = b"grant_type=client_credentials&scope=now"
    basic = served.s1.credentials()[1]
    for good in ("; charset=UTF-8", ';charset="utf-8"', ""):
        kind = [("content-type", "application/x-www-form-urlencoded" + good)]
        answer = await served.send("POST", "/token", body=form, headers=[*kind, *basic])
        assert answer.status == 200
    twice = [("content-type", "application/x-www-form-urlencoded")] * 2
    assert (await served.send("POST", "/token", body=form, headers=[*twice, *basic])).status == 400
    zipped = [("content-encoding", "gzip"), *basic]
    answer = await served.post("/token", form, headers=zipped)
    assert (answer.status, answer.error) == (415, "invalid_request")


@pytest.mark.parametrize("name", ["grant_type", "client_id", "deferral_code", "x", "token"])
@covers("T-210", "SEC-TOK-09", "OAUTH-PARAM-02", "OAUTH-PARAM-03")
async def test_a_parameter_sent_twice_refuses_the_request_even_empty(
    served: Served, name: str
) -> None:
    for values in (("s1", "s1"), ("s1", ""), ("", "")):
        form = [(name, value) for value in values]
        answer = await served.s1.post("/token", form)
        assert answer.error == "invalid_request"


@covers("OAUTH-CAUTH-01", "OAUTH-DEC-10", "OAUTH-CAUTH-04", "T-068")
async def test_every_failed_authentication_looks_alike(served: Served) -> None:
    def same(answer: Answer) -> tuple[int, bytes, str | None]:
        return answer.status, answer.body, answer.header("www-authenticate")

    base = [("grant_type", "client_credentials")]
    answers = [
        await served.post("/token", [*base, *more], headers=headers)
        for more, headers in (
            ([], []),
            ([("client_id", "s1")], []),
            ([("client_id", "s1"), ("client_secret", "x" * 40)], []),
            ([("client_id", "nobody"), ("client_secret", "x" * 40)], []),
            ([], [("authorization", "Basic !!!")]),
        )
    ]
    assert {same(each) for each in answers} == {same(answers[0])}
    assert answers[0].status == 401


@covers("OAUTH-TOK-02", "OAUTH-CAUTH-13")
async def test_a_request_that_is_refused_leaves_nothing_spent(served: Served) -> None:
    refused = await served.c1.ask(scope="read unknown")
    assert refused.error == "invalid_scope"
    assert (await served.c1.ask(scope="read")).error == "authorization_pending"


@covers("OAUTH-DEC-01", "OAUTH-CAUTH-14", "SEC-JOSE-31")
async def test_the_token_endpoint_is_an_audience_only_for_clients_registered_so(
    tmp_path: Path,
) -> None:
    legacy = CONFIG.replace('id = "c2"', 'id = "c2"\nlegacy_assertion_audience = true')
    for config, right in ((CONFIG, {ISSUER}), (legacy, {ISSUER, ISSUER + "/token"})):
        async with serve(tmp_path, config=config) as served:
            key = served.keys["c2"]
            for audience in (ISSUER, ISSUER + "/token", ISSUER + "/", ISSUER + "/revoke"):
                assertion = make_assertion(
                    key, client_id="c2", audience=audience, now=served.clock.now(),
                    jti=f"{len(config)} {audience}", lifetime=timedelta(seconds=60),
                )  # fmt: skip
                form = [
                    ("grant_type", "client_credentials"), ("scope", "now"),
                    ("client_assertion_type", names.ASSERTION_JWT_BEARER),
                    ("client_assertion", assertion),
                ]  # fmt: skip
                answer = await served.post("/token", form)
                assert (answer.status == 200) == (audience in right), audience


@covers(
    "T-196",
    "DTR-CANC-08",
    "DTR-CANC-10",
    "DTR-OPT-04",
    "T-204",
    "T-205",
    "OAUTH-META-05",
    "OAUTH-DEC-05",
    "DTR-RD-17",
)
async def test_metadata_says_what_the_server_does(served: Served) -> None:
    told = (await served.get("/.well-known/oauth-authorization-server")).json
    assert told["issuer"] == ISSUER
    assert told["deferred_token_response_supported"] is True
    assert names.TOKEN_TYPE_DEFERRAL_CODE in told["revocation_endpoint_token_type_values_supported"]
    assert told["revocation_endpoint"] == ISSUER + "/revoke"
    assert set(told["grant_types_supported"]) == {
        names.GRANT_AUTHORIZATION_CODE,
        names.GRANT_CLIENT_CREDENTIALS,
        names.GRANT_REFRESH_TOKEN,
        names.GRANT_DEFERRED,
    }
    assert "none" not in str(told["token_endpoint_auth_signing_alg_values_supported"])
    assert "RS256" in told["token_endpoint_auth_signing_alg_values_supported"]
    for grant_type in told["grant_types_supported"]:
        answer = await served.s1.post("/token", [("grant_type", grant_type)])
        assert answer.error != "unsupported_grant_type"
    for method in told["token_endpoint_auth_methods_supported"]:
        assert method in (
            names.CLIENT_SECRET_BASIC,
            names.CLIENT_SECRET_POST,
            names.PRIVATE_KEY_JWT,
            names.NONE,
        )


@covers("OAUTH-SEC-08", "OAUTH-AT-01")
async def test_a_tokens_times_are_whole_seconds_of_one_reading(served: Served) -> None:
    served.clock.move(0.7)
    issued = await served.s1.ask(scope="now")
    claims = issued.claims()
    assert type(claims["iat"]) is int
    assert type(claims["exp"]) is int
    assert claims["exp"] - claims["iat"] == issued.json["expires_in"]

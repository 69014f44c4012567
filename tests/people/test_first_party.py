"""First-party applications: what a person typed there gives a code, and nothing more easily."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from abeyance.acts import dispose
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.proofs.jwk import KeyPair, KeySet
from abeyance.proofs.jws import sign_jws
from tests.answer import Answer
from tests.config import PAYMENT
from tests.console.house import PASSWORD
from tests.covers import covers
from tests.people.house import CONFIG, ISSUER, VERIFIER, Flow, Public, open_people, public, web
from tests.served import Caller, Served, make_key

CLIENTS = """
[[clients]]
id = "own"
name = "The bank's own app"
token_endpoint_auth_method = "none"
application_type = "native"
first_party = true
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["com.example.own:/cb"]
scope = ["read", "write", "now"]
resources = ["https://ledger.example"]
authorization_details_types = ["payment"]

[[clients]]
id = "desk"
name = "The bank's counter"
secret_file = "{data}/s1.secret"
first_party = true
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["https://one.example/cb", "https://two.example/cb"]
scope = ["read", "now"]
resources = ["https://ledger.example"]
"""
RIGHT = {"username": "uma", "password": PASSWORD}


def files_of(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator["App"]:
    async with open_people(
        tmp_path, config=CONFIG + CLIENTS, extra="first_party_apps = true"
    ) as served:
        yield App(public(served, "own"))
        for path, answer in served.answers:
            assert answer.status < 500, f"{path} answered {answer.status}"


@dataclass
class App:
    """An application that asks for what its person knows."""

    caller: Caller

    @property
    def served(self) -> Served:
        return self.caller.served

    async def step(self, **told: str | None) -> Answer:
        form = [(name, value) for name, value in told.items() if value is not None]
        return await self.caller.post("/challenge", form)

    async def ask(self, **changes: str | None) -> Answer:
        flow = Flow(self.caller)
        told = flow.parameters(redirect_uri=None, client_id=None, state=None, **changes)
        if not isinstance(self.caller, Public):
            told["client_id"] = self.caller.id
        return await self.step(**told)

    async def redeem(self, code: str, *, caller: Caller | None = None, **more: str) -> Answer:
        form = [("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)]
        return await (caller or self.caller).post("/token", [*form, *more.items()])

    async def session(self, **changes: str | None) -> str:
        answer = await self.ask(**changes)
        assert answer.error == "insufficient_authorization", answer.body
        return str(answer.json["auth_session"])

    async def code(self, **changes: str | None) -> str:
        answer = await self.ask(**{"scope": "now", **RIGHT, **changes})
        assert answer.status == 200, answer.body
        return str(answer.json["authorization_code"])


@covers("OAUTH-FIPA-02", "OAUTH-FIPA-03", "OAUTH-FIPA-06")
async def test_a_right_name_and_password_give_a_code_that_is_redeemed_as_any(own: App) -> None:
    answer = await own.ask(scope="now", **RIGHT)
    assert (answer.status, answer.json.keys()) == (200, {"authorization_code"})
    assert answer.header("cache-control") == "no-store"
    code = answer.json["authorization_code"]
    other = public(own.served, "own").with_dpop(make_key())
    assert (await own.redeem(code, caller=other)).error == "invalid_grant"
    assert (await own.redeem(code, caller=web(own.served))).error == "invalid_grant"
    token = await own.redeem(code)
    assert (token.json["token_type"], token.json["scope"]) == ("DPoP", "now")
    assert token.claims()["sub"] == "uma"
    assert "auth_session" not in token.json


@covers("OAUTH-FIPA-02", "OAUTH-FIPA-04", "OAUTH-FIPA-05")
async def test_what_is_missing_is_asked_for_step_by_step(own: App) -> None:
    first = await own.ask(scope="now")
    assert (first.status, first.error) == (403, "insufficient_authorization")
    one = first.json["auth_session"]
    assert len(one) == 43
    second = await own.step(auth_session=one, username="uma")
    assert (second.status, second.error) == (403, "insufficient_authorization")
    two = second.json["auth_session"]
    assert two != one
    old = await own.step(auth_session=one, **RIGHT)
    assert (old.status, old.error) == (400, "invalid_session")
    done = await own.step(auth_session=two, password=PASSWORD, response_type="code")
    assert done.status == 200
    assert (await own.step(auth_session=two, password=PASSWORD)).error == "invalid_session"
    assert (await own.redeem(done.json["authorization_code"])).status == 200


@covers("OAUTH-FIPA-05")
async def test_a_session_is_of_one_client_and_one_key_and_ends(own: App) -> None:
    session = await own.session()
    thief = public(own.served, "own").with_dpop(make_key())
    desk = App(web(own.served, "desk").with_dpop(own.caller.dpop))
    for app in (App(thief), desk):
        answer = await app.step(auth_session=session, **RIGHT)
        assert (answer.status, answer.error) == (400, "invalid_session")
    for unknown in ("A" * 43, "x", session[:-1]):
        assert (await own.step(auth_session=unknown, **RIGHT)).error == "invalid_session"
    bare = await own.served.post(
        "/challenge", [("client_id", "own"), ("auth_session", session), *RIGHT.items()]
    )
    assert bare.error == "invalid_dpop_proof"
    own.served.clock.move(15 * 60)
    assert (await own.step(auth_session=session, **RIGHT)).error == "invalid_session"
    fresh = await own.session()
    assert (await own.step(auth_session=fresh, **RIGHT)).status == 200


@covers("OAUTH-FIPA-02")
async def test_the_session_alone_says_which_client_it_is(own: App) -> None:
    session = await own.session()
    proof = own.caller.proof(f"{ISSUER}/challenge")
    answer = await own.served.post(
        "/challenge", [("auth_session", session), *RIGHT.items()], headers=[("dpop", proof)]
    )
    assert answer.status == 200
    other = await own.session()
    agreed = await own.served.post(
        "/challenge",
        [("auth_session", other), ("client_id", "desk"), *RIGHT.items()],
        headers=[("dpop", own.caller.proof(f"{ISSUER}/challenge"))],
    )
    assert (agreed.status, agreed.error) == (401, "invalid_client")


@covers("OAUTH-FIPA-05")
async def test_of_many_who_use_one_session_one_is_answered(own: App) -> None:
    session = await own.session(scope="now")
    answers = await asyncio.gather(*(own.step(auth_session=session, **RIGHT) for _ in range(6)))
    codes = [answer for answer in answers if answer.status == 200]
    assert len(codes) == 1
    assert {answer.error for answer in answers if answer.status != 200} <= {
        "invalid_session", "temporarily_unavailable",
    }  # fmt: skip


@covers("OAUTH-FIPA-02", "OAUTH-RAR-01")
async def test_what_was_asked_first_stands(own: App) -> None:
    session = await own.session(scope="read")
    for changes in ({"scope": "now"}, {"dpop_jkt": "A" * 43}, {"completion_mode": "deferred"}):
        answer = await own.step(auth_session=session, **RIGHT, **changes)
        assert (answer.status, answer.error) == (400, "invalid_request")
    answer = await own.step(auth_session=session, scope="read", unknown="x", **RIGHT)
    assert answer.status == 200, "and nothing was used up by the refusals"


@covers("OAUTH-FIPA-02", "OAUTH-FIPA-03", "OAUTH-RAR-01", "OAUTH-RAR-02")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "admin"}, "invalid_scope"),
        ({"resource": "https://mail.example"}, "invalid_target"),
        ({"authorization_details": '[{"type":"rocket"}]'}, "invalid_authorization_details"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"dpop_jkt": "A" * 43}, "invalid_dpop_proof"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        ({"request": "a.b.c"}, "request_not_supported"),
        ({"username": "u" * 201}, "invalid_request"),
    ],
)
async def test_a_request_that_must_fail_fails_before_anybody_is_recognized(
    own: App, changes: dict[str, str | None], error: str
) -> None:
    answer = await own.ask(**{**RIGHT, **changes})
    assert (answer.status, answer.error) == (400, error)
    assert "auth_session" not in answer.json


@covers("OAUTH-FIPA-01")
async def test_only_clients_of_the_house_may_ask(own: App) -> None:
    for caller in (public(own.served), web(own.served)):
        answer = await App(caller).ask(**RIGHT)
        assert (answer.status, answer.error) == (400, "unauthorized_client")
    robot = await web(own.served, "robot").post("/challenge", [("response_type", "code")])
    assert robot.error == "unauthorized_client"
    nobody = await own.served.post("/challenge", [*RIGHT.items()])
    assert nobody.status == 401
    page = await own.served.send(
        "OPTIONS", "/challenge", headers=[("origin", "https://spa.example")]
    )
    assert page.header("access-control-allow-origin") is None


@covers("OAUTH-FIPA-01", "OAUTH-META-02")
async def test_the_endpoint_is_there_only_where_it_is_switched_on(own: App, tmp_path: Path) -> None:
    path = "/.well-known/oauth-authorization-server"
    told = (await own.served.get(path)).json
    assert told["authorization_challenge_endpoint"] == f"{ISSUER}/challenge"
    async with open_people(tmp_path / "off", config=CONFIG + CLIENTS) as off:
        assert "authorization_challenge_endpoint" not in (await off.get(path)).json
        assert (await App(public(off, "own")).ask(**RIGHT)).status == 404


@covers("OAUTH-FIPA-04", "OAUTH-FIPA-07")
@pytest.mark.parametrize("name", ["uma", "nobody", "UMA"])
async def test_a_wrong_guess_looks_the_same_whoever_it_is_about(own: App, name: str) -> None:
    wrong = {"username": name, "password": "wrong-wrong-wrong"}
    answer = await own.ask(**wrong)
    assert (answer.status, answer.error) == (403, "insufficient_authorization")
    assert answer.json["error_description"] == "The username and the password do not fit"


@covers("OAUTH-FIPA-07", "SEC-DOS-16")
async def test_guesses_here_and_at_the_page_share_one_count(own: App) -> None:
    for _ in range(6):
        await own.ask(username="uma", password="wrong-wrong-wrong")
    limited = await own.ask(**RIGHT)
    assert (limited.status, limited.error) == (429, "temporarily_unavailable")
    assert int(limited.header("retry-after") or "0") >= 1
    flow = Flow(web(own.served))
    page = await flow.follow("/sign-in")
    form = page.form("/sign-in")
    refused = await flow.tab.post(form.action, form.fields | {"name": "uma", "password": PASSWORD})
    assert refused.answer.status == 429
    own.served.clock.move(30)
    assert (await own.ask(scope="now", **RIGHT)).status == 200


@covers("OAUTH-FIPA-04", "OAUTH-FIPA-05")
async def test_after_too_many_failures_the_person_is_led_to_a_browser(own: App) -> None:
    answer, session = await own.ask(scope="now", username="vic", password="wrong-wrong-wrong"), ""
    for _ in range(4):
        assert answer.error == "insufficient_authorization"
        session = answer.json["auth_session"]
        answer = await own.step(auth_session=session, password="wrong-wrong-wrong")
    assert (answer.status, answer.error) == (403, "redirect_to_web")
    assert answer.json["expires_in"] == 90
    assert (await own.step(auth_session=session, **RIGHT)).error == "invalid_session"
    flow = Flow(own.caller)
    back = await flow.finish(await flow.open(answer.json["request_uri"]))
    token = await own.redeem(back["code"], redirect_uri="com.example.own:/cb")
    assert token.json["token_type"] == "DPoP"


@covers("OAUTH-FIPA-04")
async def test_without_a_way_back_no_request_uri_is_told(own: App) -> None:
    desk = App(web(own.served, "desk"))
    answer = await desk.ask(scope="now", username="vic", password="wrong-wrong-wrong")
    for _ in range(4):
        session = answer.json["auth_session"]
        answer = await desk.step(auth_session=session, password="wrong-wrong-wrong")
    assert answer.json.keys() == {"error", "error_description"}
    assert answer.error == "redirect_to_web"


@covers("OAUTH-FIPA-09", "T-061", "DTR-HINT-01", "DTR-HINT-02", "DTR-HINT-03")
async def test_the_hint_changes_no_answer_here_and_binds_later(own: App) -> None:
    plain, hinted = await own.ask(), await own.ask(completion_mode="deferred")
    assert plain.status == hinted.status
    assert plain.json.keys() == hinted.json.keys()
    session = hinted.json["auth_session"]
    done = await own.step(auth_session=session, **RIGHT)
    assert (done.status, done.json.keys()) == (200, {"authorization_code"})
    code = done.json["authorization_code"]
    refused = await own.redeem(code)
    assert (refused.status, refused.error) == (400, "invalid_request")
    deferred = await own.redeem(code, completion_mode="deferred")
    assert deferred.error == "authorization_pending"
    await own.served.approve(deferred.code)
    assert (await own.caller.poll(deferred.code)).status == 200


@covers("OAUTH-FIPA-09", "OAUTH-RAR-01")
async def test_what_is_asked_in_detail_waits_for_its_reviewer(own: App) -> None:
    code = await own.code(scope=None, authorization_details=json.dumps([PAYMENT]))
    deferred = await own.redeem(code, completion_mode="deferred")
    assert deferred.error == "authorization_pending"


@covers("OAUTH-FIPA-03", "OAUTH-AUTHZ-12", "OAUTH-DEFER-09")
async def test_the_grant_stands_among_the_person_s_own_and_ends_with_them(own: App) -> None:
    code = await own.code()
    house = own.served.house
    consent = await house.store.find_consent(PersonId("uma"), ClientId("own"))
    assert consent is not None
    assert len(await house.store.list_sessions(PersonId("uma"))) == 1
    assert await dispose.withdraw_consent(house, PersonId("uma"), ClientId("own"), by="person:uma")
    assert (await own.redeem(code)).error == "invalid_grant"
    second = await own.code()
    await dispose.end_sessions(house, PersonId("uma"), by="person:uma")
    assert (await own.redeem(second)).error == "invalid_grant"


@covers("OAUTH-FIPA-05", "OAUTH-SEC-02")
async def test_neither_password_nor_session_rests_in_the_store(own: App, tmp_path: Path) -> None:
    session = await own.session(username="uma", password="wrong-wrong-wrong")
    written = b"".join(each.read_bytes() for each in files_of(tmp_path))
    assert b"code_challenge" in written
    for secret in (session, "wrong-wrong-wrong", PASSWORD):
        assert secret.encode() not in written


@covers("SEC-TOK-08", "OAUTH-DEFER-07")
async def test_no_reference_or_session_is_another_handle_nor_another_handle_one(own: App) -> None:
    flow = Flow(own.caller)
    deferred = await own.redeem(await own.code(scope="read"), completion_mode="deferred")
    waiting, session = deferred.code, await own.session(scope="now")
    reference = await flow.pushed(scope="now")
    secret = reference.rpartition(":")[2]
    for other in (session, reference, secret):
        assert (await own.caller.poll(other)).body == (await own.caller.poll("A" * 64)).body
        assert (await own.redeem(other)).body == (await own.redeem("A" * 64)).body
        assert (await flow.refresh(other)).body == (await flow.refresh("A" * 64)).body
    for other in (waiting, reference, secret):
        assert (await own.step(auth_session=other, **RIGHT)).error == "invalid_session"
    prefix = reference.removesuffix(secret)
    for other in (waiting, session, prefix + waiting, prefix + session):
        assert (await flow.open(other)).answer.status == 400
    assert (await own.caller.poll(waiting)).error == "authorization_pending"
    assert (await own.step(auth_session=session, **RIGHT)).status == 200
    assert "code" in await flow.finish(await flow.open(reference))


def unnamed(claims: dict[str, Any], key: KeyPair) -> str:
    bare = {name: value for name, value in claims.items() if name != "jti"}
    return sign_jws(bare, key, typ="oauth-authz-req+jwt")


@covers("OAUTH-JAR-01", "OAUTH-JAR-03", "OAUTH-RAR-01")
async def test_a_signed_request_counts_here_too(own: App) -> None:
    key: KeyPair = make_key()
    client = await own.served.house.store.find_client(ClientId("own"))
    assert client is not None
    await own.served.house.store.put_client(
        replace(client, keys=KeySet((key.public,), ()), require_signed=True)
    )
    assert (await own.ask(**RIGHT)).error == "invalid_request"
    claims: dict[str, Any] = {
        "iss": "own", "aud": ISSUER, "jti": "one",
        "exp": int(own.served.clock.now().timestamp()) + 60,
        **Flow(own.caller).parameters(scope="now"),
    }  # fmt: skip
    compact = sign_jws(claims, key, typ="oauth-authz-req+jwt")
    for _ in range(6):
        await own.ask(username="vic", password="wrong-wrong-wrong", request=unnamed(claims, key))
    limited = await own.step(request=compact, username="vic", password=PASSWORD)
    assert limited.status == 429, "and the object is good for another time"
    first = await own.step(request=compact, scope="read")
    session = first.json["auth_session"]
    done = await own.step(auth_session=session, **RIGHT)
    assert (await own.redeem(done.json["authorization_code"])).json["scope"] == "now"
    assert (await own.step(request=compact, **RIGHT)).error == "invalid_request_object"

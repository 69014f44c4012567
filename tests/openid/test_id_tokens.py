"""ID tokens: in the code grant, after a wait, at a refresh, and while keys change."""

import base64
import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from abeyance.keys.rotating import lay_down
from abeyance.pending.choosing import Choice
from abeyance.proofs.jws import BadToken
from abeyance.server.settings import ConfigurationError
from tests.console.house import PASSWORD
from tests.covers import covers
from tests.openid.house import (
    ACR,
    USERINFO,
    client,
    header_of,
    id_claims,
    keys_of,
    open_provider,
    userinfo,
)
from tests.people.house import ISSUER, Flow, challenge, public, web
from tests.served import Served


def half(token: str, algorithm: str) -> str:
    digest = hashlib.new(algorithm, token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


@covers("OAUTH-OIDC-01", "OAUTH-OIDC-02", "OAUTH-OIDC-09", "T-007")
async def test_an_id_token_says_who_signed_in_when_and_for_which_token(
    served: Served, flow: Flow
) -> None:
    code = await flow.code(scope="openid profile", nonce="n-0S6_WzA2Mj", acr_values="other")
    signed_in = int(served.clock.now().timestamp())
    served.clock.move(20)
    answer = await flow.redeem(code)
    now = int(served.clock.now().timestamp())
    assert await id_claims(served, answer) == {
        "iss": ISSUER,
        "sub": "uma",
        "aud": "rp",
        "iat": now,
        "exp": now + 600,
        "auth_time": signed_in,
        "nonce": "n-0S6_WzA2Mj",
        "acr": ACR,
        "amr": ["pwd"],
        "at_hash": half(answer.json["access_token"], "sha256"),
    }
    assert header_of(answer.json["id_token"])["typ"] == "JWT"
    assert answer.json["token_type"] == "Bearer"


@covers("OAUTH-OIDC-01", "OAUTH-OIDC-02")
async def test_without_openid_there_is_no_id_token_and_without_nonce_none_in_it(
    served: Served, flow: Flow
) -> None:
    assert "id_token" not in (await flow.token(scope="now", nonce="abc")).json
    answer = await flow.token(scope="openid")
    assert "nonce" not in await id_claims(served, answer)


@covers("OAUTH-OIDC-01", "OAUTH-RURI-07")
async def test_a_request_with_openid_names_where_to_go_back(flow: Flow) -> None:
    back = await flow.come_back(scope="openid", redirect_uri=None)
    assert back["error"] == "invalid_request"
    assert "code" in await flow.come_back(scope="now", redirect_uri=None)


@covers("OAUTH-OIDC-03")
async def test_ed25519_hashes_the_access_token_by_sha_512(served: Served) -> None:
    flow = Flow(web(served, "edwards"))
    answer = await flow.token(scope="openid")
    assert header_of(answer.json["id_token"])["alg"] == "EdDSA"
    claims = await id_claims(served, answer)
    assert claims["at_hash"] == half(answer.json["access_token"], "sha512")


@covers("OAUTH-OIDC-03", "OAUTH-DEC-05")
async def test_who_says_nothing_gets_rs256_and_access_tokens_stay_es256(tmp_path: Path) -> None:
    more = client("rs")
    async with open_provider(tmp_path, algorithms=("RS256", "ES256", "EdDSA"), more=more) as served:
        answer = await Flow(web(served, "rs")).token(scope="openid")
        assert header_of(answer.json["id_token"])["alg"] == "RS256"
        assert header_of(answer.json["access_token"])["alg"] == "ES256"
        assert (await id_claims(served, answer))["sub"] == "uma"


@covers("OAUTH-OIDC-03")
@pytest.mark.parametrize("alg", ["none", "HS256", "RS256"])
async def test_an_algorithm_without_a_key_is_refused_at_the_start(tmp_path: Path, alg: str) -> None:
    more = client("rs", f'id_token_signed_response_alg = "{alg}"')
    with pytest.raises(ConfigurationError, match="id_token_signed_response_alg"):
        async with open_provider(tmp_path, more=more):
            raise AssertionError("it started")


@covers("DTR-RD-10", "OAUTH-OIDC-17", "T-008", "T-148")
async def test_after_a_wait_it_says_when_the_owner_signed_in_and_is_itself_new(
    served: Served, flow: Flow
) -> None:
    code = await flow.code(scope="openid read", nonce="first", max_age="60")
    signed_in = int(served.clock.now().timestamp())
    deferral = await flow.deferred_for(code)
    # A reviewer signs in and decides much later; the owner's browser has moved on as well.
    served.clock.move(1800)
    await Flow(web(served, "rp")).code(scope="openid", nonce="second", prompt="login")
    await served.approve(deferral)
    served.clock.move(60)
    answer = await flow.client.poll(deferral)
    claims, now = await id_claims(served, answer), int(served.clock.now().timestamp())
    assert (claims["nonce"], claims["acr"], claims["amr"]) == ("first", ACR, ["pwd"])
    assert claims["auth_time"] == signed_in < now - 1800
    assert (claims["iat"], claims["exp"]) == (now, now + 600)
    assert claims["at_hash"] == half(answer.json["access_token"], "sha256")


@covers("T-007", "T-077")
async def test_not_yet_carries_no_id_token(served: Served, flow: Flow) -> None:
    answer = await flow.redeem(await flow.code(scope="openid read"), defer=True)
    assert "deferral_code" in answer.json
    assert "id_token" not in answer.json
    assert "id_token" not in (await flow.client.poll(answer.code)).json


@covers("T-009", "T-010", "T-011")
@pytest.mark.parametrize("end", ["denied", "cancelled", "expired"])
async def test_what_ends_badly_ends_without_an_id_token(
    served: Served, flow: Flow, end: str
) -> None:
    code = await flow.code(scope="openid read", nonce="n")
    deferral = await flow.deferred_for(code)
    match end:
        case "denied":
            await served.deny(deferral)
        case "cancelled":
            assert (await flow.client.revoke(deferral)).status == 200
        case _:
            served.clock.move(3601)
    said = "expired_token" if end == "expired" else "access_denied"
    for _ in range(2):
        answer = await flow.client.poll(deferral)
        assert answer.error == said
        assert "id_token" not in answer.json
    assert (await flow.redeem(code)).error == "invalid_grant"


@covers("T-012", "DTR-RD-10")
async def test_a_step_of_the_owner_s_does_not_move_when_they_signed_in(
    served: Served, flow: Flow
) -> None:
    code = await flow.code(scope="openid sure", nonce="n")
    signed_in = int(served.clock.now().timestamp())
    first = await flow.redeem(code, defer=True)
    assert first.error == "interaction_required"
    served.clock.move(600)
    page = await flow.tab.get(str(first.json["interaction_uri"]).removeprefix(ISSUER))
    form = next(form for form in page.forms if "/interact/" in form.action)
    done = await flow.tab.post(form.action, form.fields | {"answer.confirmed": "yes"})
    assert done.status == 303
    await served.approve(first.code)
    claims = await id_claims(served, await flow.client.poll(first.code))
    assert (claims["auth_time"], claims["nonce"]) == (signed_in, "n")


@covers("OAUTH-OIDC-01", "OAUTH-OIDC-17")
async def test_a_reviewer_who_takes_openid_away_takes_the_id_token(
    served: Served, flow: Flow
) -> None:
    deferral = await flow.deferred(scope="openid read")
    left = Choice(items=frozenset({"scope:read"}), parts={}, limits={}, lifetime=timedelta(hours=1))
    await served.approve(deferral, left)
    answer = await flow.client.poll(deferral)
    assert answer.json["scope"] == "read"
    assert "id_token" not in answer.json


@covers("OAUTH-OIDC-12")
async def test_a_refresh_brings_a_new_id_token_about_the_same_sign_in(
    served: Served, flow: Flow
) -> None:
    first = await flow.token(scope="openid now", nonce="n", resource="https://ledger.example")
    before = await id_claims(served, first)
    served.clock.move(500)
    second = await flow.refresh(first.json["refresh_token"])
    after, now = await id_claims(served, second), int(served.clock.now().timestamp())
    for name in ("iss", "sub", "aud", "auth_time"):
        assert after[name] == before[name]
    assert "nonce" not in after
    assert (after["iat"], after["exp"]) == (now, now + 600)
    assert after["at_hash"] == half(second.json["access_token"], "sha256")
    less = await flow.refresh(first.json["refresh_token"], scope="now")
    assert "id_token" not in less.json


@covers("OAUTH-OIDC-12", "OAUTH-OIDC-17")
async def test_a_refresh_that_waits_brings_one_in_the_end(served: Served, flow: Flow) -> None:
    first = await flow.redeem(await flow.code(scope="openid read", nonce="n"), defer=True)
    await served.approve(first.code)
    token = (await flow.client.poll(first.code)).json["refresh_token"]
    auth_time = int(served.clock.now().timestamp())
    served.clock.move(60)
    again = await flow.refresh(token, defer=True)
    if "deferral_code" in again.json:
        await served.approve(again.code)
        again = await flow.client.poll(again.code)
    claims = await id_claims(served, again)
    assert claims["auth_time"] == auth_time
    assert "nonce" not in claims


@covers("OAUTH-OIDC-17", "EXT-IDEMP-07")
async def test_a_success_that_was_lost_comes_again_with_an_id_token_of_its_own(
    served: Served, flow: Flow
) -> None:
    code, name = await flow.code(scope="openid read", nonce="n"), "a-name-of-22-characters"
    first = await flow.redeem(code, defer=True, deferral_request_id=name)
    signed_in = int(served.clock.now().timestamp())
    await served.approve(first.code)
    served.clock.move(60)
    lost = await flow.client.poll(first.code)
    served.clock.move(60)
    again = await flow.redeem(code, defer=True, deferral_request_id=name)
    assert again.json["access_token"] != lost.json["access_token"]
    claims = await id_claims(served, again)
    assert (claims["nonce"], claims["auth_time"]) == ("n", signed_in)
    assert claims["at_hash"] == half(again.json["access_token"], "sha256")
    assert claims["iat"] == int(served.clock.now().timestamp())


@covers("OAUTH-OIDC-02", "OAUTH-FIPA-02")
async def test_an_application_of_the_house_s_own_gets_one_too(tmp_path: Path) -> None:
    more = client("rs", 'id_token_signed_response_alg = "ES256"\nfirst_party = true')
    extra = "first_party_apps = true"
    async with open_provider(tmp_path, more=more, extra=extra) as served:
        flow = Flow(web(served, "rs"))
        asked = {
            "response_type": "code",
            "scope": "openid",
            "nonce": "n",
            "code_challenge": challenge(),
            "code_challenge_method": "S256",
            "username": "uma",
            "password": PASSWORD,
        }
        answer = await flow.client.post("/challenge", list(asked.items()))
        code = answer.json["authorization_code"]
        claims = await id_claims(served, await flow.redeem(code, redirect_uri=None))
        assert (claims["sub"], claims["nonce"], claims["amr"]) == ("uma", "n", ["pwd"])
        assert claims["auth_time"] == int(served.clock.now().timestamp())
        silent = await flow.client.post("/challenge", [*asked.items(), ("prompt", "none")])
        assert silent.error == "login_required"


@covers("OAUTH-OIDC-14")
async def test_offline_access_rests_on_a_page_that_was_shown(served: Served, flow: Flow) -> None:
    silent = await flow.come_back(scope="openid offline_access", prompt="none")
    assert silent["error"] in {"login_required", "consent_required"}
    page = await flow.visit(scope="openid offline_access", prompt="consent")
    assert "Stay connected while you are away" in page.text
    answer = await flow.redeem((await flow.finish(page))["code"])
    assert "refresh_token" in answer.json
    refreshed = await flow.refresh(answer.json["refresh_token"])
    assert (await id_claims(served, refreshed))["sub"] == "uma"


@covers("OAUTH-OIDC-02", "OAUTH-JWT-06")
async def test_neither_token_passes_for_the_other(served: Served, flow: Flow) -> None:
    answer = await flow.token(scope="openid")
    identity, access = answer.json["id_token"], answer.json["access_token"]
    assert (await userinfo(served, access)).status == 200
    assert (await userinfo(served, identity)).status == 401
    asked = await flow.client.post("/introspect", [("token", identity)])
    assert asked.json == {"active": False}
    with pytest.raises(BadToken):
        await id_claims(served, type(answer)(200, (), b'{"id_token":"%b"}' % access.encode()))
    hinted = await flow.come_back(scope="openid", id_token_hint=access)
    assert hinted["error"] == "invalid_request"


@covers("OAUTH-OIDC-16", "OAUTH-META-07")
async def test_id_tokens_verify_while_their_keys_change(served: Served, tmp_path: Path) -> None:
    flow = Flow(web(served, "edwards"))
    first = await flow.token(scope="openid")
    now, folder = served.clock.now(), tmp_path / "keys"
    laid = lay_down(folder, at=now + timedelta(hours=1), alg="EdDSA", now=now, id_tokens=True)
    served.clock.move(6)
    assert laid.kid in {key.jkt for key in (await keys_of(served)).keys}
    assert header_of((await flow.token(scope="openid")).json["id_token"])["kid"] != laid.kid
    assert (await id_claims(served, first))["sub"] == "uma"
    served.clock.move(3600)
    second = await Flow(web(served, "edwards")).token(scope="openid")
    assert header_of(second.json["id_token"])["kid"] == laid.kid
    assert (await id_claims(served, first))["sub"] == "uma"
    assert header_of(second.json["access_token"])["alg"] == "ES256"
    served.clock.move(4000)
    published = {key.jkt for key in (await keys_of(served)).keys}
    assert header_of(first.json["id_token"])["kid"] not in published
    assert laid.kid in published


@covers("OAUTH-OIDC-03", "OAUTH-TOK-02")
async def test_without_its_key_nothing_is_issued_and_nothing_is_used_up(
    served: Served, tmp_path: Path
) -> None:
    flow = Flow(web(served, "edwards"))
    code = await flow.code(scope="openid")
    deferral = await flow.deferred(scope="openid read")
    await served.approve(deferral)
    [file] = (tmp_path / "keys").glob("id-token-EdDSA-*.pem")
    away = file.rename(tmp_path / "away.pem")
    served.clock.move(6)
    for answer in (await flow.redeem(code), await flow.client.poll(deferral)):
        assert (answer.status, answer.error) == (503, "temporarily_unavailable")
        assert "access_token" not in answer.json
    served.answers.clear()
    away.rename(file)
    served.clock.move(6)
    for answer in (await flow.redeem(code), await flow.client.poll(deferral)):
        assert (await id_claims(served, answer))["sub"] == "uma"


@covers("OAUTH-OIDC-01", "OAUTH-OIDC-13")
async def test_a_client_that_acts_for_itself_is_nobody(tmp_path: Path) -> None:
    more = client("rs", 'id_token_signed_response_alg = "ES256"').replace(
        '"authorization_code", "refresh_token"', '"client_credentials", "authorization_code"'
    )
    async with open_provider(tmp_path, more=more) as served:
        caller = web(served, "rs")
        answer = await caller.ask(scope="openid", resource=USERINFO)
        assert "id_token" not in answer.json
        assert (await userinfo(served, answer.json["access_token"])).status == 401
        unnamed = await caller.ask(scope="now")
        assert unnamed.claims()["aud"] == "https://ledger.example"


@covers("OAUTH-OIDC-02", "OAUTH-RES-06")
async def test_who_somebody_is_needs_no_resource_but_a_token_is_for_one(
    served: Served, flow: Flow
) -> None:
    alone = await flow.token(scope="openid profile")
    assert alone.claims()["aud"] == USERINFO
    both = await flow.token(scope="openid now")
    assert both.claims()["aud"] == "https://ledger.example"
    other = await flow.refresh(both.json["refresh_token"], resource=USERINFO)
    assert other.claims()["aud"] == USERINFO
    assert (await userinfo(served, both.json["access_token"])).status == 401
    assert (await userinfo(served, other.json["access_token"])).status == 200


@covers("OAUTH-OIDC-02")
async def test_a_public_client_gets_one_bound_to_nothing_but_its_token(served: Served) -> None:
    flow = Flow(public(served, "pocket"))
    answer = await flow.token(scope="openid profile")
    assert answer.json["token_type"] == "DPoP"
    assert (await id_claims(served, answer))["aud"] == "pocket"

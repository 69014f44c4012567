"""UserInfo and discovery: who somebody is, told to whoever holds the right token."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from abeyance.acts.dispose import disable_person
from abeyance.parties.person import PersonId
from abeyance.proofs.jws import sign_jws
from abeyance.wire.base64url import render_base64url
from tests.answer import Answer
from tests.covers import covers
from tests.openid.house import ACR, USERINFO, id_claims, open_provider, userinfo
from tests.people.house import ISSUER, Flow, open_people, public, web
from tests.served import Served

PLACES = (
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
)


@covers("OAUTH-OIDC-13", "OAUTH-HTTP-03", "OAUTH-HTTP-05")
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_claims_follow_the_scope_and_the_subject_is_that_of_the_id_token(
    served: Served, flow: Flow, method: str
) -> None:
    for scope, told in (
        ("openid", {}),
        ("openid profile", {"name": "Uma Underwood", "preferred_username": "uma"}),
        ("openid email", {"email": "uma@example.com", "email_verified": True}),
    ):
        token = await flow.token(scope=scope)
        answer = await userinfo(served, token.json["access_token"], method=method)
        assert answer.status == 200
        assert answer.json == {"sub": "uma", **told}
        assert answer.json["sub"] == (await id_claims(served, token))["sub"]
        assert answer.header("content-type") == "application/json"
        assert answer.header("cache-control") == "no-store"


@covers("OAUTH-OIDC-13")
async def test_what_is_not_known_is_left_out(served: Served) -> None:
    token = await Flow(web(served, "rp"), person="vic").token(scope="openid email")
    assert (await userinfo(served, token.json["access_token"])).json == {"sub": "vic"}


@covers("OAUTH-OIDC-13", "OAUTH-AT-09")
async def test_only_a_token_for_this_endpoint_with_openid_is_told_anything(
    served: Served, flow: Flow
) -> None:
    nothing = await served.get("/userinfo")
    assert (nothing.status, nothing.json) == (401, {})
    challenge = nothing.header("www-authenticate") or ""
    assert challenge.startswith("Bearer, DPoP algs=")
    assert "error" not in challenge
    token = await flow.token(scope="openid now", resource=USERINFO)
    narrower = await flow.refresh(token.json["refresh_token"], scope="now", resource=USERINFO)
    lacking = await userinfo(served, narrower.json["access_token"])
    assert (lacking.status, lacking.json) == (403, {"error": "insufficient_scope"})
    assert 'scope="openid"' in (lacking.header("www-authenticate") or "")
    elsewhere = await flow.token(scope="openid now")
    for bad in (elsewhere.json["access_token"], "x", "a.b.c"):
        refused = await userinfo(served, bad)
        assert (refused.status, refused.json) == (401, {"error": "invalid_token"})
    twice = [("authorization", "Bearer x")]
    assert (await userinfo(served, "y", headers=twice)).status == 400
    query = await served.get(f"/userinfo?access_token={token.json['access_token']}")
    assert (query.status, query.error) == (400, "invalid_request")
    assert (await served.send("PUT", "/userinfo")).status == 405
    assert (await userinfo(served, token.json["access_token"])).status == 200


@covers("OAUTH-OIDC-13", "OAUTH-AT-08")
async def test_what_was_revoked_or_has_ended_tells_nothing(served: Served, flow: Flow) -> None:
    revoked = (await flow.token(scope="openid")).json["access_token"]
    expired = (await flow.token(scope="openid")).json["access_token"]
    assert (await flow.client.revoke(revoked)).status == 200
    assert (await userinfo(served, revoked)).status == 401
    served.clock.move(600)
    assert (await userinfo(served, expired)).status == 401
    held = (await flow.token(scope="openid")).json["access_token"]
    assert (await userinfo(served, held)).status == 200
    uma = await served.house.store.find_person(PersonId("uma"))
    assert uma is not None
    await disable_person(served.house, uma, by="person:ada")
    assert (await userinfo(served, held)).status == 401


@covers("OAUTH-OIDC-13", "OAUTH-DPOP-21", "T-100")
async def test_a_bound_token_needs_a_proof_for_this_request(served: Served) -> None:
    flow = Flow(public(served, "pocket"))
    token = (await flow.token(scope="openid profile")).json["access_token"]
    mine, other = served.keys["d1"], served.keys["d2"]
    assert (await userinfo(served, token)).status == 401
    assert (await userinfo(served, token, scheme="DPoP")).status == 401
    for method in ("GET", "POST"):
        told = await userinfo(served, token, scheme="DPoP", key=mine, method=method)
        assert told.json["name"] == "Uma Underwood"
    assert (await userinfo(served, token, scheme="DPoP", key=other)).status == 401
    assert (await userinfo(served, token, key=mine)).status == 401
    elsewhere = await userinfo(served, token, scheme="DPoP", key=mine, url=f"{ISSUER}/token")
    assert elsewhere.json["error"] == "invalid_dpop_proof"


@covers("SEC-JOSE-39", "OAUTH-DPOP-10")
async def test_a_proof_names_the_token_in_the_one_right_way(served: Served) -> None:
    flow = Flow(public(served, "pocket"))
    token, other = [
        str((await flow.token(scope="openid profile")).json["access_token"]) for _ in range(2)
    ]
    digest = sha256(token.encode()).digest()
    right, key = render_base64url(digest), served.keys["d1"]

    async def ask(jti: str, **ath: str) -> Answer:
        now = int(served.clock.now().timestamp())
        claims: dict[str, Any] = {"htm": "GET", "htu": USERINFO, "iat": now, "jti": jti, **ath}
        jwk = {name: key.public.jwk[name] for name in ("kty", "crv", "x", "y")}
        proof = sign_jws(claims, key, typ="dpop+jwt", header={"jwk": jwk})
        fields = [("authorization", f"DPoP {token}"), ("dpop", proof)]
        return await served.get("/userinfo", headers=fields)

    wrong: list[dict[str, str]] = [
        {},
        {"ath": right + "="},
        {"ath": digest.hex()},
        {"ath": render_base64url(sha256(other.encode()).digest())},
        {"ath": token},
        {"ath": ""},
    ]
    for n, ath in enumerate(wrong):
        refused = await ask(f"ath-{n}", **ath)
        assert (refused.status, refused.json["error"]) == (401, "invalid_dpop_proof"), ath
    assert (await ask("ath-right", ath=right)).json["sub"] == "uma"


@covers("OAUTH-OIDC-13", "OAUTH-CORS-02")
async def test_pages_of_clients_may_ask_by_both_methods_and_others_may_not(
    served: Served, flow: Flow
) -> None:
    token = (await flow.token(scope="openid")).json["access_token"]
    origin = [("origin", "https://rp.example")]
    told = await userinfo(served, token, headers=origin)
    assert told.header("access-control-allow-origin") == "https://rp.example"
    asked = await served.send("OPTIONS", "/userinfo", headers=origin)
    assert (asked.status, asked.header("access-control-allow-methods")) == (204, "GET, POST")
    at_token = await served.send("OPTIONS", "/token", headers=origin)
    assert at_token.header("access-control-allow-methods") == "POST"
    foreign = await userinfo(served, token, headers=[("origin", "https://evil.example")])
    assert foreign.header("access-control-allow-origin") is None


@covers("OAUTH-META-02", "OAUTH-META-03", "OAUTH-OIDC-02", "OAUTH-OIDC-04")
async def test_discovery_says_what_is_on(served: Served) -> None:
    told, also = [await served.get(place) for place in PLACES]
    assert told.json == also.json
    assert told.header("access-control-allow-origin") == "*"
    for name, value in {
        "issuer": ISSUER,
        "userinfo_endpoint": USERINFO,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "EdDSA"],
        "acr_values_supported": [ACR],
        "claims_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
    }.items():
        assert told.json[name] == value
    assert {"openid", "profile", "email"} <= set(told.json["scopes_supported"])
    assert {"sub", "name", "email", "auth_time", "acr"} <= set(told.json["claims_supported"])


@covers("OAUTH-META-02", "OAUTH-OIDC-01")
async def test_where_it_is_off_nothing_of_it_is_there(tmp_path: Path) -> None:
    async with open_people(tmp_path) as served:
        document = (await served.get(PLACES[1])).json
        for name in document:
            assert not name.startswith(("id_token", "userinfo", "claims", "subject", "prompt"))
        assert "openid" not in document["scopes_supported"]
        assert (await served.get(PLACES[0])).status == 404
        assert (await served.get("/userinfo")).status == 404
        back = await Flow(web(served)).come_back(scope="openid")
        assert back["error"] == "invalid_scope"


@covers("OAUTH-META-01", "OAUTH-ISS-03")
async def test_an_issuer_with_a_path_is_found_under_every_name(tmp_path: Path) -> None:
    issuer = "https://as.example/tenants/one"
    async with open_provider(tmp_path, issuer=issuer) as served:
        for path in (
            "/tenants/one/.well-known/openid-configuration",
            "/.well-known/openid-configuration/tenants/one",
            "/.well-known/oauth-authorization-server/tenants/one",
        ):
            document = (await served.get(path)).json
            assert document["issuer"] == issuer
            assert document["userinfo_endpoint"] == issuer + "/userinfo"

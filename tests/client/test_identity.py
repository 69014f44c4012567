"""Who somebody is: what the library believes of an ID token and of UserInfo, and what not."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from abeyance.client import (
    AuthorizationRequest,
    DiscoveryFailed,
    Identity,
    Misconfigured,
    NotIdentified,
    ServerRefused,
    Token,
    Unavailable,
    generate_key,
)
from abeyance.keys.making import Alg, new_private_pem, parse_signing_pem
from abeyance.proofs.id_token import half_hash, sign_id_token
from abeyance.proofs.jwk import KeyPair, KeySet, render_jwks
from abeyance.proofs.jws import sign_jws
from abeyance.wire.secret import Secret
from tests.client.fakes import ACCESS_TOKEN, ISSUER, Handle, Kit, answer, deferred, granted
from tests.covers import covers

CALLBACK = "https://app.test/callback"
KEYS: Mapping[Alg, KeyPair] = {
    alg: parse_signing_pem(new_private_pem(alg)) for alg in ("ES256", "EdDSA", "RS256")
}


def publish(kit: Kit, *keys: KeyPair) -> None:
    shown = KeySet(tuple(key.public for key in keys))
    kit.server.documents["/jwks"] = answer(render_jwks(shown), status=200)


@pytest.fixture(autouse=True)
def provider(kit: Kit) -> None:
    kit.server.metadata |= {
        "authorization_endpoint": f"{ISSUER}/authorize",
        "authorization_response_iss_parameter_supported": True,
        "jwks_uri": f"{ISSUER}/jwks",
        "userinfo_endpoint": f"{ISSUER}/userinfo",
    }
    publish(kit, *KEYS.values())


def begin(kit: Kit, *, bound: bool = False) -> tuple[Any, AuthorizationRequest]:
    client = kit.client(dpop_key=generate_key() if bound else None)
    return client, kit.run(client.authorization_request(CALLBACK, scope="openid read"))


def nonce_of(request: AuthorizationRequest) -> str:
    return parse_qs(urlsplit(request.url).query)["nonce"][0]


def id_token(kit: Kit, nonce: str | None, alg: Alg = "ES256", **changes: Any) -> str:
    now = int(kit.time.wall.timestamp())
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "sub": "uma",
        "aud": "agent",
        "iat": now,
        "exp": now + 300,
        "auth_time": now - 4000,
        "nonce": nonce,
        "at_hash": half_hash(Secret(ACCESS_TOKEN), alg),
    } | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return sign_id_token(claims, KEYS[alg])


def redeem(
    kit: Kit, client: Any, request: AuthorizationRequest, compact: str, kind: str = "Bearer"
) -> Token:
    kit.server.says(granted(kind, id_token=compact))
    told = {"code": "c", "state": request.state.reveal(), "iss": ISSUER}
    token = kit.run(client.exchange_code(request, told))
    assert isinstance(token, Token)
    return token


def identified(kit: Kit, client: Any, token: Token, algorithm: str = "ES256") -> Identity:
    found: Identity = kit.run(client.identify(token, algorithm=algorithm))
    return found


@covers("OAUTH-OIDC-02")
@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "RS256"])
def test_a_right_id_token_tells_who_signed_in_and_when(kit: Kit, alg: Alg) -> None:
    client, request = begin(kit)
    token = redeem(kit, client, request, id_token(kit, nonce_of(request), alg, acr="high"))
    found = identified(kit, client, token, alg)
    assert (found.issuer, found.subject, found.acr) == (ISSUER, "uma", "high")
    assert found.auth_time == kit.time.wall - timedelta(seconds=4000)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.test"},
        {"iss": f"{ISSUER}/"},
        {"aud": "other"},
        {"aud": ["agent", "other"]},
        {"aud": ["agent", 1]},
        {"aud": None},
        {"azp": "other"},
        {"nonce": None},
        {"nonce": "another"},
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"iat": None},
        {"iat": 1 << 40},
        {"sub": None},
        {"sub": ""},
        {"sub": "s" * 256},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"at_hash": 5},
        {"at_hash": "\u00e9"},
    ],
)
def test_a_wrong_id_token_is_not_believed_and_the_token_stays(
    kit: Kit, changes: dict[str, Any]
) -> None:
    client, request = begin(kit)
    compact = id_token(kit, **{"nonce": nonce_of(request), **changes})
    token = redeem(kit, client, request, compact)
    with pytest.raises(NotIdentified):
        identified(kit, client, token)
    assert not kit.server.revocations


def test_only_the_algorithm_that_was_agreed_on_is_taken(kit: Kit) -> None:
    client, request = begin(kit)
    token = redeem(kit, client, request, id_token(kit, nonce_of(request), "EdDSA"))
    with pytest.raises(NotIdentified):
        identified(kit, client, token)
    for algorithm in ("none", "HS256"):
        with pytest.raises(Misconfigured):
            identified(kit, client, token, algorithm)


def test_other_kinds_and_forged_signatures_are_not_taken(kit: Kit) -> None:
    client, request = begin(kit)
    right = id_token(kit, nonce_of(request))
    claims = {"iss": ISSUER, "sub": "uma", "aud": "agent", "nonce": nonce_of(request)}
    now = int(kit.time.wall.timestamp())
    access = sign_jws(claims | {"iat": now, "exp": now + 9}, KEYS["ES256"], typ="at+jwt")
    for compact in (right[:-4] + "AAAA", right.rsplit(".", 1)[0] + ".", access, "x", "a.b.c"):
        token = redeem(kit, client, request, compact)
        with pytest.raises(NotIdentified):
            identified(kit, client, token)


@covers("OAUTH-OIDC-16")
def test_keys_are_fetched_once_and_again_for_one_that_is_new(kit: Kit) -> None:
    publish(kit, KEYS["RS256"])
    client, request = begin(kit)
    token = redeem(kit, client, request, id_token(kit, nonce_of(request)))
    with pytest.raises(NotIdentified):
        identified(kit, client, token)
    publish(kit, *KEYS.values())
    assert identified(kit, client, token).subject == "uma"
    assert identified(kit, client, token).subject == "uma"
    assert [seen.path for seen in kit.server.seen].count("/jwks") == 2


def test_keys_that_cannot_be_had_cost_no_token(kit: Kit) -> None:
    client, request = begin(kit)
    token = redeem(kit, client, request, id_token(kit, nonce_of(request)))
    kit.server.documents["/jwks"] = answer(b"", status=503)
    with pytest.raises(Unavailable):
        identified(kit, client, token)
    kit.server.documents["/jwks"] = answer({"keys": []}, status=200)
    with pytest.raises(DiscoveryFailed):
        identified(kit, client, token)
    publish(kit, *KEYS.values())
    assert identified(kit, client, token).subject == "uma"


def test_without_openid_there_is_nothing_to_identify_and_no_nonce(kit: Kit) -> None:
    client = kit.client()
    request = kit.run(client.authorization_request(CALLBACK, scope="read"))
    assert "nonce" not in request.url
    kit.server.says(granted())
    told = {"code": "c", "state": request.state.reveal(), "iss": ISSUER}
    with pytest.raises(Misconfigured):
        identified(kit, client, kit.run(client.exchange_code(request, told)))


@covers("OAUTH-OIDC-17")
@pytest.mark.parametrize("right", [True, False])
def test_the_nonce_lives_through_session_wait_and_restart(
    kit: Kit, tmp_path: Path, right: bool
) -> None:
    client, request = begin(kit, bound=True)
    request = AuthorizationRequest.from_session(request.to_session())
    kit.server.says(deferred())
    told = {"code": "c", "state": request.state.reveal(), "iss": ISSUER}
    pending = Handle(kit, kit.run(client.exchange_code(request, told)))
    pending.save(tmp_path / "state")
    again = kit.resume(tmp_path / "state", client=client)
    nonce = nonce_of(begin(kit)[1]) if not right else None
    assert request.nonce is not None
    compact = id_token(kit, nonce or request.nonce.reveal())
    kit.server.says(granted("DPoP", id_token=compact))
    token = again.wait()
    if right:
        assert identified(kit, client, token).subject == "uma"
    else:
        with pytest.raises(NotIdentified):
            identified(kit, client, token)


@covers("OAUTH-OIDC-13")
@pytest.mark.parametrize("bound", [False, True])
def test_userinfo_is_asked_with_the_token_and_believed_about_the_same_person(
    kit: Kit, bound: bool
) -> None:
    client, request = begin(kit, bound=bound)
    kind = "DPoP" if bound else "Bearer"
    token = redeem(kit, client, request, id_token(kit, nonce_of(request)), kind)
    found = identified(kit, client, token)
    told = {"sub": "uma", "name": "Uma"}
    kit.server.documents["/userinfo"] = answer(told, status=200)
    assert kit.run(client.userinfo(token, found)) == told
    seen = kit.server.seen[-1]
    assert (seen.method, seen.headers["authorization"]) == ("GET", f"{kind} {ACCESS_TOKEN}")
    if bound:
        assert (seen.proof["htm"], seen.proof["htu"]) == ("GET", f"{ISSUER}/userinfo")
        assert "ath" in seen.proof
    kit.server.documents["/userinfo"] = answer({"sub": "vic"}, status=200)
    with pytest.raises(NotIdentified):
        kit.run(client.userinfo(token, found))
    for status, error in ((401, ServerRefused), (403, ServerRefused), (503, Unavailable)):
        kit.server.documents["/userinfo"] = answer({"error": "invalid_token"}, status=status)
        with pytest.raises(error):
            kit.run(client.userinfo(token, found))


@covers("OAUTH-META-01")
def test_a_provider_may_publish_its_metadata_under_the_older_name_only(kit: Kit) -> None:
    kit.server.metadata_answer = answer({}, status=404)
    path = "/.well-known/openid-configuration"
    kit.server.documents[path] = answer(kit.server.metadata, status=200)
    metadata = kit.run(kit.client().metadata())
    assert metadata.userinfo_endpoint == f"{ISSUER}/userinfo"
    kit.server.documents[path] = answer(kit.server.metadata | {"issuer": "https://x"}, status=200)
    with pytest.raises(DiscoveryFailed):
        kit.run(kit.client().metadata())

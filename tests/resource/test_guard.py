"""What a resource server lets in, and how it asks for more."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from abeyance.proofs import KeySet, Nonces, make_proof, render_jwks, sign_access_token, sign_jws
from abeyance.resource import (
    Guard,
    IntrospectedTokens,
    Needs,
    ProtectedResource,
    Refused,
    ShieldedApp,
    Shown,
    SignedTokens,
    access_of,
)
from abeyance.volatile.fetched_keys import CEILING, COOL_DOWN, FRESH, FetchedKeys, KeysAway
from abeyance.wire.base64url import render_base64url
from abeyance.wire.secret import Secret
from abeyance.wire.strict_json import JsonObject
from tests.covers import covers
from tests.proofs.forge import DROP, ED25519, ES256, NOW, OTHER_ES256, PS256, RS256, SECONDS

ISSUER = "https://as.example"
API = "https://api.example/payments"
URL = f"{API}/7"
META = "https://api.example/.well-known/oauth-protected-resource/payments"


@dataclass
class Published:
    """An issuer's key set, as a host would fetch it."""

    keys: tuple[Any, ...] = (ES256,)
    away: bool = False
    asked: int = 0
    at: float = 1_000.0

    async def fetch(self, uri: str) -> bytes:
        assert uri == f"{ISSUER}/jwks"
        self.asked += 1
        if self.away:
            raise KeysAway
        return json.dumps(render_jwks(KeySet(tuple(key.public for key in self.keys)))).encode()

    def tick(self) -> float:
        return self.at


@dataclass
class Ground:
    """A guard with everything that a test moves."""

    published: Published = field(default_factory=Published)
    nonces: Nonces | None = None
    resource: ProtectedResource = field(
        default_factory=lambda: ProtectedResource(
            identifier=API, issuers=(ISSUER,), scopes=("pay", "look")
        )
    )
    now: datetime = NOW

    def __post_init__(self) -> None:
        keys = FetchedKeys(f"{ISSUER}/jwks", self.published.fetch, tick=self.published.tick)
        self.guard = Guard(
            self.resource, SignedTokens(ISSUER, keys), nonces=self.nonces, now=lambda: self.now
        )

    async def show(
        self,
        token: str,
        scheme: str = "Bearer",
        *,
        proof: str | None = None,
        needs: Needs | None = None,
        certificate: bytes | None = None,
    ) -> Any:
        shown = Shown(
            method="POST",
            url=URL,
            authorization=[f"{scheme} {token}".encode()],
            dpop=[] if proof is None else [proof.encode()],
            certificate=certificate,
        )
        return await self.guard.admit(shown, needs or Needs())

    async def refusal(self, *args: Any, **more: Any) -> Refused:
        with pytest.raises(Refused) as caught:
            await self.show(*args, **more)
        return caught.value

    def challenge(self, refused: Refused) -> str:
        return dict(self.guard.headers(refused))["WWW-Authenticate"]


def claims(**changes: Any) -> dict[str, Any]:
    told = {
        "iss": ISSUER,
        "aud": API,
        "sub": "ada",
        "client_id": "c1",
        "iat": SECONDS - 60,
        "exp": SECONDS + 60,
        "jti": "j1",
        "scope": "look pay",
        **changes,
    }
    return {name: value for name, value in told.items() if value is not DROP}


def token(**changes: Any) -> str:
    return sign_access_token(claims(**changes), ES256)


def prove(of: str, *, jti: str = "p1", **changes: Any) -> str:
    said: dict[str, Any] = {
        "method": "POST", "url": URL, "now": NOW, "access_token": Secret(of), **changes
    }  # fmt: skip
    return make_proof(said.pop("key", ED25519), jti=jti, **said)


BOUND = {"jkt": ED25519.public.jkt}


@covers("OAUTH-AT-01")
async def test_a_good_token_tells_who_and_what_for() -> None:
    access = await Ground().show(token(), needs=Needs(scope=frozenset({"pay"})))
    assert (access.subject, access.client_id, access.scope) == ("ada", "c1", {"pay", "look"})


@covers("OAUTH-AT-01")
@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"aud": "https://other.example"},
        {"aud": [API + "/"]},
        {"aud": DROP},
        {"exp": SECONDS - 60},
        {"exp": DROP},
        {"exp": "soon"},
        {"nbf": SECONDS + 60},
        {"iat": SECONDS + 60},
        {"iat": DROP},
        {"sub": DROP},
        {"sub": 7},
        {"client_id": DROP},
        {"jti": DROP},
        {"scope": ["pay"]},
        {"authorization_details": {"type": "payment"}},
        {"authorization_details": ["payment"]},
        {"cnf": {}},
        {"cnf": "key"},
        {"cnf": {"jwk": {}}},
        {"cnf": {"jkt": ED25519.public.jkt, "kid": "x"}},
    ],
)
async def test_a_token_that_is_wrong_in_one_claim_is_refused(changes: dict[str, Any]) -> None:
    assert (await Ground().refusal(token(**changes))).error == "invalid_token"


@covers("OAUTH-AT-01")
async def test_only_the_issuers_key_and_the_right_kind_are_believed() -> None:
    ground = Ground()
    for forged in (
        sign_access_token(claims(), OTHER_ES256),
        sign_jws(claims(), ES256, typ="jwt"),
        "a.b.c",
        "x",
    ):
        assert (await ground.refusal(forged)).error == "invalid_token"


@covers("OAUTH-FAPI-04", "OAUTH-FAPI-14", "OAUTH-PRM-02", "OAUTH-DEC-05")
async def test_beside_a_fapi_server_all_is_bound_and_nothing_is_signed_with_rs256() -> None:
    usual = ProtectedResource(identifier=API, issuers=(ISSUER,))
    lenient, ground = (
        Ground(published=Published(keys=(ES256, PS256, RS256)), resource=resource)
        for resource in (usual, replace(usual, fapi=True))
    )
    left = ["ES256", "Ed25519", "EdDSA", "PS256"]
    for each, algorithms in ((lenient, [*left, "RS256"]), (ground, left)):
        assert each.resource.document()["dpop_signing_alg_values_supported"] == algorithms
        with pytest.raises(Refused) as caught:
            await each.guard.admit(Shown(method="GET", url=URL, authorization=[]))
        assert f'algs="{" ".join(algorithms)}"' in each.challenge(caught.value)

    good, bad = token(cnf=BOUND), sign_access_token(claims(cnf=BOUND), RS256)
    assert await ground.show(good, "DPoP", proof=prove(good))
    strong = sign_access_token(claims(cnf=BOUND), PS256)
    assert await ground.show(strong, "DPoP", proof=prove(strong, jti="p2"))
    assert (await ground.refusal(token())).error == "invalid_token"
    assert (await ground.refusal(bad, "DPoP", proof=prove(bad))).error == "invalid_token"
    weak = token(cnf={"jkt": RS256.public.jkt})
    refused = await ground.refusal(weak, "DPoP", proof=prove(weak, key=RS256))
    assert refused.error == "invalid_dpop_proof"

    assert await lenient.show(token())
    assert await lenient.show(bad, "DPoP", proof=prove(bad))
    assert await lenient.show(weak, "DPoP", proof=prove(weak, key=RS256))


@covers("OAUTH-PRM-03")
async def test_without_a_token_the_challenge_has_no_error_and_names_the_metadata() -> None:
    ground = Ground()
    with pytest.raises(Refused) as caught:
        await ground.guard.admit(Shown(method="GET", url=URL, authorization=[]))
    told = ground.challenge(caught.value)
    assert caught.value.status == 401
    assert "error" not in told
    assert told.startswith(f'Bearer resource_metadata="{META}", DPoP algs="')
    assert told.count(META) == 2


@covers("OAUTH-PRM-03", "OAUTH-AT-09")
async def test_two_tokens_or_another_scheme_are_told_apart() -> None:
    ground = Ground()
    for fields, status in (
        ([b"Bearer a", b"Bearer b"], 400),
        ([b"Bearer"], 400),
        ([b"Basic YTpi"], 401),
    ):
        with pytest.raises(Refused) as caught:
            await ground.guard.admit(Shown(method="GET", url=URL, authorization=fields))
        assert caught.value.status == status


@covers("OAUTH-DPOP-10", "OAUTH-DPOP-12")
async def test_a_proof_for_a_bound_token_lets_in_once() -> None:
    ground = Ground()
    bound = token(cnf=BOUND)
    proof = prove(bound)
    assert (await ground.show(bound, "DPoP", proof=proof)).jkt == ED25519.public.jkt
    again = await ground.refusal(bound, "DPoP", proof=proof)
    assert again.error == "invalid_dpop_proof"
    assert (await ground.show(bound, "dpop", proof=prove(bound, jti="p2"))).client_id == "c1"


@covers("OAUTH-DPOP-10", "OAUTH-DPOP-21")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"access_token": Secret("another")}, "invalid_dpop_proof"),
        ({"access_token": None}, "invalid_dpop_proof"),
        ({"method": "GET"}, "invalid_dpop_proof"),
        ({"url": API}, "invalid_dpop_proof"),
        ({"now": NOW - timedelta(minutes=5)}, "invalid_dpop_proof"),
        ({"key": ES256}, "invalid_token"),
    ],
)
async def test_a_proof_for_something_else_lets_nobody_in(
    changes: dict[str, Any], error: str
) -> None:
    ground = Ground()
    bound = token(cnf=BOUND)
    refused = await ground.refusal(bound, "DPoP", proof=prove(bound, **changes))
    assert refused.error == error
    assert f'DPoP error="{error}"' in ground.challenge(refused)
    assert 'Bearer error="' not in ground.challenge(refused)
    # Nothing was used up by the refusal.
    assert await ground.show(bound, "DPoP", proof=prove(bound))


@covers("OAUTH-DPOP-21")
async def test_a_bound_token_is_no_bearer_token_and_a_bearer_token_is_not_bound() -> None:
    ground = Ground()
    bound, loose = token(cnf=BOUND), token()
    assert (await ground.refusal(bound)).error == "invalid_token"
    assert (await ground.refusal(bound, proof=prove(bound))).error == "invalid_token"
    assert (await ground.refusal(loose, "DPoP", proof=prove(loose))).error == "invalid_token"
    assert (await ground.refusal(bound, "DPoP")).error == "invalid_dpop_proof"


@covers("OAUTH-DPOP-16")
async def test_a_nonce_is_asked_for_and_the_proof_is_not_used_up() -> None:
    nonces = Nonces(b"n" * 32)
    ground = Ground(nonces=nonces)
    bound = token(cnf=BOUND)
    refused = await ground.refusal(bound, "DPoP", proof=prove(bound))
    nonce = dict(ground.guard.headers(refused))["DPoP-Nonce"]
    assert refused.error == "use_dpop_nonce"
    assert await ground.show(bound, "DPoP", proof=prove(bound, nonce=nonce))


async def test_where_only_bound_tokens_are_taken_a_bearer_token_is_refused() -> None:
    resource = ProtectedResource(identifier=API, issuers=(ISSUER,), requires_bound=True)
    ground = Ground(resource=resource)
    refused = await ground.refusal(token())
    assert refused.error == "invalid_token"
    assert "Bearer" not in ground.challenge(refused)
    assert 'error="invalid_token"' in ground.challenge(refused)


async def test_a_token_of_a_certificate_needs_that_certificate() -> None:
    ground = Ground()
    own = render_base64url(hashlib.sha256(b"certificate").digest())
    bound = token(cnf={"x5t#S256": own})
    assert (await ground.show(bound, certificate=b"certificate")).certificate
    assert (await ground.refusal(bound, certificate=b"another")).error == "invalid_token"
    assert (await ground.refusal(bound)).error == "invalid_token"
    both = token(cnf={"x5t#S256": own, **BOUND})
    assert (await ground.refusal(both, certificate=b"certificate")).error == "invalid_token"
    assert (await ground.refusal(both, "DPoP", proof=prove(both))).error == "invalid_token"
    assert await ground.show(both, "DPoP", proof=prove(both), certificate=b"certificate")


@covers("OAUTH-AT-09")
async def test_too_little_scope_is_told_what_would_do() -> None:
    ground = Ground()
    refused = await ground.refusal(token(scope="look"), needs=Needs(scope=frozenset({"pay"})))
    assert refused.status == 403
    assert 'error="insufficient_scope", scope="pay"' in ground.challenge(refused)


async def test_two_details_that_were_granted_apart_do_not_add_up() -> None:
    ground = Ground()
    details = [{"type": "payment", "most": 60}, {"type": "payment", "most": 50}]
    paid = token(authorization_details=details)

    def up_to(amount: int) -> Needs:
        def fits(detail: Mapping[str, Any]) -> bool:
            return int(detail["most"]) >= amount

        return Needs(details_type="payment", fits=fits)

    assert await ground.show(paid, needs=up_to(60))
    assert (await ground.refusal(paid, needs=up_to(100))).error == "insufficient_scope"
    assert (await ground.refusal(token(), needs=up_to(1))).error == "insufficient_scope"


async def test_a_sign_in_that_is_too_old_or_too_weak_is_asked_for_anew() -> None:
    ground = Ground()
    needs = Needs(max_age=timedelta(minutes=5), acr_values=("gold", "silver"))
    fresh = token(auth_time=SECONDS - 60, acr="silver")
    assert await ground.show(fresh, needs=needs)
    for weak in (token(acr="gold"), token(auth_time=SECONDS - 3600, acr="gold")):
        refused = await ground.refusal(weak, needs=needs)
        assert (refused.status, refused.error) == (401, "insufficient_user_authentication")
        assert 'max_age="300"' in ground.challenge(refused)
        assert "acr_values" not in ground.challenge(refused)
    refused = await ground.refusal(token(auth_time=SECONDS), needs=needs)
    assert 'acr_values="gold silver"' in ground.challenge(refused)


async def test_an_unknown_key_makes_one_fetch_and_then_none_for_a_while() -> None:
    published = Published()
    ground = Ground(published=published)
    await ground.show(token())
    published.at += COOL_DOWN
    rotated = sign_access_token(claims(), ED25519)
    for _ in range(20):
        assert (await ground.refusal(rotated)).error == "invalid_token"
    assert published.asked == 2
    published.keys = (ES256, ED25519)
    published.at += COOL_DOWN
    assert await ground.show(rotated)
    assert published.asked == 3


async def test_the_last_good_keys_serve_while_the_issuer_is_away_but_not_for_ever() -> None:
    published = Published()
    ground = Ground(published=published)
    await ground.show(token())
    published.away = True
    published.at += FRESH + 1
    assert await ground.show(token())
    published.at += CEILING
    refused = await ground.refusal(token())
    assert (refused.status, refused.error) == (503, None)


async def test_an_introspected_token_is_judged_by_the_same_rules() -> None:
    answers: dict[str, JsonObject] = {
        "good": {**claims(), "active": True},
        "dead": {"active": False},
        "odd": {**claims(), "active": "true"},
        "else": {**claims(aud="https://other.example"), "active": True},
        "bound": {**claims(cnf=BOUND), "active": True},
    }

    async def ask(shown: Secret) -> JsonObject:
        return answers[shown.reveal()]

    ground = Ground()
    ground.guard = Guard(ground.resource, IntrospectedTokens(ISSUER, ask), now=lambda: NOW)
    assert (await ground.show("good")).subject == "ada"
    for name in ("dead", "odd", "else", "bound"):
        assert (await ground.refusal(name)).error == "invalid_token"
    assert await ground.show("bound", "DPoP", proof=prove("bound"))


@covers("OAUTH-PRM-01", "OAUTH-PRM-02")
def test_the_metadata_is_where_the_identifier_says_and_names_it() -> None:
    resource = Ground().resource
    assert resource.metadata_url == META
    assert resource.document()["resource"] == API
    assert resource.document()["authorization_servers"] == [ISSUER]
    assert resource.document()["bearer_methods_supported"] == ["header"]
    assert "dpop_bound_access_tokens_required" not in resource.document()
    root = ProtectedResource(identifier="https://api.example/", issuers=(ISSUER,))
    assert root.metadata_path == "/.well-known/oauth-protected-resource"
    for wrong in ("http://api.example", "https://api.example/#a", "api.example", 'https://a/"'):
        with pytest.raises(ValueError, match="identifier"):
            ProtectedResource(identifier=wrong, issuers=(ISSUER,))


class Called:
    """An application that says who came, and a caller of ASGI applications."""

    def __init__(self) -> None:
        self.came: list[str] = []
        self.sent: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del receive
        self.came.append(scope["type"] if scope["type"] != "http" else access_of(scope).subject)
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    async def get(self, app: Any, path: str, *fields: tuple[bytes, bytes], **more: Any) -> Any:
        self.sent = []

        async def receive() -> Any:
            raise AssertionError("nobody reads a body")

        async def send(message: Any) -> None:
            self.sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(),
            "query_string": b"", "headers": list(fields), **more,
        }  # fmt: skip
        await app(scope, receive, send)
        return self.sent[0]


@covers("OAUTH-PRM-01", "OAUTH-PRM-03")
async def test_the_application_is_reached_with_a_good_token_alone() -> None:
    ground, called = Ground(), Called()
    app = ShieldedApp(called, ground.guard)
    bare = await called.get(app, "/payments/7", (b"host", b"evil.example"))
    assert bare["status"] == 401
    assert META in dict(bare["headers"])[b"www-authenticate"].decode()
    assert called.came == []
    bound = token(cnf=BOUND)
    fields = [(b"authorization", b"DPoP " + bound.encode()), (b"dpop", prove(bound).encode())]
    assert (await called.get(app, "/payments/7", *fields))["status"] == 204
    assert called.came == ["ada"]


@covers("OAUTH-PRM-01")
async def test_the_metadata_is_served_to_anybody_and_sockets_stay_closed() -> None:
    ground, called = Ground(), Called()
    app = ShieldedApp(called, ground.guard)
    told = await called.get(app, "/.well-known/oauth-protected-resource/payments", method="GET")
    assert told["status"] == 200
    assert json.loads(called.sent[1]["body"])["resource"] == API
    closed = await called.get(app, "/payments/7", type="websocket")
    assert closed["type"] == "websocket.close"
    assert called.came == []

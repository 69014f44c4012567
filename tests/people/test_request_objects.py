"""Request objects: signed by their client, alone in what they say, never fetched (RFC 9101)."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from abeyance.parties.client import ClientId
from abeyance.proofs.client_assertion import make_assertion
from abeyance.proofs.jwk import KeyPair, KeySet
from abeyance.proofs.jws import sign_jws
from tests.config import PAYMENT
from tests.covers import covers
from tests.people.house import CALLBACK, ISSUER, Flow, back_at_client, web
from tests.served import Served, make_key

KEY, OTHER = make_key(), make_key()
UNKNOWN = "urn:ietf:params:oauth:request_uri:" + "A" * 43


@pytest.fixture
async def signing(served: Served) -> Flow:
    """Webmill, which has registered a key."""
    await register(served)
    return Flow(web(served))


async def register(served: Served, **changes: Any) -> None:
    client = await served.house.store.find_client(ClientId("web"))
    assert client is not None
    keys = KeySet((KEY.public,), ())
    await served.house.store.put_client(replace(client, **({"keys": keys} | changes)))


def claims_of(flow: Flow, **changes: Any) -> dict[str, Any]:
    now = int(flow.client.served.clock.now().timestamp())
    claims = {"iss": "web", "aud": ISSUER, "exp": now + 60, **flow.parameters(), **changes}
    return {name: value for name, value in claims.items() if value is not None}


def sign(
    flow: Flow, *, key: KeyPair = KEY, typ: str = "oauth-authz-req+jwt", **changes: Any
) -> str:
    return sign_jws(claims_of(flow, **changes), key, typ=typ)


async def bring(flow: Flow, compact: str, **beside: str) -> Any:
    told = {"client_id": "web", "request": compact, **beside}
    return await flow.signed_in(await flow.follow("/authorize?" + urlencode(told)))


def part(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@covers("OAUTH-JAR-01", "OAUTH-JAR-04", "OAUTH-META-02")
@pytest.mark.parametrize("typ", ["oauth-authz-req+jwt", "JWT", "application/OAuth-Authz-Req+jwt"])
@pytest.mark.parametrize("audience", [ISSUER, [ISSUER], ["https://other.example", ISSUER]])
async def test_a_signed_request_leads_to_a_code(signing: Flow, typ: str, audience: Any) -> None:
    back = await signing.finish(
        await bring(signing, sign(signing, typ=typ, aud=audience, scope="now"))
    )
    assert (back["state"], back["iss"]) == ("xyz", ISSUER)
    assert (await signing.redeem(back["code"])).json["scope"] == "now"
    served = signing.client.served
    metadata = (await served.get("/.well-known/oauth-authorization-server")).json
    assert metadata["request_parameter_supported"] is True
    assert "ES256" in metadata["request_object_signing_alg_values_supported"]
    assert "none" not in metadata["request_object_signing_alg_values_supported"]


@covers("OAUTH-JAR-01", "OAUTH-JAR-03", "OAUTH-PAR-11")
async def test_a_signed_request_can_be_pushed(signing: Flow) -> None:
    told = [("client_id", "web"), ("request", sign(signing, scope="now")), ("scope", "write")]
    answer = await signing.client.post("/par", told)
    assert answer.status == 201, answer.body
    back = await signing.finish(await signing.open(answer.json["request_uri"]))
    assert (await signing.redeem(back["code"])).json["scope"] == "now"


@covers("OAUTH-JAR-03", "T-059", "DTR-HINT-01", "DTR-HINT-03")
async def test_beside_an_object_nothing_else_counts(signing: Flow) -> None:
    outside = {
        "scope": "read", "state": "forged", "completion_mode": "deferred",
        "redirect_uri": "https://web.example/other", "dpop_jkt": "A" * 43,
    }  # fmt: skip
    compact = sign(signing, scope="now", state=None)
    page = await bring(signing, compact, **outside)
    answered = await signing.answer(page)
    assert (answered.answer.header("location") or "").startswith(CALLBACK)
    back = back_at_client(answered)
    assert "state" not in back
    assert (await signing.redeem(back["code"])).json["scope"] == "now", "no hint, no obligation"
    hinted = sign(signing, scope="now", completion_mode="deferred")
    code = (await signing.finish(await bring(signing, hinted)))["code"]
    assert (await signing.redeem(code)).error == "invalid_request"
    assert (await signing.redeem(code, defer=True)).status == 200
    # What the object lacks is lacking, also where it stands beside it.
    bare = sign(signing, code_challenge=None)
    page = await bring(signing, bare, code_challenge=signing.parameters()["code_challenge"])
    assert back_at_client(page)["error"] == "invalid_request"


REFUSED: list[dict[str, Any]] = [
    {"iss": None},
    {"iss": "many"},
    {"client_id": None},
    {"client_id": "many"},
    {"aud": None},
    {"aud": "https://other.example"},
    {"aud": ISSUER + "/"},
    {"aud": [ISSUER, 7]},
    {"aud": {"x": ISSUER}},
    {"exp": None},
    {"exp": 1},
    {"exp": "9999999999"},
    {"exp": True},
    {"exp": 10**12},
    {"nbf": 10**11},
    {"iat": 10**11},
    {"sub": "web"},
    {"jti": 7},
    {"jti": ""},
    {"request": "a.b.c"},
    {"request_uri": UNKNOWN},
    {"scope": ["now"]},
    {"state": 5},
    {"state": True},
    {"response_type": {"x": 1}},
    {"authorization_details": json.dumps([PAYMENT])},
    {"resource": ["https://ledger.example", 5]},
    {"max_age": "5"},
    {"state": "a\x00b"},
]


@covers("OAUTH-JAR-02", "OAUTH-JAR-04", "OAUTH-JAR-05", "OAUTH-JAR-06", "OAUTH-JAR-09")
@pytest.mark.parametrize("changes", REFUSED, ids=str)
async def test_an_object_that_is_not_right_in_every_part_is_refused(
    signing: Flow, changes: dict[str, Any]
) -> None:
    compact = sign(signing, **changes)
    told = back_at_client(await bring(signing, compact, redirect_uri=CALLBACK, state="s"))
    assert (told["error"], told["state"]) == ("invalid_request_object", "s")
    page = await bring(signing, compact)
    assert (page.answer.status, page.answer.header("location")) == (400, None)
    pushed = await signing.client.post("/par", [("client_id", "web"), ("request", compact)])
    assert (pushed.status, pushed.error) == (400, "invalid_request_object")


@covers(
    "OAUTH-JAR-04", "OAUTH-JWT-02", "OAUTH-JWT-03", "OAUTH-JWT-06", "OAUTH-JWT-13", "SEC-JOSE-21"
)
async def test_only_the_client_s_own_signature_counts(signing: Flow) -> None:
    served = signing.client.served
    claims = claims_of(signing)
    right = sign(signing)
    assertion = make_assertion(
        KEY, client_id="web", audience=ISSUER, now=served.clock.now(), jti="j"
    )
    for compact in (
        sign(signing, key=OTHER),
        f"{part({'alg': 'none'})}.{part(claims)}.",
        f"{part({'alg': 'NONE', 'typ': 'JWT'})}.{part(claims)}.AAAA",
        f"{part({'alg': 'HS256'})}.{part(claims)}.AAAA",
        right[:-4] + ("AAAA" if not right.endswith("AAAA") else "BBBB"),
        right + ".x.y",
        "a.b.c.d.e",
        sign(signing, typ="at+jwt"),
        sign(signing, typ="dpop+jwt"),
        assertion,
        "x",
    ):
        told = back_at_client(await bring(signing, compact, redirect_uri=CALLBACK))
        assert told["error"] == "invalid_request_object", compact
    await register(served, request_object_alg="PS256")
    told = back_at_client(await bring(signing, right, redirect_uri=CALLBACK))
    assert told["error"] == "invalid_request_object", "another algorithm is registered"


@covers("OAUTH-JAR-05")
async def test_an_object_with_a_jti_is_used_once(signing: Flow) -> None:
    wrong = sign(signing, jti="one", scope="admin")
    assert back_at_client(await bring(signing, wrong))["error"] == "invalid_scope"
    compact = sign(signing, jti="one", scope="now")
    assert "code" in await signing.finish(await bring(signing, compact))
    told = back_at_client(await bring(signing, compact))
    assert told["error"] == "invalid_request_object"
    pushed = await signing.client.post("/par", [("client_id", "web"), ("request", compact)])
    assert pushed.error == "invalid_request_object"
    free = sign(signing, scope="now")
    for _ in range(2):
        assert "code" in await signing.finish(await bring(signing, free))


@covers("OAUTH-JAR-05")
async def test_an_object_ends_with_its_time(signing: Flow) -> None:
    compact = sign(signing, scope="now")
    signing.client.served.clock.move(66)
    told = back_at_client(await bring(signing, compact, redirect_uri=CALLBACK))
    assert told["error"] == "invalid_request_object"


@covers("OAUTH-JAR-06", "OAUTH-RAR-01", "OAUTH-RAR-02")
async def test_details_in_an_object_are_json_and_resources_may_be_several(signing: Flow) -> None:
    compact = sign(
        signing, authorization_details=[PAYMENT], scope=None, resource=["https://ledger.example"],
        unknown={"x": 1}, other=True,
    )  # fmt: skip
    page = await bring(signing, compact)
    assert "120.00" in page.text
    code = back_at_client(await signing.answer(page))["code"]
    assert "deferral_code" in (await signing.redeem(code, defer=True)).json
    bad = sign(signing, authorization_details=[{"type": "rocket"}])
    assert back_at_client(await bring(signing, bad))["error"] == "invalid_authorization_details"


@covers("OAUTH-JAR-07")
async def test_where_requests_must_be_signed_no_other_is_taken(signing: Flow) -> None:
    await register(signing.client.served, require_signed=True)
    assert (await signing.come_back(scope="now"))["error"] == "invalid_request"
    assert (await signing.push(scope="now")).error == "invalid_request"
    compact = sign(signing, scope="now")
    assert "code" in await signing.finish(await bring(signing, compact))
    pushed = await signing.client.post("/par", [("client_id", "web"), ("request", compact)])
    assert "code" in await signing.finish(await signing.open(pushed.json["request_uri"]))


@covers("OAUTH-JAR-01", "OAUTH-JAR-08", "OAUTH-JAR-09", "OAUTH-PAR-13")
async def test_no_object_is_fetched_from_anywhere(signing: Flow) -> None:
    for uri in ("https://web.example/object", "http://127.0.0.1:1/x", "urn:x", "x"):
        page = await signing.open(uri)
        assert (page.answer.status, page.answer.header("location")) == (400, None)
        evil = await signing.open(uri, redirect_uri="https://evil.example/cb")
        assert (evil.answer.status, evil.answer.header("location")) == (400, None)
        told = back_at_client(await signing.open(uri, redirect_uri=CALLBACK))
        assert told["error"] == "request_uri_not_supported"
    both = await signing.open(UNKNOWN, request=sign(signing), redirect_uri=CALLBACK)
    assert back_at_client(both)["error"] == "invalid_request"


@covers("OAUTH-JAR-09")
async def test_a_client_without_a_key_has_no_objects(flow: Flow) -> None:
    compact = sign(flow, scope="now")
    told = back_at_client(await bring(flow, compact, redirect_uri=CALLBACK))
    assert told["error"] == "request_not_supported"
    assert (await bring(flow, compact)).answer.status == 400


@covers("OAUTH-JAR-09", "OAUTH-PAR-06")
async def test_nothing_is_told_at_an_address_that_nobody_named(served: Served) -> None:
    flow = Flow(web(served, "many"))  # which has one redirect URI
    for told in (
        {"request": "a.b.c"},
        {"request_uri": UNKNOWN},
        {"request_uri": "https://x.example"},
    ):
        page = await flow.follow("/authorize?" + urlencode({"client_id": "many", **told}))
        assert (page.answer.status, page.answer.header("location")) == (400, None)

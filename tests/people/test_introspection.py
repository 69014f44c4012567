"""Introspection and revocation: what is told of a token, to whom, and what ends it."""

import json
from dataclasses import replace

import pytest

from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.store.ports import StoreAway
from tests.answer import Answer
from tests.covers import covers
from tests.people.house import Flow, public, web
from tests.served import Caller, Served

LEDGER, MAIL = "https://ledger.example", "https://mail.example"
INACTIVE = b'{"active":false}'


async def introspect(caller: Caller, token: str, **extra: str) -> Answer:
    return await caller.post("/introspect", [("token", token), *extra.items()])


def is_inactive(answer: Answer) -> bool:
    return (answer.status, answer.body) == (200, INACTIVE)


@covers("OAUTH-INTRO-01", "OAUTH-INTRO-02", "OAUTH-INTRO-04")
async def test_a_resource_server_is_told_of_a_token_for_it(served: Served, flow: Flow) -> None:
    token = await flow.token(scope="now read")
    answer = await introspect(web(served, "ledger"), token.json["access_token"])
    claims = token.claims()
    assert answer.json == {
        "active": True,
        "token_type": "Bearer",
        **{name: claims[name] for name in ("iss", "sub", "aud", "client_id", "iat", "exp", "jti")},
        "scope": "now read",
        "auth_time": claims["auth_time"],
    }
    assert answer.header("cache-control") == "no-store"
    assert (await introspect(flow.client, token.json["access_token"])).json == answer.json


@covers("OAUTH-INTRO-05", "OAUTH-DPOP-22")
async def test_of_a_bound_token_its_key_is_told(served: Served) -> None:
    app = Flow(public(served))
    token = await app.token()
    answer = await introspect(web(served, "ledger"), token.json["access_token"])
    assert answer.json["token_type"] == "DPoP"
    assert answer.json["cnf"] == {"jkt": served.keys["d1"].public.jkt}


@covers("OAUTH-INTRO-04", "OAUTH-RAR-08")
async def test_the_details_of_a_token_are_told(served: Served, flow: Flow) -> None:
    details = [{"type": "standing", "account": "A"}]
    token = await flow.token(authorization_details=json.dumps(details))
    answer = await introspect(web(served, "ledger"), token.json["access_token"])
    assert answer.json["authorization_details"] == details


@covers("OAUTH-INTRO-02", "OAUTH-INTRO-03", "OAUTH-DEC-13")
async def test_of_a_token_for_somebody_else_nothing_is_told(served: Served) -> None:
    many = Flow(web(served, "many"))
    token = (await many.token(resource=MAIL)).json["access_token"]
    assert (await introspect(many.client, token)).json["active"] is True
    for stranger in ("ledger", "robot", "web"):
        assert is_inactive(await introspect(web(served, stranger), token))


@covers("OAUTH-INTRO-03", "OAUTH-INTRO-06", "OAUTH-INTRO-07", "OAUTH-DEFER-07", "T-100")
async def test_whatever_is_no_live_access_token_is_answered_alike(
    served: Served, flow: Flow
) -> None:
    token = await flow.token(scope="now read")
    access = token.json["access_token"]
    head, payload, signature = access.split(".")
    waiting = await flow.deferred()
    values = [
        "x",
        "a.b.c",
        "A" * 4_000,
        f"{head}.{payload}.{signature[:-4]}AAAA",
        f"{head}.{payload}.",
        token.json["refresh_token"],
        waiting,
        await flow.code(),
    ]
    for value in values:
        for hint in ({}, {"token_type_hint": "refresh_token"}, {"token_type_hint": "x"}):
            for caller in (web(served, "ledger"), flow.client):
                assert is_inactive(await introspect(caller, value, **hint))
    assert (await flow.client.poll(waiting)).error == "authorization_pending"
    assert (await introspect(flow.client, access)).json["active"] is True


@covers("OAUTH-INTRO-02", "OAUTH-INTRO-03", "OAUTH-REVO-08")
@pytest.mark.parametrize("end", ["expired", "revoked", "client", "person"])
async def test_a_token_is_active_only_while_all_behind_it_is(
    served: Served, flow: Flow, end: str
) -> None:
    token = await flow.token()
    access = token.json["access_token"]
    ledger = web(served, "ledger")
    served.clock.move(token.json["expires_in"] - 1)
    assert (await introspect(ledger, access)).json["active"] is True
    match end:
        case "expired":
            served.clock.move(1)
        case "revoked":
            assert (await flow.client.revoke(access)).status == 200
        case "client":
            client = await served.house.store.find_client(ClientId("web"))
            assert client is not None
            await served.house.store.put_client(replace(client, enabled=False))
        case _:
            person = await served.house.store.find_person(PersonId("uma"))
            assert person is not None
            await served.house.store.put_person(replace(person, enabled=False))
    assert is_inactive(await introspect(ledger, access))


@covers("OAUTH-INTRO-01", "OAUTH-INTRO-03")
async def test_only_confidential_clients_ask(served: Served) -> None:
    app = Flow(public(served))
    access = (await app.token()).json["access_token"]
    answer = await introspect(app.client, access)
    assert (answer.status, answer.error) == (401, "invalid_client")
    nobody = await served.post("/introspect", [("token", access)])
    assert nobody.status == 401
    wrong = [("authorization", "Basic bGVkZ2VyOndyb25n")]
    assert (await served.post("/introspect", [("token", access)], headers=wrong)).status == 401
    ledger = web(served, "ledger")
    assert (await ledger.post("/introspect", [])).error == "invalid_request"
    got = await served.get(f"/introspect?token={access}")
    assert (got.status, got.header("allow")) == (405, "POST")
    in_query = await ledger.post(f"/introspect?token={access}", [("token", access)])
    assert in_query.error == "invalid_request"


@covers("OAUTH-INTRO-07", "OAUTH-CAUTH-11")
async def test_guessing_a_resource_servers_secret_is_slowed(served: Served) -> None:
    wrong = [("authorization", "Basic bGVkZ2VyOndyb25n")]
    answers = [await served.post("/introspect", [("token", "x")], headers=wrong) for _ in range(30)]
    assert answers[-1].status == 429
    assert answers[-1].header("retry-after")
    assert is_inactive(await introspect(web(served, "ledger"), "x")), (
        "the right one is not kept out"
    )


@covers("OAUTH-REVO-01", "OAUTH-REVO-02", "OAUTH-REVO-05", "OAUTH-REVO-08")
async def test_a_revoked_access_token_ends_alone(served: Served, flow: Flow) -> None:
    token = await flow.token()
    other = await flow.refresh(token.json["refresh_token"])
    for _ in range(2):
        answer = await flow.client.revoke(token.json["access_token"])
        assert (answer.status, answer.body) == (200, b"{}")
    assert is_inactive(await introspect(flow.client, token.json["access_token"]))
    assert (await introspect(flow.client, other.json["access_token"])).json["active"] is True
    assert (await flow.refresh(token.json["refresh_token"])).status == 200


@covers("OAUTH-REVO-05", "OAUTH-REVO-02", "OAUTH-REVO-04", "OAUTH-RT-09")
@pytest.mark.parametrize("hint", [None, "refresh_token", "access_token", "nonsense"])
async def test_a_revoked_refresh_token_ends_all_that_came_of_its_grant(
    served: Served, hint: str | None
) -> None:
    many = Flow(web(served, "many"))
    first = await many.token(scope="now read", resource=LEDGER)
    second = await many.refresh(first.json["refresh_token"])
    held = await many.refresh(second.json["refresh_token"], defer=True, scope="read")
    assert held.error == "authorization_pending"
    extra = {} if hint is None else {"token_type_hint": hint}
    # The spent one: whoever lost the answer with its successor must be able to end it too.
    for _ in range(2):
        answer = await many.client.revoke(first.json["refresh_token"], **extra)
        assert (answer.status, answer.body) == (200, b"{}")
    for each in (first, second):
        assert is_inactive(await introspect(many.client, each.json["access_token"]))
    assert (await many.refresh(second.json["refresh_token"])).error == "invalid_grant"
    assert (await many.client.poll(held.code)).error == "access_denied"


@covers("OAUTH-REVO-01", "OAUTH-REVO-09", "DTR-CANC-10")
async def test_a_public_client_revokes_by_its_name_and_key(served: Served) -> None:
    app = Flow(public(served))
    token = await app.token()
    code = await app.deferred()
    nobody = await served.post("/revoke", [("token", token.json["refresh_token"])])
    assert nobody.status == 401
    assert (await app.client.revoke(code)).status == 200
    assert (await app.client.poll(code)).error == "access_denied"
    assert (await app.client.revoke(token.json["refresh_token"])).status == 200
    assert (await app.refresh(token.json["refresh_token"])).error == "invalid_grant"


@covers("OAUTH-REVO-03", "OAUTH-DEC-12")
async def test_nobody_revokes_anothers_token(served: Served, flow: Flow) -> None:
    token = await flow.token()
    for stranger in (web(served, "many"), public(served)):
        for name in ("access_token", "refresh_token"):
            answer = await stranger.revoke(token.json[name])
            assert (answer.status, answer.error) == (400, "invalid_grant")
    assert (await introspect(flow.client, token.json["access_token"])).json["active"] is True
    assert (await flow.refresh(token.json["refresh_token"])).status == 200


@covers("OAUTH-REVO-02", "OAUTH-REVO-04", "OAUTH-REVO-07")
async def test_what_is_unknown_is_revoked_already_and_a_get_revokes_nothing(
    served: Served, flow: Flow
) -> None:
    token = await flow.token()
    expired = token.json["access_token"]
    served.clock.move(token.json["expires_in"])
    for value in ("x", "a.b.c", "A" * 64, expired, await flow.code()):
        answer = await flow.client.revoke(value, token_type_hint="urn:whatever")
        assert (answer.status, answer.body) == (200, b"{}")
    refresh = token.json["refresh_token"]
    got = await served.get(f"/revoke?token={refresh}&callback=x")
    assert (got.status, got.header("allow")) == (405, "POST")
    assert (await flow.client.post("/revoke", [])).error == "invalid_request"
    assert (await flow.refresh(refresh)).status == 200


@covers("OAUTH-REVO-06", "OAUTH-INTRO-02")
async def test_a_store_that_is_away_is_no_success(
    served: Served, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await flow.token()

    async def away(*_: object, **__: object) -> None:
        raise StoreAway

    with monkeypatch.context() as patch:
        patch.setattr(served.house.store, "apply", away)
        for name in ("access_token", "refresh_token"):
            answer = await flow.client.revoke(token.json[name])
            assert answer.status == 503
            assert answer.header("retry-after")
    with monkeypatch.context() as patch:
        patch.setattr(served.house.store, "find_token", away)
        answer = await introspect(flow.client, token.json["access_token"])
        assert answer.status == 503
        assert b"active" not in answer.body
    served.answers[:] = [each for each in served.answers if each[1].status != 503]
    assert (await introspect(flow.client, token.json["access_token"])).json["active"] is True
    assert (await flow.refresh(token.json["refresh_token"])).status == 200


@covers("OAUTH-INTRO-01", "OAUTH-REVO-01", "DTR-CANC-08")
async def test_metadata_names_both_endpoints_and_how_to_authenticate(served: Served) -> None:
    metadata = (await served.get("/.well-known/oauth-authorization-server")).json
    assert metadata["introspection_endpoint"] == "https://as.example/introspect"
    assert metadata["revocation_endpoint"] == "https://as.example/revoke"
    assert "none" not in metadata["introspection_endpoint_auth_methods_supported"]
    assert "none" in metadata["revocation_endpoint_auth_methods_supported"]

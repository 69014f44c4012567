"""Assertions of other issuers: who is believed, for whom, for what, and how often."""

import asyncio
from typing import Any

import pytest

from abeyance.acts import dispose
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.wire import names
from tests.covers import covers
from tests.exchange.house import (
    CONFIG,
    IDP,
    ISSUER,
    LEDGER,
    OTHER_KEY,
    Agent,
    Idp,
    is_refused,
    open_house,
)
from tests.people.house import public, web
from tests.served import Served


@covers("OAUTH-JWTB-01", "OAUTH-JWTB-03", "EXT-IDJAG-07")
async def test_an_assertion_stands_for_the_person_whom_its_issuer_and_tenant_name(
    agent: Agent,
) -> None:
    answer = await agent.bring(agent.idp.assertion(), scope="now")
    claims = answer.claims()
    assert (claims["sub"], claims["client_id"], claims["scope"]) == ("uma", "agent", "now")
    assert "issued_token_type" not in answer.json
    assert "refresh_token" not in answer.json
    for changes in (
        {"tenant": None},
        {"tenant": "other"},
        {"tenant": ["acme"]},
        {"sub": "uma"},
        {"sub": "uma", "tenant": None},
        {"sub": "nobody", "email": "uma@example.com", "preferred_username": "uma"},
    ):
        told: dict[str, Any] = changes
        assert is_refused(
            await agent.bring(agent.idp.assertion(**told), scope="now"), "invalid_grant"
        )


@covers("EXT-IDJAG-07", "OAUTH-JWTB-03")
async def test_where_subjects_are_sign_in_names_the_tenant_still_counts(agent: Agent) -> None:
    strict = Idp(agent.client.served, issuer="https://strict.example")

    async def ask(**changes: Any) -> str | None:
        answer = await agent.bring(strict.assertion(**changes), scope="now", defer=True)
        return answer.error

    assert await ask(sub="uma") == "interaction_required", "known, and not asked yet"
    for changes in ({"tenant": None}, {"tenant": "evil"}, {"sub": "00u1"}, {"sub": "client:web"}):
        told: dict[str, Any] = {"sub": "uma"} | changes
        assert await ask(**told) == "invalid_grant"


@covers("OAUTH-JWTB-02", "OAUTH-JWT-01", "OAUTH-JWT-07", "OAUTH-JWT-08", "OAUTH-JWT-09")
@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://unknown.example"},
        {"iss": IDP + "/"},
        {"iss": ISSUER},
        {"iss": None},
        {"iss": ["https://idp.example"]},
        {"aud": None},
        {"aud": "https://other.example"},
        {"aud": ISSUER + "/"},
        {"aud": ISSUER + "/token"},
        {"aud": "agent"},
        {"aud": [ISSUER, "https://other.example"]},
        {"aud": []},
        {"exp": None},
        {"exp": "1895435200"},
        {"exp": True},
        {"exp": 1},
        {"exp": 10**15},
        {"exp": 10**400},
        {"nbf": 4102444800},
        {"iat": 4102444800},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"jti": None},
        {"jti": ""},
        {"jti": "j" * 257},
        {"cnf": {"jkt": "A" * 43}},
        {"cnf": {"x5t#S256": "A" * 43}},
        {"cnf": "none"},
        {"act": "robot"},
        {"act": {"client_id": "robot"}},
        {"scope": 7},
        {"scope": 'a"b'},
        {"resource": 7},
        {"resource": "no uri"},
        {"authorization_details": [{"type": "unknown"}]},
        {"authorization_details": "x"},
        {"typ": "at+jwt"},
        {"typ": "dpop+jwt"},
        {"typ": "client-authentication+jwt"},
    ],
    ids=lambda changes: str(changes)[:50],
)
async def test_what_is_wrong_in_any_part_is_an_invalid_grant_and_uses_nothing_up(
    agent: Agent, changes: dict[str, Any]
) -> None:
    token = agent.idp.assertion(**{"jti": "once"} | changes)
    assert is_refused(await agent.bring(token, scope="now"), "invalid_grant")
    twin = await agent.bring(agent.idp.assertion(jti="once"), scope="now")
    assert twin.status == 200, "the valid twin is not used up by it"


@covers("OAUTH-JWTB-01", "OAUTH-JWTB-02", "OAUTH-JWT-02", "OAUTH-JWT-03", "SEC-JOSE-21")
async def test_whoever_has_not_signed_is_not_believed(agent: Agent) -> None:
    idp = agent.idp
    good = idp.assertion()
    head, body, _ = good.split(".")
    forged = Idp(agent.client.served, key=OTHER_KEY).assertion()
    for text in ("", "x", "a.b.c", f"{head}.{body}.", f"{head}.{body}", good + ".x", forged):
        answer = await agent.bring(text, scope="now")
        assert is_refused(answer, "invalid_request" if not text else "invalid_grant")
    assert (await agent.bring(good, scope="now")).status == 200


@covers("OAUTH-JWTB-02", "OAUTH-IDJAG-04")
async def test_an_issuer_is_believed_for_the_clients_and_uses_that_are_named(
    served: Served,
) -> None:
    idp = Idp(served)
    for name in ("web", "gateway", "narrower"):
        answer = await Agent.of(served, name).bring(idp.assertion(), scope="now")
        assert is_refused(answer, "unauthorized_client"), "a grant that it has not"
    strict = Idp(served, issuer="https://strict.example")
    answer = await Agent.of(served, "other").bring(strict.assertion(sub="uma"), scope="now")
    assert is_refused(answer, "invalid_grant")


@covers("OAUTH-JWTB-04", "OAUTH-IDJAG-04")
async def test_a_public_client_brings_nothing_unless_that_is_switched_on(
    served: Served, tmp_path: Any
) -> None:
    app = Agent(public(served))
    for token in (app.idp.assertion(), app.idp.id_jag(client_id="app")):
        assert is_refused(await app.bring(token, scope="now"), "invalid_grant")
    config = CONFIG.replace('consent = "issuer"', 'consent = "issuer"\npublic_clients = true')
    async with open_house(tmp_path / "open", config=config) as other:
        app = Agent(public(other))
        assert (await app.bring(app.idp.assertion(), scope="now")).status == 200
        answer = await app.bring(app.idp.id_jag(client_id="app"), scope="now")
        assert is_refused(answer, "invalid_grant"), "an ID-JAG never"


@covers("OAUTH-JWTB-02")
async def test_keys_expire_and_the_other_audience_is_taken_only_where_the_operator_says_so(
    tmp_path: Any,
) -> None:
    config = CONFIG.replace(
        'consent = "issuer"',
        'consent = "issuer"\nkeys_until = "2026-11-23T12:10:00Z"\ntoken_endpoint_audience = true',
    )
    async with open_house(tmp_path, config=config) as served:
        agent = Agent.of(served)
        to_endpoint = agent.idp.assertion(aud=ISSUER + "/token")
        assert (await agent.bring(to_endpoint, scope="now")).status == 200
        wrong = agent.idp.id_jag(aud=ISSUER + "/token")
        assert is_refused(await agent.bring(wrong, scope="now"), "invalid_grant")
        served.clock.move(601)
        answer = await agent.bring(agent.idp.assertion(), scope="now")
        assert is_refused(answer, "invalid_grant")


@covers("OAUTH-JWTB-02", "EXT-GRANT-05", "OAUTH-DEC-09")
async def test_an_assertion_is_used_once_whoever_brings_it_again(
    served: Served, agent: Agent
) -> None:
    token = agent.idp.assertion()
    assert (await agent.bring(token, scope="now")).status == 200
    assert is_refused(await agent.bring(token, scope="now"), "invalid_grant")
    assert is_refused(await Agent.of(served, "other").bring(token, scope="now"), "invalid_grant")
    same_jti = agent.idp.assertion(jti="again"), agent.idp.assertion(jti="again", sub="vic-there")
    assert (await agent.bring(same_jti[0], scope="now")).status == 200
    assert is_refused(await agent.bring(same_jti[1], scope="now"), "invalid_grant")


@covers("OAUTH-JWTB-02", "SEC-JOSE-26")
async def test_of_many_at_once_one_gets_the_token(agent: Agent) -> None:
    token = agent.idp.assertion()
    answers = await asyncio.gather(*(agent.bring(token, scope="now") for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [200] + [400] * 19


@covers("OAUTH-DEC-09", "EXT-IDJAG-05")
async def test_of_many_id_jags_at_once_all_come_to_one_request(agent: Agent) -> None:
    token = agent.idp.id_jag()
    answers = await asyncio.gather(
        *(agent.bring(token, scope="read", defer=True) for _ in range(10))
    )
    assert {answer.error for answer in answers} == {"authorization_pending"}
    assert len({answer.code for answer in answers}) == 1


@covers("EXT-GRANT-05", "OAUTH-DEFER-02")
async def test_a_refused_request_leaves_the_assertion_usable(agent: Agent) -> None:
    token = agent.idp.assertion()
    for changes, error in (
        ({"scope": "never"}, "invalid_scope"),
        ({"scope": "unknown"}, "invalid_scope"),
        ({"scope": "now", "resource": "https://evil.example"}, "invalid_target"),
        ({"scope": "read"}, "invalid_scope"),  # would have to wait, and does not want to
    ):
        told: dict[str, Any] = changes
        assert is_refused(await agent.bring(token, **told), error)
    assert (await agent.bring(token, scope="now")).status == 200


@covers("EXT-IDEMP-05", "EXT-GRANT-05", "OAUTH-DEC-09")
async def test_a_named_request_may_bring_its_assertion_again(agent: Agent) -> None:
    token = agent.idp.assertion()
    name = "req-0123456789abcdefghij"
    first = await agent.bring(token, scope="read", defer=True, deferral_request_id=name)
    again = await agent.bring(token, scope="read", defer=True, deferral_request_id=name)
    assert first.code == again.code
    assert is_refused(await agent.bring(token, scope="read", defer=True), "invalid_grant")


@covers("OAUTH-JWTB-03", "OAUTH-TOK-08", "EXT-IDJAG-04")
async def test_a_disabled_person_gets_nothing_and_keeps_nothing(
    served: Served, agent: Agent
) -> None:
    waits = await agent.bring(agent.idp.assertion(), scope="read", defer=True)
    await served.approve(waits.code)
    uma = await served.house.store.find_person(PersonId("uma"))
    assert uma is not None
    await dispose.disable_person(served.house, uma, by="person:ada")
    assert is_refused(await agent.client.poll(waits.code), "access_denied")
    assert is_refused(await agent.bring(agent.idp.assertion(), scope="now"), "invalid_grant")


@covers("OAUTH-JWTB-02", "OAUTH-IDJAG-06", "OAUTH-SCOPE-04")
async def test_nobody_gets_more_than_issuer_assertion_and_client_allow(agent: Agent) -> None:
    idp = agent.idp
    assert (await agent.bring(idp.id_jag(scope="now"), scope="now")).json["scope"] == "now"
    assert (await agent.bring(idp.id_jag(scope="now"))).json["scope"] == "now"
    assert (await agent.bring(idp.id_jag(scope="now deep"))).json["scope"] == "now"
    for token in (idp.id_jag(scope="now"), idp.assertion(scope="now")):
        assert is_refused(await agent.bring(token, scope="now read"), "invalid_scope")
    assert is_refused(await agent.bring(idp.id_jag(scope="deep")), "invalid_scope")
    there = idp.id_jag(scope="now", resource="https://other.example")
    assert is_refused(await agent.bring(there), "invalid_target")
    here = idp.id_jag(scope="now", resource=[LEDGER])
    assert (await agent.bring(here)).claims()["aud"] == LEDGER


@covers("EXT-IDJAG-02", "OAUTH-IDJAG-04", "OAUTH-JWT-06")
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "other"},
        {"client_id": None},
        {"client_id": ["agent"]},
        {"aud": [ISSUER, "https://b.example"]},
        {"aud": ISSUER + "/token"},
        {"typ": "JWS"},
        {"iss": ISSUER},
        {"exp": 1},
        {"cnf": {"jkt": "A" * 43}},
    ],
    ids=str,
)
async def test_an_id_jag_is_checked_in_every_part_before_anything_waits(
    agent: Agent, changes: dict[str, Any]
) -> None:
    answer = await agent.bring(agent.idp.id_jag(**changes), scope="read", defer=True)
    assert is_refused(answer, "invalid_grant")


@covers("EXT-IDJAG-02", "OAUTH-IDJAG-04")
async def test_an_id_jag_may_name_its_audience_in_an_array_of_one(agent: Agent) -> None:
    assert (await agent.bring(agent.idp.id_jag(aud=[ISSUER]), scope="now")).status == 200


@covers("OAUTH-IDJAG-05", "EXT-IDJAG-02", "OAUTH-DEC-07")
async def test_a_bound_id_jag_needs_its_key_and_an_unbound_one_is_bound_by_a_proof(
    served: Served,
) -> None:
    key, other = served.keys["d1"], served.keys["d2"]
    plain = Agent.of(served)
    mine, theirs = (
        Agent(web(served, "agent").with_dpop(key)),
        Agent(web(served, "agent").with_dpop(other)),
    )
    bound = plain.idp.id_jag(cnf={"jkt": key.public.jkt})
    for wrong in (plain, theirs):
        assert is_refused(await wrong.bring(bound, scope="now"), "invalid_grant")
    answer = await mine.bring(bound, scope="now")
    assert answer.claims()["cnf"] == {"jkt": key.public.jkt}
    free = await theirs.bring(plain.idp.id_jag(), scope="now")
    assert free.claims()["cnf"] == {"jkt": other.public.jkt}
    needs = Agent.of(served, "bound")
    answer = await needs.bring(needs.idp.id_jag(), scope="now")
    assert is_refused(answer, "invalid_dpop_proof")


@covers("OAUTH-DEC-09")
async def test_an_id_jag_comes_again_from_the_same_client_with_the_same_key_alone(
    served: Served,
) -> None:
    key = served.keys["d1"]
    plain, mine = Agent.of(served), Agent(web(served, "agent").with_dpop(key))
    token = plain.idp.id_jag()
    assert (await plain.bring(token, scope="now")).status == 200
    assert (await plain.bring(token, scope="now")).status == 200
    assert is_refused(await mine.bring(token, scope="now"), "invalid_grant")
    assert is_refused(await Agent.of(served, "other").bring(token, scope="now"), "invalid_grant")
    waits = await plain.bring(token, scope="read", defer=True)
    assert (await plain.bring(token, scope="read", defer=True)).code == waits.code
    other = await plain.bring(token, scope="read now", defer=True)
    assert other.status == 200 or is_refused(other, "invalid_request")
    served.clock.move(300)
    assert is_refused(await plain.bring(token, scope="read", defer=True), "invalid_grant")
    assert (await plain.client.poll(waits.code)).error == "authorization_pending"


@covers("EXT-IDJAG-03", "OAUTH-DEFER-03", "SEC-STORE-01")
async def test_of_an_assertion_its_evidence_is_kept_and_not_itself(
    served: Served, agent: Agent
) -> None:
    import hashlib

    token = agent.idp.id_jag(jti="evidence")
    waits = await agent.bring(token, scope="read", defer=True)
    held = await served.held(waits.code)
    found = await served.house.store.find_assertion(held.key.home)
    assert found is not None
    kept = found.assertion
    assert (kept.issuer, kept.subject, kept.jti) == (IDP, "00u1", "evidence")
    assert kept.digest == hashlib.sha256(token.encode()).digest()
    assert (kept.client, found.grant.person) == ("agent", "uma")
    assert token.split(".")[2] not in str(found)


@covers("OAUTH-DEFER-06", "OAUTH-JWTB-02")
async def test_what_an_issuer_vouched_for_is_not_collected_once_it_is_trusted_no_more(
    tmp_path: Any,
) -> None:
    async with open_house(tmp_path) as served:
        agent = Agent.of(served)
        waits = await agent.bring(agent.idp.assertion(), scope="read", defer=True)
        await served.approve(waits.code)
    blocks = [b for b in CONFIG.split("\n\n") if "trusted_issuers" not in b]
    async with open_house(tmp_path, config="\n\n".join(blocks)) as served:
        answer = await Agent.of(served).client.poll(waits.code)
        assert is_refused(answer, "access_denied")


@covers("OAUTH-IDJAG-06", "EXT-IDJAG-05", "OAUTH-TOK-06")
async def test_an_assertion_brings_no_refresh_token(served: Served, agent: Agent) -> None:
    client = await served.house.store.find_client(ClientId("agent"))
    assert client is not None
    for token in (agent.idp.assertion(), agent.idp.id_jag()):
        waits = await agent.bring(token, scope="read", defer=True)
        await served.approve(waits.code)
        assert "refresh_token" not in (await agent.client.poll(waits.code)).json


@covers("OAUTH-IDJAG-07", "OAUTH-META-02")
async def test_metadata_tells_what_is_spoken_and_never_who_is_trusted(
    served: Served, tmp_path: Any
) -> None:
    where = "/.well-known/oauth-authorization-server"
    told = await served.get(where)
    document = told.json
    assert document["authorization_grant_profiles_supported"] == [names.GRANT_PROFILE_ID_JAG]
    assert {names.GRANT_JWT_BEARER, names.GRANT_TOKEN_EXCHANGE} <= set(
        document["grant_types_supported"]
    )
    assert b"idp.example" not in told.body
    config = CONFIG
    for heading in ("trusted_issuers", "exchanges"):
        config = "\n\n".join(b for b in config.split("\n\n") if f"[[{heading}" not in b)
    async with open_house(tmp_path / "closed", config=config) as closed:
        document = (await closed.get(where)).json
        assert "authorization_grant_profiles_supported" not in document
        assert not {names.GRANT_JWT_BEARER, names.GRANT_TOKEN_EXCHANGE} & set(
            document["grant_types_supported"]
        )

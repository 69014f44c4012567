"""Token exchange: whose token, who acts, what for, for how long, and when it ends (RFC 8693)."""

import itertools
import json
from datetime import timedelta
from typing import Any

import pytest

from abeyance.acts import dispose
from abeyance.acts.introspect import live_claims
from abeyance.oauth.minting import parse_jti
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.handles import Home
from abeyance.pending.request import Key
from abeyance.wire import names
from tests.answer import Answer
from tests.config import PAYMENT
from tests.covers import covers
from tests.exchange.house import (
    IDP,
    LEDGER,
    VAULT,
    Agent,
    Idp,
    is_refused,
    users_token,
)
from tests.people.house import Flow, public, web
from tests.served import Served


async def delegated(gateway: Agent, **changes: Any) -> Answer:
    """The gateway acts for Uma at the vault."""
    subject = await users_token(gateway.client.served)
    actor = await gateway.own_token()
    return await gateway.exchange(
        subject, actor=actor, **{"scope": "now", "resource": VAULT} | changes
    )


@covers("OAUTH-TX-01", "OAUTH-TX-07", "OAUTH-TX-10", "OAUTH-AT-02", "OAUTH-SCOPE-05")
async def test_a_delegated_token_is_about_the_person_and_says_who_acts(gateway: Agent) -> None:
    answer = await delegated(gateway)
    assert answer.json["issued_token_type"] == names.URN_ACCESS_TOKEN
    assert answer.json["token_type"] == "Bearer"
    assert "refresh_token" not in answer.json
    claims = answer.claims()
    assert (claims["sub"], claims["aud"], claims["scope"]) == ("uma", VAULT, "now")
    assert claims["client_id"] == "gateway"
    assert claims["act"] == {"sub": "client:gateway", "client_id": "gateway"}
    assert "auth_time" in claims, "of the person who signed in"


@covers("OAUTH-TX-01", "OAUTH-TX-03")
@pytest.mark.parametrize(
    "changes",
    [
        {"subject_token": None},
        {"subject_token_type": None},
        {"subject_token": "nonsense"},
        {"subject_token_type": names.URN_REFRESH_TOKEN},
        {"subject_token_type": names.URN_ID_TOKEN},
        {"subject_token_type": names.URN_JWT},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"},
        {"subject_token_type": "access_token"},
        {"actor_token": None},
        {"actor_token_type": None},
        {"actor_token": "nonsense"},
        {"actor_token_type": names.URN_ID_TOKEN},
        {"actor_token_type": names.URN_REFRESH_TOKEN},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:saml1"},
        {"requested_token_type": names.URN_REFRESH_TOKEN},
        {"requested_token_type": names.URN_ID_TOKEN},
        {"requested_token_type": names.TOKEN_TYPE_DEFERRAL_CODE},
    ],
    ids=str,
)
async def test_what_lacks_a_part_or_is_of_another_type_is_an_invalid_request(
    gateway: Agent, changes: dict[str, str | None]
) -> None:
    assert is_refused(await delegated(gateway, **changes), "invalid_request")


@covers("OAUTH-TX-02", "OAUTH-JWT-06", "SEC-JOSE-21")
async def test_a_token_of_one_kind_is_not_taken_as_another(served: Served, gateway: Agent) -> None:
    own = await gateway.own_token()
    refresh = (await Flow(web(served)).token()).json["refresh_token"]
    idp = Idp(served)
    for wrong in (refresh, idp.assertion(), idp.id_jag(), idp.assertion(typ="at+jwt")):
        assert is_refused(await gateway.exchange(wrong, actor=own), "invalid_request")
    access = await users_token(served)
    for wrong in (access, idp.id_jag(), idp.assertion(typ="at+jwt")):
        answer = await gateway.exchange(wrong, actor=own, subject_token_type=names.URN_JWT)
        assert is_refused(answer, "invalid_request")


@covers("OAUTH-TX-04", "OAUTH-DEC-06")
async def test_only_a_token_of_ones_own_or_meant_for_one_is_exchanged(served: Served) -> None:
    subject = await users_token(served)
    narrower = Agent.of(served, "narrower")
    assert is_refused(await narrower.exchange(subject), "invalid_request")
    own = await narrower.own_token()
    assert (await narrower.exchange(own, scope="now")).status == 200
    gateway = Agent.of(served, "gateway")
    answer = await gateway.exchange(subject, actor=own, resource=VAULT)
    assert is_refused(answer, "invalid_request"), "another's token says nothing of who acts"


@covers("OAUTH-TX-04")
async def test_nothing_is_exchanged_that_no_table_names(served: Served, gateway: Agent) -> None:
    subject, own = await users_token(served), await gateway.own_token()
    assert is_refused(await gateway.exchange(subject, resource=VAULT), "unauthorized_client")
    agent = Agent.of(served)
    answer = await agent.exchange(
        agent.idp.assertion(), scope="read", subject_token_type=names.URN_JWT
    )
    assert is_refused(answer, "unauthorized_client")
    web_ = Agent.of(served, "web")
    assert is_refused(await web_.exchange(subject), "unauthorized_client")
    everywhere = await gateway.exchange(subject, actor=own, resource="https://evil.example")
    assert is_refused(everywhere, "invalid_target")
    for two in ({"resource": [LEDGER, VAULT]}, {"resource": LEDGER, "audience": VAULT}, {}):
        answer = await gateway.exchange(subject, actor=own, **two)
        assert is_refused(answer, "invalid_target")
    same = await gateway.exchange(subject, actor=own, resource=VAULT, audience=[VAULT], scope="now")
    assert same.status == 200


@covers("OAUTH-TX-04", "OAUTH-CLI-01")
async def test_a_public_client_exchanges_nothing(served: Served) -> None:
    answer = await Agent(public(served)).exchange(await users_token(served))
    assert is_refused(answer, "unauthorized_client")


@covers("OAUTH-TX-05", "OAUTH-SCOPE-04", "DTR-INV-01")
async def test_the_result_is_never_wider_but_by_what_the_table_names(
    served: Served, gateway: Agent
) -> None:
    subject, own = await users_token(served, scope="now"), await gateway.own_token()
    for wider in ("read", "now read", "now write"):
        answer = await gateway.exchange(subject, actor=own, resource=VAULT, scope=wider)
        assert is_refused(answer, "invalid_scope")
    usual = await gateway.exchange(subject, actor=own, resource=VAULT)
    assert usual.json["scope"] == "now", "what the table adds is for who asks for it"
    named = await gateway.exchange(subject, actor=own, resource=VAULT, scope="now deep")
    assert named.json["scope"] == "deep now"
    answer = await gateway.exchange(
        subject, actor=own, resource=VAULT, authorization_details=_details(PAYMENT)
    )
    assert is_refused(answer, "invalid_authorization_details")


@covers("OAUTH-TX-05", "EXT-BOUND-02")
async def test_the_result_ends_no_later_than_the_subject_token(
    served: Served, gateway: Agent
) -> None:
    subject, own = await users_token(served), await gateway.own_token()
    served.clock.move(500)
    answer = await gateway.exchange(subject, actor=own, resource=VAULT, scope="now")
    assert answer.json["expires_in"] == 100
    served.clock.move(99.5)
    answer = await gateway.exchange(subject, actor=own, resource=VAULT, scope="now")
    assert is_refused(answer, "invalid_request"), "less than a second is nothing"


@covers("EXT-BOUND-02", "OAUTH-TX-05")
async def test_a_deferred_result_ends_no_later_than_the_approval_of_its_subject_token(
    served: Served, gateway: Agent
) -> None:
    flow = Flow(web(served))
    code = await flow.deferred(scope="read")
    await served.approve(code)
    served.clock.move(6)
    subject = (await flow.client.poll(code)).json["access_token"]
    end = served.clock.now() - timedelta(seconds=6) + timedelta(hours=24)
    own = await gateway.own_token()
    asked = await gateway.exchange(subject, actor=own, resource=VAULT, scope="read", defer=True)
    await served.approve(asked.code)
    token = await gateway.client.poll(asked.code)
    assert token.json["expires_in"] == 600, "the subject token may have run out by now"
    loaded = await served.house.store.find_loaded(await served.key_of(asked.code))
    assert loaded is not None
    assert loaded.snapshot.exchanged is not None
    assert loaded.snapshot.exchanged.until == end


@covers("OAUTH-TX-06", "DTR-OK-04", "OAUTH-AT-10")
async def test_a_bound_subject_token_needs_its_key_and_stays_bound(
    served: Served, gateway: Agent
) -> None:
    key, other = served.keys["d1"], served.keys["d2"]
    flow = Flow(web(served).with_dpop(key))
    subject = (await flow.token(scope="now")).json["access_token"]
    own = await gateway.own_token()
    for wrong in (None, other):
        agent = Agent(gateway.client.with_dpop(wrong))
        answer = await agent.exchange(subject, actor=own, resource=VAULT, scope="now")
        assert is_refused(answer, "invalid_request")
    agent = Agent(gateway.client.with_dpop(key))
    answer = await agent.exchange(subject, actor=own, resource=VAULT, scope="now")
    assert answer.json["token_type"] == "DPoP"
    assert answer.claims()["cnf"] == {"jkt": key.public.jkt}


@covers("OAUTH-TX-07")
async def test_a_chain_of_actors_grows_by_its_head_and_has_an_end(
    served: Served, gateway: Agent
) -> None:
    """Only the gateway acts here, again and again, on what it got before."""
    own, token = await gateway.own_token(), await users_token(served, scope="read now")
    chains = []
    for _ in range(4):
        # What it got is its own token, so it may exchange it again.
        answer = await gateway.exchange(token, actor=own, resource=VAULT, scope="now")
        assert answer.status == 200, answer.body
        token = answer.json["access_token"]
        chains.append(answer.claims()["act"])
    for before, after in itertools.pairwise(chains):
        assert after == {"sub": "client:gateway", "client_id": "gateway", "act": before}
    answer = await gateway.exchange(token, actor=own, resource=VAULT, scope="now")
    assert is_refused(answer, "invalid_request")


@covers("OAUTH-TX-07")
async def test_the_policy_hears_who_acts(served: Served, gateway: Agent) -> None:
    subject = await users_token(served, person="vic", scope="now")
    own = await gateway.own_token()
    assert (await gateway.exchange(subject, actor=own, resource=VAULT, scope="now")).status == 200
    waits = await users_token(served, person="vic", scope="read now")
    answer = await gateway.exchange(waits, actor=own, resource=VAULT, scope="read", defer=True)
    assert is_refused(answer, "invalid_scope"), "the rule that nobody acts for Vic"


@covers("OAUTH-TX-08", "OAUTH-LOG-02")
async def test_posing_as_somebody_takes_a_permission_and_is_in_the_audit(served: Served) -> None:
    narrower = Agent.of(served, "narrower")
    subject = await _narrowers(served, "uma")
    answer = await narrower.exchange(subject, scope="now")
    assert answer.status == 200, answer.body
    claims = answer.claims()
    assert claims["sub"] == "uma"
    assert "act" not in claims
    home = _home(answer)
    events = await served.house.store.find_events(_zeroth(home))
    [issued] = [each for each in events if each.event == "issued"]
    assert issued.detail["impersonates"] is True
    assert issued.detail["subject"] == "uma"


@covers("OAUTH-TX-08")
async def test_nobody_poses_as_whoever_runs_the_server(served: Served) -> None:
    subject = await _narrowers(served, "ada")
    answer = await Agent.of(served, "narrower").exchange(subject, scope="now")
    assert is_refused(answer, "invalid_request")


@covers("OAUTH-TX-09")
@pytest.mark.parametrize(
    ("may_act", "allowed"),
    [
        ({"sub": "client:gateway"}, True),
        ({"sub": "client:gateway", "client_id": "gateway"}, True),
        ({"sub": "client:gateway", "iss": "https://as.example"}, True),
        ({"sub": "client:web"}, False),
        ({"sub": "client:gateway", "client_id": "web"}, False),
        ({"sub": "client:gateway", "email": "x"}, False),
        ({}, False),
        ("client:gateway", False),
    ],
    ids=str,
)
async def test_whoever_acts_must_be_the_one_whom_the_subject_token_names(
    served: Served, gateway: Agent, may_act: Any, allowed: bool
) -> None:
    subject = Idp(served).assertion(may_act=may_act)
    answer = await gateway.exchange(
        subject,
        actor=await gateway.own_token(),
        subject_token_type=names.URN_JWT,
        scope="deep",
        resource=VAULT,
        defer=True,
    )
    assert (answer.error == "authorization_pending") is allowed
    assert allowed or is_refused(answer, "invalid_request")


@covers("OAUTH-TX-02", "OAUTH-TX-05", "EXT-IDJAG-07")
async def test_a_trusted_issuers_token_brings_a_person_and_no_scope(
    served: Served, gateway: Agent
) -> None:
    subject, own = Idp(served).assertion(scope="read now"), await gateway.own_token()

    async def ask(token: str, **changes: Any) -> Answer:
        told: dict[str, Any] = {
            "subject_token_type": names.URN_JWT,
            "resource": VAULT,
            "scope": "deep",
        }
        return await gateway.exchange(token, actor=own, defer=True, **told | changes)

    assert is_refused(await ask(subject, scope="now"), "invalid_scope")
    held = await ask(subject)
    await served.approve(held.code)
    claims = (await gateway.client.poll(held.code)).claims()
    assert (claims["sub"], claims["scope"]) == ("uma", "deep")
    for changes in ({"tenant": None}, {"sub": "nobody"}, {"aud": "gateway"}, {"iss": "https://x"}):
        assert is_refused(await ask(Idp(served).assertion(**changes)), "invalid_request")


@covers("OAUTH-TX-11", "OAUTH-DEFER-09", "OAUTH-TX-12", "T-202")
@pytest.mark.parametrize("end", ["token", "grant", "consent", "person", "client"])
async def test_what_ends_the_subject_token_ends_what_was_derived(
    served: Served, gateway: Agent, end: str
) -> None:
    flow = Flow(web(served))
    issued = await flow.token(scope="read now")
    subject, own = issued.json["access_token"], await gateway.own_token()
    told: dict[str, Any] = {"actor": own, "resource": VAULT}
    at_once = await gateway.exchange(subject, scope="now", **told)
    deeper = await gateway.exchange(at_once.json["access_token"], scope="now", **told)
    waits = await gateway.exchange(subject, scope="read", defer=True, **told)
    approved = await gateway.exchange(subject, scope="read deep", defer=True, **told)
    await served.approve(approved.code)
    derived = [at_once.json["access_token"], deeper.json["access_token"]]
    assert [await _is_live(served, each) for each in derived] == [True, True]
    house, uma = served.house, PersonId("uma")
    match end:
        case "token":
            assert (await flow.client.revoke(subject)).status == 200
        case "grant":
            assert (await flow.client.revoke(issued.json["refresh_token"])).status == 200
        case "consent":
            web_client = await house.store.find_client(ClientId("web"))
            assert web_client is not None
            await dispose.withdraw_consent(house, uma, web_client.id, by="person:uma")
        case "person":
            person = await house.store.find_person(uma)
            assert person is not None
            await dispose.disable_person(house, person, by="person:ada")
        case "client":
            web_client = await house.store.find_client(ClientId("web"))
            assert web_client is not None
            await dispose.disable_client(house, web_client, by="person:ada")
    assert [await _is_live(served, each) for each in derived] == [False, False]
    for code in (waits.code, approved.code):
        assert is_refused(await gateway.client.poll(code), "access_denied")
    again = await gateway.exchange(subject, scope="now", **told)
    assert is_refused(again, "invalid_request")


@covers("OAUTH-TX-12", "OAUTH-DEFER-09")
async def test_a_grant_that_ends_after_its_token_expired_still_ends_what_waits(
    served: Served, gateway: Agent
) -> None:
    flow = Flow(web(served))
    subject = (await flow.token(scope="read now")).json["access_token"]
    waits = await gateway.exchange(
        subject, actor=await gateway.own_token(), scope="read", resource=VAULT, defer=True
    )
    served.clock.move(1200)
    assert (await gateway.client.poll(waits.code)).error == "authorization_pending"
    person = await served.house.store.find_person(PersonId("uma"))
    assert person is not None
    client = await served.house.store.find_client(ClientId("web"))
    assert client is not None
    await dispose.withdraw_consent(served.house, person.id, client.id, by="person:uma")
    assert is_refused(await gateway.client.poll(waits.code), "access_denied")


@covers("OAUTH-TX-11", "OAUTH-DEFER-06")
async def test_an_actor_who_may_act_no_more_collects_nothing(
    served: Served, gateway: Agent
) -> None:
    """The actor token is of the client itself, so its end is the end of the client."""
    waits = await delegated(gateway, scope="read", completion_mode="deferred")
    await served.approve(waits.code)
    client = await served.house.store.find_client(ClientId("gateway"))
    assert client is not None
    await dispose.disable_client(served.house, client, by="person:ada")
    answer = await gateway.client.poll(waits.code)
    assert (answer.status, answer.error) == (401, "invalid_client")


@covers("EXT-GRANT-04", "DTR-INV-04", "OAUTH-TX-12", "DTR-RD-15")
async def test_a_poll_cannot_put_another_token_actor_or_type_in(
    served: Served, gateway: Agent
) -> None:
    waits = await delegated(gateway, scope="read", completion_mode="deferred")
    await served.approve(waits.code)
    others = await users_token(served, person="vic")
    answer = await gateway.client.poll(
        waits.code,
        subject_token=others,
        subject_token_type=names.URN_ACCESS_TOKEN,
        actor_token=others,
        requested_token_type=names.URN_JWT,
        scope="write",
        resource=LEDGER,
    )
    claims = answer.claims()
    assert (claims["sub"], claims["scope"], claims["aud"]) == ("uma", "read", VAULT)
    assert claims["act"]["sub"] == "client:gateway"
    assert answer.json["issued_token_type"] == names.URN_ACCESS_TOKEN


@covers("DTR-OK-01", "OAUTH-TX-10")
@pytest.mark.parametrize("requested", [names.URN_ACCESS_TOKEN, names.URN_JWT])
async def test_the_issued_type_is_the_one_that_was_asked_also_after_a_wait(
    served: Served, gateway: Agent, requested: str
) -> None:
    waits = await delegated(
        gateway, scope="read", completion_mode="deferred", requested_token_type=requested
    )
    assert "issued_token_type" not in waits.json
    await served.approve(waits.code)
    answer = await gateway.client.poll(waits.code)
    assert answer.json["issued_token_type"] == requested


@covers("OAUTH-TX-07", "EXT-EVID-01")
async def test_a_reviewer_sees_who_acts_and_votes_on_that(served: Served, gateway: Agent) -> None:
    waits = await delegated(gateway, scope="read", completion_mode="deferred")
    await served.approve(waits.code)
    loaded = await served.house.store.find_loaded(await served.key_of(waits.code))
    assert loaded is not None
    shown = loaded.ballots[0].shown
    assert shown["actors"] == [{"sub": "client:gateway", "client_id": "gateway"}]
    assert shown["person"] is not None


async def test_a_reviewer_sees_whose_word_it_is(served: Served) -> None:
    agent = Agent.of(served)
    waits = await agent.bring(agent.idp.assertion(act={"sub": "robot"}), scope="read", defer=True)
    await served.approve(waits.code)
    loaded = await served.house.store.find_loaded(await served.key_of(waits.code))
    assert loaded is not None
    shown = loaded.ballots[0].shown
    assert shown["asserted_by"] == IDP
    assert shown["actors"] == [{"sub": "robot", "iss": IDP}]
    claims = (await agent.client.poll(waits.code)).claims()
    assert claims["act"] == {"sub": "robot", "iss": IDP}


@covers("OAUTH-TX-07", "OAUTH-AT-05")
@pytest.mark.parametrize(
    ("act", "fine"),
    [
        ({"sub": "client:gateway", "iss": "https://as.example"}, True),
        ({"sub": "robot", "act": {"sub": "other", "extra": {"deep": [1]}}}, True),
        ({"client_id": "gateway"}, False),
        ({"sub": 7}, False),
        ({"sub": ""}, False),
        ({"sub": "x" * 256}, False),
        ({"sub": "a", "act": "b"}, False),
        ("robot", False),
        ([], False),
        ({"sub": "1", "act": {"sub": "2", "act": {"sub": "3", "act": {"sub": "4"}}}}, False),
    ],
    ids=str,
)
async def test_an_actor_whom_another_issuer_names_is_never_one_of_ours(
    served: Served, gateway: Agent, act: Any, fine: bool
) -> None:
    answer = await gateway.exchange(
        Idp(served).assertion(act=act),
        actor=await gateway.own_token(),
        subject_token_type=names.URN_JWT,
        scope="deep",
        resource=VAULT,
        defer=True,
    )
    if not fine:
        assert is_refused(answer, "invalid_request")
        return
    await served.approve(answer.code)
    claims = (await gateway.client.poll(answer.code)).claims()
    assert claims["act"]["sub"] == "client:gateway"
    before = claims["act"]["act"]
    assert before.keys() <= {"sub", "iss", "client_id", "act"}
    assert before["iss"] == IDP


async def _narrowers(served: Served, person: str) -> str:
    """A person's token that was issued to the client itself."""
    flow = Flow(web(served, "narrower"), person=person)
    return str((await flow.token(scope="read now")).json["access_token"])


def _details(*details: Any) -> str:
    return json.dumps(list(details))


def _home(answer: Answer) -> Home:
    place = parse_jti(answer.claims()["jti"])
    assert place is not None
    return place[0]


def _zeroth(home: Home) -> Key:
    return Key(home, 0)


async def _is_live(served: Served, token: str) -> bool:
    return await live_claims(served.house, token) is not None

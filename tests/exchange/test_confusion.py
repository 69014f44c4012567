"""One name for another, and a word that was taken back: what an exchange must not believe."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from abeyance.acts import dispose
from abeyance.acts.introspect import live_claims
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.wire import names
from tests.answer import Answer
from tests.covers import covers
from tests.exchange.house import CONFIG, IDP, ISSUER, Agent, Idp, is_refused, open_house
from tests.people.house import Flow, web
from tests.served import Served

UMA: Final = PersonId("uma")
NARROWER: Final = ClientId("narrower")
_OF_THE_ISSUER: Final = 'clients = ["agent", "other", "app", "gateway", "bound"]'
_ITS_SCOPE: Final = 'redirect_uris = ["https://narrower.example/cb"]\nscope = ["read",'
_EXCHANGES: Final = """
[[exchanges]]
clients = ["narrower"]
subject_tokens = ["jwt"]
actor_tokens = ["access_token"]
resources = ["https://ledger.example"]
scope = ["now"]

[[exchanges]]
clients = ["narrower"]
subject_tokens = ["id_token"]
impersonate = true
resources = ["https://ledger.example"]
scope = ["now", "read"]
"""


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    assert _OF_THE_ISSUER in CONFIG
    assert _ITS_SCOPE in CONFIG
    config = (
        CONFIG.replace(_OF_THE_ISSUER, 'clients = ["narrower"]')
        .replace(_ITS_SCOPE, f'{_ITS_SCOPE} "openid",')
        .replace('"refresh_token", "id_token"]', '"refresh_token"]')
    )
    async with open_house(
        tmp_path, config=config + _EXCHANGES, extra="[openid]\nenabled = true"
    ) as running:
        yield running


async def signed_in(served: Served, person: str = "uma") -> Answer:
    return await Flow(web(served, "narrower"), person=person).token(
        scope="now read openid", resource="https://ledger.example"
    )


@covers("OAUTH-TX-09", "EXT-IDJAG-07")
@pytest.mark.parametrize(
    ("may_act", "allowed"),
    [
        ({"sub": "vic"}, False),
        ({"sub": "vic", "iss": IDP}, False),
        ({"sub": "vic", "client_id": "narrower"}, False),
        ({"sub": "vic", "iss": ISSUER}, True),
    ],
    ids=str,
)
async def test_a_person_whom_another_issuer_may_let_act_is_not_the_one_of_that_name_here(
    served: Served, may_act: Any, allowed: bool
) -> None:
    answer = await Agent.of(served, "narrower").exchange(
        Idp(served).assertion(may_act=may_act),
        actor=str((await signed_in(served, "vic")).json["access_token"]),
        subject_token_type=names.URN_JWT,
        scope="now",
    )
    assert (answer.status == 200) is allowed, answer.body
    assert allowed or is_refused(answer, "invalid_request")


async def by_id_token(served: Served, token: str, **changes: Any) -> Answer:
    told = {"subject_token_type": names.URN_ID_TOKEN, "scope": "now", **changes}
    return await Agent.of(served, "narrower").exchange(token, **told)


@covers("OAUTH-TX-11", "OAUTH-TX-03", "OAUTH-AUTHZ-12")
async def test_an_id_token_is_worth_nothing_once_its_person_has_withdrawn(served: Served) -> None:
    token = str((await signed_in(served)).json["id_token"])
    assert (await by_id_token(served, token)).status == 200
    await dispose.withdraw_consent(served.house, UMA, NARROWER, by="person:uma")
    assert is_refused(await by_id_token(served, token), "invalid_request")
    served.clock.move(2)
    anew = str((await signed_in(served)).json["id_token"])
    assert is_refused(await by_id_token(served, token), "invalid_request"), "it was for the other"
    assert (await by_id_token(served, anew)).status == 200


@covers("OAUTH-TX-11", "OAUTH-AUTHZ-12", "OAUTH-DEFER-09", "EXT-STALE-01")
async def test_what_came_of_an_id_token_ends_when_its_person_withdraws(served: Served) -> None:
    token = str((await signed_in(served)).json["id_token"])
    issued = await by_id_token(served, token)
    approved = await by_id_token(served, token, scope="read", defer=True)
    await served.approve(approved.code)
    waits = await by_id_token(served, token, scope="read", defer=True)
    assert waits.error == "authorization_pending"
    await dispose.withdraw_consent(served.house, UMA, NARROWER, by="person:uma")
    assert await live_claims(served.house, str(issued.json["access_token"])) is None
    for code in (approved.code, waits.code):
        assert (await web(served, "narrower").poll(code)).error == "access_denied"


@covers("OAUTH-JWTB-02", "OAUTH-PARAM-09", "OAUTH-JWT-07")
@pytest.mark.parametrize("name", ["jti", "sub", "tenant", "iss", "scope", "act"])
async def test_no_claim_holds_what_a_store_cannot(served: Served, name: str) -> None:
    idp = Idp(served, client="narrower")
    good: Any = {"jti": "one", "sub": "00u1", "tenant": "acme", "iss": IDP, "scope": "now"}
    value: Any = good.get(name, "x") + "\0"
    if name == "act":
        value = {"sub": value}
    answer = await Agent.of(served, "narrower").exchange(
        idp.assertion(**{name: value}),
        actor=str((await signed_in(served, "vic")).json["access_token"]),
        subject_token_type=names.URN_JWT,
        scope="now",
    )
    assert is_refused(answer, "invalid_request")

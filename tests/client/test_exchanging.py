"""The client library exchanges tokens and brings assertions, at real servers."""

from pathlib import Path
from typing import Any

import pytest

from abeyance.client import (
    AsyncClient,
    AsyncPendingToken,
    ClientSecretBasic,
    Misconfigured,
    ServerRefused,
    Token,
    TypedToken,
    generate_key,
)
from abeyance.wire import names
from abeyance.wire.secret import Secret
from tests.client.test_at_the_server import connect
from tests.config import SECRET
from tests.console.house import PASSWORD, Tab
from tests.covers import covers
from tests.exchange.house import ISSUER, LEDGER, VAULT, Agent, Idp, open_house, users_token
from tests.exchange.pair import open_pair
from tests.served import Served


def client_of(served: Served, name: str, **given: Any) -> AsyncClient:
    return connect(served, name, ClientSecretBasic(SECRET), **given)


@covers("DTR-OK-01", "OAUTH-TX-10")
async def test_an_exchange_that_waits_brings_the_token_of_the_exchange(tmp_path: Path) -> None:
    async with open_house(tmp_path) as served:
        client = client_of(served, "gateway")
        subject = TypedToken.access_token(Secret(await users_token(served)))
        actor = await client.request_token(scope="now", resource=LEDGER, defer=False)
        pending = await client.exchange_token(subject, actor=actor, scope="read", resource=VAULT)
        assert isinstance(pending, AsyncPendingToken)
        await served.approve(pending._pursuit.held.code.reveal())
        token = await pending.wait()
        assert token.scope == ("read",)
        assert token.other[names.ISSUED_TOKEN_TYPE] == names.URN_ACCESS_TOKEN
        at_once = await client.exchange_token(subject, actor=actor, scope="now", audience=VAULT)
        assert isinstance(at_once, Token)


@covers("OAUTH-TX-06")
async def test_a_token_of_another_key_is_not_even_sent(tmp_path: Path) -> None:
    async with open_house(tmp_path) as served:
        bound = client_of(served, "gateway", dpop_key=generate_key())
        token = await bound.request_token(scope="now", resource=LEDGER, defer=False)
        for other in (
            client_of(served, "gateway"),
            client_of(served, "gateway", dpop_key=generate_key()),
        ):
            with pytest.raises(Misconfigured):
                await other.exchange_token(token, actor=token, scope="now", resource=VAULT)
        again = await bound.exchange_token(token, actor=token, scope="now", resource=VAULT)
        assert isinstance(again, Token)
        assert again.dpop_key is not None


@covers("OAUTH-JWTB-01", "DTR-INIT-06")
async def test_an_assertion_is_redeemed_once(tmp_path: Path) -> None:
    async with open_house(tmp_path) as served:
        client, assertion = client_of(served, "agent"), Secret(Idp(served).assertion())
        token = await client.use_assertion(assertion, scope="now")
        assert isinstance(token, Token)
        with pytest.raises(ServerRefused) as refused:
            await client.use_assertion(Secret(Agent.of(served).idp.id_jag()), scope="never")
        assert refused.value.error == "invalid_scope"


@covers("EXT-IDJAG-01", "OAUTH-IDJAG-05", "DTR-IURI-04")
@pytest.mark.parametrize("bound", [False, True])
async def test_a_person_is_taken_from_one_server_to_the_other(tmp_path: Path, bound: bool) -> None:
    async with open_pair(tmp_path) as pair:
        given: dict[str, Any] = {"dpop_key": generate_key()} if bound else {}
        home = client_of(pair.provider, "desk", **given)
        there = client_of(pair.taker, "desk-there", **given)
        jag = await home.exchange_token(
            TypedToken.refresh_token(Secret(await pair.sign_in())),
            audience=ISSUER,
            requested_token_type=names.URN_ID_JAG,
            scope="read",
        )
        assert isinstance(jag, Token)
        assert jag.token_type == "N_A"
        pending = await there.use_assertion(jag.access_token)
        assert isinstance(pending, AsyncPendingToken)
        uri = pending.progress.interaction_uri
        assert uri is not None
        tab = Tab(pair.taker)
        await tab.sign_in("uma.underwood", PASSWORD)
        page = await tab.get(uri.reveal().removeprefix(ISSUER))
        form = next(each for each in page.forms if "/interact/" in each.action)
        await tab.post(form.action, form.fields | {"decision": "agree"})
        token = await pending.wait()
        assert token.scope == ("read",)
        assert (token.dpop_key is not None) is bound

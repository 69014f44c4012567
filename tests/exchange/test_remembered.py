"""What a remembered approval does not answer: another way, another server, nobody's consent."""

from pathlib import Path
from typing import Final

from abeyance.acts import dispose
from tests.covers import covers
from tests.exchange.house import CONFIG, IDP_KEY, Agent, Idp, open_house
from tests.exchange.pair import DESK, PROVIDER, TAKER, UMA, decide, open_pair
from tests.people.house import Flow, web

VAULT: Final = "https://vault.example"


def remembering(config: str, rule: str) -> str:
    assert f'name = "{rule}"' in config
    return config.replace(f'name = "{rule}"', f'name = "{rule}"\nremember = true')


@covers("EXT-QUEUE-06", "OAUTH-IDJAG-01", "DTR-INV-01")
async def test_an_approval_for_one_server_makes_no_assertion_for_another(tmp_path: Path) -> None:
    second = """
[[assertion_targets]]
issuer = "https://vault.example"
clients = ["desk"]
scope = ["read", "write"]
resources = ["https://ledger.example"]
"""
    provides = remembering(PROVIDER, "writing elsewhere is looked at") + second
    async with open_pair(tmp_path, provides=provides) as pair:
        subject = await pair.sign_in()
        waits = await pair.ask(subject, scope="write", defer=True)
        await pair.provider.vote(waits.code, by="ida")
        assert (await pair.ask(subject, scope="write", defer=True)).status == 200
        elsewhere = await pair.ask(subject, scope="write", defer=True, audience=VAULT)
        assert elsewhere.error == "authorization_pending", elsewhere.body


@covers("EXT-QUEUE-06", "OAUTH-TX-08", "DTR-INV-01")
async def test_an_approval_for_a_persons_own_sign_in_poses_as_nobody(tmp_path: Path) -> None:
    async with open_house(tmp_path, config=remembering(CONFIG, "review")) as served:
        flow = Flow(web(served, "narrower"))
        code = await flow.deferred(scope="read")
        await served.approve(code)
        assert (await flow.redeem(await flow.code(scope="read"))).status == 200
        subject = await flow.token(scope="now read")
        posed = await Agent.of(served, "narrower").exchange(
            str(subject.json["access_token"]), scope="read", defer=True
        )
        assert posed.error == "authorization_pending", posed.body


@covers("EXT-QUEUE-06", "OAUTH-JWTB-02", "DTR-INV-01")
async def test_an_approval_of_what_one_issuer_vouched_for_is_none_for_another(
    tmp_path: Path,
) -> None:
    second = """
[[trusted_issuers]]
issuer = "https://second.example"
uses = ["jwt-bearer"]
clients = ["agent"]
jwks_file = "{data}/idp.jwks"
scope = ["read"]
consent = "issuer"
subjects = "same"
"""
    async with open_house(tmp_path, config=remembering(CONFIG, "review") + second) as served:
        agent = Agent.of(served)
        other = Idp(served, IDP_KEY, "https://second.example")
        waits = await agent.bring(agent.idp.assertion(), scope="read", defer=True)
        await served.approve(waits.code)
        again = await agent.bring(agent.idp.assertion(), scope="read", defer=True)
        assert again.status == 200, again.body
        vouched = await agent.bring(
            other.assertion(sub="uma", tenant=None), scope="read", defer=True
        )
        assert vouched.error == "authorization_pending", vouched.body


@covers("EXT-QUEUE-06", "EXT-IDJAG-05", "OAUTH-AUTHZ-12", "OAUTH-JWTB-03")
async def test_no_remembered_approval_stands_for_a_consent_that_was_withdrawn(
    tmp_path: Path,
) -> None:
    takes = remembering(TAKER, "writing is looked at")
    async with open_pair(tmp_path, takes=takes) as pair:
        waits = await pair.there.bring(await pair.written(), defer=True)
        await decide(pair.taker, waits, "agree")
        await pair.taker.approve(waits.code)
        again = await pair.there.bring(await pair.written(), defer=True)
        assert again.status == 200, again.body
        await dispose.withdraw_consent(pair.taker.house, UMA, DESK, by=f"person:{UMA}")
        after = await pair.there.bring(await pair.written(), defer=True)
        assert after.error == "interaction_required", after.body

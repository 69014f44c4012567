"""A remembered approval in the code flow: it is for the resource that was looked at."""

from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from tests.covers import covers
from tests.people.house import CONFIG, Flow, open_people, web

LEDGER: Final = "https://ledger.example"
MAIL: Final = "https://mail.example"


async def code_for_both(flow: Flow) -> str:
    both = [*flow.parameters(scope="read").items(), ("resource", LEDGER), ("resource", MAIL)]
    page = await flow.signed_in(await flow.follow("/authorize?" + urlencode(both)))
    return (await flow.finish(page))["code"]


@covers("EXT-QUEUE-06", "EXT-BOUND-03", "OAUTH-RES-06", "DTR-INV-01")
async def test_what_is_issued_by_memory_is_renewed_for_no_other_resource(tmp_path: Path) -> None:
    config = CONFIG.replace('name = "review"\n', 'name = "review"\nremember = true\n')
    async with open_people(tmp_path, config=config) as served:
        flow = Flow(web(served, "many"))
        waits = await flow.redeem(await code_for_both(flow), defer=True, resource=LEDGER)
        await served.approve(waits.code)
        later = await flow.redeem(await code_for_both(flow), resource=LEDGER)
        assert later.status == 200, later.body
        refreshed = await flow.refresh(later.json["refresh_token"], resource=MAIL)
        assert (refreshed.status, refreshed.error) == (400, "invalid_target"), refreshed.body
        refreshed = await flow.refresh(later.json["refresh_token"], resource=LEDGER)
        assert refreshed.claims()["aud"] == LEDGER


@covers("OAUTH-AUTHZ-08", "OAUTH-AUTHZ-12", "OAUTH-RES-03", "DTR-INV-01")
async def test_what_was_agreed_to_for_one_resource_is_not_agreed_to_for_another(
    tmp_path: Path,
) -> None:
    async with open_people(tmp_path) as served:
        flow = Flow(web(served, "many"))
        for scope, resource in (("read", LEDGER), ("write now", MAIL)):
            page = await flow.visit(scope=scope, resource=resource)
            assert page.answer.status == 200
            await flow.finish(page)
        for scope, resource, remembered in (
            ("read", LEDGER, True),
            ("write now", MAIL, True),
            ("now", MAIL, True),
            ("write", LEDGER, False),
            ("read", MAIL, False),
            ("read write", LEDGER, False),
        ):
            page = await flow.visit(scope=scope, resource=resource)
            assert (page.answer.status == 303) is remembered, (scope, resource)
        silent = await flow.come_back(scope="write", resource=LEDGER, prompt="none")
        assert silent["error"] == "consent_required"
        await flow.finish(await flow.visit(scope="write", resource=LEDGER))
        page = await flow.visit(scope="read write", resource=LEDGER)
        assert page.answer.status == 303, "each of it was agreed to there"

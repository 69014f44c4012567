"""Rules that were changed while a request waits take away from it, and add nothing."""

from pathlib import Path

import pytest

from abeyance.acts.decide import Counted, NotCounted, Obstacle
from abeyance.pending.votes import Verdict
from tests.config import CONFIG
from tests.covers import covers
from tests.exchange.pair import TAKER, at_page, consent_form, open_pair
from tests.people.house import CONFIG as PEOPLE
from tests.people.house import Flow, open_people, web
from tests.people.test_refreshing import LEDGER, refresh_of
from tests.served import Served, serve

_REVIEW = '[[rules]]\nname = "review"\n'
_FIRST = '[[rules]]\nname = "reading"\nwhen = "\'read\' in scope"\nthen = '
REFUSES = CONFIG.replace(_REVIEW, f'{_FIRST}"deny"\n\n{_REVIEW}')
OTHERS = CONFIG.replace('["rita", "omar"]', '["omar"]')
SHORTER = CONFIG.replace('approval_lifetime = "30m"', 'approval_lifetime = "10m"')
STEP = CONFIG.replace(
    '["rita", "omar"]', '["rita", "omar"]\ninteraction = "confirm"\ninteraction_people = ["rita"]'
)
ISSUES = CONFIG.replace(_REVIEW, f'{_FIRST}"issue"\n\n{_REVIEW}')
ELSEWHERE = CONFIG.replace('name = "at-once"', 'name = "immediately"')


assert len({CONFIG, REFUSES, OTHERS, SHORTER, STEP, ISSUES, ELSEWHERE}) == 7


async def deferred(folder: Path) -> str:
    async with serve(folder) as served:
        return await served.s1.defer()


async def obstacle(served: Served, code: str, by: str = "rita") -> Obstacle:
    result = await served.vote(code, by=by)
    assert isinstance(result, NotCounted)
    return result.obstacle


@covers("EXT-STALE-02", "EXT-STALE-05")
@pytest.mark.parametrize("config", [REFUSES, STEP], ids=["refused", "a step first"])
async def test_what_todays_rules_let_nobody_approve_ends_when_somebody_tries(
    tmp_path: Path, config: str
) -> None:
    code = await deferred(tmp_path)
    async with serve(tmp_path, config=config) as served:
        assert (await served.s1.poll(code)).error == "authorization_pending"
        assert await obstacle(served, code) is Obstacle.ENDED
        assert await obstacle(served, code, by="omar") is Obstacle.CLOSED
        served.clock.move(5)
        assert (await served.s1.poll(code)).error == "access_denied"


@covers("EXT-STALE-02", "EXT-DECIDE-03")
async def test_whom_todays_rules_do_not_name_may_not_approve_but_deny(tmp_path: Path) -> None:
    kept, refused = await deferred(tmp_path), await deferred(tmp_path)
    async with serve(tmp_path, config=OTHERS) as served:
        assert await obstacle(served, kept) is Obstacle.RULES
        assert isinstance(await served.vote(kept, by="omar"), Counted)
        assert (await served.s1.poll(kept)).status == 200
        assert isinstance(await served.vote(refused, Verdict.DENY), Counted)
        assert (await served.s1.poll(refused)).error == "access_denied"


@covers("EXT-STALE-02")
async def test_an_approval_holds_for_no_longer_than_todays_rules_allow(tmp_path: Path) -> None:
    code, late = await deferred(tmp_path), await deferred(tmp_path)
    async with serve(tmp_path, config=SHORTER) as served:
        await served.approve(code)
        await served.approve(late)
        assert (await served.s1.poll(code)).json["expires_in"] <= 600
        served.clock.move(601)
        assert (await served.s1.poll(late)).error == "access_denied"


@covers("EXT-STALE-02")
@pytest.mark.parametrize("config", [ISSUES, ELSEWHERE, CONFIG], ids=["issue", "elsewhere", "same"])
async def test_what_todays_rules_allow_as_well_is_approved(tmp_path: Path, config: str) -> None:
    code = await deferred(tmp_path)
    async with serve(tmp_path, config=config) as served:
        await served.approve(code)
        served.clock.move(601)
        assert (await served.s1.poll(code)).status == 200


@covers("EXT-STALE-02", "EXT-BOUND-03")
async def test_todays_rules_know_that_a_refresh_is_of_what_was_approved(tmp_path: Path) -> None:
    approved = "when = \"grant_type == 'refresh_token' && approved\""
    assert approved in PEOPLE
    asks = PEOPLE.replace(approved, "when = \"grant_type == 'nobody' && approved\"")
    async with open_people(tmp_path, config=asks) as served:
        flow = Flow(web(served, "many"))
        first = await flow.deferred(scope="read", resource=LEDGER)
        await served.approve(first)
        token = refresh_of(await flow.client.poll(first))
        waits = await flow.refresh(token, defer=True)
    answers = PEOPLE.replace('name = "review"\n', 'name = "review"\nwhen = "approved"\n')
    async with open_people(tmp_path, config=answers) as served:
        await served.approve(waits.code)
        assert (await web(served, "many").poll(waits.code)).status == 200


@covers("EXT-STALE-02")
async def test_a_persons_yes_does_not_stand_in_for_a_review_of_today(tmp_path: Path) -> None:
    async with open_pair(tmp_path) as pair:
        waits = await pair.there.bring(await pair.id_jag(), defer=True)
    reviewed = TAKER.replace(
        'name = "reading"\nthen = "issue"',
        'name = "reading"\nthen = "defer"\nreviewers = ["rita"]\ninterval = "5s"\nlifetime = "1h"',
    )
    assert reviewed != TAKER
    async with open_pair(tmp_path, takes=reviewed) as pair:
        tab, page = await at_page(pair.taker, waits)
        form = consent_form(page)
        await tab.post(form.action, form.fields | {"decision": "agree"}, follow=True)
        pair.move(5)
        assert (await pair.there.client.poll(waits.code)).error == "access_denied"

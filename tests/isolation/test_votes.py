"""Votes beside each other, in every order (T-158; SEC-RACE-06, -11)."""

from dataclasses import replace
from typing import Any

import pytest

from abeyance.pending.votes import ReviewPlan, Verdict
from abeyance.policy.decider import Defer
from abeyance.policy.rules import Rules
from tests.covers import covers
from tests.isolation.ground import Ground
from tests.isolation.test_delivery import work
from tests.served import Served


async def granted(at: Served, code: str) -> str:
    """What the votes have come to."""
    loaded = await at.house.store.find_loaded(await at.key_of(code))
    assert loaded is not None
    access = getattr(loaded.held.state, "granted", None)
    return f"{len(loaded.ballots)} votes, {' '.join(sorted(access.scope)) if access else 'waits'}"


@covers("SEC-RACE-11", "DTR-INV-01")
async def test_of_two_narrower_yeses_one_counts_and_never_both(ground: Ground) -> None:
    await ground.explore(
        ground.waiting,
        {
            "rita": ground.votes("rita", Verdict.APPROVE, "read"),
            "ada": ground.votes("ada", Verdict.APPROVE, "write"),
        },
        {("counted", "closed", "1 votes, read"), ("closed", "counted", "1 votes, write")},
        ends=granted,
    )


@covers("SEC-RACE-06")
async def test_a_vote_that_is_cast_twice_counts_once(ground: Ground) -> None:
    await ground.explore(
        ground.waiting,
        {"rita": ground.votes("rita"), "and again": ground.votes("rita")},
        {("counted", "voted", "approved"), ("voted", "counted", "approved")},
    )


@pytest.fixture
def two_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes both reviewers to approve, and one to deny."""
    decide = Rules.decide

    async def both(self: Rules, question: Any) -> Any:
        verdict = await decide(self, question)
        if isinstance(verdict, Defer):
            return replace(verdict, plan=ReviewPlan(verdict.plan.reviewers, approvals=2))
        return verdict

    monkeypatch.setattr(Rules, "decide", both)


@covers("T-158", "SEC-RACE-06", "SEC-RACE-11")
@pytest.mark.usefixtures("two_of_two")
async def test_two_votes_that_reach_the_threshold_together_are_one_decision(
    ground: Ground,
) -> None:
    async def ends(at: Served, code: str) -> str:
        events = await at.house.store.find_events(await at.key_of(code))
        decided = sum(each.event == "approved" for each in events)
        at.clock.move(2)
        return f"{await granted(at, code)}, {decided} decision, {await work(at, code)}"

    await ground.explore(
        ground.waiting,
        {
            "rita": ground.votes("rita", Verdict.APPROVE, "read"),
            "ada": ground.votes("ada"),
        },
        {("counted", "counted", "2 votes, read, 1 decision, claimed 1")},
        ends=ends,
        judged=False,
    )


@covers("SEC-RACE-06")
@pytest.mark.usefixtures("two_of_two")
async def test_a_denial_beside_one_of_two_yeses_ends_it(ground: Ground) -> None:
    await ground.explore(
        ground.waiting,
        {"rita": ground.votes("rita"), "ada": ground.votes("ada", Verdict.DENY)},
        {("counted", "counted", "denied"), ("closed", "counted", "denied")},
        judged=False,
    )

"""Rules: the first that matches wins, and what cannot be judged is denied."""

from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from abeyance.parties.person import PersonId
from abeyance.pending.votes import ReviewPlan
from abeyance.policy import cel
from abeyance.policy.decider import Defer, Deny, Issue
from abeyance.policy.rules import NO_RULE, BadRule, Matched, NotMatched, Rule, Rules
from tests.covers import covers
from tests.policy.questions import payment, question

pytestmark = pytest.mark.anyio

SMALL = (
    "size(authorization_details) > 0"
    ' && authorization_details.all(d, at_most(d.amount, "50", "EUR"))'
)


def defer(rule: str, *reviewers: str, **terms: timedelta) -> Defer:
    return Defer(
        rule=rule,
        plan=ReviewPlan(frozenset(reviewers or {"rita"})),
        interval=terms.get("interval", timedelta(seconds=5)),
        lifetime=terms.get("lifetime", timedelta(hours=24)),
        approval_lifetime=terms.get("approval_lifetime", timedelta(hours=1)),
    )


PAYMENTS = Rules(
    [
        Rule(Deny("blocked"), 'client.id == "rogue"'),
        Rule(Issue("small"), SMALL),
        Rule(defer("large"), "size(authorization_details) > 0"),
    ]
)


async def test_the_first_rule_that_matches_answers() -> None:
    assert await PAYMENTS.decide(question(details=[payment("49.99")])) == Issue("small")
    assert await PAYMENTS.decide(question(details=[payment("50.01")])) == defer("large")
    assert await PAYMENTS.decide(question(client="rogue", details=[payment("1")])) == Deny(
        "blocked"
    )


async def test_rules_know_the_person_and_whether_a_reviewer_approved_before() -> None:
    rules = Rules(
        [
            Rule(Issue("renewed"), "approved"),
            Rule(Deny("nobody"), 'person == ""'),
            Rule(Issue("uma"), 'person == "uma"'),
        ]
    )
    asked = question()
    uma, ann = (replace(asked, person=PersonId(name)) for name in ("uma", "ann"))
    assert await rules.decide(asked) == Deny("nobody")
    assert await rules.decide(uma) == Issue("uma")
    assert await rules.decide(ann) == Deny(NO_RULE)
    assert await rules.decide(replace(ann, approved=True)) == Issue("renewed")


async def test_what_no_rule_allows_is_denied() -> None:
    assert await PAYMENTS.decide(question(scope=["read"])) == Deny(NO_RULE)
    assert await Rules([]).decide(question()) == Deny(NO_RULE)


async def test_a_rule_without_a_condition_always_matches() -> None:
    rules = Rules([Rule(defer("anything"))])
    assert await rules.decide(question(scope=["read"])) == defer("anything")


async def test_a_rule_that_fails_denies_and_no_later_rule_is_reached() -> None:
    rules = Rules([Rule(Deny("judge"), "authorization_details[0].risk == 9"), Rule(Issue("rest"))])
    assert await rules.decide(question(details=[payment("1")])) == Deny("judge (failed)")


async def test_a_rule_that_fails_is_counted_and_logged_without_the_request() -> None:
    rules = Rules([Rule(Issue("index"), "authorization_details[0][client.name] == 1")])
    heard: list[None] = []
    rules.on_failure(lambda: heard.append(None))
    with capture_logs() as logs:
        await rules.decide(question(client="planted-name", details=[payment("1")]))
    assert rules.failures == {"index": 1}
    assert len(heard) == 1
    assert [(log["event"], log["rule"], log["kind"]) for log in logs] == [
        ("policy_rule_failed", "index", "NOT_FOUND")
    ]
    assert "planted" not in str(logs).lower()


@covers("SEC-DOS-05")
async def test_a_bomb_in_a_rule_ends_in_a_denial() -> None:
    ten = "[0,1,2,3,4,5,6,7,8,9]"
    bomb = "true"
    for variable in "abcdefgh":
        bomb = f"{ten}.all({variable}, {bomb})"
    rules = Rules([Rule(Issue("bomb"), bomb)])
    assert await rules.decide(question()) == Deny("bomb (failed)")


def test_a_bad_condition_names_its_rule_and_the_fix() -> None:
    with pytest.raises(BadRule) as refused:
        Rules([Rule(Issue("good")), Rule(Issue("typo"), "cleint.id == 'a'")])
    assert (refused.value.rule, refused.value.part) == ("typo", "when")
    assert refused.value.fix == 'Did you mean "client.id"?'


@pytest.mark.parametrize("name", ["", " padded", "with (brackets)", "line\nbreak", "x" * 65, "é"])
def test_a_name_that_could_pass_for_something_else_is_refused(name: str) -> None:
    with pytest.raises(BadRule):
        Rules([Rule(Issue(name))])


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(BadRule) as refused:
        Rules([Rule(Issue("same")), Rule(Deny("same"))])
    assert "twice" in refused.value.problem


def test_too_many_rules_are_refused() -> None:
    with pytest.raises(BadRule):
        Rules([Rule(Deny(f"rule {n}")) for n in range(201)])


@pytest.mark.parametrize(
    "changed",
    [
        [],
        [Rule(Deny("a"), "bound")],
        [Rule(Issue("a"), "!bound")],
        [Rule(Issue("a"))],
        [Rule(Issue("b"), "bound")],
        [Rule(Issue("a"), "bound"), Rule(Deny("z"))],
        [Rule(defer("a"), "bound")],
        [Rule(defer("a", "rita", "omar"), "bound")],
        [Rule(defer("a", interval=timedelta(seconds=6)), "bound")],
        [Rule(defer("a", lifetime=timedelta(hours=23)), "bound")],
        [Rule(defer("a", approval_lifetime=timedelta(hours=2)), "bound")],
    ],
)
def test_the_version_changes_with_any_rule(changed: list[Rule]) -> None:
    rules = [Rule(Issue("a"), "bound")]
    assert Rules(changed).version != Rules(rules).version
    assert Rules(list(rules)).version == Rules(rules).version


def test_the_versions_of_rules_that_differ_in_one_term_differ() -> None:
    versions = {
        Rules([Rule(defer("a", **terms))]).version
        for terms in (
            {},
            {"interval": timedelta(seconds=6)},
            {"lifetime": timedelta(hours=23)},
            {"approval_lifetime": timedelta(hours=2)},
        )
    }
    assert len(versions) == 4


def test_an_explanation_names_each_rule_that_was_tried_and_why() -> None:
    explained = PAYMENTS.explain(question(details=[payment("49.99")]))
    assert explained.verdict == Issue("small")
    assert [(each.rule.name, each.found) for each in explained.tried] == [
        ("blocked", NotMatched()),
        ("small", Matched()),
    ]
    assert explained.untried == ("large",)


def test_an_explanation_of_a_failure_quotes_it() -> None:
    rules = Rules([Rule(Issue("risk"), "authorization_details[0].risk == 9")])
    explained = rules.explain(question(details=[payment("1")]))
    [tried] = explained.tried
    assert isinstance(tried.found, cel.Failed)
    assert '"risk"' in tried.found.text
    assert "denied" in explained.because
    assert rules.failures == {}


def test_an_explanation_says_when_the_only_reviewer_owns_the_client() -> None:
    rules = Rules([Rule(defer("owned", "olga"))])
    assert "owns the client" in rules.explain(question(owner="olga")).because
    assert "owns the client" not in rules.explain(question(owner="omar")).because

"""The embedded decider: rules from the configuration, the first that matches wins.

No match denies. A rule whose condition fails on a request (a member that is not
there, a value of another type, a loop without end) denies too: what cannot be
judged is not allowed, and neither may a later, laxer rule be reached by making
an earlier one stumble.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog

from abeyance.access.canonical import canonical_json
from abeyance.pending.interaction import NO_INTERACTION, InteractionPlan
from abeyance.policy import cel
from abeyance.policy.decider import Defer, Deny, Issue, Question, Verdict
from abeyance.wire.strict_json import JsonObject

MAX_RULES: Final = 200
NO_RULE: Final = "(no rule matches)"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 _.,-]{0,62}[A-Za-z0-9])?", re.ASCII)


class BadRule(ValueError):
    """A rule that cannot be: its name, which part of it, and the fix."""

    def __init__(self, rule: str, part: str, problem: str, fix: str) -> None:
        super().__init__(f"rule {rule!r}, {part}: {problem}")
        self.rule = rule
        self.part = part
        self.problem = problem
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Rule:
    """When the condition is true (`None`: always), the verdict is this."""

    verdict: Verdict
    when: str | None = None

    @property
    def name(self) -> str:
        return self.verdict.rule


@dataclass(frozen=True, slots=True)
class Matched:
    """The condition is true."""


@dataclass(frozen=True, slots=True)
class NotMatched:
    """The condition is false."""


Found: TypeAlias = Matched | NotMatched | cel.Failed


@dataclass(frozen=True, slots=True)
class Tried:
    """One rule that was looked at."""

    rule: Rule
    found: Found


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was answered, and every rule that was tried on the way, in order.

    `untried` are the names of the rules behind the one that answered. `because`
    says in a sentence why the verdict is what it is.
    """

    verdict: Verdict
    tried: tuple[Tried, ...]
    untried: tuple[str, ...]
    because: str


_log = structlog.get_logger("abeyance.policy")


class Rules:
    """A `Decider` over rules that never change.

    Raises `BadRule` when it is made, so that a typo stops the start. `failures`
    counts by rule the requests on which it could not be judged.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        if len(rules) > MAX_RULES:
            raise BadRule(
                rules[MAX_RULES].name, "name", f"comes after {MAX_RULES} others", "Join some rules."
            )
        for name, count in Counter(rule.name for rule in rules).items():
            if not _NAME.fullmatch(name):
                raise BadRule(
                    name, "name", "is not a plain name",
                    "Use up to 64 letters, digits, spaces and .,_- between them.",
                )  # fmt: skip
            if count > 1:
                raise BadRule(name, "name", "is used twice", "Give each rule its own name.")
        self._rules = tuple((rule, _read(rule)) for rule in rules)
        self._listeners: list[Callable[[], None]] = []
        self._version = _digest(rules)
        self.failures: Counter[str] = Counter()

    @property
    def version(self) -> str:
        """The digest of the rules as they were read."""
        return self._version

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(rule for rule, _ in self._rules)

    async def decide(self, question: Question) -> Verdict:
        explanation = self.explain(question)
        for each in explanation.tried:
            if isinstance(each.found, cel.Failed):
                self._fail(each.rule.name, each.found)
        return explanation.verdict

    def on_failure(self, listen: Callable[[], None]) -> None:
        """Call `listen` whenever a rule fails on a request."""
        self._listeners.append(listen)

    def _fail(self, rule: str, failed: cel.Failed) -> None:
        self.failures[rule] += 1
        # The kind only: the text may quote what a client sent (OAUTH-LOG-01).
        _log.warning("policy_rule_failed", rule=rule, kind=failed.kind)
        for listen in self._listeners:
            listen()

    def explain(self, question: Question) -> Explanation:
        """Answer, and say why. Neither counts nor logs."""
        facts = cel.facts(_facts(question))
        tried: list[Tried] = []
        for rule, condition in self._rules:
            found = _find(condition, facts)
            tried.append(Tried(rule, found))
            if not isinstance(found, NotMatched):
                verdict, because = _conclude(rule, found, question)
                break
        else:
            verdict, because = Deny(NO_RULE), "No rule matches, and what no rule allows is denied."
        untried = tuple(rule.name for rule, _ in self._rules[len(tried) :])
        return Explanation(verdict, tuple(tried), untried, because)


def _read(rule: Rule) -> cel.Condition | None:
    if rule.when is None:
        return None
    try:
        return cel.Condition(rule.when)
    except cel.BadCondition as error:
        raise BadRule(rule.name, "when", error.problem, error.fix) from None


def _find(condition: cel.Condition | None, facts: cel.Facts) -> Found:
    if condition is None:
        return Matched()
    match condition.evaluate(facts):
        case True:
            return Matched()
        case False:
            return NotMatched()
        case cel.Failed() as failed:
            return failed


def _conclude(rule: Rule, found: Matched | cel.Failed, question: Question) -> tuple[Verdict, str]:
    if isinstance(found, cel.Failed):
        return (
            Deny(f"{rule.name} (failed)"),
            "The rule could not be judged on this request, so the request is denied.",
        )
    because = "The rule is the first that matches. " + (
        "It has no condition." if rule.when is None else "Its condition is true."
    )
    if isinstance(rule.verdict, Defer) and rule.verdict.plan.reviewers == {question.client.owner}:
        because += " But its only reviewer owns the client and may not decide: it ends in a no."
    return rule.verdict, because


def _facts(question: Question) -> dict[str, object]:
    client, asked = question.client, question.asked
    return {
        "client.id": client.id,
        "client.name": client.name,
        "client.owner": client.owner or "",
        "client.scopes": client.scope,
        "client.resources": client.resources,
        "grant_type": question.grant_type,
        "person": question.person or "",
        "approved": question.approved,
        "actor": question.actor,
        "audience": question.audience,
        "scope": asked.scope,
        "resource": asked.resources,
        "authorization_details": asked.details,
        "bound": question.bound,
        "now": question.at,
    }


def _digest(rules: Sequence[Rule]) -> str:
    text = canonical_json([cel.LANGUAGE, *map(_described, rules)])
    return "rules-" + hashlib.sha256(text).hexdigest()[:32]


def _described(rule: Rule) -> JsonObject:
    when = {"name": rule.name, "when": rule.when}
    match rule.verdict:
        case Issue():
            return {**when, "then": "issue"}
        case Deny():
            return {**when, "then": "deny"}
        case Defer() as defer:
            return {
                **when,
                "then": "defer",
                "reviewers": sorted(defer.plan.reviewers),
                "approvals": defer.plan.approvals,
                "denials": defer.plan.denials,
                "interval": defer.interval.total_seconds(),
                "lifetime": defer.lifetime.total_seconds(),
                "approval_lifetime": defer.approval_lifetime.total_seconds(),
                **_described_interaction(defer.interaction),
                **({"collapse_outcome": True} if defer.collapse_outcome else {}),
                **({"remember": True} if defer.remember else {}),
            }


def _described_interaction(plan: InteractionPlan) -> JsonObject:
    """Nothing where there is none, so that rules without it keep their version."""
    if plan == NO_INTERACTION:
        return {}
    return {
        "interaction": {
            "first": plan.first,
            "offered": sorted(plan.offered),
            "people": sorted(plan.people),
        }
    }

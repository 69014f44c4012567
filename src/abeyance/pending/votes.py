"""Votes and what they add up to (EXT-DECIDE-02, -03).

A vote is what one reviewer says; the decision is the sum. What is granted is
the intersection of what the approving votes allow, never their union.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from abeyance.access.access import Access
from abeyance.access.details import DetailsTypes
from abeyance.access.narrowing import intersect
from abeyance.wire.strict_json import JsonObject

MAX_REMARK: Final = 240  # EXT-OUTCOME-03


class Verdict(StrEnum):
    APPROVE = "approve"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class ReviewPlan:
    """Who may vote, and how many votes it takes; one denial is enough by default.

    `NOBODY_ELSE` has no reviewers: the person whom it is about decides, by a step of theirs.
    """

    reviewers: frozenset[str]
    approvals: int = 1
    denials: int = 1

    def __post_init__(self) -> None:
        if not self.reviewers and self.approvals == self.denials == 0:
            return
        if not 0 < self.approvals <= len(self.reviewers):
            raise ValueError("a plan needs as many reviewers as approvals")
        if not 0 < self.denials <= len(self.reviewers):
            raise ValueError("a plan needs as many reviewers as denials")


NOBODY_ELSE: Final = ReviewPlan(frozenset(), approvals=0, denials=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """One vote, with what its reviewer was shown.

    `seen` is the digest of the disclosure and `shown` the disclosure itself, so
    that an auditor can redraw it (EXT-EVID-06). `authenticated` tells how the
    reviewer had signed in. `reason` stays inside unless `shareable`.
    """

    voter: str
    verdict: Verdict
    granted: Access | None  # what an approval allows; None for a denial
    reason: str | None
    shareable: bool
    seen: str
    shown: JsonObject
    version: int
    at: datetime
    authenticated: str


@dataclass(frozen=True, slots=True)
class Undecided:
    """More votes are needed."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Enough approvals; `access` is what all of them allow."""

    access: Access


@dataclass(frozen=True, slots=True)
class Refuse:
    """Enough denials, or approvals that have nothing in common."""

    remark: str | None


Decision: TypeAlias = Undecided | Grant | Refuse


def weigh(plan: ReviewPlan, ballots: Iterable[Ballot], types: DetailsTypes) -> Decision:
    """Add the votes up. Votes of people outside the plan do not count.

    Denials are looked at first: where both thresholds are met by the same vote
    set, no wins over yes.
    """
    if plan == NOBODY_ELSE:
        return Undecided()
    counted = [ballot for ballot in ballots if ballot.voter in plan.reviewers]
    denials = [ballot for ballot in counted if ballot.verdict is Verdict.DENY]
    if len(denials) >= plan.denials:
        remarks = [each.reason for each in denials if each.shareable and each.reason]
        return Refuse(remarks[0][:MAX_REMARK] if remarks else None)
    grants = [ballot.granted for ballot in counted if ballot.granted is not None]
    if len(grants) < plan.approvals:
        return Undecided()
    access = grants[0]
    for other in grants[1:]:
        access = intersect(access, other, types)
    # Approvals without common ground are no approval (SEC-RACE-11).
    return Refuse(None) if access.is_empty() else Grant(access)

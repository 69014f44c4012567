"""What a decider is asked and what it may answer.

A decider is any object with a `version` and `decide`. The embedded one reads
rules from the configuration (`rules.py`); a Python callable can take its place
(`callables.py`). It sees validated values only, never raw parameters.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from abeyance.access.access import Access
from abeyance.parties.client import Client
from abeyance.pending.votes import ReviewPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """May this client have this access now?

    `asked.lifetime` is the server's default here; a rule may set another.
    `bound`: the request proved a DPoP key.
    """

    client: Client
    grant_type: str
    subject: str
    asked: Access
    bound: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Issue:
    """Yes, at once. `rule` names what answered, for the audit."""

    rule: str


@dataclass(frozen=True, slots=True)
class Deny:
    """No, and nobody can say yes (EXT-ARAP-01)."""

    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Defer:
    """Not yet: `plan` says who decides.

    `interval`: least time between polls. `lifetime`: how long the client may
    wait (`expires_in`). `approval_lifetime`: how long an approval may hold at
    most, counted from the decision.
    """

    rule: str
    plan: ReviewPlan
    interval: timedelta
    lifetime: timedelta
    approval_lifetime: timedelta


Verdict: TypeAlias = Issue | Deny | Defer


class Decider(Protocol):
    """Raises only for faults, which are answered `server_error`; never for "no"."""

    @property
    def version(self) -> str:
        """Changes whenever the same question might be answered otherwise."""
        ...

    async def decide(self, question: Question) -> Verdict: ...

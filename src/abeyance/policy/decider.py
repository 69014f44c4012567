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
from abeyance.parties.person import PersonId
from abeyance.pending.interaction import NO_INTERACTION, InteractionPlan
from abeyance.pending.votes import ReviewPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """May this client have this access now?

    `asked.lifetime` is the server's default here; a rule may set another.
    `bound`: the request proved a DPoP key. `person`: the resource owner, if one
    stands behind the request. `approved`: it refreshes what a reviewer approved
    and what still holds (EXT-BOUND-03). `actor`: who acts for the subject, if they say so
    (the outermost alone, RFC 8693 §4.1). `audience`: the other server that an ID-JAG is for.
    """

    client: Client
    grant_type: str
    subject: str
    asked: Access
    bound: bool
    at: datetime
    person: PersonId | None = None
    approved: bool = False
    actor: str = ""
    audience: str = ""


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
    most, counted from the decision. `interaction`: what somebody may have to do
    before anybody decides. `collapse_outcome`: the client is told of every bad end
    as of a plain no, since more would tell of the policy (EXT-OUTCOME-05). `remember`: an
    approval answers later requests of the same kind, too (EXT-QUEUE-06).
    """

    rule: str
    plan: ReviewPlan
    interval: timedelta
    lifetime: timedelta
    approval_lifetime: timedelta
    interaction: InteractionPlan = NO_INTERACTION
    collapse_outcome: bool = False
    remember: bool = False


Verdict: TypeAlias = Issue | Deny | Defer


class Decider(Protocol):
    """Raises only for faults, which are answered `server_error`; never for "no"."""

    @property
    def version(self) -> str:
        """Changes whenever the same question might be answered otherwise."""
        ...

    async def decide(self, question: Question) -> Verdict: ...

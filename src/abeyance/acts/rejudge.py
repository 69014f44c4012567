"""What do today's rules say of a request that earlier ones deferred (EXT-STALE-02)?

They are asked again when somebody would approve. A request stays what its reviewers were shown:
nobody's plan is rewritten under their eyes. Today's rules only take away: the right to approve,
some of the time for which an approval holds, or the request itself, so that its client asks
again and a new one is shown.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, TypeAlias

from abeyance.acts.house import House
from abeyance.parties.client import Client
from abeyance.parties.person import PersonId
from abeyance.pending.change import Advance, AuditEvent, Change
from abeyance.pending.exchanged import audience, outermost
from abeyance.pending.request import Held, Loaded, Snapshot
from abeyance.pending.states import Denied, Event, Outcome
from abeyance.policy.decider import Defer, Deny, Issue, Question, Verdict


@dataclass(frozen=True, slots=True)
class Holds:
    """They let this person approve: `at_most` for so long, and of the votes until now those of
    `voters` count. `None`: as the request says.
    """

    at_most: timedelta | None = None
    voters: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class AskOthers:
    """They want others to decide, and one of those may do so here."""


@dataclass(frozen=True, slots=True)
class Over:
    """They want what this request has not: it cannot be approved by anybody."""


Rejudged: TypeAlias = Holds | AskOthers | Over

_AS_ASKED: Final = Holds()


async def rejudge(house: House, loaded: Loaded, by: PersonId) -> Rejudged:
    """May this person still approve? Asked only if the rules are not those that deferred it.

    Raises what the rules raise.
    """
    snapshot = loaded.snapshot
    if snapshot.policy_version == house.decider.version:
        return _AS_ASKED
    client = await house.store.find_client(snapshot.client)
    if client is None:
        return Over()
    verdict = await ask_again(house, client, loaded)
    match verdict:
        case Issue():
            return _AS_ASKED
        case Deny():
            return Over()
        case Defer():
            return _compare(snapshot, verdict, by)


async def ask_again(house: House, client: Client, loaded: Loaded) -> Verdict:
    """What the rules say if the same is asked now. Raises what they raise."""
    snapshot, family = loaded.snapshot, loaded.family
    return await house.decider.decide(
        Question(
            client=client,
            grant_type=snapshot.grant_type,
            subject=snapshot.subject,
            asked=replace(snapshot.asked, lifetime=house.terms.approval),
            bound=snapshot.binding.bound is not None,
            at=house.clock.now(),
            person=snapshot.person,
            approved=family is not None and family.approved,
            actor=outermost(snapshot.actor),
            audience=audience(snapshot.exchanged),
        )
    )


def _compare(snapshot: Snapshot, verdict: Defer, by: PersonId) -> Rejudged:
    # Where the person whom it is about was to decide, nobody else could until now.
    able = snapshot.plan.reviewers & verdict.plan.reviewers
    enough = snapshot.plan.approvals
    if not able or not verdict.plan.approvals <= enough <= len(able):
        return Over()
    if verdict.interaction.first not in (None, snapshot.interaction.first):
        return Over()  # somebody should have done something first
    return Holds(verdict.approval_lifetime, able) if by in able else AskOthers()


async def end(house: House, held: Held) -> None:
    """End this request, unless somebody has moved it; what was issued at its home stays."""
    now, n, ended = house.clock.now(), held.key.n, Denied(Outcome.PRECONDITION_FAILED)
    await house.store.apply(
        Change(
            held.key.home,
            (Advance(n, Event.STALE, ended, alive_at=now, version=held.version),),
            (AuditEvent(n=n, at=now, event="rules_changed", actor="system", detail={}),),
        )
    )

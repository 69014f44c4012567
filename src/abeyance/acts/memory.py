"""Approval memory: what was approved once answers the like of it, until it is taken back
(EXT-QUEUE-06). Only where the rule says so, and never for what is done once.
"""

from collections.abc import Sequence

from abeyance.acts.asked import Asked
from abeyance.acts.dispose import close_derived
from abeyance.acts.house import House
from abeyance.parties.person import Person, PersonId, Role
from abeyance.pending.change import Applied, AuditEvent, Change, EndStanding
from abeyance.pending.disclosure import is_remembered
from abeyance.pending.request import Binding, Key, Loaded
from abeyance.pending.standing import StandingApproval, way_of
from abeyance.pending.states import Approved
from abeyance.policy.decider import Defer

MOST_LISTED = 500


async def find_memory(house: House, asked: Asked, verdict: Defer) -> StandingApproval | None:
    """An approval that answers this request, whose approver could still give it today.

    A refresh is none of these: its family has an approval of its own. And no reviewer's yes is
    that of a person who has not agreed, or does no more.
    """
    claimed, now = asked.claimed, house.clock.now()
    if not verdict.remember or claimed.refreshing is not None:
        return None
    if claimed.lacks_consent(asked.access):
        return None
    binding = Binding(None if asked.key is None else asked.key.bound)
    way = way_of(asked.grant.name, claimed.asserted_by, claimed.exchanged)
    for approval in await house.store.find_standing(asked.client.id, claimed.subject, now=now):
        if approval.answers(
            asked.access, binding, verdict.rule, way, claimed.actor, house.types, now
        ) and await _approves_still(house, asked, verdict, approval):
            return approval
    return None


async def _approves_still(
    house: House, asked: Asked, verdict: Defer, approval: StandingApproval
) -> bool:
    behind = asked.claimed.behind
    own = {asked.client.owner, None if behind is None else behind.person}
    if approval.approver not in verdict.plan.reviewers - own:
        return False
    person = await house.store.find_person(PersonId(approval.approver))
    return person is not None and person.enabled and Role.REVIEWER in person.roles


async def holds(house: House, approval: StandingApproval) -> bool:
    """Has nobody taken it back meanwhile? Asked after something was issued by it."""
    present = await house.store.find_standing_at(approval.key)
    return present is not None and present.ended_at is None


def memory_row(
    house: House, loaded: Loaded, approved: Approved, approver: PersonId
) -> tuple[StandingApproval, ...]:
    """What is remembered of this approval, if its rule wants that and its types allow it."""
    held, snapshot = loaded.held, loaded.snapshot
    if not is_remembered(snapshot, house.types):
        return ()
    return (
        StandingApproval(
            key=held.key,
            client=snapshot.client,
            subject=snapshot.subject,
            binding=snapshot.binding,
            rule=snapshot.rule,
            way=way_of(snapshot.grant_type, snapshot.asserted_by, snapshot.exchanged),
            actor=snapshot.actor,
            granted=approved.granted,
            approver=approver,
            approved_at=house.clock.now(),
            until=approved.until,
        ),
    )


async def list_memory(house: House, person: Person) -> Sequence[StandingApproval]:
    """Those that this person may take back: their own, or as an administrator all."""
    all_of_them = Role.ADMINISTRATOR in person.roles
    return await house.store.list_standing(
        approver=None if all_of_them else person.id, now=house.clock.now(), limit=MOST_LISTED
    )


async def take_back(house: House, person: Person, key: Key) -> bool:
    """Let it answer nothing any more, and end what was issued by it; `False` if it is not
    theirs, or stands no longer.
    """
    approval = await house.store.find_standing_at(key)
    if approval is None or (
        approval.approver != person.id and Role.ADMINISTRATOR not in person.roles
    ):
        return False
    now = house.clock.now()
    event = AuditEvent(
        n=key.n, at=now, event="approval_taken_back", actor=f"person:{person.id}", detail={}
    )
    answer = await house.store.apply(Change(key.home, (EndStanding(key.n, now),), (event,)))
    # Swept in any case: an earlier one may have been cut short behind its fence.
    await close_derived(house, key.home, approval.source.jti)
    return isinstance(answer, Applied)

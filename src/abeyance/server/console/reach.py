"""Which rules lead to whom: what an empty page can teach about itself."""

from abeyance.acts.house import House
from abeyance.parties.person import PersonId, Role
from abeyance.policy.decider import Defer
from abeyance.policy.rules import Rules


def rules_for(house: House, person: PersonId) -> tuple[str, ...]:
    """The rules that leave a request to this person."""
    return tuple(rule.rule for rule in _deferring(house) if person in rule.plan.reviewers)


async def rules_without_reviewers(house: House) -> tuple[str, ...]:
    """The rules whose requests nobody can decide: all their reviewers are gone or disabled."""
    able = {
        person.id
        for person in await house.store.list_people()
        if person.enabled and Role.REVIEWER in person.roles
    }
    return tuple(rule.rule for rule in _deferring(house) if able.isdisjoint(rule.plan.reviewers))


def _deferring(house: House) -> tuple[Defer, ...]:
    # A decider in Python tells nothing about itself.
    rules = house.decider.rules if isinstance(house.decider, Rules) else ()
    return tuple(rule.verdict for rule in rules if isinstance(rule.verdict, Defer))

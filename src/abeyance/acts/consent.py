"""A person is asked whether they agree, where another issuer vouched for them (EXT-IDJAG).

The request waits at `interaction_uri` until its person has signed in here and answered, once.
Where the policy would have issued at once, their yes is the decision; where it wants reviewers, the
request goes on to them. What was agreed to is remembered, as at the authorization
endpoint, so that the next request need not ask.

Source: EXT-IDJAG-01, -03, OAUTH-JWTB-03, OAUTH-SESS-09, OAUTH-AUTHZ-12.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from abeyance.acts.dispose import close_home, stands
from abeyance.acts.house import House
from abeyance.acts.interact import Visited, visit
from abeyance.acts.rejudge import Holds, end, rejudge
from abeyance.grants.grant import Behind
from abeyance.parties.consent import Consent, ConsentId, agree
from abeyance.parties.person import Person
from abeyance.pending.change import (
    Advance,
    Applied,
    AuditEvent,
    Change,
    RecordInteraction,
)
from abeyance.pending.disclosure import Disclosure, disclose
from abeyance.pending.interaction import CONSENT, Interaction, InteractionPlan
from abeyance.pending.request import Loaded
from abeyance.pending.states import Approved, Denied, Event, Outcome, Pending, State
from abeyance.pending.votes import NOBODY_ELSE
from abeyance.policy.decider import Defer, Deny, Issue, Verdict

_ATTEMPTS: Final = 3
_AGREED: Final = "Agreed"


def consent_first(house: House, verdict: Verdict) -> Verdict:
    """What the policy said, once the person has agreed; its no stays a no."""
    terms = house.terms
    match verdict:
        case Deny():
            return verdict
        case Issue(rule=rule):
            return Defer(
                rule=rule,
                plan=NOBODY_ELSE,
                interval=terms.interval,
                lifetime=terms.waiting,
                approval_lifetime=terms.approval,
                interaction=InteractionPlan(first=CONSENT.id),
            )
        case Defer(interaction=plan):
            # What the rule asks for first can be asked for after the consent.
            offered = plan.offered if plan.first is None else (plan.first, *plan.offered)
            first = InteractionPlan(CONSENT.id, tuple(dict.fromkeys(offered)), plan.people)
            return replace(verdict, interaction=first)


def shown_to(house: House, loaded: Loaded) -> Disclosure:
    """What the person must see before they agree."""
    return disclose(
        loaded.held,
        loaded.snapshot,
        house.types,
        issuer=house.endpoints.issuer,
        scopes=house.scopes,
    )


async def answer(
    house: House, person: Person, segment: str, *, agrees: bool, seen: str
) -> Visited | None:
    """Record the person's answer, once; as `interact.take`.

    Only the person's own: whoever else may act on this request cannot agree for them. `None`
    also for an answer to what would not be shown now (OAUTH-SESS-09).
    """
    found = None
    for _ in range(_ATTEMPTS):
        found = await visit(house, person, segment)
        if found is None or found.step is None:
            return found
        loaded = found.loaded
        if (
            found.step.id != CONSENT.id
            or person.id != loaded.snapshot.person
            or seen != shown_to(house, loaded).digest
        ):
            return None
        decides = agrees and loaded.snapshot.plan == NOBODY_ELSE
        if decides and not isinstance(await rejudge(house, loaded, person.id), Holds):
            await end(house, loaded.held)
            break
        consent = await _consent(house, person, loaded)
        now = house.clock.now()
        change = _change(person, found, consent if agrees else None, now)
        if not isinstance(await house.store.apply(change), Applied):
            continue
        if not agrees or loaded.snapshot.plan == NOBODY_ELSE:
            house.counters.decided(approved=agrees, by="owner", after=now - loaded.held.opened_at)
        if agrees:
            await _remember(house, consent, loaded)
        if loaded.snapshot.way_back is not None:
            # As after any step: see `interact.take`.
            house.clocks.earn(loaded.held.handle.digest)
        break
    return await visit(house, person, segment)


async def _consent(house: House, person: Person, loaded: Loaded) -> Consent:
    snapshot = loaded.snapshot
    known = await house.store.find_consent(person.id, snapshot.client)
    return agree(
        known,
        snapshot.asked,
        new=ConsentId(house.random(16).hex()),
        person=person.id,
        client=snapshot.client,
        client_name=snapshot.client_name,
        at=house.clock.now(),
    )


async def _remember(house: House, consent: Consent, loaded: Loaded) -> None:
    """Only now, and only while what it is about stands: see `dispose`."""
    known = await house.store.find_consent(consent.person, consent.client)
    await house.store.put_consent(consent, new=known is None)
    behind = Behind(person=consent.person, session=None, consent=consent.id, auth_time=None)
    if not await stands(house, consent.client, behind):
        await close_home(house, loaded.held.key.home, why="stale")


def _change(person: Person, found: Visited, consent: Consent | None, now: datetime) -> Change:
    held = found.loaded.held
    event, to = _outcome(found.loaded, now, agreed=consent is not None)
    record = Interaction(
        number=found.place.number,
        step=CONSENT.id,
        title=CONSENT.title,
        note=None,
        person=person.id,
        person_name=person.name,
        answers=((_AGREED, "no" if consent is None else "yes"),),
        vouched=False,
        at=now,
    )
    told = AuditEvent(
        n=held.key.n,
        at=now,
        event="declined" if consent is None else "granted",
        actor=f"person:{person.id}",
        detail={}
        if consent is None
        else {
            "client": consent.client,
            "consent": consent.id,
            "granted": found.loaded.snapshot.asked.to_json(),
        },
    )
    advance = Advance(held.key.n, event, to, alive_at=now, version=held.version)
    return Change(held.key.home, (advance, RecordInteraction(held.key.n, record)), (told,))


def _outcome(loaded: Loaded, now: datetime, *, agreed: bool) -> tuple[Event, State]:
    asked = loaded.snapshot.asked
    if not agreed:
        return Event.DENY, Denied(Outcome.DENIED)
    if loaded.snapshot.plan == NOBODY_ELSE:
        return Event.APPROVE, Approved(asked, now + asked.lifetime)
    return Event.INTERACTION_DONE, Pending()

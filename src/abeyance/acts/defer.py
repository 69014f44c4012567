"""Answer "not yet": freeze the request, open it, then look at the fences (DTR-RESP, DTR-SEC-01)."""

import math
from dataclasses import replace

import structlog

from abeyance.acts.asked import Asked, refusal
from abeyance.acts.callback import callback_row, tell_again
from abeyance.acts.dispose import close_home, stands
from abeyance.acts.house import House
from abeyance.acts.issue import end_spent_twice
from abeyance.acts.join import join, seal_handle
from abeyance.acts.notice import notice_rows
from abeyance.acts.repeat import find_earlier, reserve_home
from abeyance.acts.standing import derived_stands
from abeyance.acts.tell import with_ending
from abeyance.acts.tracing import note_trace
from abeyance.oauth.client_authentication import challenge
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.change import (
    Change,
    LiveUntil,
    Open,
    OpenGrant,
    SpendCode,
    Superseded,
    UseAssertion,
)
from abeyance.pending.ending import COLLAPSED, USER_UNREACHABLE
from abeyance.pending.handles import HOME_BYTES, SECRET_BYTES, Home
from abeyance.pending.opening import Deferred, Proposal, open_request
from abeyance.pending.refusals import Refusals, essence
from abeyance.pending.repetition import Repetition
from abeyance.pending.request import Binding, Held, Snapshot
from abeyance.policy.decider import Defer
from abeyance.store.ports import SecurityEvent
from abeyance.wire.errors import (
    AccessDenied,
    InvalidClient,
    InvalidDpopProof,
    InvalidGrant,
    OAuthError,
    TooManyRequests,
)

_log = structlog.get_logger("abeyance.ask")


async def defer(house: House, asked: Asked, verdict: Defer) -> Deferred | None:
    client, claimed = asked.client, asked.claimed
    if client.is_public and (asked.key is None or asked.key.jkt is None):
        # Whoever saw the code could collect the token (DTR-SEC-01, reading 23).
        raise InvalidDpopProof("A public client must send a DPoP proof to be deferred")
    if not await _somebody_can_decide(house, asked, verdict):
        # A wait that nobody can end would be a lie (and is the operator's to mend).
        house.counters.rule_errors.inc()
        _log.error("no reviewer of this rule may decide for this client", rule=verdict.rule)
        raise refusal(asked.access, "The request needs a review that nobody can give")
    if not await _somebody_can_act(house, asked, verdict):
        house.counters.rule_errors.inc()
        _log.error("nobody can take the step that this rule asks for first", rule=verdict.rule)
        raise with_ending(
            AccessDenied("The request needs a step that nobody can take"),
            client,
            COLLAPSED if verdict.collapse_outcome else USER_UNREACHABLE,
        )
    what = essence(client.id, claimed.subject, asked.access, house.types)
    refused = await house.store.find_refusals(what, now=house.clock.now())
    snapshot = await _freeze(house, asked, verdict, 0 if refused is None else refused.count)
    if claimed.joins and claimed.home is not None:
        joined = await join(house, claimed.home, snapshot)
        if joined is not None:
            return await tell_again(house, client, joined, asked.notification_token)
    if refused is not None:
        await _let_cool(house, client.id, refused)
    now, home = house.clock.now(), claimed.home or Home(house.random(HOME_BYTES))
    if asked.identifier is not None:
        home = await reserve_home(house, asked, home, until=now + verdict.lifetime)
    opened = open_request(
        Proposal(
            home,
            snapshot,
            claimed.holds,
            n=claimed.n,
            holds_family=claimed.joins,
        ),
        interval=verdict.interval,
        lifetime=verdict.lifetime,
        at_most=house.terms.open_requests,
        secret=house.random(SECRET_BYTES),
        now=now,
        interaction=house.terms.interaction,
    )
    callback = callback_row(house, client, opened, asked.notification_token)
    notices = notice_rows(house, opened, snapshot)
    rows = (*note_trace(house, opened.change.rows), *claimed.rows, *callback, *notices)
    if claimed.behind is not None:
        rows += (LiveUntil(opened.held.expires_at),)
    if asked.identifier is not None:
        rows += (Repetition(claimed.n, asked.identifier, asked.fingerprint()),)
    if asked.identifier is not None or claimed.joins or claimed.retold:
        rows += (seal_handle(house, opened),)
    if claimed.source is not None:
        # A sweep finds only what lives, and has to find this through its source.
        until = opened.held.expires_at + verdict.approval_lifetime
        await house.store.apply(Change(claimed.source.home, (), (LiveUntil(until),)))
    if callback:
        house.answering.begin(opened.held.key, now)
    match await house.store.apply(replace(opened.change, rows=rows)):
        case Superseded(lost=Open() | SpendCode() | OpenGrant() | UseAssertion()) if (
            await _was_first(house, asked)
        ):
            return None
        case Superseded(lost=Open(holds_family=True), current=Held()):
            return None  # another refresh of this family was deferred first
        case Superseded(lost=OpenGrant()):
            return None  # the same assertion, a moment ago
        case Superseded(lost=Open()):
            raise TooManyRequests("The client has too many requests waiting", 60)
        case Superseded(lost=SpendCode()):
            await end_spent_twice(house, asked, home)
            raise InvalidGrant("The grant has been used already")
        case Superseded():
            raise InvalidGrant("The grant has been used already")
    # The fence: whoever ends a ground writes first and sweeps then, so one of
    # the two always sees the other (OAUTH-CLI-05, OAUTH-DEFER-09).
    if not (
        await stands(house, client.id, claimed.behind)
        and await derived_stands(house, claimed.source)
    ):
        await close_home(house, home, why="stale")
        raise await _gone(house, asked)
    house.counters.deferred.inc()
    return opened


async def _let_cool(house: House, client: ClientId, refused: Refusals) -> None:
    """Who asks again and again for what was refused waits longer each time (EXT-QUEUE-05)."""
    now = house.clock.now()
    left = (refused.cools_until(house.terms.cool_down) - now).total_seconds()
    if not house.terms.cool_down or left <= 0:
        return
    house.counters.cooling.inc()
    if house.reported.first(("asked_again", client)):
        event = SecurityEvent(now, "asked_again", f"client:{client}", "the same was refused")
        await house.store.record(event)
    raise TooManyRequests("The same was refused a while ago", math.ceil(left))


async def _was_first(house: House, asked: Asked) -> bool:
    """Was the same request, under the same name, a moment faster than this one?"""
    return await find_earlier(house, asked) is not None


async def _freeze(house: House, asked: Asked, verdict: Defer, refused: int) -> Snapshot:
    claimed, behind = asked.claimed, asked.claimed.behind
    person = None if behind is None else await house.store.find_person(behind.person)
    return Snapshot(
        client=asked.client.id,
        client_name=asked.client.name,
        client_owner=asked.client.owner,
        grant_type=asked.grant.name,
        subject=claimed.subject,
        asked=replace(asked.access, lifetime=verdict.approval_lifetime),
        binding=Binding(None if asked.key is None else asked.key.bound),
        plan=verdict.plan,
        rule=verdict.rule,
        policy_version=house.decider.version,
        success=claimed.success,
        person=None if behind is None else behind.person,
        person_name=None if person is None else person.name,
        consent=None if behind is None else behind.consent,
        session=None if behind is None else behind.session,
        auth_time=None if behind is None else behind.auth_time,
        interaction=verdict.interaction,
        asserted_by=claimed.asserted_by,
        actor=claimed.actor,
        exchanged=claimed.exchanged,
        identity=claimed.identity,
        repeatable=asked.identifier is not None,
        interactive=asked.mode.interactive,
        way_back=asked.way_back,
        collapse_outcome=verdict.collapse_outcome,
        remember=verdict.remember,
        refused_before=refused,
    )


async def _gone(house: House, asked: Asked) -> OAuthError:
    present = await house.store.find_client(asked.client.id)
    if present is None or not present.enabled:
        return InvalidClient(challenge(house.endpoints.issuer))
    return asked.grant.refuses("The grant has been withdrawn")


async def _somebody_can_decide(house: House, asked: Asked, verdict: Defer) -> bool:
    """Nobody decides what they own or what is about themselves (EXT-DECIDE-03)."""
    plan, able = verdict.plan, 0
    behind = asked.claimed.behind
    about = None if behind is None else behind.person
    for reviewer in plan.reviewers - {asked.client.owner, about}:
        if able == plan.approvals:
            break
        person = await house.store.find_person(PersonId(reviewer))
        able += person is not None and person.enabled
    return able == plan.approvals


async def _somebody_can_act(house: House, asked: Asked, verdict: Defer) -> bool:
    """Can the step that comes first be taken by anybody (EXT-INTERACT-17)?"""
    if verdict.interaction.first is None or asked.claimed.behind is not None:
        return True
    for name in verdict.interaction.people:
        person = await house.store.find_person(PersonId(name))
        if person is not None and person.enabled:
            return True
    return False

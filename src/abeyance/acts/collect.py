"""Asking with a handle: not yet, a token, or why not (DTR-POLL-03, readings 1 to 6).

One list of steps for every face: admit, find, judge, answer. A poll that would wait is
held between the last two (`hold`).
"""

from dataclasses import replace
from typing import Final

from abeyance.acts.admit import check_constrained, prove
from abeyance.acts.dispose import stands
from abeyance.acts.hold import hold
from abeyance.acts.house import ClientRequest, House
from abeyance.acts.interact import lapse
from abeyance.acts.openid import find_identity_key
from abeyance.acts.standing import actor_stands, bounds, derived_stands, still_allowed
from abeyance.acts.tell import tell
from abeyance.acts.tracing import link_first
from abeyance.faces.face import Face
from abeyance.grants.grant import Behind
from abeyance.oauth.client_authentication import AuthenticatedClient
from abeyance.oauth.fapi import hold as hold_to_profile
from abeyance.oauth.success import CHANCE_BYTES, Issuing, Succeeded, succeed
from abeyance.parties.client import Client
from abeyance.pending.change import (
    Advance,
    Applied,
    AuditEvent,
    Change,
    Superseded,
    TurnFamily,
)
from abeyance.pending.handles import parse_handle
from abeyance.pending.judging import (
    InteractionRequired,
    Redeemable,
    Refused,
    StillPending,
    Waiting,
    Why,
    answer_to,
    judge,
    owned,
)
from abeyance.pending.repetition import Delivery
from abeyance.pending.request import Held, Loaded, Success
from abeyance.pending.states import Approved, Denied, Event, Outcome, Redeemed
from abeyance.proofs.dpop import ProvenKey
from abeyance.wire import names
from abeyance.wire.errors import InvalidRequest, Unavailable
from abeyance.wire.strict_json import JsonObject

_ATTEMPTS: Final = 3  # at a family that refreshes turn meanwhile

# What a poll must not carry; ignored and counted, never applied (reading 15).
_ORIGINATING = frozenset(
    {
        names.SCOPE,
        names.RESOURCE,
        names.AUDIENCE,
        names.AUTHORIZATION_DETAILS,
        names.COMPLETION_MODE,
        names.CLIENT_NOTIFICATION_TOKEN,
        names.SUBJECT_TOKEN,
        names.SUBJECT_TOKEN_TYPE,
        names.ACTOR_TOKEN,
        names.ACTOR_TOKEN_TYPE,
        names.REQUESTED_TOKEN_TYPE,
        names.ASSERTION,
    }
)


async def collect(
    house: House, request: ClientRequest, caller: AuthenticatedClient, face: Face
) -> Waiting | Refused | JsonObject:
    """Answer a poll: the success body, or what the face must word.

    Raises `InvalidRequest` without a handle, and what `prove` raises.
    """
    key = await prove(house, request, caller)
    text = request.form.get(face.parameter)
    if text is None:
        raise InvalidRequest("The request lacks the handle of what it asks for")
    if not _ORIGINATING.isdisjoint(request.form):
        house.counters.strays.inc()
    handle = parse_handle(face.handle, text)
    if handle is None:
        return Refused(Why.UNKNOWN)
    held = owned(await house.store.find_held(handle), handle, caller.client.id)
    if held is None:
        return Refused(Why.UNKNOWN)
    answer, client = _judge(house, held, key), caller.client
    if (
        request.wait is not None
        and isinstance(answer, StillPending | InteractionRequired)
        and client.may_use(names.PROFILE_WAIT)
        and await hold(house, request.wait, held)
    ):
        present = await house.store.find_client(client.id) or client
        client = hold_to_profile(present) if house.terms.fapi else present
        held = await house.store.find_held(handle)
        if held is None:
            return Refused(Why.UNKNOWN)
        answer = _answer_held(house, held)
    if isinstance(answer, StillPending | InteractionRequired):
        house.counters.pending.inc()
        if request.wait is not None:
            house.clocks.tell(held.handle.digest, held.state)
        if isinstance(answer, InteractionRequired) and answer.lapsed:
            return await _lapse(house, held, client)
        return answer
    if isinstance(answer, Redeemable):
        check_constrained(house, client, key)
        redeemed = await _redeem(house, answer.held, client, key)
        if isinstance(redeemed, Refused):
            return await tell(house, client, held.key, redeemed)
        return redeemed
    if answer.why in (Why.EARLY, Why.STOP):
        house.counters.slowed.inc()
    elif answer.why not in (Why.KEY, Why.CERTIFICATE):
        house.clocks.forget(held.handle.digest)
        if answer.why is Why.REDEEMED and house.reported.first(held.key):
            await _report_reuse(house, held)
        return await tell(house, client, held.key, answer)
    return answer


async def _lapse(house: House, held: Held, client: Client) -> Waiting | Refused:
    """Nobody came to the address in time: there is another one, or an end (EXT-INTERACT-16)."""
    answer = _answer_held(house, await lapse(house, held))
    if isinstance(answer, Redeemable):
        return StillPending(held.interval)  # approved at this moment: the next poll collects it
    return await tell(house, client, held.key, answer) if isinstance(answer, Refused) else answer


async def _report_reuse(house: House, held: Held) -> None:
    """Somebody shows a code that was redeemed: a retry, or a thief (SEC-TOK-28)."""
    reuse = AuditEvent(
        n=held.key.n,
        at=house.clock.now(),
        event="deferral_code_reuse",
        actor=f"client:{held.client}",
        detail={},
    )
    await house.store.apply(Change(held.key.home, (), (reuse,)))


def _judge(house: House, held: Held, key: ProvenKey | None) -> Waiting | Redeemable | Refused:
    now, tick = house.clock.now(), house.clock.tick()
    polled = held.handle.digest
    while True:
        clock = house.clocks.get(polled)
        judged = judge(held, key, clock=clock, now=now, tick=tick)
        # Whoever loses the swap came second, so it is judged against the new clock.
        if judged.clock is None or house.clocks.swap(polled, seen=clock, new=judged.clock):
            return judged.answer


def _answer_held(house: House, held: Held) -> Waiting | Redeemable | Refused:
    """What the state says now; the pace was judged when the poll came (EXT-WAIT-04)."""
    answer = answer_to(held, house.clock.now())
    if isinstance(answer, StillPending | InteractionRequired):
        return replace(answer, bound=house.clocks.get(held.handle.digest).bound(held.interval))
    return answer


async def _redeem(
    house: House, approved: Held, client: Client, key: ProvenKey | None
) -> Waiting | Refused | JsonObject:
    """Read, re-check, mint in memory, apply, and only then answer (DTR-OK-03, OAUTH-DEFER-06).

    Nothing leaves before the row is won; a loser's token is dropped unseen. A
    refresh that came first has turned the family: then it is read again, and
    its head as it then stands is refreshed (reading 7).
    """
    house.clocks.forget(approved.handle.digest)
    await link_first(house, approved.key)  # before: what reads may fail, and would lose the token
    for _ in range(_ATTEMPTS):
        loaded = await house.store.find_loaded(approved.key)
        if loaded is None:
            return Refused(Why.UNKNOWN)
        held, now = loaded.held, house.clock.now()
        if not isinstance(held.state, Approved):
            return _tell(held, house)
        if not await still_holds(house, loaded, held.state, client):
            return await _close_stale(house, held)
        succeeded = mint(house, loaded, held.state, client, key)
        redeem = Advance(held.key.n, Event.REDEEM, Redeemed(), alive_at=now, version=held.version)
        redeemed = AuditEvent(
            n=held.key.n, at=now, event="redeemed", actor=f"client:{client.id}", detail={}
        )
        rows = succeeded.rows
        if loaded.snapshot.repeatable:
            approval = held.state
            rows += (Delivery(held.key.n, approval.granted, approval.until, succeeded.generation),)
        change = Change(held.key.home, (redeem, *succeeded.steps), (*rows, redeemed))
        match await house.store.apply(change):
            case Applied():
                house.counters.redeemed.inc()
                return succeeded.answer
            case Superseded(lost=TurnFamily()):
                continue
            case Superseded() as lost:
                return _lost(lost, house)
    raise Unavailable


def mint(
    house: House,
    loaded: Loaded,
    approved: Approved,
    client: Client,
    key: ProvenKey | None,
    *,
    again: bool = False,
) -> Succeeded:
    """Make of an approval what it stands for. `again`: it was made before, and lost; a family
    that began with it goes on with another head.
    """
    held, snapshot, success = loaded.held, loaded.snapshot, loaded.snapshot.success
    anew = again and success is Success.NEW_FAMILY and loaded.family is not None
    return succeed(
        Success.FAMILY_HEAD if anew else success,
        Issuing(
            client=client,
            subject=snapshot.subject,
            access=approved.granted,
            resources=approved.granted.resources,
            key=key,
            home=held.key.home,
            n=held.key.n,
            until=min(bounds(snapshot, approved)),
            auth_time=snapshot.auth_time,
            of_person=snapshot.person is not None,
            issuer=house.endpoints.issuer,
            signing=house.keys.signing,
            lives=house.terms.lives,
            chance=house.random(CHANCE_BYTES),
            now=house.clock.now(),
            actor=snapshot.actor,
            exchanged=snapshot.exchanged,
            identity=snapshot.identity,
            identity_key=find_identity_key(
                house, client, snapshot.identity, approved.granted.scope
            ),
        ),
        house.types,
        family=loaded.family,
        anew=anew,
    )


async def still_holds(house: House, loaded: Loaded, approved: Approved, client: Client) -> bool:
    """Do approval, person, consent, session and family still hold, and may the client, as
    registered now, still have what was granted (T-145, SEC-TOK-27, EXT-STALE-01)?
    """
    snapshot, now = loaded.snapshot, house.clock.now()
    ends = bounds(snapshot, approved)
    if snapshot.success is Success.FAMILY_HEAD:
        if loaded.family is None or not loaded.family.is_alive(now):
            return False
        ends.append(loaded.family.until)
    return (
        (min(ends) - now).total_seconds() >= 1
        and snapshot.grant_type in client.grant_types
        and still_allowed(house, snapshot, approved.granted, client)
        and await stands(house, client.id, Behind.of_snapshot(snapshot))
        and await derived_stands(house, snapshot.source)
        and await actor_stands(house, snapshot.actor)
    )


async def _close_stale(house: House, held: Held) -> Waiting | Refused:
    now = house.clock.now()
    stale = Advance(held.key.n, Event.STALE, Denied(Outcome.PRECONDITION_FAILED), alive_at=now)
    closed = AuditEvent(n=held.key.n, at=now, event="stale", actor="system", detail={})
    result = await house.store.apply(Change(held.key.home, (stale,), (closed,)))
    return Refused(Why.DENIED) if isinstance(result, Applied) else _lost(result, house)


def _lost(result: Superseded, house: House) -> Waiting | Refused:
    """Whoever lost tells the state that won."""
    return Refused(Why.UNKNOWN) if result.current is None else _tell(result.current, house)


def _tell(held: Held, house: House) -> Waiting | Refused:
    answer = answer_to(held, house.clock.now())
    if isinstance(answer, Redeemable):
        # Nothing leads back to an approval, so meeting one here is a fault of ours.
        raise RuntimeError("an approval changed while it was collected")
    return answer

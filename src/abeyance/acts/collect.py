"""Asking with a handle: not yet, a token, or why not (DTR-POLL-03, readings 1 to 6).

One list of steps for every face: admit, find, judge, answer.
"""

from abeyance.acts.admit import prove
from abeyance.acts.house import ClientRequest, House
from abeyance.faces.face import Face
from abeyance.oauth.asking import check_still_allowed
from abeyance.oauth.client_authentication import AuthenticatedClient
from abeyance.oauth.minting import mint_access_token
from abeyance.parties.client import Client
from abeyance.pending.change import Advance, Applied, AuditEvent, Change, Superseded
from abeyance.pending.handles import parse_handle
from abeyance.pending.judging import (
    Redeemable,
    Refused,
    StillPending,
    Why,
    answer_to,
    judge,
    owned,
)
from abeyance.pending.request import Held, Loaded
from abeyance.pending.states import Approved, Denied, Event, Outcome, Redeemed
from abeyance.proofs.dpop import ProvenKey
from abeyance.wire import names
from abeyance.wire.errors import InvalidDpopProof, InvalidRequest
from abeyance.wire.strict_json import JsonObject

# What a poll must not carry; ignored and counted, never applied (reading 15).
_ORIGINATING = frozenset(
    {
        names.SCOPE,
        names.RESOURCE,
        names.AUDIENCE,
        names.AUTHORIZATION_DETAILS,
        names.COMPLETION_MODE,
        names.CLIENT_NOTIFICATION_TOKEN,
    }
)


async def collect(
    house: House, request: ClientRequest, caller: AuthenticatedClient, face: Face
) -> StillPending | Refused | JsonObject:
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
    answer = _judge(house, held, key)
    if isinstance(answer, StillPending):
        house.counters.pending.inc()
        return answer
    if isinstance(answer, Redeemable):
        return await _redeem(house, answer, caller.client, key)
    if answer.why in (Why.EARLY, Why.STOP):
        house.counters.slowed.inc()
    elif answer.why is not Why.KEY:
        house.clocks.forget(held.handle.digest)
        if answer.why is Why.REDEEMED and house.reported.first(held.key):
            await _report_reuse(house, held)
    return answer


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


def _judge(house: House, held: Held, key: ProvenKey | None) -> StillPending | Redeemable | Refused:
    now, tick = house.clock.now(), house.clock.tick()
    polled = held.handle.digest
    while True:
        clock = house.clocks.get(polled)
        judged = judge(held, key, clock=clock, now=now, tick=tick)
        # Whoever loses the swap came second, so it is judged against the new clock.
        if judged.clock is None or house.clocks.swap(polled, seen=clock, new=judged.clock):
            return judged.answer


async def _redeem(
    house: House, answer: Redeemable, client: Client, key: ProvenKey | None
) -> StillPending | Refused | JsonObject:
    """Read, re-check, mint in memory, apply, and only then answer (DTR-OK-03, OAUTH-DEFER-06).

    Nothing leaves before the row is won; a loser's token is dropped unseen.
    """
    if client.dpop_bound_access_tokens and key is None:
        raise InvalidDpopProof("The client must send a DPoP proof")
    loaded = await house.store.find_loaded(answer.held.key)
    if loaded is None:
        return Refused(Why.UNKNOWN)
    held, now = loaded.held, house.clock.now()
    if not isinstance(held.state, Approved):
        return _tell(held, house)
    life = min(house.terms.access_token, held.state.until - now)
    if life.total_seconds() < 1 or not _still_holds(house, loaded, held.state, client):
        return await _close_stale(house, held)
    minted = mint_access_token(
        client=client,
        subject=loaded.snapshot.subject,
        access=held.state.granted,
        key=key,
        home=held.key.home,
        n=held.key.n,
        issuer=house.endpoints.issuer,
        signing=house.keys.signing,
        random=house.random(16),
        now=now,
        life=life,
    )
    redeem = Advance(held.key.n, Event.REDEEM, Redeemed(), alive_at=now, version=held.version)
    redeemed = AuditEvent(
        n=held.key.n, at=now, event="redeemed", actor=f"client:{client.id}", detail={}
    )
    house.clocks.forget(held.handle.digest)
    result = await house.store.apply(Change(held.key.home, (redeem,), (minted.record, redeemed)))
    if isinstance(result, Applied):
        house.counters.redeemed.inc()
        return minted.answer
    return _lost(result, house)


def _still_holds(house: House, loaded: Loaded, approved: Approved, client: Client) -> bool:
    """Is the client, as registered now, still allowed what was granted (T-145, SEC-TOK-27)?"""
    return loaded.snapshot.grant_type in client.grant_types and check_still_allowed(
        approved.granted, client, house.types
    )


async def _close_stale(house: House, held: Held) -> StillPending | Refused:
    now = house.clock.now()
    stale = Advance(held.key.n, Event.STALE, Denied(Outcome.PRECONDITION_FAILED), alive_at=now)
    closed = AuditEvent(n=held.key.n, at=now, event="stale", actor="system", detail={})
    result = await house.store.apply(Change(held.key.home, (stale,), (closed,)))
    return Refused(Why.DENIED) if isinstance(result, Applied) else _lost(result, house)


def _lost(result: Superseded, house: House) -> StillPending | Refused:
    """Whoever lost tells the state that won."""
    return Refused(Why.UNKNOWN) if result.current is None else _tell(result.current, house)


def _tell(held: Held, house: House) -> StillPending | Refused:
    answer = answer_to(held, house.clock.now())
    if isinstance(answer, Redeemable):
        # Nothing leads back to an approval, so meeting one here is a fault of ours.
        raise RuntimeError("an approval changed while it was collected")
    return answer

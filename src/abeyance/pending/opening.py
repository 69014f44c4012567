"""From a validated request to "not yet" (DTR-RESP-01 to -04, DTR-BIND-01)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from abeyance.pending.change import AuditEvent, Change, Open, Step
from abeyance.pending.handles import HandleKind, Home, mint_handle
from abeyance.pending.quota import Quota
from abeyance.pending.request import Held, Key, Snapshot
from abeyance.pending.states import AwaitingInteraction, Pending, State
from abeyance.wire.secret import Secret

_LEAST_COLLECTION_TIME: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A validated request, nothing consumed yet.

    `requires` are the steps by which the grant's own credential is spent; they
    are the same whether the answer is a token or "not yet" (OAUTH-DEFER-01, -02);
    where nothing is spent they only hold something. `n` is its number at the home.
    """

    home: Home
    snapshot: Snapshot
    requires: tuple[Step, ...] = ()
    n: int = 1
    holds_family: bool = False


@dataclass(frozen=True, slots=True)
class Deferred:
    """A deferral code and the request that it names: what the deferred response tells."""

    code: Secret
    held: Held


@dataclass(frozen=True, slots=True)
class Opened(Deferred):
    """A deferral that is new, and the change that makes it real."""

    change: Change


def open_request(
    proposal: Proposal,
    *,
    interval: timedelta,
    lifetime: timedelta,
    at_most: Quota,
    secret: bytes,
    now: datetime,
    interaction: timedelta | None = None,
) -> Opened:
    """Open a pending request; `lifetime` is how long the client may wait, `interaction` how
    long the address of a step lives, where its client wants to know.

    Raises `ValueError` if the life leaves no time to poll (T-123).
    """
    if not timedelta(seconds=1) <= interval < lifetime:
        raise ValueError("the interval must be at least a second and shorter than the lifetime")
    code, handle = mint_handle(HandleKind.DEFERRAL_CODE, proposal.home, secret)
    expires_at = now + lifetime
    held = Held(
        key=Key(proposal.home, proposal.n),
        version=1,
        state=_first_state(
            proposal.snapshot, end_of(proposal.snapshot, interaction, now, expires_at)
        ),
        client=proposal.snapshot.client,
        binding=proposal.snapshot.binding,
        handle=handle,
        opened_at=now,
        decide_by=decision_deadline(expires_at, lifetime=lifetime, interval=interval),
        expires_at=expires_at,
        interval=interval,
    )
    opened = AuditEvent(
        n=held.key.n,
        at=now,
        event="opened",
        actor=f"client:{held.client}",
        detail={"rule": proposal.snapshot.rule, "policy": proposal.snapshot.policy_version},
    )
    return Opened(
        code,
        held,
        Change(
            proposal.home,
            (*proposal.requires, Open(held, proposal.snapshot, at_most, proposal.holds_family)),
            (opened,),
        ),
    )


def decision_deadline(
    expires_at: datetime, *, lifetime: timedelta, interval: timedelta
) -> datetime:
    """The last instant for a decision that the client can still collect (EXT-DECIDE-11)."""
    return expires_at - min(max(2 * interval, _LEAST_COLLECTION_TIME), lifetime / 4)


def end_of(
    snapshot: Snapshot, life: timedelta | None, now: datetime, expires_at: datetime
) -> datetime | None:
    """The end of an address that is given out now; `None`: it lives as long as its request."""
    if life is None or not snapshot.interactive:
        return None
    return min(now + life, expires_at)


def _first_state(snapshot: Snapshot, until: datetime | None) -> State:
    """Somebody must act before anybody decides, if the policy says so (DTR-IURI-01)."""
    first = snapshot.interaction.first
    return Pending() if first is None else AwaitingInteraction(1, first, until=until)

"""The state machine of a pending request, as the table that the code executes.

    state \\ event  | asked | done    | approve  | deny   | cancel    | stale  | redeem
    pending        | await | -       | approved | denied | cancelled | denied | -
    await          | await | pending | approved | denied | cancelled | denied | -
    approved       | -     | -       | -        | -      | cancelled | denied | redeemed

`asked` and `done` are those of an interaction, `await` is awaiting interaction.
Everything else changes nothing. `expired` is a fact of the clock
(`Held.state_at`), not a state that somebody must remember to write. The store
takes its lists of states from here, and `docs/state-machine.md` is drawn from it.

Source: DTR-POLL-03, DTR-CANC-02, -05; readings 1 to 3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from abeyance.access.access import Access


class Stage(StrEnum):
    """The name of a state, as it is stored."""

    PENDING = "pending"
    AWAITING_INTERACTION = "awaiting_interaction"
    APPROVED = "approved"
    DENIED = "denied"
    CANCELLED = "cancelled"
    REDEEMED = "redeemed"


class Event(StrEnum):
    """What may happen to a pending request."""

    INTERACTION_ASKED = "interaction_asked"
    INTERACTION_DONE = "interaction_done"
    APPROVE = "approve"
    DENY = "deny"
    CANCEL = "cancel"
    STALE = "stale"
    REDEEM = "redeem"


OPEN: Final = (Stage.PENDING, Stage.AWAITING_INTERACTION)

_FROM_OPEN: Final[Mapping[Event, Stage]] = {
    Event.INTERACTION_ASKED: Stage.AWAITING_INTERACTION,
    Event.APPROVE: Stage.APPROVED,
    Event.DENY: Stage.DENIED,
    Event.CANCEL: Stage.CANCELLED,
    Event.STALE: Stage.DENIED,
}

TRANSITIONS: Final[Mapping[Stage, Mapping[Event, Stage]]] = MappingProxyType(
    {
        Stage.PENDING: _FROM_OPEN,
        Stage.AWAITING_INTERACTION: {**_FROM_OPEN, Event.INTERACTION_DONE: Stage.PENDING},
        Stage.APPROVED: {
            Event.CANCEL: Stage.CANCELLED,
            Event.STALE: Stage.DENIED,
            Event.REDEEM: Stage.REDEEMED,
        },
        Stage.DENIED: {},
        Stage.CANCELLED: {},
        Stage.REDEEMED: {},
    }
)


def stage_after(stage: Stage, event: Event) -> Stage | None:
    """Return the stage that follows, `None` if the event changes nothing here."""
    return TRANSITIONS[stage].get(event)


def stages_before(event: Event) -> tuple[Stage, ...]:
    """Return every stage in which the event changes something (for the store's conditions)."""
    return tuple(stage for stage, row in TRANSITIONS.items() if event in row)


class Outcome(StrEnum):
    """Why a request was denied; told to people, the audit, and clients that ask (`ending`)."""

    DENIED = "denied"
    PRECONDITION_FAILED = "precondition_failed"
    ABANDONED = "abandoned"  # nobody took the step that it needed


@dataclass(frozen=True, slots=True)
class Pending:
    """Somebody must decide."""


@dataclass(frozen=True, slots=True)
class AwaitingInteraction:
    """Somebody must act first; `number` counts the interactions of this request.

    `step` names what is to be done (`interaction.Step`), `note` is what the
    reviewer who asked for it adds. For clients that speak the profile: `until` is
    the end of its address, which the request may outlive; `lapses` counts the
    addresses before it that nobody used; `arrived`: somebody eligible has opened
    it (EXT-INTERACT-01, -16).
    """

    number: int
    step: str = "confirm"
    note: str | None = None
    until: datetime | None = None
    lapses: int = 0
    arrived: bool = False


@dataclass(frozen=True, slots=True)
class Approved:
    """Decided well, not collected; `until` bounds every credential (EXT-BOUND-01)."""

    granted: Access
    until: datetime


@dataclass(frozen=True, slots=True)
class Denied:
    """Decided badly; `remark` only if the reviewer marked it shareable (EXT-OUTCOME-03)."""

    outcome: Outcome
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Withdrawn by the client."""


@dataclass(frozen=True, slots=True)
class Redeemed:
    """Turned into a token, once."""


@dataclass(frozen=True, slots=True)
class Expired:
    """Nobody collected in time; never stored."""


State: TypeAlias = Pending | AwaitingInteraction | Approved | Denied | Cancelled | Redeemed

STAGE_OF: Final[Mapping[type, Stage]] = MappingProxyType(
    {
        Pending: Stage.PENDING,
        AwaitingInteraction: Stage.AWAITING_INTERACTION,
        Approved: Stage.APPROVED,
        Denied: Stage.DENIED,
        Cancelled: Stage.CANCELLED,
        Redeemed: Stage.REDEEMED,
    }
)


def stage_of(state: State) -> Stage:
    return STAGE_OF[type(state)]

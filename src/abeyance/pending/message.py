"""What somebody is to be told of a request: kept with it, sent later, at least once.

A message is written when its request opens, in the same transaction, and says only whom to
tell; what there is to say is read when it is sent. One that tells of the end (`on_end`) has
no time of its own until the request ends, and falls due in the transaction that ends it.

Source: DTR-CB, EXT-NOTIFY-03.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeAlias

from abeyance.pending.request import Key

# After so many attempts nobody is told any more; about a quarter of an hour (EXT-NOTIFY-03).
DELAYS: Final = tuple(timedelta(seconds=each) for each in (5, 30, 90, 240, 540))
_JITTER: Final = 0.2


class MessageKind(StrEnum):
    CALLBACK = "callback"  # to the client, about the end
    MAIL = "mail"  # to a person
    WEBHOOK = "webhook"  # to the operator's own system


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A row of the change that opens request `n`. `seq` tells the messages of one request apart.

    `to`: whom, in the words of its kind. `sealed`: what sending it takes, if that is secret.
    `due_at`: when to send it, `None`: not before the request has ended. From `until` on it is
    too late, and it is forgotten.
    """

    n: int
    seq: int
    kind: MessageKind
    to: str
    sealed: bytes | None
    due_at: datetime | None
    on_end: bool
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A message that nobody else sends before `leased_until`. `attempt` counts from 1."""

    key: Key
    seq: int
    kind: MessageKind
    to: str
    sealed: bytes | None
    attempt: int
    leased_until: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """Sent, or nothing to send any more: forget it. `answered`: whether who was asked has
    answered; `None`: nobody was asked.
    """

    answered: bool | None = None


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Again then. `counts`: it was an attempt, and failed."""

    at: datetime
    counts: bool = True


Settled: TypeAlias = Done | RetryAt


def answered(settled: Settled | None) -> bool | None:
    """Has the receiver answered? `None`: it was not asked."""
    match settled:
        case Done(answered=known):
            return known
        case RetryAt(counts=counts):
            return False if counts else None
        case None:
            return None


def retry(claimed: Claimed, now: datetime, chance: float) -> Settled:
    """When to try again, if ever. `chance`: from 0 to 1, so that many do not come at once."""
    if claimed.attempt > len(DELAYS):
        return Done(answered=False)
    delay = DELAYS[claimed.attempt - 1]
    at = now + delay * (1 - _JITTER + 2 * _JITTER * chance)
    return Done(answered=False) if at >= claimed.until else RetryAt(at)

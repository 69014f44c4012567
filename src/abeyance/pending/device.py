"""A device session: from the request of a device to its person's answer (RFC 8628).

It is no pending request yet: nobody knows who it is about. Its person's yes opens the grant
at the same home; the poll that comes then asks as any first request does, and may be
deferred (DEV-DTR-01, -05).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from abeyance.access.access import Access
from abeyance.parties.client import ClientId
from abeyance.parties.person import PersonId
from abeyance.pending.credentials import UserGrant
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.identity import Identity
from abeyance.pending.request import Binding, Held, Key
from abeyance.pending.states import Approved, Denied, Outcome, Pending, Redeemed, State

INTERVAL: Final = timedelta(seconds=5)
CLAIM: Final = timedelta(minutes=5)
RETENTION: Final = timedelta(hours=24)  # for which an expired code is told from an unknown one
RETOLD: Final = timedelta(minutes=10)  # a deferral is told again to whoever lost it (DEV-DTR-06)
DEFERRAL: Final = 1  # the number of the one request that a device session may open


class DeviceStage(StrEnum):
    """The name of a state, as it is stored."""

    WAITING = "waiting"
    AGREED = "agreed"
    DENIED = "denied"
    SPENT = "spent"


@dataclass(frozen=True, slots=True)
class Claim:
    """Who has confirmed the code, in which browser session (its digest), and until when."""

    person: PersonId
    session: bytes
    until: datetime

    def is_of(self, person: PersonId, session: bytes) -> bool:
        return self.person == person and self.session == session


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """`hinted`: every poll must say that deferral is welcome (DTR-HINT-03). `address`: where the
    device asked from, as it is counted (of IPv6 a network); kept as long as its code.
    """

    handle: HandleHash
    client: ClientId
    asked: Access
    binding: Binding
    hinted: bool
    address: str
    opened_at: datetime
    decide_by: datetime
    expires_at: datetime
    identity: Identity | None = None
    stage: DeviceStage = DeviceStage.WAITING
    claim: Claim | None = None

    @property
    def home(self) -> Home:
        return self.handle.home

    def is_open(self, now: datetime) -> bool:
        """May its person still answer?"""
        return self.stage is DeviceStage.WAITING and now < self.decide_by

    def held(self) -> Held:
        """As a poll sees it: judged and paced like any other handle (DEV-POLL-05)."""
        return Held(
            key=Key(self.home, 0),
            version=1,
            state=self._state(),
            client=self.client,
            binding=self.binding,
            handle=self.handle,
            opened_at=self.opened_at,
            decide_by=self.decide_by,
            expires_at=self.expires_at,
            interval=INTERVAL,
        )

    def _state(self) -> State:
        match self.stage:
            case DeviceStage.WAITING:
                return Pending()
            case DeviceStage.AGREED:
                return Approved(self.asked, self.expires_at)
            case DeviceStage.DENIED:
                return Denied(Outcome.DENIED)
            case DeviceStage.SPENT:
                return Redeemed()


@dataclass(frozen=True, slots=True)
class FoundDevice:
    """A device session with the grant of its person, once they have agreed."""

    device: Device
    grant: UserGrant | None

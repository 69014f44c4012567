"""The pending request: what was asked (cold, frozen) and what a poll needs (hot).

`Snapshot` is written once, at the first request, and never changes (DTR-INV-01,
-04; reading 9). `Held` is the row that polls, decisions and redemption read.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from abeyance.access.access import Access
from abeyance.parties.client import ClientId
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.states import Approved, AwaitingInteraction, Expired, Pending, State
from abeyance.pending.votes import Ballot, ReviewPlan
from abeyance.proofs.dpop import ProvenKey


@dataclass(frozen=True, slots=True)
class Key:
    """A request's place: its home and its number there (a home may see several)."""

    home: Home
    n: int


@dataclass(frozen=True, slots=True)
class Binding:
    """The key that the first request proved; `None`: it proved none (DTR-BIND-01)."""

    jkt: str | None

    def continues(self, key: ProvenKey | None) -> bool:
        """Is this the same key, for every kind of client (DTR-INV-03, DTR-POLL-04)?"""
        return self.jkt is None or (key is not None and key.jkt == self.jkt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The validated request, frozen; no secrets, no raw parameters (OAUTH-DEFER-03).

    `client_name` is the name at request time: a later rename does not change
    what a reviewer was shown. `rule` and `policy_version` say which policy deferred it.
    """

    client: ClientId
    client_name: str
    client_owner: str | None
    grant_type: str
    subject: str
    asked: Access
    binding: Binding
    plan: ReviewPlan
    rule: str
    policy_version: str


@dataclass(frozen=True, slots=True)
class Held:
    """All that a poll needs, one read by key.

    `version` rises with every change; it is expected only where somebody saw the
    content (vote, decision, redemption). `decide_by` lies before `expires_at`, so
    that what is approved can still be collected (EXT-DECIDE-11).
    """

    key: Key
    version: int
    state: State
    client: ClientId
    binding: Binding
    handle: HandleHash
    opened_at: datetime
    decide_by: datetime
    expires_at: datetime
    interval: timedelta

    def state_at(self, now: datetime) -> State | Expired:
        """The state as the clock makes it: expiry wins over pending and over
        approved but uncollected; what has ended stays as it ended (readings 1, 3).
        """
        if now >= self.expires_at and isinstance(
            self.state, Pending | AwaitingInteraction | Approved
        ):
            return Expired()
        return self.state


@dataclass(frozen=True, slots=True)
class Loaded:
    """Everything about one request, from one read transaction."""

    held: Held
    snapshot: Snapshot
    ballots: tuple[Ballot, ...]

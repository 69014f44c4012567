"""The pending request: what was asked (cold, frozen) and what a poll needs (hot).

`Snapshot` is written once, at the first request, and never changes (DTR-INV-01,
-04; reading 9). `Held` is the row that polls, decisions and redemption read.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from abeyance.access.access import Access
from abeyance.parties.client import ClientId
from abeyance.parties.consent import ConsentId
from abeyance.parties.person import PersonId
from abeyance.pending.credentials import Family
from abeyance.pending.exchanged import Exchanged, Source
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.identity import Identity
from abeyance.pending.interaction import NO_INTERACTION, Interaction, InteractionPlan
from abeyance.pending.states import Approved, AwaitingInteraction, Expired, Pending, State
from abeyance.pending.votes import Ballot, ReviewPlan
from abeyance.proofs.binding import ProvenKey, lacks_proof
from abeyance.wire.strict_json import JsonObject


@dataclass(frozen=True, slots=True)
class Key:
    """A request's place: its home and its number there (a home may see several)."""

    home: Home
    n: int


@dataclass(frozen=True, slots=True)
class Binding:
    """What the first request proved (`ProvenKey.bound`); `None`: nothing (DTR-BIND-01)."""

    bound: str | None

    def continues(self, key: ProvenKey | None) -> bool:
        """Is this the same key, for every kind of client (DTR-INV-03, DTR-POLL-04)?"""
        return self.bound is None or (key is not None and key.proves(self.bound))

    def lacks_proof(self, key: ProvenKey | None) -> bool:
        """Is it the DPoP key that was not proven, or the certificate (reading 4)?"""
        return self.bound is not None and lacks_proof(key, self.bound)


@dataclass(frozen=True, slots=True)
class WayBack:
    """Where a browser returns to after a step: a registered URI, and what is echoed there."""

    uri: str
    state: str | None


class Success(StrEnum):
    """What an approval turns into when it is redeemed."""

    ACCESS_TOKEN = "access_token"
    NEW_FAMILY = "new_family"  # and the first refresh token
    ID_JAG = "id_jag"  # an assertion for another server, and no token at all
    FAMILY_HEAD = "family_head"  # of the family that the request holds (reading 7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The validated request, frozen; no secrets, no raw parameters (OAUTH-DEFER-03).

    `client_name` and `person_name` are the names at request time: a later rename
    does not change what a reviewer was shown. `person` is the resource owner, if
    one stands behind the request; `auth_time` is when they authenticated, which
    no approval moves (reading 10), and `identity` what else an ID token will say of that;
    `asserted_by` the issuer who vouches for them.
    `actor` is the chain of those who act for the subject, as the token will say it. `rule`
    and `policy_version` say which policy deferred it. `repeatable`: its client has named
    it, to find it again (EXT-IDEMP). `interactive`: its client can present an address
    (reading 27); `way_back`: where the browser goes then. `collapse_outcome`: every bad
    end is told as a plain no. `remember`: an approval answers later requests too.
    `refused_before`: how often the same was refused lately.
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
    success: Success = Success.ACCESS_TOKEN
    person: PersonId | None = None
    person_name: str | None = None
    consent: ConsentId | None = None
    session: bytes | None = None  # its digest
    auth_time: datetime | None = None
    interaction: InteractionPlan = NO_INTERACTION
    repeatable: bool = False
    interactive: bool = False
    way_back: WayBack | None = None
    collapse_outcome: bool = False
    asserted_by: str | None = None
    actor: JsonObject | None = None
    exchanged: Exchanged | None = None
    identity: Identity | None = None
    remember: bool = False
    refused_before: int = 0

    @property
    def source(self) -> Source | None:
        """The token of ours that it is derived from."""
        return None if self.exchanged is None else self.exchanged.source


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
    interactions: tuple[Interaction, ...] = ()
    family: Family | None = None  # of the home, if it has one

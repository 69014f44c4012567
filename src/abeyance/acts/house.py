"""What every act is given: the parts of the house, wired once at the start."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from abeyance.access.details import DetailsTypes
from abeyance.keys import Keys
from abeyance.oauth.metadata import Endpoints
from abeyance.policy.decider import Decider
from abeyance.proofs.nonce import Nonces
from abeyance.store.ports import Store
from abeyance.volatile.clocks import PollClocks
from abeyance.volatile.counters import Counters
from abeyance.volatile.limits import Backoff, Buckets
from abeyance.volatile.once import Once
from abeyance.volatile.replay import ReplayMemory
from abeyance.volatile.waiters import Waiters
from abeyance.wire.form import Form


class Clock(Protocol):
    """The one clock: `now` is aware UTC, `tick` monotonic seconds (OAUTH-SEC-08)."""

    def now(self) -> datetime: ...
    def tick(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The lifetimes and bounds that acts need, from the settings."""

    access_token: timedelta
    approval: timedelta
    open_requests: int  # of one client
    require_nonce: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What slows callers down; all volatile."""

    failures: Backoff  # failed client authentications, by (client, address) and by address
    creations: Buckets  # first requests, by client
    sign_ins: Backoff  # failed sign-ins, by account and by address


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Everything an act may use. `random(n)` returns n bytes of the system's generator."""

    endpoints: Endpoints
    store: Store
    types: DetailsTypes
    scopes: Mapping[str, str]
    decider: Decider
    keys: Keys
    nonces: Nonces
    clock: Clock
    random: Callable[[int], bytes]
    replay: ReplayMemory
    clocks: PollClocks
    limits: Limits
    reported: Once
    waiters: Waiters
    counters: Counters
    terms: Terms


@dataclass(slots=True)
class ClientRequest:
    """A back-channel request after transport checks: fields as received, form decoded.

    `url` is our public URL of the endpoint (from the settings, never from the
    request); `address` the peer's, for limits only.
    """

    url: str
    authorization: tuple[bytes, ...]
    dpop: tuple[bytes, ...]
    form: Form
    address: str

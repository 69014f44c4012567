"""What every act is given: the parts of the house, wired once at the start."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from cryptography import x509

from abeyance.access.details import DetailsTypes
from abeyance.acts.published_keys import PublishedKeys
from abeyance.keys import KeyRing
from abeyance.oauth.metadata import Endpoints
from abeyance.oauth.openid import OpenId
from abeyance.oauth.success import Lives
from abeyance.outbound.caller import Outside
from abeyance.outbound.mail import Mailer
from abeyance.parties.client import Client, ClientId
from abeyance.parties.trust import Trust
from abeyance.pending.interaction import Step
from abeyance.pending.quota import Quota
from abeyance.policy.decider import Decider
from abeyance.policy.steps import OperatorStep
from abeyance.proofs.nonce import Nonces
from abeyance.store.ports import Retention, Store
from abeyance.volatile.answering import Answering
from abeyance.volatile.clocks import PollClocks
from abeyance.volatile.counters import Counters
from abeyance.volatile.digests import Digests
from abeyance.volatile.limits import Backoff, Buckets
from abeyance.volatile.once import Once
from abeyance.volatile.replay import ReplayMemory
from abeyance.volatile.seats import Seats
from abeyance.volatile.waiters import Waiters
from abeyance.wire.form import Form
from abeyance.wire.secret import Secret


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    """The one clock: `now` is aware UTC, `tick` monotonic seconds (OAUTH-SEC-08)."""

    def now(self) -> datetime: ...
    def tick(self) -> float: ...
    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call it on the event loop when so many seconds have passed, unless it is cancelled."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The lifetimes and bounds that acts need, from the settings.

    `authorization`: how long a person may take from the request to the answer.
    `pushed`: for how long a pushed request can be opened; `require_pushed` and
    `require_signed`: authorization requests of every client must be.
    `refresh_grace`: how long a spent refresh token is answered with its successor.
    `refresh_deferral` and `stale_with_any_end` are those of readings 7 and 18.
    """

    lives: Lives
    code: timedelta
    authorization: timedelta
    pushed: timedelta
    device: timedelta  # the life of a device code; none is given out where it is nothing
    device_denies: bool  # at once, where a review is needed and the client cannot be deferred
    refresh_grace: timedelta
    refresh_deferral: bool
    stale_with_any_end: bool
    sessions_run_out: bool  # by themselves; those of a host application do not
    waiting: timedelta  # a person who must agree first, and no rule says how long
    interval: timedelta
    approval: timedelta
    open_requests: Quota
    cool_down: timedelta  # after the second refusal of the same
    require_nonce: bool
    require_pushed: bool
    require_signed: bool
    interaction_profile: bool  # reading 27
    interaction: timedelta  # the life of the address of a step, for those who are told
    fapi: bool  # the FAPI 2.0 Security Profile is on
    notice_details: bool  # notices say who asks for what
    long_poll: timedelta  # the longest that a poll is held; none where it is nothing
    retention: Retention


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What slows callers down; all volatile."""

    failures: Backoff  # failed client authentications, by (client, address) and by address
    creations: Buckets  # first requests, by client
    authorizations: Buckets  # authorization requests, by address
    registrations: Buckets  # of clients that register by themselves, by address
    sign_ins: Backoff  # failed sign-ins, by account and by address
    devices: Buckets  # device authorization requests, by public client and address
    guesses: Backoff  # wrong user codes, by account and by address
    session_guesses: Backoff  # the same, by browser session
    guessing: Buckets  # wrong user codes in all, before there is an alarm
    held: Seats  # polls that are held, by client
    notices: Buckets  # that something waits, by reviewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """Where notices go by webhook; `outside` is the way there. `secret` as Standard Webhooks
    writes it.
    """

    url: str
    secret: Secret
    outside: Outside


class Traces(Protocol):
    """Traces of requests, where somebody records them."""

    def current(self) -> str | None:
        """What is being recorded at this moment, as a traceparent (W3C Trace Context)."""
        ...

    def link(self, traceparent: str) -> None: ...


class Documents(Protocol):
    """Clients whose id is the address of a document about them (OAUTH-CIMD-01)."""

    async def find(self, house: "House", client: ClientId) -> Client | None:
        """The client as its document says, brought into the store. Raises `TooManyRequests`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Everything an act may use. `random(n)` returns n bytes of the system's generator."""

    endpoints: Endpoints
    store: Store
    types: DetailsTypes
    scopes: Mapping[str, str]  # to their meaning, as the resources
    resources: Mapping[str, str]
    decider: Decider
    trust: Trust
    steps: Mapping[str, Step]
    operator_steps: Mapping[str, OperatorStep]
    keys: KeyRing
    nonces: Nonces
    clock: Clock
    random: Callable[[int], bytes]
    us: bytes  # by which processes that share a store tell each other apart
    replay: ReplayMemory
    clocks: PollClocks
    limits: Limits
    reported: Once
    waiters: Waiters
    answering: Answering
    outside: Outside
    mailer: Mailer | None  # notices to people go by mail
    hook: Hook | None  # and to a system of the operator's
    digests: Digests
    client_keys: PublishedKeys
    issuer_keys: PublishedKeys
    documents: Documents | None  # where client ID metadata documents are taken
    counters: Counters
    terms: Terms
    algorithms: frozenset[str]  # by which clients may sign what they send
    openid: OpenId | None  # OpenID Connect, where it is switched on
    authorities: tuple[x509.Certificate, ...] = ()  # that may vouch for clients
    aliases: Endpoints | None = None  # where callers are asked for a certificate
    traces: Traces | None = None  # where requests are traced

    def urls(self, url: str, certificate: bytes | None) -> tuple[str, ...]:
        """What a proof may say of where it is shown, if it is shown at this URL of ours: with a
        certificate the alias too (OAUTH-MTLS-05). `Host` is not asked: a proxy may change it.
        """
        if self.aliases is None or certificate is None:
            return (url,)
        return (url, self.aliases.issuer + url.removeprefix(self.endpoints.issuer))


Gone: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Wait:
    """A caller would wait so many `seconds` for a better answer (RFC 7240 §4.3).

    `gone` returns when nobody listens any more. `applied`: for how long it was held at most.
    """

    seconds: int
    gone: Gone
    applied: int | None = None


@dataclass(slots=True)
class ClientRequest:
    """A back-channel request after transport checks: fields as received, form decoded.

    `url` is our public URL of the endpoint (from the settings, never from the
    request); `address` the peer's, for limits only. `sent`: to be called when the answer
    has been handed to the network, or never will be. `certificate`: the DER of the one that
    was shown; empty: what was shown is not to be used.
    """

    url: str
    authorization: tuple[bytes, ...]
    dpop: tuple[bytes, ...]
    form: Form
    address: str
    certificate: bytes | None = None
    wait: Wait | None = None
    sent: Callable[[], None] | None = None

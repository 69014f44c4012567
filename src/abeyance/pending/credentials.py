"""What a person's grant leaves in a client's hands: codes, families, refresh tokens.

All of it lives at the home of the grant, so that one `CloseHome` ends it. Values
rest as digests (OAUTH-SEC-02); what is spent is remembered until its home is gone,
so that late reuse is seen (OAUTH-CODE-07, OAUTH-RT-05).
"""

from dataclasses import dataclass
from datetime import datetime

from abeyance.access.access import Access
from abeyance.parties.client import ClientId
from abeyance.parties.consent import ConsentId
from abeyance.parties.person import PersonId
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.identity import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class UserGrant:
    """What a person lets a client do, once: the root of everything at its home.

    `session` is the digest of the browser session that granted it, `auth_time`
    when its person had authenticated, `consent` what they agreed to: each where there
    was one, since another issuer or another token may stand for the person. `live_until`
    is the end of whatever lives longest at this home; `ended_at` is set when the grant
    lost its ground.
    """

    client: ClientId
    person: PersonId
    session: bytes | None
    consent: ConsentId | None
    auth_time: datetime | None
    opened_at: datetime
    live_until: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """An authorization code and all that it is bound to (OAUTH-CODE-01).

    `hinted`: the authorization request said that deferral is welcome, so the
    token request must say so too (DTR-HINT-03). `challenge`: none where PKCE is optional;
    then it is never deferred (OAUTH-PKCE-01). `identity`: what an ID token will say.
    """

    handle: HandleHash
    redirect_uri: str
    challenge: str | None
    granted: Access
    dpop_jkt: str | None
    hinted: bool
    issued_at: datetime
    expires_at: datetime
    spent_at: datetime | None = None
    identity: Identity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One line of refresh tokens (OAUTH-RT-01). `head` is the digest of the live one.

    `jkt`: bound to this key (public clients, OAUTH-RT-03). `until` never moves
    and ends no later than the approval that the family comes from
    (OAUTH-RT-10, -13); `approved` tells that there was one.
    """

    generation: int
    head: bytes
    granted: Access
    jkt: str | None
    approved: bool
    opened_at: datetime
    idle_until: datetime
    until: datetime
    ended_at: datetime | None = None

    def is_alive(self, now: datetime) -> bool:
        return self.ended_at is None and now < min(self.idle_until, self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """One generation of a family. `successor` is the next token, sealed under a key
    that only the holder of this one can derive, while its grace lasts (OAUTH-RT-07).
    """

    digest: bytes
    generation: int
    issued_at: datetime
    spent_at: datetime | None = None
    successor: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """Another issuer's word for a person, as it was used: the evidence that is kept of it
    (EXT-IDJAG-03). `digest` is the SHA-256 of the whole of it; `jkt` the key that was proven.
    """

    issuer: str
    subject: str
    jti: str
    digest: bytes
    client: ClientId
    jkt: str | None
    used_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class FoundCode:
    """A code with the grant that it comes from."""

    home: Home
    code: Code
    grant: UserGrant


@dataclass(frozen=True, slots=True)
class FoundRefresh:
    """A refresh token with its family and grant; `next_n` is free for a request at this home."""

    home: Home
    token: RefreshToken
    family: Family
    grant: UserGrant
    next_n: int


@dataclass(frozen=True, slots=True)
class FoundAssertion:
    """An assertion that was used, with the grant that it opened; `next_n` as above."""

    home: Home
    assertion: Assertion
    grant: UserGrant
    next_n: int

"""What an originating grant is: a name, its credential, and what that stands for.

Everything else (authentication, proof, scope, resources, details, policy,
minting, deferral) is the shared path's, so a new grant is one module and one
line in `grants/__init__.py`. A credential is a handle of ours, which is looked up,
or tokens, which are recognised, before `claim` judges.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from abeyance.access.access import Access
from abeyance.access.details import DetailsTypes
from abeyance.oauth.asking import Bounds
from abeyance.parties.client import Client
from abeyance.parties.consent import Consent, ConsentId
from abeyance.parties.person import Person, PersonId
from abeyance.parties.trust import Trust, TrustedIssuer
from abeyance.pending.change import OpenGrant, Row, Step
from abeyance.pending.credentials import (
    Family,
    FoundAssertion,
    FoundCode,
    FoundRefresh,
    UserGrant,
)
from abeyance.pending.device import FoundDevice
from abeyance.pending.exchanged import Exchanged, Source
from abeyance.pending.handles import HandleKind, Home
from abeyance.pending.identity import Identity
from abeyance.pending.request import Snapshot, Success
from abeyance.proofs.dpop import ProvenKey
from abeyance.wire.errors import InvalidGrant, OAuthError
from abeyance.wire.form import Form
from abeyance.wire.secret import Secret
from abeyance.wire.strict_json import JsonObject

Found: TypeAlias = FoundCode | FoundRefresh | FoundDevice


class Role(StrEnum):
    """What a token is shown as."""

    SUBJECT = "subject"
    ACTOR = "actor"
    ASSERTION = "assertion"


@dataclass(frozen=True, slots=True)
class Shown:
    """A token in a request, and what type the request says it is (RFC 8693 §3)."""

    role: Role
    type: str
    token: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """A token that holds: whose it is and what it allows here.

    `subject` is whom a token of ours would be about, `person` the same as a record (`None`:
    a client). `access`: what it grants, if it grants anything. `source`: it is of ours
    and may be revoked. `until`: the end of what it rests on, which may come after its
    own. `issuer`: another's, who is trusted. `home`, `used`, `consent` belong to
    assertions: their home, their earlier use there, what the person agreed to before.
    """

    role: Role
    type: str
    claims: JsonObject
    subject: str
    person: Person | None
    expires_at: datetime
    access: Access | None = None
    client: str | None = None
    source: Source | None = None
    until: datetime | None = None
    auth_time: datetime | None = None
    jkt: str | None = None
    issuer: TrustedIssuer | None = None
    id_jag: bool = False
    home: Home | None = None
    digest: bytes = b""
    used: FoundAssertion | None = None
    consent: Consent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """A request with what was looked up for it. `grace`: how long a spent refresh token is
    answered with its successor. `tokens`: those of `Grant.shows` that hold.
    """

    client: Client
    form: Form
    key: ProvenKey | None
    found: Found | None
    now: datetime
    grace: timedelta
    tokens: tuple[Recognised, ...] = ()
    trust: Trust = field(default_factory=Trust)
    types: DetailsTypes = field(default_factory=lambda: DetailsTypes(()))

    def token(self, role: Role) -> Recognised | None:
        return next((each for each in self.tokens if each.role is role), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """The person behind a request, and what their part in it rests on, each where they had one."""

    person: PersonId
    session: bytes | None
    consent: ConsentId | None
    auth_time: datetime | None

    @classmethod
    def of(cls, grant: UserGrant) -> "Behind":
        return cls(
            person=grant.person,
            session=grant.session,
            consent=grant.consent,
            auth_time=grant.auth_time,
        )

    @classmethod
    def of_snapshot(cls, snapshot: Snapshot) -> "Behind | None":
        """Whoever stands behind a pending request, if anybody does."""
        if snapshot.person is None:
            return None
        return cls(
            person=snapshot.person,
            session=snapshot.session,
            consent=snapshot.consent,
            auth_time=snapshot.auth_time,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshing:
    """A family that is being refreshed with `presented`; `again`: its successor, since the
    answer with it may have been lost (OAUTH-RT-07).
    """

    family: Family
    presented: Secret
    again: Secret | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What the grant's own credential stands for.

    `subject` is whom the token will be about; `behind` the person, if there is
    one. `home` and `n` are where a request of it lives (`None`: a new home).
    `spends` are the steps that a token at once takes, `holds` those of a
    deferral (OAUTH-DEFER-02), `rows` what is recorded with either. `ceiling`: no more
    than this may be asked; `bounds`: the same, where a credential does not say all.
    `joins`: while one request of this home waits, the same again is that one. `until`: the
    end of a token at once. `must_agree`: the person must have agreed here, and
    `agreed` is to what they have. `retold`: a lost deferral is told again (DEV-DTR-06).
    `asserted_by`, `actor`, `exchanged`, `identity`: as in `Snapshot`. `at_once`: what it
    stands for may not wait.
    """

    subject: str
    behind: Behind | None = None
    home: Home | None = None
    n: int = 1
    spends: tuple[Step, ...] = ()
    holds: tuple[Step, ...] = ()
    rows: tuple[Row, ...] = ()
    ceiling: Access | None = None
    bounds: Bounds | None = None
    hinted: bool = False
    success: Success = Success.ACCESS_TOKEN
    refreshing: Refreshing | None = None
    joins: bool = False
    until: datetime | None = None
    must_agree: bool = False
    agreed: Consent | None = None
    retold: bool = False
    asserted_by: str | None = None
    actor: JsonObject | None = None
    exchanged: Exchanged | None = None
    identity: Identity | None = None
    at_once: bool = False

    @property
    def source(self) -> Source | None:
        """The token of ours that all of it is derived from."""
        return None if self.exchanged is None else self.exchanged.source

    @property
    def begins(self) -> bool:
        """Does something begin here that no step of an older home guards?"""
        return self.source is not None or any(isinstance(each, OpenGrant) for each in self.spends)

    def lacks_consent(self, asked: Access) -> bool:
        """Must the person be asked first?"""
        return self.must_agree and (self.agreed is None or not self.agreed.covers(asked))


@dataclass(frozen=True, slots=True)
class Reused:
    """A credential that was spent, shown again by its rightful holder: all that came of it
    must end (OAUTH-CODE-05, OAUTH-RT-05).

    But not where `claimed`, what it stood for, is a request that its client has named and
    sends again (EXT-IDEMP-05). `ends` is false where it is only refused.
    """

    home: Home
    claimed: Claimed | None = None
    ends: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """`claim` raises an `OAuthError` for a credential that does not hold.

    `handle` and `parameter`: the credential that must be looked up first; `shows`: the
    tokens in a request that must be recognised first (raises an `OAuthError` for a
    request that lacks one). `refuses`: the error for a credential that does not hold.
    `waits`: a person has agreed already and the client polls in the grant's own way, so that a
    no is `access_denied`, and "not yet" can be said without a deferral.
    """

    name: str
    claim: Callable[[Presented], Claimed | Reused]
    handle: HandleKind | None = None
    parameter: str | None = None
    shows: Callable[[Form], tuple[Shown, ...]] | None = None
    refuses: type[OAuthError] = InvalidGrant
    waits: bool = False

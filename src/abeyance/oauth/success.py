"""The success of a grant: an access token, and a refresh token where one belongs to it.

The same for a token at once and for one that is collected later. Minted in
memory; `steps` and `rows` must be applied before the answer leaves (OAUTH-TOK-02).

Source: OAUTH-TOK-06, OAUTH-RT-03, -04, -07, -13; OAUTH-RES-06; EXT-BOUND-01 to -03; reading 7.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from abeyance.access.access import Access
from abeyance.access.details import DetailsTypes
from abeyance.oauth.minting import Minted, mint_access_token, mint_id_jag, mint_id_token
from abeyance.parties.client import Client
from abeyance.pending.change import LiveUntil, NewFamily, Row, Step, TurnFamily
from abeyance.pending.credentials import Family, RefreshToken
from abeyance.pending.exchanged import Exchanged, Target
from abeyance.pending.handles import HandleKind, Home, mint_handle
from abeyance.pending.identity import Identity
from abeyance.pending.request import Success
from abeyance.proofs.dpop import ProvenKey
from abeyance.proofs.jwk import KeyPair
from abeyance.proofs.sealing import NONCE_BYTES, key_of, seal
from abeyance.wire import names
from abeyance.wire.secret import Secret
from abeyance.wire.strict_json import JsonObject

CHANCE_BYTES: Final = 16 + 32 + NONCE_BYTES
SUCCESSOR: Final = "successor of a refresh token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lives:
    """How long things live: an access token; a family unused, and at all (OAUTH-RT-10); an
    ID-JAG.
    """

    access_token: timedelta
    refresh_idle: timedelta
    refresh: timedelta
    id_jag: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuing:
    """What is to be issued, to whom, at which home. `until` bounds all of it: an approval's end.

    The token is for one resource, a new family for `resources` (OAUTH-RES-06).
    `chance` is `CHANCE_BYTES` random bytes. `actor` and `exchanged` as in `Snapshot`.
    `identity`: an ID token goes with the access token, signed by `identity_key`.
    """

    client: Client
    subject: str
    access: Access
    resources: frozenset[str]
    key: ProvenKey | None
    home: Home
    n: int
    until: datetime | None
    auth_time: datetime | None
    of_person: bool
    issuer: str
    signing: KeyPair
    lives: Lives
    chance: bytes
    now: datetime
    actor: JsonObject | None = None
    exchanged: Exchanged | None = None
    identity: Identity | None = None
    identity_key: KeyPair | None = None


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The token response, and what must be stored before it is sent."""

    answer: JsonObject
    steps: tuple[Step, ...]
    rows: tuple[Row, ...]

    @property
    def generation(self) -> int | None:
        """At which this leaves the family; `None`: there is none."""
        for step in self.steps:
            if isinstance(step, TurnFamily):
                return step.generation + (step.head is not None)
        for row in self.rows:
            if isinstance(row, NewFamily):
                return row.family.generation
        return None


def succeed(
    success: Success,
    issuing: Issuing,
    types: DetailsTypes,
    *,
    family: Family | None = None,
    presented: Secret | None = None,
    again: Secret | None = None,
    anew: bool = False,
) -> Succeeded:
    """Mint what this success consists of.

    `family`: the one that is refreshed; `presented`: the refresh token in the
    request, none at a poll; `again`: its successor, which is then given again. `anew`: the
    family gets another head in any case, since nobody may have received the present one.
    """
    match success:
        case Success.ID_JAG if issuing.exchanged is not None and issuing.exchanged.target:
            return _id_jag(issuing, issuing.exchanged.target)
        case Success.FAMILY_HEAD if family is not None:
            return _refresh(issuing, family, presented, again, anew=anew)
        case Success.NEW_FAMILY if _is_refreshable(issuing, types):
            return _found_family(issuing)
        case _:
            return _token_alone(issuing)


def _is_refreshable(issuing: Issuing, types: DetailsTypes) -> bool:
    """One act yields one token; an approval that ends with it needs no other (EXT-BOUND-03)."""
    standing = types.is_standing(issuing.access.details)
    until = issuing.until
    return standing and (until is None or until > issuing.now + issuing.lives.access_token)


def _token_alone(issuing: Issuing, until: datetime | None = None) -> Succeeded:
    now = issuing.now
    ends = [end for end in (issuing.until, until) if end is not None]
    minted = mint_access_token(
        client=issuing.client,
        subject=issuing.subject,
        access=issuing.access,
        key=issuing.key,
        home=issuing.home,
        n=issuing.n,
        issuer=issuing.issuer,
        signing=issuing.signing,
        random=issuing.chance[:16],
        now=now,
        life=min((issuing.lives.access_token, *(end - now for end in ends))),
        auth_time=issuing.auth_time,
        until=min(ends, default=None),
        actor=issuing.actor,
    )
    return _issued(issuing, minted)


def _id_jag(issuing: Issuing, target: Target) -> Succeeded:
    now = issuing.now
    life = issuing.lives.id_jag
    minted = mint_id_jag(
        client=issuing.client,
        target=target,
        subject=issuing.subject,
        access=issuing.access,
        key=issuing.key,
        home=issuing.home,
        n=issuing.n,
        issuer=issuing.issuer,
        signing=issuing.signing,
        random=issuing.chance[:16],
        now=now,
        life=life if issuing.until is None else min(life, issuing.until - now),
        auth_time=issuing.auth_time,
        actor=issuing.actor,
    )
    return _issued(issuing, minted)


def _issued(issuing: Issuing, minted: Minted) -> Succeeded:
    """What an exchange has issued is told by its type (RFC 8693 §2.2.1; DTR-OK-01)."""
    answer = minted.answer
    if issuing.exchanged is not None:
        answer = {**answer, names.ISSUED_TOKEN_TYPE: issuing.exchanged.issued_type}
    if issuing.identity is not None and issuing.identity_key is not None:
        told = mint_id_token(
            client=issuing.client,
            subject=issuing.subject,
            identity=issuing.identity,
            auth_time=issuing.auth_time,
            access_token=Secret(str(answer[names.ACCESS_TOKEN])),
            issuer=issuing.issuer,
            signing=issuing.identity_key,
            now=issuing.now,
            life=issuing.lives.access_token,
        )
        answer = {**answer, names.ID_TOKEN: told}
    rows: tuple[Row, ...] = (minted.record,)
    if issuing.of_person:
        rows += (LiveUntil(minted.record.expires_at),)
    return Succeeded(answer, (), rows)


def _found_family(issuing: Issuing) -> Succeeded:
    now, lives = issuing.now, issuing.lives
    until = now + lives.refresh
    if issuing.until is not None:
        until = min(until, issuing.until)
    token, record = _next_token(issuing, generation=1)
    key = issuing.key
    family = Family(
        generation=1,
        head=record.digest,
        granted=replace(issuing.access, resources=issuing.resources),
        # Confidential clients authenticate anyway, and their keys may rotate (OAUTH-RT-03).
        jkt=key.bound if key is not None and issuing.client.is_public else None,
        approved=issuing.until is not None,
        opened_at=now,
        idle_until=min(now + lives.refresh_idle, until),
        until=until,
    )
    alone = _token_alone(issuing, until)
    return Succeeded(
        {**alone.answer, names.REFRESH_TOKEN: token.reveal()},
        (),
        (*alone.rows, NewFamily(family, record), LiveUntil(until)),
    )


def _refresh(
    issuing: Issuing,
    family: Family,
    presented: Secret | None,
    again: Secret | None,
    *,
    anew: bool,
) -> Succeeded:
    now = issuing.now
    idle_until = min(now + issuing.lives.refresh_idle, family.until)
    alone = _token_alone(issuing, family.until)
    turn = TurnFamily(family.generation, now, idle_until)
    if again is not None:
        return Succeeded({**alone.answer, names.REFRESH_TOKEN: again.reveal()}, (turn,), alone.rows)
    if not (anew or issuing.client.rotates(bound=family.jkt is not None)):
        return Succeeded(alone.answer, (turn,), alone.rows)
    token, record = _next_token(issuing, generation=family.generation + 1)
    sealed = None
    if presented is not None:
        nonce = issuing.chance[48:]
        sealed = seal(token, key_of(presented, SUCCESSOR), about=issuing.home, nonce=nonce)
    turn = TurnFamily(family.generation, now, idle_until, head=record, successor=sealed)
    return Succeeded({**alone.answer, names.REFRESH_TOKEN: token.reveal()}, (turn,), alone.rows)


def _next_token(issuing: Issuing, *, generation: int) -> tuple[Secret, RefreshToken]:
    token, handle = mint_handle(HandleKind.REFRESH_TOKEN, issuing.home, issuing.chance[16:48])
    return token, RefreshToken(digest=handle.digest, generation=generation, issued_at=issuing.now)

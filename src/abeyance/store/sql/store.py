"""`SqlStore`: the ports of `abeyance.store.ports` as operations on a database.

What an engine adds: transactions (`_read`, `_change`) and what it remembers between them.
This file decides nothing else.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from abeyance.parties.client import Client, ClientId
from abeyance.parties.consent import Consent
from abeyance.parties.person import ConsoleSession, Invitation, Person, PersonId
from abeyance.parties.registration import InitialToken, Registration
from abeyance.pending.authorization import AuthorizationRequest, PushedRequest
from abeyance.pending.challenge import ChallengeSession
from abeyance.pending.change import Applied, AuditEvent, Change, Superseded, TokenRecord
from abeyance.pending.credentials import (
    FoundAssertion,
    FoundCode,
    FoundRefresh,
    UserGrant,
)
from abeyance.pending.device import FoundDevice
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.message import Claimed, Settled
from abeyance.pending.refusals import Refusals
from abeyance.pending.repetition import Repetition
from abeyance.pending.request import Held, Key, Loaded
from abeyance.pending.reservation import Reservation
from abeyance.pending.standing import StandingApproval
from abeyance.store.ports import (
    Disposed,
    Ground,
    Page,
    Registered,
    Remembered,
    Retention,
    SecurityEvent,
    Wanted,
)
from abeyance.store.sql import (
    calls,
    challenges,
    changes,
    devices,
    disposal,
    erasure,
    grants,
    history,
    inbox,
    outbox,
    parties,
    pushed,
    registrations,
    repetitions,
    requests,
    reservations,
    reviewing,
)
from abeyance.store.sql.changes import Written
from abeyance.store.sql.db import Db
from abeyance.store.sql.whole import SqlWhole
from abeyance.wire.strict_json import JsonObject

T = TypeVar("T")


class SqlStore(SqlWhole):
    """Every port but the life of the store."""

    # --- requests

    async def find_held(self, handle: HandleHash) -> Held | None:
        return await self._read(partial(requests.find_held, handle=handle))

    async def find_loaded(self, key: Key) -> Loaded | None:
        return await self._read(partial(requests.find_loaded, key=key))

    async def list_loaded(self, home: Home) -> Sequence[Loaded]:
        return await self._read(partial(requests.list_loaded, home=home))

    async def find_token(self, home: Home, jti: bytes) -> TokenRecord | None:
        return await self._read(partial(requests.find_token, home=home, jti=jti))

    async def find_code(self, handle: HandleHash) -> FoundCode | None:
        return await self._read(partial(grants.find_code, handle=handle))

    async def find_device(self, home: Home) -> FoundDevice | None:
        return await self._read(partial(devices.find_device, home=home))

    async def find_refresh(self, handle: HandleHash) -> FoundRefresh | None:
        return await self._read(partial(grants.find_refresh, handle=handle))

    async def find_grant(self, home: Home) -> UserGrant | None:
        return await self._read(partial(grants.find_grant, home=home))

    async def find_assertion(self, home: Home) -> FoundAssertion | None:
        return await self._read(partial(grants.find_assertion, home=home))

    async def list_derived(
        self, home: Home, jti: bytes | None, *, after: Home | None, limit: int
    ) -> Sequence[Home]:
        return await self._read(
            partial(grants.list_derived, home=home, jti=jti, after=after, limit=limit)
        )

    async def find_holding(self, home: Home, *, now: datetime) -> Loaded | None:
        return await self._read(partial(requests.find_holding, home=home, now=now))

    async def find_sealed(self, key: Key) -> bytes | None:
        return await self._read(partial(requests.find_sealed, key=key))

    async def find_repetition(self, home: Home, key: bytes) -> Repetition | None:
        return await self._read(partial(repetitions.find_repetition, home=home, key=key))

    async def find_events(self, key: Key) -> Sequence[AuditEvent]:
        return await self._read(partial(requests.list_events, key=key))

    async def apply(self, change: Change) -> Applied | Superseded:
        return await self._change(partial(changes.apply, change=change))

    # --- lists and sweeps

    async def list_waiting(
        self, reviewer: PersonId, *, now: datetime, limit: int, cursor: str | None = None
    ) -> Page:
        return await self._read(
            partial(inbox.list_waiting, reviewer=reviewer, now=now, limit=limit, cursor=cursor)
        )

    async def count_waiting(self, reviewer: PersonId, *, now: datetime, at_most: int) -> int:
        return await self._read(
            partial(inbox.count_waiting, reviewer=reviewer, now=now, at_most=at_most)
        )

    async def list_requests(
        self, wanted: Wanted, *, now: datetime, limit: int, cursor: str | None = None
    ) -> Page:
        return await self._read(
            partial(history.list_requests, wanted=wanted, now=now, limit=limit, cursor=cursor)
        )

    async def count_requests(self, wanted: Wanted, *, now: datetime, at_most: int) -> int:
        return await self._read(
            partial(history.count_requests, wanted=wanted, now=now, at_most=at_most)
        )

    async def find_open_homes(self, of: Ground, *, now: datetime, limit: int) -> Sequence[Home]:
        return await self._read(partial(grants.list_open_homes, of=of, now=now, limit=limit))

    # --- parties

    async def find_client(self, client: ClientId) -> Client | None:
        return await self._read(partial(parties.find_client, client=client))

    async def list_clients(self) -> Sequence[Client]:
        return await self._read(parties.list_clients)

    async def put_client(self, client: Client) -> None:
        async def put(db: Db) -> Written[None]:
            await parties.put_client(db, client)
            return Written(None, client=client, replaced=True)

        await self._change(put)

    async def replace_client(self, before: Client | None, after: Client) -> bool:
        async def replace(db: Db) -> Written[bool]:
            replaced = await parties.replace_client(db, before, after)
            return _replaced(replaced, before, after)

        return await self._change(replace)

    async def find_person(self, person: PersonId) -> Person | None:
        return await self._read(partial(parties.find_person, person=person))

    async def list_people(self) -> Sequence[Person]:
        return await self._read(parties.list_people)

    async def put_person(self, person: Person) -> None:
        await self._write(partial(parties.put_person, person=person))

    async def replace_person(self, before: Person | None, after: Person) -> bool:
        return await self._write(partial(parties.replace_person, before=before, after=after))

    async def put_session(self, session: ConsoleSession) -> None:
        await self._write(partial(parties.put_session, session=session))

    async def find_session(self, digest: bytes) -> ConsoleSession | None:
        return await self._read(partial(parties.find_session, digest=digest))

    async def list_sessions(self, person: PersonId) -> Sequence[ConsoleSession]:
        return await self._read(partial(parties.list_sessions, person=person))

    async def end_session(self, digest: bytes, *, forced: bool = False) -> None:
        await self._write(partial(parties.end_session, digest=digest, forced=forced))

    async def end_sessions_of(
        self, person: PersonId, *, but: bytes | None = None
    ) -> Sequence[bytes]:
        return await self._write(partial(parties.end_sessions_of, person=person, but=but))

    async def is_ended_by_force(self, digest: bytes) -> bool:
        return await self._read(partial(parties.is_ended_by_force, digest=digest))

    async def find_consent(self, person: PersonId, client: ClientId) -> Consent | None:
        return await self._read(partial(parties.find_consent, person=person, client=client))

    async def put_consent(self, consent: Consent, *, new: bool) -> bool:
        return await self._write(partial(parties.put_consent, consent=consent, new=new))

    async def drop_consent(self, person: PersonId, client: ClientId) -> bool:
        return await self._write(partial(parties.drop_consent, person=person, client=client))

    async def list_consents(
        self, *, person: PersonId | None = None, client: ClientId | None = None
    ) -> Sequence[Consent]:
        return await self._read(partial(parties.list_consents, person=person, client=client))

    # --- clients that register by themselves

    async def register(
        self,
        client: Client,
        registration: Registration,
        *,
        initial: bytes | None,
        most: int,
        now: datetime,
    ) -> Registered:
        async def write(db: Db) -> Written[Registered]:
            became = await registrations.register(db, client, registration, initial, most, now)
            return Written(became, client=client if became is Registered.DONE else None)

        return await self._change(write)

    async def find_registration(self, client: ClientId) -> Registration | None:
        return await self._read(partial(registrations.find_registration, client=client))

    async def replace_registration(
        self, before: Client, after: Client, metadata: JsonObject
    ) -> bool:
        async def write(db: Db) -> Written[bool]:
            replaced = await registrations.replace_registration(db, before, after, metadata)
            return _replaced(replaced, before, after)

        return await self._change(write)

    async def drop_registration(self, client: ClientId) -> bool:
        return await self._write(partial(registrations.drop_registration, client=client))

    async def put_initial_token(self, token: InitialToken) -> None:
        await self._write(partial(registrations.put_initial_token, token=token))

    async def list_initial_tokens(self, *, now: datetime) -> Sequence[InitialToken]:
        return await self._read(partial(registrations.list_initial_tokens, now=now))

    async def drop_initial_token(self, digest: bytes) -> bool:
        return await self._write(partial(registrations.drop_initial_token, digest=digest))

    # --- what is kept for a while

    async def put_authorization(self, request: AuthorizationRequest) -> None:
        await self._write(partial(calls.put_authorization, request=request))

    async def find_authorization(self, digest: bytes) -> AuthorizationRequest | None:
        return await self._read(partial(calls.find_authorization, digest=digest))

    async def turn_challenge(
        self, before: bytes | None, after: ChallengeSession | None, *, now: datetime
    ) -> bool:
        return await self._write(
            partial(challenges.turn_challenge, before=before, after=after, now=now)
        )

    async def find_challenge(self, digest: bytes) -> ChallengeSession | None:
        return await self._read(partial(challenges.find_challenge, digest=digest))

    async def put_pushed(self, request: PushedRequest) -> None:
        await self._write(partial(pushed.put_pushed, request=request))

    async def find_pushed(self, digest: bytes) -> PushedRequest | None:
        return await self._read(partial(pushed.find_pushed, digest=digest))

    async def begin_call(
        self, key: bytes, fingerprint: bytes, *, now: datetime, until: datetime
    ) -> Remembered | None:
        return await self._write(
            partial(calls.begin_call, key=key, fingerprint=fingerprint, now=now, until=until)
        )

    async def end_call(self, key: bytes, answer: bytes | None) -> None:
        await self._write(partial(calls.end_call, key=key, answer=answer))

    async def reserve(self, wanted: Reservation, *, now: datetime) -> Reservation:
        return await self._write(partial(reservations.reserve, wanted=wanted, now=now))

    async def find_reservation(self, key: bytes, *, now: datetime) -> Reservation | None:
        return await self._read(partial(reservations.find_reservation, key=key, now=now))

    # --- messages

    async def claim_messages(
        self, *, now: datetime, lease: datetime, limit: int
    ) -> Sequence[Claimed]:
        return await self._write(partial(outbox.claim, now=now, lease=lease, limit=limit))

    async def is_claimed(self, claimed: Claimed) -> bool:
        return await self._read(partial(outbox.is_claimed, claimed=claimed))

    async def settle_message(self, claimed: Claimed, settled: Settled) -> None:
        await self._write(partial(outbox.settle, claimed=claimed, settled=settled))

    async def next_message(self) -> datetime | None:
        return await self._read(outbox.next_at)

    # --- what protects reviewers

    async def note_refusal(self, essence: bytes, *, at: datetime) -> None:
        await self._write(partial(reviewing.note_refusal, essence=essence, at=at))

    async def find_refusals(self, essence: bytes, *, now: datetime) -> Refusals | None:
        return await self._read(partial(reviewing.find_refusals, essence=essence, now=now))

    async def forget_refusals(self, essence: bytes) -> None:
        await self._write(partial(reviewing.forget_refusals, essence=essence))

    async def find_standing(
        self, client: ClientId, subject: str, *, now: datetime
    ) -> Sequence[StandingApproval]:
        return await self._read(
            partial(reviewing.find_standing, client=client, subject=subject, now=now)
        )

    async def find_standing_at(self, key: Key) -> StandingApproval | None:
        return await self._read(partial(reviewing.find_standing_at, key=key))

    async def list_standing(
        self, *, approver: PersonId | None, now: datetime, limit: int
    ) -> Sequence[StandingApproval]:
        return await self._read(
            partial(reviewing.list_standing, approver=approver, now=now, limit=limit)
        )

    # --- invitations and the security log

    async def put_invitation(self, invitation: Invitation) -> None:
        await self._write(partial(parties.put_invitation, invitation=invitation))

    async def find_invitation(self, digest: bytes) -> Invitation | None:
        return await self._read(partial(parties.find_invitation, digest=digest))

    async def accept_invitation(self, digest: bytes, person: Person, now: datetime) -> bool:
        return await self._write(
            partial(parties.accept_invitation, digest=digest, person=person, now=now)
        )

    async def record(self, event: SecurityEvent) -> None:
        await self._write(partial(parties.record, event=event))

    async def record_news(self, event: SecurityEvent) -> bool:
        return await self._write(partial(parties.record_news, event=event))

    async def list_security_events(self, limit: int) -> Sequence[SecurityEvent]:
        return await self._read(partial(parties.list_security_events, limit=limit))

    # --- disposal

    async def dispose(
        self, kept: Retention, *, now: datetime, limit: int, after: str | None = None
    ) -> Disposed:
        async def dispose(db: Db) -> Written[Disposed]:
            disposed, forgotten = await disposal.dispose(db, kept, now, limit, after)
            return Written(disposed, forgotten=forgotten)

        return await self._change(dispose)

    async def erase_person(
        self, person: PersonId, becomes: Person, *, limit: int, after: str | None = None
    ) -> Disposed:
        async def erase(db: Db) -> Written[Disposed]:
            disposed, forgotten = await erasure.erase(db, person, becomes, limit, after)
            return Written(disposed, forgotten=forgotten)

        return await self._change(erase)


def _replaced(done: bool, before: Client | None, after: Client) -> Written[bool]:
    if not done:
        return Written(False)
    return Written(True, client=after, replaced=before is not None)

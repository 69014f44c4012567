"""Erasing walks every table: one that is new must say whether it names people."""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import apsw
import pytest

from abeyance.parties.person import Invitation, Person, PersonId
from abeyance.pending.change import (
    Applied,
    AuditEvent,
    CastVote,
    Change,
    ClaimDevice,
    ContestDevice,
    RecordInteraction,
    UseAssertion,
)
from abeyance.pending.message import Message, MessageKind
from abeyance.pending.request import Key
from abeyance.pending.votes import ReviewPlan
from abeyance.store.ports import SecurityEvent, Store
from abeyance.store.suite.derived import an_assertion
from abeyance.store.suite.devices import a_claim, open_device
from abeyance.store.suite.erasure import erase
from abeyance.store.suite.granted import a_grant, an_interaction, open_family
from abeyance.store.suite.ground import (
    BEN,
    HOUR,
    NOW,
    a_ballot,
    a_home,
    a_request,
    a_snapshot,
    a_token,
)
from abeyance.store.suite.kept import a_challenge, a_consent, a_pushed, a_session, an_authorization
from abeyance.store.suite.reviewing import a_memory
from abeyance.wire.strict_json import JsonObject
from tests.covers import covers
from tests.store.places import place_at

WHO: Final = PersonId("zacharias")
# Names of clients, digests and numbers only, or the store's own.
NAMES_NOBODY: Final = {
    "schema_version", "mark", "lease", "pulse", "request", "client", "code", "family",
    "refresh_token",
    "sealed", "call", "reservation", "repetition", "registration", "initial_token", "refusal",
    "derived", "disposal", "erasure", "assertion",
}  # fmt: skip


async def live_a_full_life(store: Store) -> None:
    await store.put_person(Person(id=WHO, name="Zacharias", roles=frozenset(), email="z@x.example"))
    await store.put_session(a_session(WHO))
    await store.put_invitation(Invitation(os.urandom(32), WHO, NOW))
    assert await store.put_consent(a_consent(WHO), new=True)
    await store.record(SecurityEvent(NOW, "signed_in", f"person:{WHO}", "page, password"))
    await store.record(SecurityEvent(NOW, "person_invited", "operator", WHO))
    await ask_and_answer(store)
    await decide_for_others(store)
    await use_devices(store)
    await begin_and_leave(store)


async def ask_and_answer(store: Store) -> None:
    home, _ = await open_family(store, a_grant(WHO))
    asked = replace(a_snapshot(), person=WHO, person_name="Zacharias", subject=WHO)
    await _write(store, home, WHO, asked, UseAssertion(an_assertion()))
    await apply(store, Change(a_home(), (), (replace(a_token(a_home()), subject=WHO),)))
    await a_memory(store, subject=WHO)


async def decide_for_others(store: Store) -> None:
    plan = ReviewPlan(frozenset({WHO, BEN}), approvals=2)
    await _write(store, a_home(), WHO, replace(a_snapshot(), plan=plan), CastVote(1, a_ballot(WHO)))
    of_theirs = replace(a_snapshot(), client_owner=WHO)
    await _write(store, a_home(), WHO, of_theirs)
    acts: JsonObject = {"sub": "agent", "act": {"sub": WHO}}
    await _write(store, a_home(), BEN, replace(a_snapshot(), person=BEN, actor=acts))
    step = replace(an_interaction(), person=WHO, person_name="Zacharias", answers=())
    await _write(store, a_home(), BEN, a_snapshot(), RecordInteraction(1, step))
    await a_memory(store, approver=WHO)
    await a_memory(store, actor=acts)


async def use_devices(store: Store) -> None:
    first, second = await open_device(store), await open_device(store)
    await apply(store, Change(first.home, (ClaimDevice(a_claim(WHO), NOW),)))
    await apply(store, Change(second.home, (ClaimDevice(a_claim(BEN), NOW),)))
    await apply(store, Change(second.home, (ContestDevice(WHO, NOW),)))


async def begin_and_leave(store: Store) -> None:
    expected = an_authorization(state="s")
    await store.put_authorization(
        replace(expected, demand=replace(expected.demand, person=WHO, login_hint="z"))
    )
    await store.put_authorization(
        replace(an_authorization(state="t"), demand=replace(expected.demand, login_hint=WHO))
    )
    await store.put_pushed(a_pushed(("scope", "a"), ("login_hint", WHO)))
    assert await store.turn_challenge(None, a_challenge(WHO), now=NOW)


async def _write(store: Store, home: Any, told: PersonId, snapshot: Any, *steps: Any) -> None:
    """A request, what is to be told of it, and an event of it."""
    request = a_request(home=home, snapshot=snapshot)
    mail = Message(
        n=1, seq=1, kind=MessageKind.MAIL, to=f"waits {told}", sealed=None, due_at=NOW,
        on_end=False, until=NOW + HOUR,
    )  # fmt: skip
    detail: JsonObject = {"subject": str(told), "act": {"sub": str(told)}}
    event = AuditEvent(n=1, at=NOW, event="opened", actor=f"person:{told}", detail=detail)
    await apply(store, Change(Key(home, 1).home, (request, *steps), (mail, event)))


async def apply(store: Store, change: Change) -> None:
    assert isinstance(await store.apply(change), Applied)


def naming_tables(path: Path) -> Iterator[tuple[str, bool]]:
    """Each table, and whether something in it names them."""
    with closing(apsw.Connection(str(path))) as db:
        found = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        for (table,) in found:
            rows = db.execute(f'SELECT * FROM "{table}"').fetchall()
            yield str(table), any(WHO in str(value).lower() for row in rows for value in row)


@covers("SEC-STORE-16", "OAUTH-LOG-07")
@pytest.mark.parametrize("limit", [1, 500])
async def test_after_a_full_life_no_table_names_who_was_erased(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "abeyance.db"
    async with place_at(path)() as store:
        await live_a_full_life(store)
    before = dict(naming_tables(path))
    assert {table for table, named in before.items() if not named} == NAMES_NOBODY, (
        "act in `live_a_full_life` what writes a person there, or say here that nothing does"
    )
    async with place_at(path)() as store:
        await erase(store, WHO, limit=limit)
    assert [table for table, named in naming_tables(path) if named] == []

"""The memory: what a poll costs, and that nothing stale stays in it."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from abeyance.parties.client import Client
from abeyance.pending.change import Applied
from abeyance.pending.handles import HandleHash
from abeyance.pending.request import Held
from abeyance.pending.states import Cancelled, Event, Pending
from abeyance.store.sql import requests
from abeyance.store.sql.db import Db
from abeyance.store.sqlite import SqliteStore
from abeyance.store.sqlite.hot import Memory
from abeyance.store.suite.ground import (
    SHOP,
    TO,
    a_request,
    advance,
    change,
    open_request,
    state_of,
)
from tests.covers import covers
from tests.store.places import place_at


def trace(store: SqliteStore) -> list[str]:
    """Every statement from now on, of either connection."""
    statements: list[str] = []

    def note(_: Any, statement: str, __: Any) -> bool:
        statements.append(statement)
        return True

    crews: tuple[Any, Any] = (store._reader._lane._crew, store._writer._lane._crew)
    for crew in crews:
        crew._db.set_exec_trace(note)
    return statements


async def test_a_poll_of_a_remembered_request_executes_no_statement(tmp_path: Path) -> None:
    client = Client(id=SHOP, name="The shop", auth_method="client_secret_basic")
    async with place_at(tmp_path / "abeyance.db")() as store:
        await store.put_client(client)
        held = await open_request(store)
        statements = trace(store)
        for _ in range(100):
            assert await store.find_held(held.handle) == held
            assert await store.find_client(SHOP) == client
        assert statements == []


async def test_a_remembered_request_is_found_without_leaving_the_loop(tmp_path: Path) -> None:
    async with place_at(tmp_path / "abeyance.db")() as store:
        held = await open_request(store)
        with pytest.raises(StopIteration) as returned:
            store.find_held(held.handle).send(None)
        assert returned.value.value == held


async def test_a_poll_never_writes_and_reads_once_if_the_request_was_not_at_hand(
    tmp_path: Path,
) -> None:
    place = place_at(tmp_path / "abeyance.db")
    async with place() as store:
        held = await open_request(store)
    async with place() as store:
        statements = trace(store)
        for _ in range(10):
            assert await store.find_held(held.handle) == held
        assert [each.split()[0] for each in statements] == ["BEGIN", "SELECT", "ROLLBACK"]


async def test_reads_that_wait_share_one_transaction(tmp_path: Path) -> None:
    place = place_at(tmp_path / "abeyance.db")
    async with place() as store:
        held = [await open_request(store) for _ in range(30)]
    async with place() as store:
        statements = trace(store)
        found = await asyncio.gather(*(store.find_held(each.handle) for each in held))
        assert found == held
        assert statements.count("BEGIN") < 30


async def test_a_full_memory_forgets_what_was_not_asked_for_longest(tmp_path: Path) -> None:
    async with place_at(tmp_path / "abeyance.db", memory=3)() as store:
        held = [await open_request(store) for _ in range(3)]
        await store.find_held(held[0].handle)
        held.append(await open_request(store))
        assert len(store._held) == 3
        statements = trace(store)
        for kept in (held[0], held[2], held[3]):
            assert await store.find_held(kept.handle) == kept
        assert statements == []
        assert await store.find_held(held[1].handle) == held[1]
        assert statements != []
        assert len(store._held) == 3


@contextmanager
def slow_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Reads of requests tell when they have read, and answer when they are let go."""
    has_read, may_answer = threading.Event(), threading.Event()
    find_held = requests.find_held

    async def find_slowly(db: Db, handle: HandleHash) -> Held | None:
        held = await find_held(db, handle)
        has_read.set()
        assert may_answer.wait(10)
        return held

    with monkeypatch.context() as patch:
        patch.setattr(requests, "find_held", find_slowly)
        try:
            yield has_read, may_answer
        finally:
            may_answer.set()


@covers("DTR-CANC-05", "SEC-RACE-05")
async def test_a_slow_read_never_brings_back_what_a_commit_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_at(tmp_path / "abeyance.db")
    async with place() as store:
        held = await open_request(store)
    async with place() as store:
        with slow_reads(monkeypatch) as (has_read, may_answer):
            slow = asyncio.create_task(store.find_held(held.handle))
            await asyncio.to_thread(has_read.wait, 10)
            answer = await store.apply(change(held.key, advance(Event.CANCEL)))
            assert isinstance(answer, Applied)
            may_answer.set()
            old = await slow
            assert old is not None
            assert old.state == Pending()  # it had asked before the change
            assert await state_of(store, held) == Cancelled()


@covers("SEC-RACE-05")
async def test_whoever_asks_after_the_answer_does_not_share_a_read_from_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_at(tmp_path / "abeyance.db")
    async with place() as store:
        held = await open_request(store)
    async with place() as store:
        with slow_reads(monkeypatch) as (has_read, may_answer):
            slow = asyncio.create_task(store.find_held(held.handle))
            await asyncio.to_thread(has_read.wait, 10)
            await store.apply(change(held.key, advance(Event.CANCEL)))
            late = asyncio.create_task(state_of(store, held))
            await asyncio.sleep(0)
            may_answer.set()
            assert await late == Cancelled()
            await slow


async def test_the_first_of_these_races_is_lost_by_a_memory_without_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def load_and_remember(self: Any, key: Any, read: Any) -> Any:
        value = await read
        if value is not None:
            self._remember(key, value)
        return value

    monkeypatch.setattr(Memory, "load", load_and_remember)
    with pytest.raises(AssertionError):
        await test_a_slow_read_never_brings_back_what_a_commit_has_changed(tmp_path, monkeypatch)


async def test_a_read_that_was_given_up_leaves_no_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_at(tmp_path / "abeyance.db")
    async with place() as store:
        held = await open_request(store)
    async with place() as store:
        with slow_reads(monkeypatch) as (has_read, _):
            given_up = asyncio.create_task(store.find_held(held.handle))
            await asyncio.to_thread(has_read.wait, 10)
            given_up.cancel()
            await asyncio.gather(given_up, return_exceptions=True)
        assert store._held._loading == {}
        assert await store.find_held(held.handle) == held


async def test_a_remembered_poll_takes_microseconds(tmp_path: Path) -> None:
    async with place_at(tmp_path / "abeyance.db")() as store:
        held = await open_request(store)
        began = time.process_time()
        for _ in range(10_000):
            await store.find_held(held.handle)
        assert (time.process_time() - began) / 10_000 < 20e-6  # 0.3 us on a quiet machine


async def test_waiting_changes_share_a_commit(tmp_path: Path) -> None:
    async with place_at(tmp_path / "abeyance.db")() as store:
        statements = trace(store)
        wanted = [a_request() for _ in range(100)]
        await asyncio.gather(*(store.apply(change(each.held.key, each)) for each in wanted))
        assert statements.count("COMMIT") < 40
        assert statements.count("SAVEPOINT change") == 100


async def test_a_change_that_is_answered_is_in_memory_as_in_the_file(tmp_path: Path) -> None:
    place = place_at(tmp_path / "abeyance.db")
    async with place() as store:
        held = await open_request(store)
        await store.apply(change(held.key, advance(Event.APPROVE)))
        statements = trace(store)
        remembered = await store.find_held(held.handle)
        assert statements == []
    async with place() as store:
        assert await store.find_held(held.handle) == remembered
        assert remembered == replace(held, version=2, state=TO[Event.APPROVE])

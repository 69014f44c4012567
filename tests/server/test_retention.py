"""Disposal as it happens in a server: on time, for all that a client sees, and until the end."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, MutableMapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import structlog
from structlog.testing import capture_logs

from abeyance.acts.house import House
from abeyance.acts.retention import dispose_in_turn, dispose_of_old
from abeyance.pending.change import Change
from abeyance.pending.states import Stage, stage_of
from abeyance.server import disposing
from abeyance.server.pages.desk import render_request_id
from abeyance.store.ports import AsReviewer, OfAll, StoreAway, Wanted, Whose
from abeyance.store.sql.store import SqlStore
from abeyance.store.suite.ground import a_request
from tests.admin.office import open_office, ops
from tests.clock import MovableClock
from tests.console.house import Tab
from tests.covers import covers
from tests.people.house import Flow, web
from tests.served import Served, serve

DAY: Final = 86_400
DETAILS: Final = 30 * DAY
TOMBSTONE: Final = DAY
AUDIT: Final = 400 * DAY
SECRET_WORD: Final = "Wolpertinger"
ANOTHER: Final = "Elwetritsch"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve(tmp_path) as running:
        yield running


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[MutableMapping[str, Any]]]:
    # A fresh one: the module's may be bound to the logs of another test.
    monkeypatch.setattr(disposing, "_log", structlog.get_logger("abeyance.retention"))
    with capture_logs() as found:
        yield found


def disposed(served: Served, kind: str) -> float:
    return (
        served.house.counters.registry.get_sample_value(
            "abeyance_sweeper_rows_total", {"kind": kind}
        )
        or 0.0
    )


async def until_counted(served: Served, name: str, **labels: str) -> None:
    """Wait until the task has come so far; the pace is the loop's, not a clock's."""
    for _ in range(1_000):
        if served.house.counters.registry.get_sample_value(name, labels):
            return
        await served.house.store.check()
    raise AssertionError(f"{name} was never counted")


async def a_request_in(served: Served, stage: Stage) -> str:
    code = await served.s1.defer()
    if stage is Stage.DENIED:
        await served.deny(code, SECRET_WORD, shareable=True)
    if stage in (Stage.APPROVED, Stage.REDEEMED):
        await served.approve(code)
    if stage is Stage.REDEEMED:
        assert (await served.s1.poll(code)).status == 200
    if stage is Stage.CANCELLED:
        assert (await served.s1.revoke(code)).status == 200
    assert stage_of((await served.held(code)).state) is stage
    return code


@covers("DTR-RD-21", "T-223", "DTR-PRIV-01")
@pytest.mark.parametrize(
    ("stage", "error"),
    [
        (Stage.PENDING, "expired_token"),
        (Stage.APPROVED, "expired_token"),
        (Stage.DENIED, "access_denied"),
        (Stage.CANCELLED, "access_denied"),
        (Stage.REDEEMED, "invalid_grant"),
    ],
)
async def test_a_late_poll_is_told_how_it_ended_until_the_tombstone_goes(
    served: Served, stage: Stage, error: str
) -> None:
    code = await a_request_in(served, stage)
    key, end = await served.key_of(code), (await served.held(code)).expires_at
    over = (end - served.clock.now()).total_seconds()
    for seconds in (over, DETAILS, TOMBSTONE - 1):
        served.clock.move(seconds)
        await dispose_of_old(served.house)
        assert (await served.s1.poll(code)).error == error
        assert (await served.p1.poll(code)).error == "invalid_grant"
    assert await served.house.store.find_loaded(key) is None
    served.clock.move(1)
    await dispose_of_old(served.house)
    late = await served.s1.poll(code)
    assert late.error == "invalid_grant"
    assert (late.status, late.body) == await unknown(served)


async def unknown(served: Served) -> tuple[int, bytes]:
    """What a code is answered that never was one."""
    answer = await served.s1.poll("A" * len(await served.s1.defer()))
    return answer.status, answer.body


@covers("DTR-PRIV-01")
async def test_what_was_disposed_of_is_in_no_list_and_nobody_can_decide_it(served: Served) -> None:
    code = await served.s1.defer()
    served.clock.move(DAY + DETAILS)
    await dispose_of_old(served.house)
    now = served.clock.now()
    people = await served.house.store.list_people()
    everybody: list[Whose] = [OfAll(), *(AsReviewer(each.id) for each in people)]
    for whose in everybody:
        page = await served.house.store.list_requests(Wanted(whose=whose), now=now, limit=9)
        assert page.items == ()
    voted = await served.vote(code)
    assert type(voted).__name__ == "NotCounted"
    assert (await served.s1.poll(code)).error == "expired_token"


@covers("OAUTH-LOG-07")
async def test_a_server_disposes_by_itself_soon_after_its_start_and_every_hour(
    served: Served, logs: list[MutableMapping[str, Any]]
) -> None:
    await served.s1.defer()
    await dispose_of_old(served.house)
    assert not disposed(served, "details")
    served.clock.move(DAY + DETAILS)
    await until_counted(served, "abeyance_sweeper_rows_total", kind="details")
    assert disposed(served, "details") == 1
    for _ in range(20):
        await served.house.store.check()
    assert [each["event"] for each in logs] == ["disposed of what is old"]
    served.clock.move(TOMBSTONE)
    await until_counted(served, "abeyance_sweeper_rows_total", kind="request")
    assert disposed(served, "request") == 1


async def test_a_run_that_fails_is_told_and_the_next_comes_all_the_same(
    served: Served, logs: list[MutableMapping[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    await served.s1.defer()
    faults: list[Exception] = [StoreAway("the disk is full"), RuntimeError("a fault of ours")]
    real = SqlStore.dispose

    async def failing(self: SqlStore, *args: Any, **more: Any) -> Any:
        if faults:
            raise faults.pop(0)
        return await real(self, *args, **more)

    monkeypatch.setattr(SqlStore, "dispose", failing)
    served.clock.move(DAY + DETAILS)
    await until_counted(served, "abeyance_sweeper_failures_total")
    assert not disposed(served, "details")
    for _ in range(2):
        for _ in range(20):
            await served.house.store.check()
        served.clock.move(2 * disposing.EVERY)
    await until_counted(served, "abeyance_sweeper_rows_total", kind="details")
    for _ in range(20):
        await served.house.store.check()
    failures = served.house.counters.registry.get_sample_value("abeyance_sweeper_failures_total")
    assert failures == 2
    assert [each["log_level"] for each in logs] == ["warning", "error", "info"]


@covers("SEC-DOS-07")
async def test_whoever_asks_while_much_is_disposed_of_waits_for_a_page_and_not_for_all(
    served: Served,
) -> None:
    store = served.house.store
    old = served.clock.now() - timedelta(days=60)
    await asyncio.gather(
        *(
            store.apply(Change(each.held.key.home, (each,)))
            for each in (a_request(opened_at=old, at_most=9_999) for _ in range(1_000))
        )
    )
    run = asyncio.create_task(dispose_of_old(served.house))
    asked = 0
    while not run.done():
        code = await served.s1.defer()
        assert (await served.s1.poll(code)).error == "authorization_pending"
        asked += 1
        served.clock.move(1)  # for the limit of first requests
    assert asked > 3
    assert (await run)["details"] == 1_000


async def test_a_server_that_stops_leaves_no_run_behind(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with serve(tmp_path) as served:
        await served.s1.defer()
        served.clock.move(DAY + DETAILS)
    assert asyncio.all_tasks() == before


@covers("DTR-PRIV-01")
async def test_what_was_disposed_of_is_nowhere_in_the_files(tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        payment = {
            "type": "payment",
            "amount": {"amount": "12.50", "currency": "EUR"},
            "creditor": ANOTHER,
        }
        denied = await served.c1.defer(scope="read")
        await served.deny(denied, SECRET_WORD)  # a reason
        told = await served.c1.defer(scope="write", authorization_details=[payment])
        await served.approve(told)
    assert counts(tmp_path)[0] > 0
    assert counts(tmp_path)[1] > 1
    async with serve(tmp_path) as served:
        served.clock.move(DAY + DETAILS)
        await dispose_of_old(served.house)
        for code in (denied, told):
            assert (await served.c1.poll(code)).error in ("access_denied", "expired_token")
    # Who granted what stands in the audit, for as long as the house keeps that.
    assert counts(tmp_path) == [0, 1]
    async with serve(tmp_path) as served:
        served.clock.move(AUDIT)
        await dispose_of_old(served.house)
    assert counts(tmp_path) == [0, 0]


def counts(folder: Path) -> list[int]:
    """How often the words are anywhere in the files."""
    files = b"".join(each.read_bytes() for each in folder.rglob("abeyance.db*"))
    return [files.count(word.encode()) for word in (SECRET_WORD, ANOTHER)]


@covers("DTR-PRIV-01")
async def test_only_administrators_are_told_that_there_was_something(tmp_path: Path) -> None:
    async with open_office(tmp_path) as served:
        code = await Flow(web(served)).deferred()
        key = await served.key_of(code)
        served.clock.move(DAY + DETAILS)
        await dispose_of_old(served.house)
        place, never = render_request_id(key), render_request_id(replace(key, n=9))
        caller = await ops(served)
        told = await caller.get(f"/requests/{place}")
        assert (told.status, told.json["code"]) == (410, "disposed_of")
        assert (await caller.get(f"/requests/{never}")).status == 404
        for name, status in (("ada", 410), ("rita", 404)):
            tab = Tab(served)
            await tab.sign_in(name)
            assert (await tab.get(f"/console/requests/{place}")).status == status
            assert (await tab.get(f"/console/requests/{never}")).status == 404


# --- processes that share a store


def process(served: Served, clock: MovableClock) -> House:
    """Another one over the same store; its own task of disposal does not run."""
    return replace(served.house, us=os.urandom(16), clock=clock)


@pytest.fixture
async def processes(served: Served) -> tuple[House, House, MovableClock]:
    """Two of them, whose common clock says that there is something to dispose of."""
    await served.s1.defer()
    clock = MovableClock()
    clock.move(DAY + DETAILS)
    return process(served, clock), process(served, clock), clock


@covers("SEC-DOS-07")
async def test_of_several_processes_one_disposes_in_each_hour(
    processes: tuple[House, House, MovableClock],
) -> None:
    one, other, clock = processes
    assert await dispose_in_turn(one) == {"details": 1}
    clock.move(disposing.EVERY - 1)
    assert await dispose_in_turn(other) is None
    clock.move(1)
    assert await dispose_in_turn(other) == {"request": 1}
    assert await dispose_in_turn(one) is None


async def test_whoever_dies_in_a_run_is_followed_after_minutes(
    processes: tuple[House, House, MovableClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other, clock = processes
    with monkeypatch.context() as patch:
        patch.setattr(SqlStore, "dispose", _dies)
        with pytest.raises(asyncio.CancelledError):
            await dispose_in_turn(one)
    clock.move(disposing.LOOK_EVERY - 1)
    assert await dispose_in_turn(other) is None
    clock.move(1)
    assert await dispose_in_turn(other) == {"details": 1}


async def test_whoever_sleeps_in_a_run_finds_another_at_it_and_stops(
    processes: tuple[House, House, MovableClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other, clock = processes
    real, pages = SqlStore.dispose, list[object]()

    async def sleeping(self: SqlStore, *args: Any, **more: Any) -> Any:
        pages.append(more)
        if len(pages) == 1:
            clock.move(disposing.LOOK_EVERY)
            assert await dispose_in_turn(other) == {"details": 1}
            done.append(len(pages))
        return await real(self, *args, **more)

    done: list[int] = []
    monkeypatch.setattr(SqlStore, "dispose", sleeping)
    assert await dispose_in_turn(one) == {}
    assert len(pages) == done[0], "its first page was its last"


async def _dies(*_: Any, **__: Any) -> Any:
    raise asyncio.CancelledError

"""Threads and tasks on one handle, broken off and shut down (T-246, T-252)."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import anyio
import httpx2
import pytest

from abeyance.client import (
    AsyncClient,
    AsyncPendingToken,
    Cancelled,
    Client,
    ClientSecretBasic,
    InvalidGrant,
    PendingToken,
    Progress,
    StillPending,
    Token,
    revoking,
)
from tests.client.fakes import (
    CLIENT_SECRET,
    ISSUER,
    FakeServer,
    FakeTime,
    Kit,
    cut,
    deferred,
    error,
    granted,
    pending,
)
from tests.covers import covers

_PATIENCE = 20.0


class Gate:
    """An answer that says when it is asked for and waits until it may go."""

    def __init__(self, then: Any) -> None:
        self.asked = threading.Event()
        self.go = threading.Event()
        self._then = then

    def __call__(self, seen: Any) -> Any:
        self.asked.set()
        assert self.go.wait(_PATIENCE)
        return self._then(seen)


def real_sleep_client(server: FakeServer) -> Client:
    """The library's own way to sleep, on a clock that stands still unless it is moved."""
    return Client(
        ISSUER,
        "agent",
        ClientSecretBasic(CLIENT_SECRET),
        http=httpx2.Client(transport=httpx2.MockTransport(server)),
        surroundings=server.time.surroundings(),
    )


@pytest.fixture
def server() -> FakeServer:
    return FakeServer(FakeTime())


def defer(client: Client, server: FakeServer) -> PendingToken:
    server.says(deferred(interval=3600, expires_in=86_400))
    held = client.request_token()
    assert isinstance(held, PendingToken)
    return held


@covers("T-252")
def test_a_waiting_thread_can_be_interrupted_so_that_a_pool_shuts_down(server: FakeServer) -> None:
    held = defer(real_sleep_client(server), server)
    waiting = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(held.wait, on_progress=lambda _: waiting.set())
        waiting.wait(_PATIENCE)
        held.interrupt()
        with pytest.raises(StillPending):
            future.result(_PATIENCE)
    assert server.polls == []


@covers("T-246")
def test_cancel_wakes_a_thread_that_waits(server: FakeServer) -> None:
    held = defer(real_sleep_client(server), server)
    waiting = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(held.wait, on_progress=lambda _: waiting.set())
        waiting.wait(_PATIENCE)
        held.cancel()
        with pytest.raises(Cancelled):
            future.result(_PATIENCE)


@covers("T-246")
def test_cancel_does_not_wait_for_a_poll_whose_token_is_handed_over(server: FakeServer) -> None:
    held = defer(real_sleep_client(server), server)
    gate = Gate(granted())
    server.says(gate)
    server.time.pass_(3600)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(held.wait)
        assert gate.asked.wait(_PATIENCE)
        held.cancel()
        gate.go.set()
        token = future.result(_PATIENCE)
    assert isinstance(token, Token)
    assert held.poll() is token


def test_two_threads_never_poll_at_once(server: FakeServer) -> None:
    held = defer(real_sleep_client(server), server)
    gate = Gate(granted())
    server.says(gate)
    server.time.pass_(3600)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(held.poll)
        assert gate.asked.wait(_PATIENCE)
        beside = held.poll()
        assert isinstance(beside, Progress)
        assert not beside.polled
        second = pool.submit(held.wait)
        gate.go.set()
        assert first.result(_PATIENCE) is second.result(_PATIENCE)
    assert len(server.polls) == 1


def test_a_hook_that_raises_breaks_off_the_wait_and_nothing_else(kit: Kit) -> None:
    held = kit.defer()

    def hook(progress: Progress) -> None:
        if progress.polls == 1:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        held.wait(on_progress=hook)
    kit.server.says(granted())
    held.wait()
    assert kit.server.gaps() == [5]


@covers("T-252")
async def test_a_waiting_task_is_cancelled_at_once_and_the_request_lives_on() -> None:
    server = FakeServer(FakeTime())
    client = async_client(server)
    held = await defer_async(client, server)
    with anyio.move_on_after(0.01) as scope:
        await held.wait()
    assert scope.cancelled_caught
    server.time.pass_(3600)
    server.says(granted())
    assert isinstance(await held.poll(), Token)


@covers("T-252", "T-250")
async def test_a_task_cancelled_during_a_poll_may_have_lost_its_answer() -> None:
    server = FakeServer(FakeTime())
    started = asyncio.Event()

    async def handler(request: httpx2.Request) -> httpx2.Response:
        response = server(request)
        if server.polls and not started.is_set():
            started.set()
            await asyncio.sleep(_PATIENCE)
        return response

    client = async_client(server, handler)
    held = await defer_async(client, server)
    server.says(granted(), error("invalid_grant"))
    server.time.pass_(3600)
    task = asyncio.create_task(held.wait())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # Broken off or not, the poll was sent: the next one keeps the distance.
    assert isinstance(await held.poll(), Progress)
    assert len(server.polls) == 1
    server.time.pass_(3600)
    with pytest.raises(InvalidGrant) as end:
        await held.poll()
    assert end.value.result_may_be_lost


@covers("T-246")
@pytest.mark.parametrize("faults", [0, 2])
async def test_cancel_wakes_a_task_that_waits(faults: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revoking, "BETWEEN", timedelta(milliseconds=1))
    server = FakeServer(FakeTime())
    client = async_client(server)
    held = await defer_async(client, server)
    server.revoking.extend([cut] * faults)
    task = asyncio.create_task(held.wait())
    await asyncio.sleep(0.01)
    await held.cancel()
    with pytest.raises(Cancelled):
        await asyncio.wait_for(task, _PATIENCE)


async def test_tasks_that_wait_together_get_the_same_token() -> None:
    server = FakeServer(FakeTime())
    client = async_client(server, sleep=server.time.sleep_async)
    held = await defer_async(client, server)
    server.says(pending(), granted())
    first, second, third = await asyncio.gather(held.wait(), held.wait(), held.wait())
    assert first is second is third
    assert len(server.polls) == 2


async def test_a_time_out_of_the_caller_needs_no_cancel_scope() -> None:
    server = FakeServer(FakeTime())
    client = async_client(server, sleep=server.time.sleep_async)
    held = await defer_async(client, server)
    with pytest.raises(StillPending):
        await held.wait(timeout=timedelta(seconds=30))


def async_client(server: FakeServer, handler: Any = None, sleep: Any = None) -> AsyncClient:
    return AsyncClient(
        ISSUER,
        "agent",
        ClientSecretBasic(CLIENT_SECRET),
        http=httpx2.AsyncClient(transport=httpx2.MockTransport(handler or server)),
        surroundings=server.time.surroundings(),
        sleep=sleep,
    )


async def defer_async(client: AsyncClient, server: FakeServer) -> AsyncPendingToken:
    server.says(deferred(interval=3600, expires_in=86_400))
    held = await client.request_token()
    assert isinstance(held, AsyncPendingToken)
    return held

"""Looking names up: whoever's server does not answer holds up nobody else (SEC-SSRF-60, -63)."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from abeyance.outbound.names import SystemResolver
from tests.covers import covers


@dataclass(slots=True)
class System:
    """The system's resolver: who is sick hangs until the gate opens."""

    gate: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)

    def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        self.threads.add(threading.get_ident())
        if host.startswith("sick"):
            self.gate.wait(60)
        if host.startswith("unknown"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port))] * 2


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    system = System()
    monkeypatch.setattr(socket, "getaddrinfo", system)
    yield system
    system.gate.set()


async def until_asked(system: System, many: int) -> None:
    async with asyncio.timeout(30):
        while len(system.asked) < many:  # noqa: ASYNC110  # threads tell nobody
            await asyncio.sleep(0.001)


@covers("SEC-SSRF-60", "SEC-SSRF-63")
async def test_a_hundred_names_that_hang_hold_up_no_other_and_not_the_loop(system: System) -> None:
    resolve = SystemResolver()
    hanging = [asyncio.create_task(resolve(f"sick-{n}.example", 443)) for n in range(100)]
    await until_asked(system, 100)
    assert await resolve("cb.example", 443) == ["93.184.216.34"]
    assert await asyncio.to_thread(lambda: "free") == "free", "the loop's own threads are"
    assert not any(each.done() for each in hanging)
    assert threading.get_ident() not in system.threads
    system.gate.set()
    assert await asyncio.gather(*hanging) == [["93.184.216.34"]] * 100


@covers("SEC-SSRF-60")
async def test_one_name_takes_one_thread_whoever_asks_and_goes(system: System) -> None:
    resolve = SystemResolver()
    for _ in range(5):
        asks = asyncio.create_task(resolve("sick.example", 443))
        await until_asked(system, 1)
        asks.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asks
    waits = asyncio.create_task(resolve("sick.example", 443))
    await asyncio.sleep(0)
    system.gate.set()
    assert await waits == ["93.184.216.34"]
    assert system.asked == ["sick.example"]
    assert await resolve("sick.example", 443) == ["93.184.216.34"]
    assert len(system.asked) == 2, "an answer is for those who waited for it"


@covers("SEC-SSRF-60")
async def test_how_many_may_hang_has_a_bound(system: System) -> None:
    resolve = SystemResolver()
    hanging = [asyncio.create_task(resolve(f"sick-{n}.example", 443)) for n in range(192)]
    await until_asked(system, 192)
    with pytest.raises(OSError, match="too many"):
        await resolve("cb.example", 443)
    system.gate.set()
    await asyncio.gather(*hanging)
    assert await resolve("cb.example", 443) == ["93.184.216.34"]
    with pytest.raises(OSError, match="no such name"):
        await resolve("unknown.example", 443)

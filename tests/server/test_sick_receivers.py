"""A hundred receivers that are sick, each in one way: the outbox survives, and whoever is well
hears at once (SEC-SSRF-61 to -64, EXT-NOTIFY-03).
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from abeyance.acts.deliver import LEASE
from abeyance.outbound import caller
from abeyance.outbound.caller import Fetched, GuardedCaller, Unreachable
from abeyance.outbound.targets import Forbidden, Reach
from abeyance.store.sql.rows import micros
from tests.config import CONFIG
from tests.covers import covers
from tests.outbound.receiver import NAME, NO_CONTENT, Authority, Receiver, receiving, say
from tests.outside import Network
from tests.served import Caller, Served, count_rows, serve
from tests.server.test_callbacks import nothing_more, settle

MANY: Final = 100
STEP: Final = 5  # seconds
HOUR: Final = 3_600


def client(name: str, url: str) -> str:
    return f"""
[[clients]]
id = "{name}"
name = "{name}"
secret_file = "{{data}}/s1.secret"
scope = ["read"]
resources = ["https://rs.example"]
deferred_client_notification_endpoint = "{url}"
"""


@dataclass(slots=True)
class Ward(Network):
    """Whose address has `sick` in it gets `illness`, everybody else is well."""

    illness: int | Exception = 500
    tried: Counter[str] = field(default_factory=Counter)

    async def post(self, url: str, body: bytes, headers: Any, *, at_most: int) -> Fetched:
        self.tried[url] += 1
        if "sick" not in url:
            return Fetched(204, (), b"")
        if isinstance(self.illness, Exception):
            raise self.illness
        return Fetched(self.illness, (), b"")

    def sick(self) -> list[int]:
        return [tries for url, tries in self.tried.items() if "sick" in url]


WARD: Final = (
    CONFIG
    + "".join(client(f"sick-{n}", f"https://sick-{n}.example/") for n in range(MANY))
    + client("well", "https://well.example/")
)


async def idle(folder: Path, served: Served) -> None:
    """Until nothing is due, and nothing that was claimed just now is under way."""
    now = served.clock.now()
    due = f"outbox WHERE due_at <= {micros(now)} OR due_at = {micros(now + LEASE)}"
    await settle(lambda: not count_rows(folder, due))


@covers("EXT-NOTIFY-03", "SEC-SSRF-61", "SEC-SSRF-63", "T-180")
@pytest.mark.parametrize(
    "illness",
    [500, 302, Unreachable("no answer in time"), Forbidden("a name that leads elsewhere")],
    ids=["500", "redirect", "hangs", "rebinds"],
)
async def test_an_hour_of_it_is_survived_by_all(tmp_path: Path, illness: int | Exception) -> None:
    ward = Ward(illness=illness)
    async with serve(tmp_path, config=WARD, outside=ward) as served:
        well = [await Caller(served, "well").defer() for _ in range(8)]
        for n in range(MANY):
            await served.approve(await Caller(served, f"sick-{n}").defer())
        served.clock.move(2)
        await settle(lambda: len(ward.sick()) == MANY)
        for passed in range(0, HOUR, STEP):
            if passed % 150 == 0 and well:
                before = ward.tried["https://well.example/"]
                await served.approve(well.pop())
                # The clock stands still until it has been told.
                await settle(lambda: ward.tried["https://well.example/"] == before + 1)  # noqa: B023
            await idle(tmp_path, served)
            if not count_rows(tmp_path, "outbox"):
                break
            served.clock.move(STEP)
        assert not well
        assert count_rows(tmp_path, "outbox") == 0, "nothing is tried for ever"
        assert set(ward.sick()) == {6}
        ward.illness = 204
        again = await Caller(served, "sick-0").defer()
        served.clock.move(2)
        await served.approve(again)
        await settle(lambda: ward.tried["https://sick-0.example/"] == 7)
        assert (await Caller(served, "sick-0").poll(again)).status == 200


async def _for_ever(writer: asyncio.StreamWriter, begun: bytes, again: bytes) -> None:
    writer.write(begun)
    for _ in range(100_000):
        writer.write(again)
        await writer.drain()


async def _body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    del reader
    await _for_ever(writer, b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536)


async def _hints(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    del reader
    await _for_ever(writer, b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000)


@covers("SEC-SSRF-59", "SEC-SSRF-61", "SEC-SSRF-62", "SEC-SSRF-63", "SEC-SSRF-64")
@pytest.mark.parametrize("illness", ["streams", "hints", "redirects", "rebinds"])
async def test_over_real_connections_whoever_is_well_hears_while_a_hundred_are_sick(
    tmp_path: Path, illness: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is judged here are bounds in bytes: a busy machine may take its time.
    for bound in ("CONNECT_SECONDS", "TOTAL_SECONDS"):
        monkeypatch.setattr(caller, bound, 120)
    authority, asked = Authority(tmp_path), list[str]()
    async with AsyncExitStack() as stack:
        canary = await stack.enter_async_context(receiving(authority.context(), say(NO_CONTENT)))
        away = f"HTTP/1.1 307 Gone\r\nLocation: {canary.url}\r\nContent-Length: 0\r\n\r\n".encode()
        behave = {"streams": _body, "hints": _hints, "redirects": say(away)}
        sick: Receiver = await stack.enter_async_context(
            receiving(authority.context("*.sick.example"), behave.get(illness, say(NO_CONTENT)))
        )
        well = await stack.enter_async_context(receiving(authority.context(), say(NO_CONTENT)))
        hosts = [f"n{n}.sick.example:{sick.port}" for n in range(MANY)]

        async def resolve(host: str, port: int) -> Sequence[str]:
            del port
            asked.append(host)
            return ["127.0.0.1"]

        may = [f"{NAME}:{well.port}", *(hosts if illness != "rebinds" else ())]
        reach = Reach(
            ports=frozenset({sick.port, well.port, canary.port}), exceptions=frozenset(may)
        )
        guarded = GuardedCaller(reach, ca_file=authority.file, resolve=resolve)
        config = (
            CONFIG
            + f"\n[outbound]\nports = [{sick.port}, {well.port}]\n"
            + "".join(client(f"n{n}", f"https://{host}/") for n, host in enumerate(hosts))
            + client("well", well.url)
        )
        served = await stack.enter_async_context(
            serve(tmp_path / "server", config=config, outside=guarded)
        )
        for n in range(MANY):
            await served.approve(await Caller(served, f"n{n}").defer())
        codes = [await Caller(served, "well").defer() for _ in range(20)]
        served.clock.move(2)
        for code in codes:
            await served.approve(code)
        # The clock stands still: none of them waits for anybody.
        await settle(lambda: len(well.requests) == 20)
        await settle(lambda: len(set(asked)) == MANY + 1)
        await idle(tmp_path / "server", served)
        left = count_rows(tmp_path / "server", "outbox")
        assert left == (0 if illness == "streams" else MANY), "an answer is one, however long"
        assert sick.connections == (0 if illness == "rebinds" else MANY)
        assert canary.connections == 0
        await nothing_more()
        assert len(well.requests) == 20

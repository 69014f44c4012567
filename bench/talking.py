"""A small client for what wrk is not for: filling the server, and recording an answer."""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import msgspec

_PAUSE: Final = 0.2  # seconds
_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Connection:
    """One connection, one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.close = writer.close

    @classmethod
    async def open(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def exchange(self, message: bytes) -> tuple[bytes, bytes]:
        """Send a request; return the head and the body of its answer."""
        self._writer.write(message)
        head = await self._reader.readuntil(b"\r\n\r\n")
        found = _LENGTH.search(head)
        if found is None:
            raise ValueError("an answer without content-length")
        return head, await self._reader.readexactly(int(found[1]))

    async def open_request(self, message: bytes) -> str:
        """Send a first request that is deferred; return its code.

        Filling is not what is measured: a database that says "not now" is asked again.
        """
        _, body = await self.exchange(message)
        while b'"temporarily_unavailable"' in body:
            await asyncio.sleep(_PAUSE)
            _, body = await self.exchange(message)
        code: str = msgspec.json.decode(body)["deferral_code"]
        return code


def record(port: int, message: bytes) -> Answer:
    """Send one request and keep its answer."""
    return asyncio.run(_record(port, message))


def open_requests(port: int, messages: Iterable[bytes], connections: int) -> list[str]:
    """Send first requests and return the deferral codes, in the order of the messages."""
    return asyncio.run(_open_requests(port, messages, connections))


async def _record(port: int, message: bytes) -> Answer:
    connection = await Connection.open(port)
    head, body = await connection.exchange(message)
    connection.close()
    first, *fields = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = [(name, value.strip()) for name, _, value in (each.partition(":") for each in fields)]
    return Answer(int(first.split()[1]), pairs, body)


async def _open_requests(port: int, messages: Iterable[bytes], connections: int) -> list[str]:
    codes: dict[int, str] = {}
    waiting = iter(enumerate(messages))

    async def work() -> None:
        connection = await Connection.open(port)
        for number, message in waiting:
            codes[number] = await connection.open_request(message)
        connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(work())
    return [codes[number] for number in sorted(codes)]

"""A small client for what wrk is not for: filling the server, and recording an answer."""

import asyncio
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def record(port: int, message: bytes) -> Answer:
    """Send one request and keep its answer."""
    return asyncio.run(_record(port, message))


def open_requests(port: int, messages: Iterable[bytes], connections: int) -> list[str]:
    """Send first requests and return the deferral codes, in the order of the messages."""
    return asyncio.run(_open_requests(port, messages, connections))


async def _record(port: int, message: bytes) -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head, body = await _exchange(reader, writer, message)
    writer.close()
    first, *fields = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = [(name, value.strip()) for name, _, value in (each.partition(":") for each in fields)]
    return Answer(int(first.split()[1]), pairs, body)


async def _open_requests(port: int, messages: Iterable[bytes], connections: int) -> list[str]:
    codes: dict[int, str] = {}
    waiting = iter(enumerate(messages))

    async def work(turns: Iterator[tuple[int, bytes]]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number, message in turns:
            _, body = await _exchange(reader, writer, message)
            codes[number] = msgspec.json.decode(body)["deferral_code"]
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(work(waiting))
    return [codes[number] for number in sorted(codes)]


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: bytes
) -> tuple[bytes, bytes]:
    writer.write(message)
    head = await reader.readuntil(b"\r\n\r\n")
    found = _LENGTH.search(head)
    if found is None:
        raise ValueError("an answer without content-length")
    return head, await reader.readexactly(int(found[1]))

"""A stretch of wire between a store and its database, which a test can cut."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.postgres.server import PostgresServer


class Wire:
    """Carries bytes both ways. With `lose_answer_to`, the first message that has these bytes
    reaches the server, and the connection is cut once the server has answered it. With
    `keep_answer_to`, it is as if whoever sent that was stopped: all that comes back from then on
    is heard at once when `give` is called, and the end of the connection only with `hang_up`.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._ends: set[asyncio.StreamWriter] = set()
        self.lose_answer_to: bytes | None = None
        self.keep_answer_to: bytes | None = None
        self.kept = asyncio.Event()
        self._given = asyncio.Event()
        self._hung_up = asyncio.Event()
        self.silent = False  # nothing passes, and nobody is told
        self.port = 0

    def has_lost(self) -> bool:
        return self.lose_answer_to is None

    def give(self) -> None:
        self._given.set()

    def hang_up(self) -> None:
        self._hung_up.set()

    def cut(self) -> None:
        for end in self._ends:
            end.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._server.port)
        self._ends |= {writer, far_writer}
        lost = asyncio.Event()
        keeping: list[bytes] = []

        async def there() -> None:
            while data := await reader.read(65536):
                if self.silent:
                    continue
                if self.lose_answer_to is not None and self.lose_answer_to in data:
                    self.lose_answer_to = None
                    lost.set()
                if self.keep_answer_to is not None and self.keep_answer_to in data:
                    self.keep_answer_to = None
                    keeping.append(b"")
                far_writer.write(data)

        async def back() -> None:
            while data := await far_reader.read(65536):
                if lost.is_set():
                    writer.transport.abort()
                    return
                if keeping:
                    keeping.append(data)
                    self.kept.set()
                elif not self.silent:
                    writer.write(data)
            if keeping:
                await self._given.wait()
                writer.write(b"".join(keeping))
                await writer.drain()
                await self._hung_up.wait()
                writer.close()

        with contextlib.suppress(ConnectionError):
            async with asyncio.TaskGroup() as both:
                ways = [both.create_task(there()), both.create_task(back())]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
        for end in (writer, far_writer):
            self._ends.discard(end)
            if not end.is_closing():
                end.transport.abort()


@asynccontextmanager
async def laid_to(server: PostgresServer) -> AsyncIterator[Wire]:
    wire = Wire(server)
    listening = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    wire.port = listening.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        listening.close()
        wire.cut()
        await asyncio.sleep(0)

"""A TCP proxy that cuts, delays and half-closes what goes through it."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

_CHUNK = 65_536


@dataclass(slots=True, eq=False)
class _Pair:
    """One connection: its end towards the caller, and the one behind."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter


@dataclass(slots=True)
class Proxy:
    """Listens on loopback at `port`, and leads to `target`. `delay`: seconds for each piece.
    `in_vain`: how many found nobody there.
    """

    target: int
    port: int = 0
    delay: float = 0.0
    in_vain: int = 0
    _pairs: set[_Pair] = field(default_factory=set)
    _tasks: "set[asyncio.Task[None]]" = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def callers(self) -> list[int]:
        """The ports of whoever is connected, on their side."""
        return [pair.near.get_extra_info("peername")[1] for pair in self._pairs]

    def cut(self) -> int:
        """Reset every connection; how many there were."""
        for pair in (found := list(self._pairs)):
            for end in (pair.near, pair.far):
                end.transport.abort()
        return len(found)

    def half_close(self, *, near: bool) -> int:
        """Say nothing more to one side, and go on listening to it."""
        closed = 0
        for pair in self._pairs:
            with suppress(OSError, RuntimeError):
                (pair.near if near else pair.far).write_eof()
                closed += 1
        return closed

    def _begin(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._meet(reader, near))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _meet(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        try:
            answers, far = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            self.in_vain += 1
            near.transport.abort()
            return
        pair = _Pair(near, far)
        self._pairs.add(pair)
        try:
            await asyncio.gather(self._pump(reader, far), self._pump(answers, near))
        finally:
            self._pairs.discard(pair)
            for end in (near, far):
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, RuntimeError):  # one of the two has gone: so does the other
            while piece := await reader.read(_CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(piece)
                await writer.drain()
            writer.write_eof()
            return
        writer.transport.abort()

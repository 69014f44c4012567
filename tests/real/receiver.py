"""Who is called back: hears, answers 500 or hangs, as its mood is, and writes down who came."""

import asyncio
import json
import ssl
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from faults.log import Log
from faults.simulation.agent import name_of

_HEARD: Final = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
_FAILED: Final = b"HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n\r\n"
_AUTHORIZED: Final = b"authorization: bearer "


class Mood(Enum):
    HEARS = auto()
    FAILS = auto()  # answers 500
    HANGS = auto()  # reads, and answers nothing until it is cut


@dataclass(slots=True)
class Ear:
    """Listens on loopback at `port`, with TLS. `came`: how many in which mood."""

    log: Log
    context: ssl.SSLContext
    port: int = 0
    mood: Mood = Mood.HEARS
    came: Counter[Mood] = field(default_factory=Counter)
    _calls: "set[asyncio.Task[None]]" = field(default_factory=set)
    _hanging: "set[asyncio.Task[None]]" = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> "Ear":
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", ssl=self.context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._calls:
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    @property
    def hangs(self) -> bool:
        """Is somebody waiting for an answer that does not come?"""
        return bool(self._hanging)

    def cut(self) -> None:
        """Hang up on whoever was left hanging."""
        for task in self._hanging:
            task.cancel()

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].split()[0])
            code = json.loads(await reader.readexactly(length))["deferral_code"]
            mood = self.mood
            # The client's own token says that it is the server who calls.
            heard = mood is Mood.HEARS and _AUTHORIZED in head
            self.log.note("callback", deferral=name_of(code), heard=heard)
            self.came[mood] += 1
            if mood is Mood.HANGS:
                await self._hang()
            writer.write(_HEARD if heard else _FAILED)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # it was killed, or cut off
        finally:
            writer.close()

    async def _hang(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._hanging.add(task)
        try:
            await asyncio.Event().wait()
        finally:
            self._hanging.discard(task)

"""What a name stands for, by the system's resolver (SEC-SSRF-60)."""

import asyncio
import socket
from collections.abc import Sequence
from functools import partial
from typing import Final

from abeyance.outbound.threads import Threads

_AT_ONCE: Final = 192


class SystemResolver:
    """Call it with a host and a port: all its addresses, in the system's order.

    A lookup cannot be called off, and may hang for longer than anybody waits. So one name has
    one lookup at a time, whoever asks: who asks again and again takes no second thread.
    """

    def __init__(self) -> None:
        self._threads = Threads("abeyance-names", _AT_ONCE)
        self._under_way: dict[tuple[str, int], asyncio.Task[Sequence[str]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Raises `OSError`: the name is not known, or too many others hang."""
        place = (host, port)
        task = self._under_way.get(place)
        if task is None:
            if self._threads.full:
                raise OSError("too many names are looked up")
            task = asyncio.get_running_loop().create_task(self._look_up(host, port))
            self._under_way[place] = task
            task.add_done_callback(partial(self._ended, place))
        return await asyncio.shield(task)

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        found = await self._threads.run(
            lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def _ended(self, place: tuple[str, int], task: asyncio.Task[Sequence[str]]) -> None:
        del self._under_way[place]
        if not task.cancelled():
            task.exception()  # if nobody waited for it, nobody misses it

"""Calls that block, beside the event loop: each on a thread of its own, and only so many.

The loop's own threads are few, and others need them: names that no server answers for, or a
mail server that hangs, would take them all. Ours are daemons, so that none holds up the exit.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """At most `most` at once; whoever comes then waits."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._room = asyncio.Semaphore(most)

    @property
    def full(self) -> bool:
        return self._room.locked()

    async def run(self, call: Callable[[], T]) -> T:
        """Raises what `call` raises. If whoever waits is cancelled, the thread goes on to its
        end, and keeps its place so long.
        """
        await self._room.acquire()
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def settle(tell: Callable[[Any], None], told: Any) -> None:
            self._room.release()
            if not result.done():
                tell(told)

        def work() -> None:
            try:
                answer: tuple[Callable[[Any], None], Any] = (result.set_result, call())
            except Exception as fault:
                answer = (result.set_exception, fault)
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                loop.call_soon_threadsafe(settle, *answer)

        try:
            threading.Thread(target=work, name=self._name, daemon=True).start()
        except RuntimeError:
            self._room.release()
            raise OSError("no thread is to be had") from None
        return await result

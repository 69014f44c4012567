"""A lane: a queue and a thread that drains it and wakes the loop once for all that it did.

The only place of the store where a thread starts. A crew works in the thread;
what it did is told by a callback that runs on the event loop.
"""

import asyncio
import contextlib
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from abeyance.store.ports import StoreAway

Job = TypeVar("Job")

MOST_WAITING: Final = 20_000  # who comes later is told at once that the store is away


class Crew(ABC, Generic[Job]):
    """Those who work in a lane's thread."""

    @abstractmethod
    def begin(self) -> None:
        """Open what is needed; what this raises, `Lane.start` raises."""

    @abstractmethod
    def work(self, first: Job, more: Callable[[], Job | None]) -> Callable[[], None]:
        """Do `first` and what else waits; return what tells of it on the loop. Never raises."""

    @abstractmethod
    def rest(self, *, idle: bool) -> None:
        """Do what can wait; `idle`: nobody is waiting. Never raises."""

    @abstractmethod
    def end(self) -> None:
        """Close what `begin` opened."""


class Lane(Generic[Job]):
    """One queue, one thread, one crew."""

    def __init__(self, name: str, crew: Crew[Job]) -> None:
        self._name = name
        self._crew = crew
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._closed = True
        self._ending = False  # the thread's own: it has taken the end mark

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        started: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._closed = False
        threading.Thread(
            target=self._run, args=(started,), name=f"abeyance-{self._name}", daemon=True
        ).start()
        try:
            await started
        except BaseException:
            self.stop()  # also when the caller gave up waiting: the thread closes what it opened
            raise

    def put(self, job: Job) -> None:
        """Hand over a job. Raises `StoreAway` if the lane is closed or far behind."""
        if self._closed:
            raise StoreAway("the store is closed")
        if self._queue.qsize() >= MOST_WAITING:
            raise StoreAway("too much is waiting for the store")
        self._queue.put(job)

    def stop(self) -> None:
        """Take no more jobs; those that wait are still done."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)

    async def close(self) -> None:
        self.stop()
        await asyncio.shield(self._ended)

    def _run(self, started: asyncio.Future[None]) -> None:
        try:
            self._crew.begin()
        except BaseException as fault:
            self._tell(started, fault)
            self._tell(self._ended)
            return
        self._tell(started)
        while (job := self._next()) is not None:
            self._on_loop(self._crew.work(job, self._more))
            self._crew.rest(idle=self._queue.empty())
        self._crew.end()
        self._tell(self._ended)

    def _next(self) -> Job | None:
        return None if self._ending else self._queue.get()

    def _more(self) -> Job | None:
        if self._ending or self._queue.empty():
            return None
        job = self._queue.get()
        self._ending = job is None
        return job

    def _tell(self, future: asyncio.Future[None], fault: BaseException | None = None) -> None:
        def tell() -> None:
            if future.done():
                return
            if fault is None:
                future.set_result(None)
            else:
                future.set_exception(fault)

        self._on_loop(tell)

    def _on_loop(self, callback: Callable[[], None]) -> None:
        # If the loop has ended, nobody is left to be told, and what is done is done.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback)

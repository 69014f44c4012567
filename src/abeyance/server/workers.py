"""Several processes on one listening socket: `abeyance serve --workers N`.

The parent holds the socket and nothing else: no store, no keys, no event loop. It starts the
first worker alone, since that one may have to make keys and tables, and the others when it
serves. A worker that dies is started again, at once if it had served, later and later if not;
one whose event loop stands still is killed first.
SIGTERM and SIGINT end all of them, each when it has answered what it had begun; if the parent
dies, they end by themselves.

Forked and not spawned, so that every worker, also one that is started again, has the settings
that were read and checked at the start.
"""

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypeAlias

import structlog

from abeyance.server.clock import SystemClock
from abeyance.server.serving import GRACEFUL_SECONDS

OK: Final = 0
_BROKEN: Final = 1  # the code of a worker that failed by a fault of ours
_LONGEST_PAUSE: Final = 30.0  # seconds, before a worker that does not come up is tried again
_PATIENCE: Final = 2 * GRACEFUL_SECONDS + 5.0  # seconds from the signal to the end of a worker
BEAT: Final = 1.0  # seconds between two signs of life
# Looks of ours without one, after which a worker hangs. Looks and not seconds: if all of us were
# frozen together, nobody hangs.
_MOST_SILENT: Final = 30
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

_log = structlog.get_logger("abeyance.workers")


@dataclass(frozen=True, slots=True)
class Place:
    """What a worker is told of itself."""

    number: int  # from 0
    first: bool  # is it the one that all others wait for?
    parent: int  # a descriptor that can be read when the parent has died
    alive: Callable[[], None]  # to be called when it serves, and then once in a `BEAT`


Work: TypeAlias = Callable[[Place], int]


def run_workers(count: int, work: Work, stopping: Callable[[], None] = lambda: None) -> int:
    """Run `work` in so many processes until told to stop; return the exit code.

    If the first one ends before it has served, its code is returned and there are no others.
    `stopping` is called before they are told to stop.
    """
    with _pipe() as (life, ours), _signals() as signals:
        return _Parent(count, work, stopping, life, ours, signals).run()


@dataclass(slots=True)
class _Worker:
    number: int
    pid: int = 0  # 0: it does not run
    told: int = -1  # where it gives signs of life
    serves: bool = False
    silent: int = 0  # looks since the last one
    failures: int = 0  # starts in a row that came to nothing
    due: float = 0.0  # when it is to be started, in ticks


@dataclass(slots=True)
class _Parent:
    count: int
    work: Work
    stopping: Callable[[], None]
    life: int  # readable in the workers once we are gone
    ours: int  # its other end, which only we have
    signals: int  # a byte for each signal
    workers: list[_Worker] = field(default_factory=list)
    clock: SystemClock = field(default_factory=SystemClock)
    stops_by: float | None = None
    looks_at: float = 0.0  # in ticks: when it is looked next who is alive

    def run(self) -> int:
        first = _Worker(0)
        self.workers.append(first)
        self._start(first, first=True)
        while not first.serves and self.stops_by is None:
            self._wait()
            if (code := self._ended(first)) is not None:
                return code
        while self.stops_by is None:
            self._start_what_is_due()
            self._wait()
            self._bury()
            self._look()
        while any(worker.pid for worker in self.workers):
            self._wait()
            self._bury()
            if self.clock.tick() >= self.stops_by:
                self._kill()
        return OK

    def _start_what_is_due(self) -> None:
        self.workers += map(_Worker, range(len(self.workers), self.count))
        now = self.clock.tick()
        for worker in self.workers:
            if not worker.pid and worker.due <= now:
                self._start(worker)

    def _start(self, worker: _Worker, *, first: bool = False) -> None:
        told, says = os.pipe()
        # Nothing is delivered between the fork and the moment when the child has its own ways.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid == 0:
            os.close(self.ours)
            os.set_blocking(says, False)
            place = Place(worker.number, first, self.life, lambda: _say(says))
            _become(place, self.work, mask)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(says)
        worker.pid, worker.told, worker.serves, worker.silent = pid, told, False, 0

    def _wait(self) -> None:
        """Until something has happened, or it is time for something."""
        poll = select.poll()
        poll.register(self.signals, select.POLLIN)
        running = {each.told: each for each in self.workers if each.pid}
        for told in running:
            poll.register(told, select.POLLIN)
        for found, _ in poll.poll(self._until_next()):
            if found == self.signals:
                self._heed(os.read(self.signals, 64))
            elif os.read(found, 4096):
                self._hears(running[found])
            else:
                self._await_end(running[found])

    def _hears(self, worker: _Worker) -> None:
        worker.silent = 0
        if not worker.serves:
            self._serves(worker)

    def _look(self) -> None:
        """Kill who has given no sign of life for too long; it will be started again."""
        now = self.clock.tick()
        if now < self.looks_at:
            return
        self.looks_at = now + BEAT
        for worker in self.workers:
            if worker.serves and worker.pid:
                worker.silent += 1
                if worker.silent > _MOST_SILENT:
                    _log.error("a worker hangs, and is killed", worker=worker.number)
                    os.kill(worker.pid, signal.SIGKILL)

    def _serves(self, worker: _Worker) -> None:
        worker.serves, worker.failures = True, 0
        _log.info("a worker serves", worker=worker.number, pid=worker.pid)

    def _until_next(self) -> float | None:
        """Milliseconds until it is time for something; `None`: nothing is planned."""
        plans = [each.due for each in self.workers if not each.pid and self.stops_by is None]
        if self.stops_by is not None:
            plans.append(self.stops_by)
        elif any(each.serves for each in self.workers):
            plans.append(self.looks_at)
        if not plans:
            return None
        return max(0.0, min(plans) - self.clock.tick()) * 1000 + 1

    def _heed(self, numbers: bytes) -> None:
        if any(number in _SIGNALS for number in numbers):
            self.stopping()
            self.stops_by = self.stops_by or self.clock.tick() + _PATIENCE
            for worker in self.workers:
                if worker.pid:
                    os.kill(worker.pid, signal.SIGTERM)

    def _bury(self) -> None:
        for worker in self.workers:
            served = worker.serves
            code = self._ended(worker)
            if code is None or self.stops_by is not None:
                continue
            pause = 0.0
            if not served:
                pause = min(_LONGEST_PAUSE, 0.5 * 2.0 ** min(worker.failures, 10))
                worker.failures += 1
            worker.due = self.clock.tick() + pause
            _log.error("a worker has ended", worker=worker.number, code=code, again_in=pause)

    def _ended(self, worker: _Worker) -> int | None:
        """Its exit code, negative for a signal, once; `None` while it runs or if it is gone."""
        if not worker.pid:
            return None
        pid, status = os.waitpid(worker.pid, os.WNOHANG)
        if not pid:
            return None
        os.close(worker.told)
        worker.pid, worker.told, worker.serves = 0, -1, False
        return os.waitstatus_to_exitcode(status)

    def _await_end(self, worker: _Worker) -> None:
        """Its pipe has closed, which is the last that an ending process does."""
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)

    def _kill(self) -> None:
        for worker in self.workers:
            if worker.pid:
                _log.error("a worker does not end, and is killed", worker=worker.number)
                os.kill(worker.pid, signal.SIGKILL)
                self._await_end(worker)


def _become(place: Place, work: Work, mask: set[int] | set[signal.Signals]) -> NoReturn:
    """Be a worker until the end; never return into what belongs to the parent."""
    code = _BROKEN
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        code = work(place)
    except BaseException:
        _log.exception("a worker has failed")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _say(to: int) -> None:
    with suppress(BlockingIOError, BrokenPipeError):  # nobody listens any more
        os.write(to, b".")


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    reads, writes = os.pipe()
    try:
        yield reads, writes
    finally:
        os.close(reads)
        os.close(writes)


@contextmanager
def _signals() -> Iterator[int]:
    """A descriptor with a byte for each signal that concerns us, none of which interrupts."""
    with _pipe() as (reads, writes):
        os.set_blocking(writes, False)
        before = {
            number: signal.signal(number, lambda *_: None) for number in (*_SIGNALS, signal.SIGCHLD)
        }
        old = signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
        try:
            yield reads
        finally:
            signal.set_wakeup_fd(old)
            for number, handler in before.items():
                signal.signal(number, handler)

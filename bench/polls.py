"""Pending polls: in turn over everything that waits, with the caller's proofs."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from abeyance.wire import names
from bench import messages
from bench.database import Mark
from bench.ground import Case, Ground, Pair, Run, drive
from bench.load import LoadFailed
from bench.population import Caller, make_callers
from bench.talking import open_requests, record

PENDING: Final = '"error":"authorization_pending"'
_POLLS_PENDING: Final = "abeyance_polls_total:pending"
_POLLS_SLOWED: Final = "abeyance_polls_total:slowed"
_FILLING: Final = 64  # connections
_SPARE: Final = 1.5  # proofs more than the fastest round used, since rounds differ
_GUESS: Final = 5_000  # proofs a second, for the first round


@dataclass(slots=True)
class Written:
    """What pending polls wrote: it should be nothing."""

    polls: int = 0
    runs_with_a_commit: int = 0
    log_bytes: int = 0

    def add(self, polls: int, before: Mark, after: Mark) -> None:
        self.polls += polls
        self.runs_with_a_commit += before.version != after.version
        self.log_bytes += after.log_bytes - before.log_bytes


def check_pending(name: str, run: Run, connections: int) -> None:
    """Let the servers say how many answers were "pending": all of them."""
    pending, slowed = run.counted[_POLLS_PENDING], run.counted[_POLLS_SLOWED]
    # At the end of its time wrk leaves requests that the server still answers.
    if slowed or not 0 <= pending - run.told.requests <= 2 * connections:
        raise LoadFailed(
            f"{name}: {run.told.requests} answers, of which {pending:.0f} were pending"
            f" and {slowed:.0f} told to slow down"
        )


class PollCase(Case):
    """Pending polls in turn over all waiting requests."""

    def __init__(self, ground: Ground, name: str, *, method: str, dpop: bool = False) -> None:
        self.name = name
        self.written = Written()
        self._ground = ground
        self._dpop = dpop
        self._callers = make_callers(method, ground.plan.clients)
        self._signed = dpop or method == names.PRIVATE_KEY_JWT
        self._file = ground.folder / f"{name}.messages"
        self._rate = float(_GUESS)
        self.codes: list[str] = []

    def prepare(self) -> None:
        ground = self._ground
        self.server = ground.open_server(self.name, self._callers)
        self.watch = ground.watch(self.name)
        self.fill(ground.plan.few)
        caller = self._callers[0]
        answer = record(self.server.port, messages.poll(caller, self.codes[0], dpop=self._dpop))
        if PENDING.encode() not in answer.body:
            raise LoadFailed(f"{self.name} is answered {answer.body!r}")
        self._bare = ground.open_bare([answer])
        # Every answer of this run is looked at; the rounds trust the server's counters.
        self.poll(1, expected=PENDING)

    def fill(self, waiting: int) -> None:
        """Open requests until so many wait, spread evenly over the clients."""
        wanted = range(len(self.codes), waiting)
        asked = (messages.first_request(self._caller_of(n), dpop=self._dpop) for n in wanted)
        self.codes += open_requests(self.server.port, asked, _FILLING)
        if not self._signed:
            messages.write_messages(self._file, self._polls())

    def measure(self) -> Pair:
        ground = self._ground
        if self._signed:
            self._sign(ground.plan.case_seconds)
        bare = drive(
            self._bare,
            lambda: ground.load.turn(self._bare.port, self._file, ground.plan.bare_seconds),
        )
        ours = self._poll_file(ground.plan.case_seconds)
        if ours.told.exhausted:
            # Faster than was foreseen: the round does not count, the next one is ready for it.
            self._rate *= 2
            return self.measure()
        return Pair(bare, ours)

    def poll(self, seconds: int, *, expected: str = "-") -> Run:
        """Poll in turn; raises `LoadFailed` if anything but "pending" was answered."""
        if self._signed:
            self._sign(seconds)
        return self._poll_file(seconds, expected=expected)

    def _poll_file(self, seconds: int, *, expected: str = "-") -> Run:
        mark = self.watch.mark()
        run = drive(
            self.server,
            lambda: self._ground.load.turn(
                self.server.port, self._file, seconds, once=self._signed, expected=expected
            ),
        )
        check_pending(self.name, run, self._ground.plan.connections)
        self._rate = max(self._rate, run.rate)
        self.written.add(run.told.requests, mark, self.watch.mark())
        return run

    def _polls(self) -> Iterator[bytes]:
        for number, code in enumerate(self.codes):
            yield messages.poll(self._caller_of(number), code, dpop=self._dpop)

    def _sign(self, seconds: int) -> None:
        """Write polls in turn, each with a proof or assertion of its own, good for minutes."""
        wanted = int(self._rate * seconds * _SPARE) + 1
        polls = itertools.chain.from_iterable(self._polls() for _ in itertools.count())
        messages.write_messages(self._file, itertools.islice(polls, wanted))

    def _caller_of(self, number: int) -> Caller:
        return self._callers[number % len(self._callers)]

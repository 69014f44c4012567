"""One run of the benchmark: all cases filled, weighed, and measured in interleaved rounds."""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeAlias

from abeyance.wire import names
from bench import plan as plans
from bench.callbacks import Callbacks, Receiver
from bench.callbacks import measure as measure_callbacks
from bench.ground import Case, Ground, Pair
from bench.held import HeldPolls
from bench.held import measure as measure_held
from bench.load import Load
from bench.machine import Cores
from bench.plan import Plan
from bench.polls import PollCase, Written
from bench.population import CalledBack, make_callers
from bench.process import Process
from bench.signature import measure as measure_signature
from bench.weighing import WaitingRequest, fill_and_weigh
from bench.writes import FirstRequestCase, FullCycleCase

Say: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Line:
    """One case: its rounds, and their medians."""

    name: str
    rounds: tuple[Pair, ...]

    def of(self, figure: Callable[[Pair], float]) -> float:
        return median(map(figure, self.rounds))

    @property
    def ratio(self) -> float:
        return self.of(lambda pair: pair.ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """`written`: what the pending polls of a case wrote."""

    lines: Mapping[str, Line]
    waiting_request: WaitingRequest
    written: Mapping[str, Written]
    answer_us: Mapping[str, float]
    held_polls: HeldPolls
    callbacks: Callbacks
    signature_us: float  # of CPU, for the check of one ES256 signature alone


def run(plan: Plan, cores: Cores, wrk: Path, say: Say) -> Results:
    """Measure everything. Raises `LoadFailed` if anything but the right answers came."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="abeyance-bench-")))
        ground = Ground(plan, cores, Load(wrk, plan.connections), folder, stack)
        polls = _poll_cases(ground)
        first_requests = FirstRequestCase(ground)
        cases: list[Case] = [*polls.values(), first_requests, FullCycleCase(ground)]
        for case in cases:
            say(f"preparing {case.name}")
            case.prepare()
        say(f"filling {plans.POLL_BASIC_100K}")
        waiting_request = fill_and_weigh(polls[plans.POLL_BASIC_100K], plan.few, plan.many)
        pairs: dict[str, list[Pair]] = {case.name: [] for case in cases}
        for number in range(1, plan.rounds + 1):
            for case in cases:
                pair = case.measure()
                pairs[case.name].append(pair)
                say(f"round {number}: {case.name} {pair.ratio:.3f} of {pair.bare.rate:,.0f}/s")
        say("holding polls")
        held_polls = _hold(ground)
        say("calling back")
        callbacks = _call_back(ground)
        return Results(
            lines={name: Line(name, tuple(found)) for name, found in pairs.items()},
            waiting_request=waiting_request,
            written={name: case.written for name, case in polls.items()},
            answer_us=first_requests.answer_times(),
            held_polls=held_polls,
            callbacks=callbacks,
            signature_us=measure_signature(plan.rounds * 10),
        )


def _hold(ground: Ground) -> HeldPolls:
    callers = make_callers(names.CLIENT_SECRET_BASIC, ground.plan.clients)
    server = ground.open_server("held_polls", callers, decisions=True)
    return measure_held(server, callers, ground.plan.held, ground.plan.decisions)


def _call_back(ground: Ground) -> Callbacks:
    callers = make_callers(names.CLIENT_SECRET_BASIC, ground.plan.clients)

    def open_server(called_back: CalledBack) -> Process:
        return ground.open_server("callbacks", callers, decisions=True, called_back=called_back)

    receiver = Receiver(ground.folder)
    return measure_callbacks(ground.cores, open_server, receiver, callers, ground.plan.callbacks)


def _poll_cases(ground: Ground) -> Mapping[str, PollCase]:
    basic, assertion = names.CLIENT_SECRET_BASIC, names.PRIVATE_KEY_JWT
    cases = (
        PollCase(ground, plans.POLL_BASIC_1K, method=basic),
        PollCase(ground, plans.POLL_BASIC_100K, method=basic),
        PollCase(ground, plans.POLL_DPOP_1K, method=basic, dpop=True),
        PollCase(ground, plans.POLL_PRIVATE_KEY_JWT_1K, method=assertion),
    )
    return {case.name: case for case in cases}

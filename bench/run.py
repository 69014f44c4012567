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
from bench.ground import Case, Ground, Pair
from bench.load import Load
from bench.machine import Cores
from bench.plan import Plan
from bench.polls import PollCase, Written
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
        return Results(
            lines={name: Line(name, tuple(found)) for name, found in pairs.items()},
            waiting_request=waiting_request,
            written={name: case.written for name, case in polls.items()},
            answer_us=first_requests.answer_times(),
        )


def _poll_cases(ground: Ground) -> Mapping[str, PollCase]:
    basic, assertion = names.CLIENT_SECRET_BASIC, names.PRIVATE_KEY_JWT
    cases = (
        PollCase(ground, plans.POLL_BASIC_1K, method=basic),
        PollCase(ground, plans.POLL_BASIC_100K, method=basic),
        PollCase(ground, plans.POLL_DPOP_1K, method=basic, dpop=True),
        PollCase(ground, plans.POLL_PRIVATE_KEY_JWT_1K, method=assertion),
    )
    return {case.name: case for case in cases}

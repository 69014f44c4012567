"""One run of the benchmark: all cases filled, weighed, and measured in interleaved rounds."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias, TypeVar

from abeyance.wire import names
from bench import plan as plans
from bench.callbacks import Callbacks, Receiver
from bench.callbacks import measure as measure_callbacks
from bench.crowds import CrowdCase, PostgresCrowd, SqliteCrowd
from bench.ground import Case, Ground, Pair
from bench.held import HeldPolls
from bench.held import measure as measure_held
from bench.load import Load
from bench.machine import Cores
from bench.plan import Plan
from bench.polls import PollCase, Written
from bench.population import CalledBack, make_callers
from bench.postgres import Postgres
from bench.process import Process
from bench.recovery import Recovery
from bench.recovery import measure as measure_recovery
from bench.signature import measure as measure_signature
from bench.weighing import WaitingRequest, fill_and_weigh
from bench.writes import FirstRequestCase, FullCycleCase
from tests.postgres.server import NoPostgres

T = TypeVar("T")
Say: TypeAlias = Callable[[str], None]
Chosen: TypeAlias = Callable[[str], bool]  # by the name of a case


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
    """Of what was chosen. `written`: what the pending polls of a case wrote; `look_ups`: how
    many requests a second pgbench looks up beside so many; `signature_us`: of CPU, for the check
    of one ES256 signature alone.
    """

    lines: Mapping[str, Line]
    waiting_request: WaitingRequest | None
    written: Mapping[str, Written]
    answer_us: Mapping[str, float]
    held_polls: HeldPolls | None
    held_pg: Mapping[str, HeldPolls]
    callbacks: Callbacks | None
    recovery: Recovery | None
    look_ups: Mapping[str, float]
    signature_us: float


def run(plan: Plan, cores: Cores, wrk: Path, say: Say, chosen: Chosen) -> Results:
    """Measure what is chosen. Raises `LoadFailed` if anything but the right answers came."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="abeyance-bench-")))
        postgres = _open_postgres(stack, say, chosen)
        ground = Ground(plan, cores, Load(wrk, plan.connections), folder, stack, postgres)
        cases = [case for case in _cases(ground) if chosen(case.name)]
        for case in cases:
            say(f"preparing {case.name}")
            case.prepare()
        waiting_request = _weigh(plan, cases, say)
        pairs: dict[str, list[Pair]] = {case.name: [] for case in cases}
        for number in range(1, plan.rounds + 1):
            for case in cases:
                pair = case.measure()
                pairs[case.name].append(pair)
                say(f"round {number}: {case.name} {pair.ratio:.3f} of {pair.bare.rate:,.0f}/s")

        def measure(name: str, how: Callable[[Ground], T]) -> T | None:
            if not chosen(name) or (postgres is None and name == plans.HELD_PG):
                return None
            say(f"measuring {name}")
            return how(ground)

        first = [case for case in cases if isinstance(case, FirstRequestCase)]
        polls = [case for case in cases if isinstance(case, PollCase | CrowdCase)]
        return Results(
            lines={name: Line(name, tuple(found)) for name, found in pairs.items()},
            waiting_request=waiting_request,
            written={case.name: case.written for case in polls},
            answer_us=first[0].answer_times() if first else {},
            held_polls=measure(plans.HELD_POLLS, _hold),
            held_pg=measure(plans.HELD_PG, _hold_on_postgres) or {},
            callbacks=measure(plans.CALLBACKS, _call_back),
            recovery=measure(
                plans.RECOVERY, lambda on: measure_recovery(on, plan.many, plan.kills)
            ),
            look_ups=_look_ups(ground, cases),
            signature_us=measure_signature(plan.rounds * 10),
        )


def _open_postgres(stack: ExitStack, say: Say, chosen: Chosen) -> Postgres | None:
    if not any(map(chosen, plans.NEED_POSTGRES)):
        return None
    try:
        return Postgres(stack)
    except NoPostgres as why:
        say(f"nothing is measured on PostgreSQL: {why}")
        return None


def _cases(ground: Ground) -> Sequence[Case]:
    basic, assertion = names.CLIENT_SECRET_BASIC, names.PRIVATE_KEY_JWT
    cases: list[Case] = [
        PollCase(ground, plans.POLL_BASIC_1K, method=basic),
        PollCase(ground, plans.POLL_BASIC_100K, method=basic),
        CrowdCase(plans.POLL_BASIC_1M, SqliteCrowd(ground, plans.POLL_BASIC_1M, ground.plan.most)),
        PollCase(ground, plans.POLL_DPOP_1K, method=basic, dpop=True),
        PollCase(ground, plans.POLL_PRIVATE_KEY_JWT_1K, method=assertion),
        FirstRequestCase(ground),
        FullCycleCase(ground),
    ]
    if ground.postgres is None:
        return cases
    for name, count in zip(
        plans.POLLS_ON_POSTGRES,
        (ground.plan.few, ground.plan.many, ground.plan.most),
        strict=True,
    ):
        crowd = PostgresCrowd(ground, name, count)
        cases += [CrowdCase(name, crowd), CrowdCase(name + plans.TWO, crowd, 2)]
    for processes, more in ((1, ""), (2, plans.TWO)):
        cases.append(FullCycleCase(ground, plans.FULL_CYCLE_PG + more, processes))
    return cases


def _weigh(plan: Plan, cases: Sequence[Case], say: Say) -> WaitingRequest | None:
    for case in cases:
        if isinstance(case, PollCase) and case.name == plans.POLL_BASIC_100K:
            say(f"filling {case.name}")
            return fill_and_weigh(case, plan.few, plan.many)
    return None


def _hold(ground: Ground) -> HeldPolls:
    callers = make_callers(names.CLIENT_SECRET_BASIC, ground.plan.clients)
    server = ground.open_server(plans.HELD_POLLS, callers, decisions=True)
    return measure_held(server, callers, ground.plan.held, ground.plan.decisions)


def _hold_on_postgres(ground: Ground) -> Mapping[str, HeldPolls]:
    """Decisions that come to the process that holds the polls, and to the other one."""
    callers, plan = make_callers(names.CLIENT_SECRET_BASIC, ground.plan.clients), ground.plan
    holds, other = ground.open_fleet(plans.HELD_PG, callers, 2, decisions=True).servers
    return {
        name: measure_held(holds, callers, plan.held_pg, min(plan.decisions, plan.held_pg // 2), at)
        for name, at in (("here", holds), ("across", other))
    }


def _call_back(ground: Ground) -> Callbacks:
    callers = make_callers(names.CLIENT_SECRET_BASIC, ground.plan.clients)

    def open_server(called_back: CalledBack) -> Process:
        return ground.open_server(plans.CALLBACKS, callers, decisions=True, called_back=called_back)

    receiver = Receiver(ground.folder)
    return measure_callbacks(ground.cores, open_server, receiver, callers, ground.plan.callbacks)


def _look_ups(ground: Ground, cases: Sequence[Case]) -> Mapping[str, float]:
    """What the database does without us, for the largest crowd that is there."""
    there = [case for case in cases if isinstance(case, CrowdCase) and case.name in _ALONE]
    if not there or ground.postgres is None:
        return {}
    name, crowd = there[-1].name, there[-1].crowd
    return {
        str(at_once): round(
            ground.postgres.look_ups(
                name, ground.folder, crowd.count, at_once, ground.plan.case_seconds
            )
        )
        for at_once in _AT_ONCE
    }


_ALONE: Final = frozenset(plans.POLLS_ON_POSTGRES)
_AT_ONCE: Final = (1, 16)  # requests in a statement

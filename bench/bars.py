"""What is to be reached, and whether it was."""

from dataclasses import dataclass
from typing import Final

from bench import plan
from bench.run import Results

MOST_BEYOND_PAYLOAD: Final = 2_048  # bytes of database
RATIOS: Final = {
    plan.POLL_BASIC_1K: 0.45,
    plan.POLL_DPOP_1K: 0.13,
    plan.POLL_PRIVATE_KEY_JWT_1K: 0.13,
}
LEAST_OF_1K: Final = 0.9  # what of the rate at 1,000 must be left at 100,000


@dataclass(frozen=True, slots=True)
class Bar:
    """One promise, in words with the figure that was found."""

    promise: str
    found: str
    reached: bool


def judge(results: Results) -> tuple[Bar, ...]:
    """Hold the results against every bar."""
    return (*_ratios(results), _scale(results), _no_write(results), _room(results))


def _ratios(results: Results) -> list[Bar]:
    bars = []
    for name, least in RATIOS.items():
        ratio = results.lines[name].ratio
        bars.append(Bar(f"{name} at {least} of the bare server", f"{ratio:.3f}", ratio >= least))
    return bars


def _scale(results: Results) -> Bar:
    few, many = (results.lines[each].ratio for each in (plan.POLL_BASIC_1K, plan.POLL_BASIC_100K))
    part = many / few
    return Bar(
        f"{plan.POLL_BASIC_100K} within 10 % of {plan.POLL_BASIC_1K}",
        f"{part:.1%} of it",
        part >= LEAST_OF_1K,
    )


def _no_write(results: Results) -> Bar:
    polls = sum(each.polls for each in results.written.values())
    commits = sum(each.runs_with_a_commit for each in results.written.values())
    log_bytes = sum(each.log_bytes for each in results.written.values())
    return Bar(
        "no durable write on any pending poll",
        f"{polls:,} polls, runs with a commit: {commits}, write-ahead log grown by {log_bytes} B",
        commits == 0 and log_bytes == 0,
    )


def _room(results: Results) -> Bar:
    one = results.waiting_request
    beyond = one.database_bytes - one.payload_bytes
    return Bar(
        f"at most {MOST_BEYOND_PAYLOAD:,} B of database beyond the payload of a waiting request",
        f"{beyond:,} B ({one.database_bytes:,} - {one.payload_bytes:,})",
        beyond <= MOST_BEYOND_PAYLOAD,
    )

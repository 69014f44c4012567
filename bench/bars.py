"""What is to be reached, and whether it was."""

from dataclasses import dataclass
from typing import Final

from bench import plan
from bench.run import Results

MOST_BEYOND_PAYLOAD: Final = 2_048  # bytes of database
RATIOS: Final = {
    plan.POLL_PG_1K: 0.35,
    plan.POLL_BASIC_1K: 0.45,
    plan.POLL_DPOP_1K: 0.13,
    plan.POLL_PRIVATE_KEY_JWT_1K: 0.13,
}
FLAT: Final = (
    (plan.POLL_BASIC_1K, plan.POLL_BASIC_100K),
    (plan.POLL_PG_1K, plan.POLL_PG_100K),
    (plan.POLL_PG_1K, plan.POLL_PG_1M),
)
LEAST_OF_1K: Final = 0.9  # what of the rate at 1,000 must be left


@dataclass(frozen=True, slots=True)
class Bar:
    """One promise, in words with the figure that was found."""

    promise: str
    found: str
    reached: bool


def judge(results: Results) -> tuple[Bar, ...]:
    """Hold the results against every bar."""
    return (*_ratios(results), *_scale(results), *_no_write(results), *_room(results))


def _ratios(results: Results) -> list[Bar]:
    bars = []
    for name, least in RATIOS.items():
        if name not in results.lines:
            continue
        ratio = results.lines[name].ratio
        bars.append(Bar(f"{name} at {least} of the bare server", f"{ratio:.3f}", ratio >= least))
    return bars


def _scale(results: Results) -> list[Bar]:
    bars = []
    for few, many in FLAT:
        if few in results.lines and many in results.lines:
            part = results.lines[many].ratio / results.lines[few].ratio
            promise = f"{many} within 10 % of {few}"
            bars.append(Bar(promise, f"{part:.1%} of it", part >= LEAST_OF_1K))
    return bars


def _no_write(results: Results) -> list[Bar]:
    if not results.written:
        return []
    polls = sum(each.polls for each in results.written.values())
    commits = sum(each.runs_with_a_commit for each in results.written.values())
    log_bytes = sum(each.log_bytes for each in results.written.values())
    return [
        Bar(
            "no durable write on any pending poll",
            f"{polls:,} polls, runs with a commit: {commits},"
            f" write-ahead log grown by {log_bytes} B",
            commits == 0 and log_bytes == 0,
        )
    ]


def _room(results: Results) -> list[Bar]:
    one = results.waiting_request
    if one is None:
        return []
    beyond = one.database_bytes - one.payload_bytes
    return [
        Bar(
            f"at most {MOST_BEYOND_PAYLOAD:,} B of database beyond the payload of a waiting"
            " request",
            f"{beyond:,} B ({one.database_bytes:,} - {one.payload_bytes:,})",
            beyond <= MOST_BEYOND_PAYLOAD,
        )
    ]

"""The table, the verdicts, and the file."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from abeyance.wire.strict_json import JsonObject
from bench import bars
from bench.callbacks import Callbacks
from bench.ground import Pair
from bench.held import HeldPolls
from bench.plan import POLL_BASIC_1K, POLL_DPOP_1K
from bench.recovery import Recovery
from bench.run import Line, Results
from bench.weighing import WaitingRequest

_COLUMNS = (
    "case",
    "ratio",
    "of rounds",
    "by CPU",
    "per second",
    "p50 ms",
    "p99 ms",
    "CPU us",
    "database us",
    "bare/s",
    "bare CPU us",
    "stolen",
)
_MOST_STOLEN = 0.02  # of a round, before it is worth a word


def render_table(results: Results) -> str:
    rows = [_COLUMNS, *map(_row, results.lines.values())] if results.lines else []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, "", *_beside(results)])


def _beside(results: Results) -> Iterator[str]:
    """What was counted or timed otherwise."""
    if results.waiting_request is not None:
        yield _weight(results.waiting_request)
    if results.answer_us:
        yield _times(results)
    if results.held_polls is not None:
        yield _held(results.held_polls)
    for name, polls in results.held_pg.items():
        yield f"on PostgreSQL, decided {name}: {_held(polls)}"
    if results.callbacks is not None:
        yield _called_back(results.callbacks)
    if results.recovery is not None:
        yield _recovered(results.recovery)
    if results.look_ups:
        yield _looked_up(results.look_ups)
    if {POLL_DPOP_1K, POLL_BASIC_1K} <= results.lines.keys():
        yield _signature(results)


def _row(line: Line) -> tuple[str, ...]:
    ratios = [pair.ratio for pair in line.rounds]
    return (
        line.name,
        f"{line.ratio:.3f}",
        f"{min(ratios):.3f}-{max(ratios):.3f}",
        f"{line.of(lambda pair: pair.cpu_ratio):.3f}",
        f"{line.of(lambda pair: pair.ours.rate):,.0f}",
        f"{line.of(lambda pair: pair.ours.told.p50_ms):.2f}",
        f"{line.of(lambda pair: pair.ours.told.p99_ms):.2f}",
        f"{line.of(lambda pair: pair.ours.cpu_us):.1f}",
        f"{line.of(lambda pair: pair.ours.database_us):.1f}",
        f"{line.of(lambda pair: pair.bare.rate):,.0f}",
        f"{line.of(lambda pair: pair.bare.cpu_us):.1f}",
        f"{line.of(lambda pair: pair.stolen):.0%}",
    )


def _weight(one: WaitingRequest) -> str:
    return (
        f"a waiting request: {one.memory_bytes:,} B of memory, {one.database_bytes:,} B of"
        f" database, of which {one.payload_bytes:,} B payload"
    )


def _times(results: Results) -> str:
    times = ", ".join(f"{kind} {took:,.0f}" for kind, took in results.answer_us.items())
    return f"answers that must look alike (one connection, median us): {times}"


def _held(polls: HeldPolls) -> str:
    return (
        f"{polls.held:,} held polls: {polls.connection_bytes:,} B for the connection and"
        f" {polls.hold_bytes:,} B for holding it; from a decision to its answer"
        f" {polls.answer_ms_median:.1f} ms (median), {polls.answer_ms_p99:.1f} ms (p99)"
    )


def _called_back(sent: Callbacks) -> str:
    return (
        f"callbacks: {sent.per_second:,.0f} a second, {sent.ratio:.3f} of the guarded caller alone"
        f" ({sent.bare_per_second:,.0f}); from a decision to its callback"
        f" {sent.delay_ms_median:.1f} ms (median), {sent.delay_ms_p99:.1f} ms (p99)"
    )


def _recovered(found: Recovery) -> str:
    took = f"beside {found.waiting:,} waiting requests, from the new start to the first good answer"
    parts = [f"SQLite {found.server_on_sqlite:.2f} s"]
    if found.server_on_postgres is not None and found.postgres is not None:
        parts.append(f"PostgreSQL {found.server_on_postgres:.2f} s")
        parts.append(f"the database itself {found.postgres:.2f} s")
    return f"after kill -9, {took}: {', '.join(parts)}"


def _looked_up(rates: Mapping[str, float]) -> str:
    told = ", ".join(f"{rate:,.0f} a second by {at_once}" for at_once, rate in rates.items())
    return f"pgbench alone looks requests up: {told}"


def _signature(results: Results) -> str:
    """What a proof costs beside the signature check that nobody can spare."""
    dpop, basic = (
        results.lines[name].of(lambda pair: pair.ours.cpu_us)
        for name in (POLL_DPOP_1K, POLL_BASIC_1K)
    )
    return (
        f"a DPoP poll: {dpop - basic:.1f} us of CPU more than a Basic poll; checking the signature"
        f" alone: {results.signature_us:.1f} us; {dpop / results.signature_us:.2f} checks in all"
    )


def render_caution(results: Results) -> str | None:
    """What to know before the figures are believed."""
    lines = results.lines.values()
    stolen = max((line.of(lambda pair: pair.stolen) for line in lines), default=0.0)
    if stolen <= _MOST_STOLEN:
        return None
    return (
        f"The host kept this machine from its cores for up to {stolen:.0%} of the time:"
        " run it again on one that has them for itself."
    )


def render_bars(results: Results) -> str:
    return "\n".join(
        f"{'reached' if bar.reached else 'MISSED '}  {bar.promise}: {bar.found}"
        for bar in bars.judge(results)
    )


def render_results(results: Results, about: JsonObject) -> str:
    """The file: `cases` and `waiting_request` as everybody reads them, and what is beside."""
    document = {
        "cases": [_case(line) for line in results.lines.values()],
        "waiting_request": _plain(results.waiting_request),
        "held_polls": _plain(results.held_polls),
        "held_pg": {name: asdict(each) for name, each in results.held_pg.items()},
        "callbacks": _plain(results.callbacks),
        "recovery": _plain(results.recovery),
        "pgbench_look_ups": dict(results.look_ups),
        "signature_us": results.signature_us,
        "rounds": {line.name: list(map(_round, line.rounds)) for line in results.lines.values()},
        "pending_polls_wrote": {name: asdict(each) for name, each in results.written.items()},
        "answer_us": dict(results.answer_us),
        "bars": [asdict(bar) for bar in bars.judge(results)],
        "about": about,
    }
    return json.dumps(document, indent=2) + "\n"


def _plain(
    found: WaitingRequest | HeldPolls | Callbacks | Recovery | None,
) -> JsonObject | None:
    return None if found is None else asdict(found)


def _case(line: Line) -> JsonObject:
    return {
        "name": line.name,
        "ratio": round(line.ratio, 4),
        "per_second": round(line.of(lambda pair: pair.ours.rate), 1),
        "p50_ms": round(line.of(lambda pair: pair.ours.told.p50_ms), 3),
        "p99_ms": round(line.of(lambda pair: pair.ours.told.p99_ms), 3),
    }


def _round(pair: Pair) -> JsonObject:
    return {
        "ratio": round(pair.ratio, 4),
        "cpu_ratio": round(pair.cpu_ratio, 4),
        "cpu_us": round(pair.ours.cpu_us, 2),
        "database_us": round(pair.ours.database_us, 2),
        "bare_per_second": round(pair.bare.rate, 1),
        "bare_cpu_us": round(pair.bare.cpu_us, 2),
        "stolen": round(pair.stolen, 3),
    }

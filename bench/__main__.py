"""`python -m bench`: measure, print a table, say what was reached, write the figures down."""

import argparse
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import machine, report
from bench.load import LoadFailed
from bench.plan import ALL, FULL, QUICK
from bench.run import run
from tools.system import ensure

_RESULTS: Final = Path(__file__).parent / "results.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="try the machinery; the figures mean nothing"
    )
    parser.add_argument(
        "--results", type=Path, default=_RESULTS, help="where the figures go (JSON)"
    )
    parser.add_argument(
        "names", nargs="*", metavar="CASE", help=f"only these: {', '.join(ALL)} (default: all)"
    )
    told = parser.parse_args()
    if unknown := set(told.names) - set(ALL):
        parser.error(f"there is no case {', '.join(sorted(unknown))}")
    wrk = ensure("wrk")
    if wrk is None:
        return 1
    cores = machine.choose_cores()
    machine.pin(cores.load)  # wrk, too, which inherits it
    busy, began = machine.load_average(), time.monotonic()
    plan = QUICK if told.quick else FULL
    try:
        results = run(
            plan,
            cores,
            wrk,
            lambda text: print(text, file=sys.stderr, flush=True),
            lambda name: not told.names or name in told.names,
        )
    except LoadFailed as failed:
        print(f"Nothing was measured: {failed}", file=sys.stderr)
        return 1
    about = {
        "quick": told.quick,
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "took_seconds": round(time.monotonic() - began),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "pinned": cores.server is not None,
        "load_average_before": [round(each, 2) for each in busy],
    }
    told.results.write_text(report.render_results(results, about))
    print(report.render_table(results), end="\n\n")
    print(report.render_bars(results), end="\n\n")
    print(f"took {about['took_seconds']} s; written to {told.results.name}")
    if caution := report.render_caution(results):
        print(caution)
    if not about["pinned"]:
        print("Nothing was pinned to a core: the figures are rougher than they look.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

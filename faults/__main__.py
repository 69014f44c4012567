"""Run every lane, print the table, write the figures into docs/reliability.md.

    python -m faults [--worlds N] [--images N] [--kills N] [--rounds N] [--shifts N]
    python -m faults world SEED      one simulated world, with its log

Exits with 1 if a promise was broken, a fault never struck or a mutant was not caught.
"""

import argparse
import json
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from faults.lanes import be_quiet, hunt_all, lanes, run_lane, simulate_all
from faults.report import rows, write_page
from faults.simulation.world import live


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--worlds", type=int, default=20_000)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=360, help="of each race")
    parser.add_argument("--shifts", type=int, default=120, help="of the soak, six hours each")
    parser.add_argument("what", nargs="*", metavar="world SEED")
    given = parser.parse_args()
    match given.what:
        case []:
            return run_all(given.worlds, given.images, given.kills, given.rounds, given.shifts)
        case ["world", seed] if seed.isdecimal():
            return show(int(seed))
        case _:
            parser.error("either nothing, or: world SEED")


def show(seed: int) -> int:
    """Run one world again, and print its log and what is wrong with it."""
    be_quiet()
    seen = live(seed)
    for event in seen.events:
        print(json.dumps(event))
    for violation in seen.violations:
        print(f"{violation.promise} is broken for {violation.deferral}: {violation.says}")
    return 1 if seen.violations else 0


def run_all(worlds: int, images: int, kills: int, rounds: int, shifts: int) -> int:
    began = time.monotonic()
    print(
        f"Simulation under {platform.python_implementation()} {platform.python_version()},"
        " with the event loop of faults/simulation/loop.py",
        flush=True,
    )
    with ProcessPoolExecutor(2) as pool:
        seen = simulate_all(pool, worlds)
        print(f"{seen.count:,} worlds in {time.monotonic() - began:.0f} s", flush=True)
        hunted = hunt_all(pool)
    print(f"{len(hunted)} mutants hunted after {time.monotonic() - began:.0f} s", flush=True)
    with ThreadPoolExecutor(2) as threads:
        ran = list(threads.map(run_lane, lanes(images, kills, rounds, shifts)))
    lines = list(rows(seen, ran, hunted))
    print("\n".join(lines))
    write_page(lines)
    for seed, violation in seen.violations[:20]:
        print(f"broken: {violation.promise}: {violation.says} (python -m faults world {seed})")
    for each in ran:
        if not each.good:
            print(f"broken: {each.lane.name}\n{each.says}")
    for fault in seen.blind:
        print(f"blind: no {fault} in {seen.count} worlds")
    escaped = [each.mutant.off for each in hunted if each.median is None]
    for off in escaped:
        print(f"not caught: {off}")
    broken = len(seen.violations) + sum(not each.good for each in ran)
    print(
        f"faults: {seen.count:,} worlds, {images:,} images, {kills:,} kills, {broken} violations,"
        f" {len(hunted) - len(escaped)} of {len(hunted)} mutants caught,"
        f" {time.monotonic() - began:.0f} s"
    )
    return 1 if broken or seen.blind or escaped else 0


if __name__ == "__main__":
    sys.exit(main())

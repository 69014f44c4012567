"""Run every lane, print the table, write the figures into docs/reliability.md.

    python -m faults [--worlds N] [--images N] [--kills N] [--rounds N] [--switches N]
                     [--shifts N] [--inputs N]
    python -m faults world SEED      one simulated world, with its log

Exits with 1 if a promise was broken, a fault never struck or a mutant was not caught.
"""

import argparse
import json
import platform
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

from faults.lanes import Size, be_quiet, hunt_all, lanes, run_lane, simulate_all
from faults.piece import Piece, add_up, make_piece, read_piece, write_piece
from faults.report import rows, write_page
from faults.simulation.world import live


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--worlds", type=int, default=20_000)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=360, help="of each race")
    parser.add_argument("--switches", type=int, default=2, help="in an order of steps, at most")
    parser.add_argument("--shifts", type=int, default=120, help="of the soak, six hours each")
    parser.add_argument("--inputs", type=int, default=5_000, help="for each property of a parser")
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--piece", type=Path, help="keep what was found here")
    parser.add_argument("--no-mutants", action="store_true")
    parser.add_argument("what", nargs="*", metavar="world SEED | sum FILE ...")
    given = parser.parse_args()
    match given.what:
        case []:
            return run_all(given)
        case ["world", seed] if seed.isdecimal():
            return show(int(seed))
        case ["sum", _, *_]:
            return publish(add_up([read_piece(Path(each)) for each in given.what[1:]]))
        case _:
            parser.error("either nothing, or: world SEED, or: sum FILE ...")


def show(seed: int) -> int:
    """Run one world again, and print its log and what is wrong with it."""
    be_quiet()
    seen = live(seed)
    for event in seen.events:
        print(json.dumps(event))
    for violation in seen.violations:
        print(f"{violation.promise} is broken for {violation.deferral}: {violation.says}")
    return 1 if seen.violations else 0


def run_all(given: argparse.Namespace) -> int:
    began = time.monotonic()
    print(
        f"Simulation under {platform.python_implementation()} {platform.python_version()},"
        " with the event loop of faults/simulation/loop.py",
        flush=True,
    )
    with ProcessPoolExecutor(2) as pool:
        seen = simulate_all(pool, given.worlds, given.seed)
        print(f"{seen.count:,} worlds in {time.monotonic() - began:.0f} s", flush=True)
        hunted = [] if given.no_mutants else hunt_all(pool)
    print(f"{len(hunted)} mutants hunted after {time.monotonic() - began:.0f} s", flush=True)
    with ThreadPoolExecutor(2) as threads:
        wanted = lanes(Size(*(getattr(given, each.name) for each in fields(Size))))
        ran = list(threads.map(run_lane, wanted, [given.seed] * len(wanted)))
    piece = make_piece(given.seed, seen, ran, hunted)
    print(f"all of it took {time.monotonic() - began:.0f} s")
    if given.piece is not None:
        write_piece(piece, given.piece)
        return sum_up(piece)
    return publish(piece)


def publish(piece: Piece) -> int:
    """Write the figures into the page, and sum up."""
    lines = list(rows(piece))
    print("\n".join(lines))
    write_page(lines)
    return sum_up(piece)


def sum_up(piece: Piece) -> int:
    """Say what was broken; 1 if anything was."""
    seen = piece.worlds
    for seed, violation in seen.violations[:20]:
        print(f"broken: {violation.promise}: {violation.says} (python -m faults world {seed})")
    for each in piece.tried:
        if not each.good:
            print(f"broken: {each.name}\n{each.says}")
    blind = seen.blind if seen.count else []
    for fault in blind:
        print(f"blind: no {fault} in {seen.count} worlds")
    escaped = [each.off for each in piece.caught if each.median is None]
    for off in escaped:
        print(f"not caught: {off}")
    broken = len(seen.violations) + sum(not each.good for each in piece.tried)
    made: Counter[str] = Counter()
    for each in piece.tried:
        made[each.make] += each.tries
    print(
        f"faults: {seen.count:,} worlds, {made['disk images']:,} images, {made['races']:,} races,"
        f" {made['kills']:,} kills, {broken} violations,"
        f" {len(piece.caught) - len(escaped)} of {len(piece.caught)} mutants caught"
    )
    return 1 if broken or blind or escaped else 0


if __name__ == "__main__":
    sys.exit(main())

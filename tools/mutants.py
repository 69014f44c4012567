"""Build the server or the client library wrongly, one fault at a time, and see a test turn red.

The faults are those of `docs/requirements/dtr-test-ideas.md` (`M-01` and on for the server, `CM-01`
and on for the client), as small edits in `tools/mutants.toml`. Each is made in a copy of the
sources, against which the tests run that cover the cases which the catalogue names for it. A
fault that no test sees, without a written reason, is an error; so is one whose edit no longer
fits the sources. First the same tests run without a fault: a test that is red anyhow sees none.

    python tools/mutants.py [M-33 CM-02 ...]
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import trace

TABLE: Final = trace.ROOT / "tools" / "mutants.toml"
CATALOGUE: Final = trace.ROOT / trace.CATALOGUES / "dtr-test-ideas.md"
PATIENCE: Final = 300  # seconds for the tests of one mutant
_ROW: Final = re.compile(r"- (C?M-\d\d) (.*)")
_CASE: Final = re.compile(r"T-\d{3}")


@dataclass(frozen=True, slots=True)
class Edit:
    """In this file of `src/abeyance`, `old` (which stands there once) becomes `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: its edits, or the reason why it cannot be built or seen. `cases`: the IDs of
    tests that must see it; `tests` are files to run besides those.
    """

    id: str
    text: str
    cases: tuple[str, ...]
    edits: tuple[Edit, ...]
    reason: str | None
    tests: tuple[str, ...]


def read_mutants(table: Path = TABLE, catalogue: Path = CATALOGUE) -> tuple[Mutant, ...]:
    """Read catalogue and table. Raises `ValueError` if they do not speak of the same faults."""
    told = tomllib.loads(table.read_text("utf-8"))
    rows = {
        match[1]: match[2] for match in map(_ROW.match, catalogue.read_text().splitlines()) if match
    }
    if rows.keys() != told.keys():
        raise ValueError(f"only in one of both: {', '.join(sorted(rows.keys() ^ told.keys()))}")
    return tuple(_parse(id_, text, told[id_]) for id_, text in rows.items())


def _parse(id_: str, text: str, told: Mapping[str, Any]) -> Mutant:
    edits = told.get("edits", [])
    reason, cases, tests = told.get("reason"), told.get("cases"), told.get("tests", [])
    if not edits and not reason:
        raise ValueError(f"{id_}: neither edits nor a reason")
    named = cases if isinstance(cases, list) else _CASE.findall(text)
    return Mutant(
        id=id_,
        text=text,
        cases=tuple(map(str, named)),
        edits=tuple(Edit(*each) for each in edits),
        reason=None if reason is None else str(reason),
        tests=tuple(map(str, tests)),
    )


def misfits(mutant: Mutant, source: Path = trace.ROOT / "src" / "abeyance") -> Iterator[str]:
    """Edits that do not fit the sources any more, and files that are not there."""
    for edit in mutant.edits:
        file = source / edit.file
        count = file.read_text("utf-8").count(edit.old) if file.is_file() else 0
        if count != 1:
            yield f"{mutant.id}: {edit.file} has {count} times: {edit.old!r}"


def build(mutant: Mutant, root: Path) -> None:
    """Copy the sources to `root`/src, with this fault."""
    shutil.copytree(trace.ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for edit in mutant.edits:
        file = root / "src" / "abeyance" / edit.file
        text = file.read_text("utf-8")
        file.write_text(text.replace(edit.old, edit.new), "utf-8")


def choose_tests(mutant: Mutant, covering: Mapping[str, Sequence[str]]) -> list[str]:
    """The tests that cover its cases, by name, and the files that are named besides."""
    chosen = [test for case in mutant.cases for test in covering.get(case, ())]
    return list(dict.fromkeys([*chosen, *mutant.tests]))


def is_sound(mutants: Sequence[Mutant], covering: Mapping[str, Sequence[str]]) -> bool:
    """Are all the tests of these faults green without any?"""
    tests = {test: None for each in mutants for test in choose_tests(each, covering)}
    none = Mutant(id="none", text="", cases=(), edits=(), reason=None, tests=tuple(tests))
    return run(none, covering, patience=10 * PATIENCE) == "survived"


def run(
    mutant: Mutant, covering: Mapping[str, Sequence[str]], *, patience: float = PATIENCE
) -> str:
    """What became of it: `caught`, `survived`, `no test`, or `slow`."""
    tests = choose_tests(mutant, covering)
    if not tests:
        return "no test"
    with tempfile.TemporaryDirectory(prefix="abeyance-mutant-") as folder:
        root = Path(folder)
        build(mutant, root)
        environment = {
            **os.environ,
            "PYTHONPATH": str(root / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [
            sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider",
            f"--basetemp={root / 'tests'}", *tests,
        ]  # fmt: skip
        try:
            done = subprocess.run(  # our own tests
                command, cwd=trace.ROOT, env=environment, capture_output=True, text=True,
                timeout=patience, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "slow"
    if done.returncode in (0, 5):
        return "survived"
    return "caught" if done.returncode in (1, 2) else f"pytest exit {done.returncode}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all faults, or those that are named; the status is 1 if one was not seen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("ids", nargs="*", metavar="M-nn", help="only these")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once")
    asked = parser.parse_args(arguments)
    mutants = [each for each in read_mutants() if not asked.ids or each.id in asked.ids]
    if wrong := [line for mutant in mutants for line in misfits(mutant)]:
        print(*wrong, sep="\n", file=sys.stderr)
        return 1
    covering = trace.read_tests()
    runnable = [mutant for mutant in mutants if mutant.edits]
    if not is_sound(runnable, covering):
        print("a test of these faults is red without any: make test", file=sys.stderr)
        return 1
    bad = 0
    with ThreadPoolExecutor(asked.jobs) as pool:
        for mutant, result in zip(
            runnable, pool.map(lambda each: run(each, covering), runnable), strict=True
        ):
            excused = result != "caught" and mutant.reason is not None
            bad += result != "caught" and not excused
            note = f" ({mutant.reason})" if excused else ""
            print(f"{mutant.id:5} {result:9} {mutant.text}{note}", flush=True)
    for mutant in mutants:
        if not mutant.edits:
            print(f"{mutant.id:5} not built {mutant.text} ({mutant.reason})")
    print(f"{len(runnable)} built, {bad} not seen")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

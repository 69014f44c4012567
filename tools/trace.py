"""Say which requirement is covered by which test, and which has no answer.

Requirements stand in the catalogues of `docs/requirements`: as table rows whose first cell is an
ID, as list items that begin with one, and as cells that hold nothing but one (a grid of cases).
Tests name them with `covers("ID", ...)`, which is read from the sources without running them.
What is not covered has to be in `docs/requirements/status.toml`, with what brings it or why it
does not apply. The exit status is 1 if an ID has no answer, or if a test or the status file names
an ID that no catalogue has.
"""

import argparse
import ast
import functools
import json
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CATALOGUES = Path("docs/requirements")
STATUS = CATALOGUES / "status.toml"
TESTS = Path("tests")
MARKER = TESTS / "covers.py"  # defines `covers`, and passes on what it is given

_ID = r"(?:[A-Z][A-Z0-9]*-)+T?\d{2,3}"
_WHOLE_ID = re.compile(rf"\**({_ID})\**")
_ITEM = re.compile(rf"- \**({_ID})\** (.*)")
_PATTERN = re.compile(r"(?P<area>(?:[A-Z][A-Z0-9]*-)+T?)(?P<what>\*|\d+(?:\.\.(?P<last>\d+))?)")
_CELL = re.compile(r"(?<!\\)\|")


class Mistake(Exception):
    """A catalogue, the status file or a test says something that cannot be meant."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row of a catalogue; `level` is empty where the catalogue has no such column."""

    id: str
    catalogue: str
    line: int
    level: str
    text: str

    @property
    def area(self) -> str:
        """The ID without its number: `DTR-POLL-` of `DTR-POLL-03`."""
        return self.id.rstrip("0123456789")

    @property
    def number(self) -> int:
        """The number at the end of the ID."""
        return int(self.id.removeprefix(self.area))


class Kind(Enum):
    """What an entry of the status file says about its IDs."""

    NOT_YET = "not_yet"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Pattern:
    """An ID, a range of one area (`T-173..188`) or a whole area (`DTR-CB-*`)."""

    written: str
    prefix: str
    first: int | None = None
    last: int | None = None

    @classmethod
    def parse(cls, written: str) -> "Pattern":
        """Parse what stands in the status file."""
        match = _PATTERN.fullmatch(written)
        if match is None:
            raise Mistake(f"{STATUS}: '{written}' is no ID, no range and no area")
        if match["what"] == "*":
            return cls(written, match["area"])
        first, _, last = match["what"].partition("..")
        return cls(written, match["area"], int(first), int(last or first))

    def matches(self, requirement: Requirement) -> bool:
        """Tell whether the pattern speaks for a requirement."""
        if self.first is None or self.last is None:
            return requirement.id.startswith(self.prefix)
        return requirement.area == self.prefix and self.first <= requirement.number <= self.last

    @property
    def is_exact(self) -> bool:
        """Whether it names one ID."""
        return self.first is not None and self.first == self.last

    @property
    def rank(self) -> tuple[int, int]:
        """How exact it is: one ID, then a range (the shorter the better), then the longer area."""
        if self.first is None or self.last is None:
            return (0, len(self.prefix))
        return (2, 0) if self.is_exact else (1, self.first - self.last)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the status file; `why` is what brings the IDs, or why they do not apply."""

    kind: Kind
    why: str
    patterns: tuple[Pattern, ...]
    exceptions: tuple[Pattern, ...]

    def best(self, requirement: Requirement) -> Pattern | None:
        """Find the most exact pattern that speaks for a requirement."""
        if any(pattern.matches(requirement) for pattern in self.exceptions):
            return None
        found = [pattern for pattern in self.patterns if pattern.matches(requirement)]
        return max(found, key=lambda pattern: pattern.rank, default=None)


@dataclass(frozen=True, slots=True)
class Status:
    """The status file: entries, and IDs of which a named part waits though the rest is covered."""

    entries: tuple[Entry, ...] = ()
    in_part: Mapping[str, str] = field(default_factory=dict)


class Verdict(Enum):
    """What became of a requirement."""

    COVERED = "covered"
    MISSING = "not covered"
    NOT_APPLICABLE = "not applicable"
    NOT_YET = "not yet"


@dataclass(frozen=True, slots=True)
class Finding:
    """A requirement, its verdict, the reason for it, and the tests that name it."""

    requirement: Requirement
    verdict: Verdict
    why: str = ""
    tests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, in the order of the catalogues, with what is wrong and what is only stale."""

    titles: Mapping[str, str]
    findings: tuple[Finding, ...]
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether every ID has an answer and nothing is wrong."""
        return not self.errors and not self.having(Verdict.MISSING)

    def having(self, verdict: Verdict, catalogue: str | None = None) -> list[Finding]:
        """Find what has a verdict, in one catalogue or in all."""
        return [
            finding
            for finding in self.findings
            if finding.verdict is verdict
            and (catalogue is None or finding.requirement.catalogue == catalogue)
        ]


def read_catalogues(root: Path = ROOT) -> tuple[dict[str, str], dict[str, Requirement]]:
    """Read all catalogues: their titles by file name, and their requirements by ID."""
    titles: dict[str, str] = {}
    requirements: dict[str, Requirement] = {}
    for path in sorted((root / CATALOGUES).glob("*.md")):
        text = path.read_text(encoding="utf-8")
        found = list(parse_catalogue(path.name, text))
        for requirement in found:
            if earlier := requirements.get(requirement.id):
                raise Mistake(
                    f"{path.name}:{requirement.line}: {requirement.id} is defined twice "
                    f"(before in {earlier.catalogue}:{earlier.line})"
                )
            requirements[requirement.id] = requirement
        if found:
            titles[path.name] = text.partition("\n")[0].removeprefix("# ")
    return titles, requirements


def parse_catalogue(name: str, text: str) -> Iterator[Requirement]:
    """Parse the requirements of one catalogue, in their order."""
    header: list[str] = []
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if line.startswith("|"):
            cells = [cell.strip() for cell in _CELL.split(line)[1:-1]]
            header = header or cells
            yield from _parse_row(name, number, header, cells)
            continue
        header = []
        if item := _ITEM.match(line):
            rest = [item[2], *_continuation(lines[number:])]
            yield Requirement(item[1], name, number, "", " ".join(rest))


def _parse_row(
    name: str, number: int, header: list[str], cells: list[str]
) -> Iterator[Requirement]:
    first = _WHOLE_ID.fullmatch(cells[0]) if cells else None
    if first is not None:
        columns = dict(zip((title.lower() for title in header), cells, strict=False))
        level = columns.get("lvl") or columns.get("lv") or ""
        text = " | ".join(cell for cell in cells[1:] if cell and cell != level)
        yield Requirement(first[1], name, number, level, text)
        return
    # A grid of cases: every cell but the first is an ID.
    grid = [_WHOLE_ID.fullmatch(cell) for cell in cells[1:]]
    if len(grid) > 1 and all(grid):
        for title, cell in zip(header[1:], grid, strict=False):
            if cell is not None:
                yield Requirement(cell[1], name, number, "", f"{cells[0]}: {title}")


def _continuation(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith("  "):
            return
        yield line.strip()


def read_status(root: Path = ROOT) -> Status:
    """Read the status file; a missing one says nothing about anything."""
    path = root / STATUS
    return parse_status(path.read_text(encoding="utf-8")) if path.exists() else Status()


def parse_status(text: str) -> Status:
    """Parse the status file."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Mistake(f"{STATUS}: {error}") from error
    words = {Kind.NOT_YET: "brings", Kind.NOT_APPLICABLE: "reason"}
    if unknown := document.keys() - {kind.value for kind in Kind} - {"in_part"}:
        raise Mistake(f"{STATUS}: unknown tables {', '.join(sorted(unknown))}")
    entries = [
        _parse_entry(kind, word, table)
        for kind, word in words.items()
        for table in document.get(kind.value, [])
    ]
    return Status(tuple(entries), document.get("in_part", {}))


def _parse_entry(kind: Kind, word: str, table: dict[str, Any]) -> Entry:
    if not {word, "ids"} <= table.keys() <= {word, "ids", "except"}:
        raise Mistake(f"{STATUS}: an entry of {kind.value} has '{word}', 'ids' and maybe 'except'")
    return Entry(
        kind=kind,
        why=table[word],
        patterns=tuple(map(Pattern.parse, table["ids"])),
        exceptions=tuple(map(Pattern.parse, table.get("except", []))),
    )


def read_tests(root: Path = ROOT) -> dict[str, tuple[str, ...]]:
    """Read which tests name which ID, as `tests/test_poll.py::test_name`."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((root / TESTS).rglob("*.py")):
        if path == root / MARKER:
            continue
        where = path.relative_to(root).as_posix()
        for id_, test in parse_tests(where, path.read_text(encoding="utf-8")):
            if test not in found[id_]:
                found[id_].append(test)
    return {id_: tuple(tests) for id_, tests in found.items()}


def parse_tests(where: str, source: str) -> Iterator[tuple[str, str]]:
    """Parse the calls of `covers` in one source, each ID with the test that carries it."""
    yield from _calls_below(where, where, ast.parse(source, where))


def _calls_below(where: str, test: str, node: ast.AST) -> Iterator[tuple[str, str]]:
    for child in ast.iter_child_nodes(node):
        inner = test
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{test}::{child.name}"
        if isinstance(child, ast.Call) and _is_covers(child.func):
            for argument in child.args:
                if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                    raise Mistake(f"{where}:{child.lineno}: covers() takes literal IDs only")
                yield argument.value, test
        yield from _calls_below(where, inner, child)


def _is_covers(function: ast.expr) -> bool:
    match function:
        # As `covers(...)` or `pytest.mark.covers(...)`; other things may have such a method too.
        case ast.Name(id="covers") | ast.Attribute(value=ast.Attribute(attr="mark"), attr="covers"):
            return True
        case _:
            return False


def assess(
    titles: Mapping[str, str],
    requirements: Mapping[str, Requirement],
    status: Status,
    tests: Mapping[str, tuple[str, ...]],
) -> Report:
    """Judge every requirement, and the status file and the tests against the catalogues."""
    errors = [
        f"{', '.join(tests[id_])}: {id_} is in no catalogue"
        for id_ in sorted(tests.keys() - requirements.keys())
    ]
    errors += [
        f"{STATUS}: in_part names {id_}, which is in no catalogue"
        for id_ in sorted(status.in_part.keys() - requirements.keys())
    ]
    errors += [
        f"{STATUS}: '{pattern.written}' matches nothing"
        for entry in status.entries
        for pattern in (*entry.patterns, *entry.exceptions)
        if not any(pattern.matches(requirement) for requirement in requirements.values())
    ]
    warnings: list[str] = []
    findings: list[Finding] = []
    for requirement in requirements.values():
        carriers = tests.get(requirement.id, ())
        entry, pattern, rivals = _entry_for(requirement, status)
        if rivals:
            errors.append(f"{STATUS}: two entries speak for {requirement.id}")
        if carriers:
            if pattern is not None and pattern.is_exact:
                warnings.append(f"{STATUS}: {requirement.id} is covered, its entry is stale")
            why = status.in_part.get(requirement.id, "")
            findings.append(Finding(requirement, Verdict.COVERED, why, carriers))
        elif entry is None:
            findings.append(Finding(requirement, Verdict.MISSING))
        elif entry.kind is Kind.NOT_YET:
            findings.append(Finding(requirement, Verdict.NOT_YET, entry.why))
        else:
            findings.append(Finding(requirement, Verdict.NOT_APPLICABLE, entry.why))
    return Report(titles, tuple(findings), tuple(errors), tuple(warnings))


def _entry_for(
    requirement: Requirement, status: Status
) -> tuple[Entry | None, Pattern | None, bool]:
    found = [
        (pattern.rank, entry, pattern)
        for entry in status.entries
        if (pattern := entry.best(requirement)) is not None
    ]
    if not found:
        return None, None, False
    found.sort(key=lambda candidate: candidate[0], reverse=True)
    rivals = len(found) > 1 and found[0][0] == found[1][0]
    return found[0][1], found[0][2], rivals


def trace(root: Path = ROOT) -> Report:
    """Read everything below `root` and judge it."""
    titles, requirements = read_catalogues(root)
    return assess(titles, requirements, read_status(root), read_tests(root))


@functools.cache
def known_ids() -> frozenset[str]:
    """Every ID of this repository's catalogues."""
    return frozenset(read_catalogues()[1])


def render_report(report: Report) -> Iterator[str]:
    """Render the whole report, a catalogue after the other."""
    areas: dict[str, set[str]] = defaultdict(set)
    for finding in report.findings:
        areas[finding.requirement.area].add(finding.requirement.id)
    for catalogue, title in report.titles.items():
        yield f"{catalogue}: {title}"
        yield f"  {_counts(report, catalogue)}"
        for verdict in Verdict:
            yield from _render_group(verdict, report.having(verdict, catalogue), areas)
        yield ""
    yield f"All catalogues: {_counts(report, None)}"
    yield from _render_complaints(report)


def _counts(report: Report, catalogue: str | None) -> str:
    return " · ".join(
        f"{verdict.value} {len(report.having(verdict, catalogue))}" for verdict in Verdict
    )


def _render_group(
    verdict: Verdict, findings: list[Finding], areas: Mapping[str, set[str]]
) -> Iterator[str]:
    if not findings:
        return
    match verdict:
        case Verdict.MISSING:
            yield "  not covered, and no word why:"
            yield from (f"    {_line(finding.requirement)}" for finding in findings)
        case Verdict.COVERED:
            yield f"  covered: {shorten([f.requirement for f in findings], areas)}"
            for finding in findings:
                if finding.why:
                    yield f"    {finding.requirement.id} but for: {finding.why}"
        case Verdict.NOT_APPLICABLE | Verdict.NOT_YET:
            reasons: dict[str, list[Requirement]] = defaultdict(list)
            for finding in findings:
                reasons[finding.why].append(finding.requirement)
            yield f"  {verdict.value}:"
            for why, requirements in reasons.items():
                yield f"    {why}: {shorten(requirements, areas)}"


def shorten(requirements: Iterable[Requirement], areas: Mapping[str, set[str]]) -> str:
    """Name IDs shortly: whole areas as `DTR-CB-*`, neighbours as `DTR-INV-01..06`."""
    by_area: dict[str, list[Requirement]] = defaultdict(list)
    for requirement in requirements:
        by_area[requirement.area].append(requirement)
    parts: list[str] = []
    for area, members in by_area.items():
        if len(members) > 1 and {member.id for member in members} == areas.get(area):
            parts.append(f"{area}*")
            continue
        runs: list[list[Requirement]] = []
        for member in sorted(members, key=lambda member: member.number):
            if runs and runs[-1][-1].number == member.number - 1:
                runs[-1].append(member)
            else:
                runs.append([member])
        for run in runs:
            last = run[-1].id.removeprefix(area)
            parts.append(run[0].id if len(run) == 1 else f"{run[0].id}..{last}")
    return ", ".join(parts)


def _line(requirement: Requirement, width: int = 90) -> str:
    text = requirement.text
    if len(text) > width:
        text = text[:width].rsplit(" ", 1)[0] + " …"
    return f"{requirement.id}  {text}"


def _render_complaints(report: Report) -> Iterator[str]:
    yield from (f"warning: {warning}" for warning in report.warnings)
    yield from (f"error: {error}" for error in report.errors)
    if holes := len(report.having(Verdict.MISSING)):
        yield f"error: {holes} requirements have no answer (make trace ARGS=--missing lists them)"


def render_finding(finding: Finding) -> Iterator[str]:
    """Render one requirement with its text and its tests."""
    requirement = finding.requirement
    level = f" [{requirement.level}]" if requirement.level else ""
    yield f"{requirement.id}{level}  {CATALOGUES / requirement.catalogue}:{requirement.line}"
    yield f"  {requirement.text}"
    yield f"  {finding.verdict.value}{f': {finding.why}' if finding.why else ''}"
    yield from (f"  {test}" for test in finding.tests)


def as_json(report: Report) -> str:
    """Render the report for programs."""
    document = {
        "requirements": [
            {
                "id": finding.requirement.id,
                "catalogue": finding.requirement.catalogue,
                "line": finding.requirement.line,
                "level": finding.requirement.level,
                "text": finding.requirement.text,
                "verdict": finding.verdict.name.lower(),
                "why": finding.why,
                "tests": list(finding.tests),
            }
            for finding in report.findings
        ],
        "errors": list(report.errors),
        "warnings": list(report.warnings),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Print the report that is asked for; 0 if every requirement has an answer."""
    parser = argparse.ArgumentParser(prog="trace", description=(__doc__ or "").partition("\n")[0])
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--missing", action="store_true", help="only what has no answer")
    choice.add_argument("--id", metavar="ID", help="one requirement, its text and its tests")
    choice.add_argument("--json", action="store_true", help="everything, for programs")
    options = parser.parse_args(arguments)
    try:
        report = trace(root)
    except Mistake as mistake:
        print(f"error: {mistake}", file=sys.stderr)
        return 1
    if options.id:
        found = [finding for finding in report.findings if finding.requirement.id == options.id]
        for finding in found:
            print("\n".join(render_finding(finding)))
        if not found:
            print(f"error: no catalogue has {options.id}", file=sys.stderr)
        return 0 if found else 1
    if options.json:
        print(as_json(report))
    elif options.missing:
        for finding in report.having(Verdict.MISSING):
            print(_line(finding.requirement))
        for error in report.errors:
            print(f"error: {error}", file=sys.stderr)
    else:
        print("\n".join(render_report(report)))
    return 0 if report.is_whole else 1


if __name__ == "__main__":
    sys.exit(main())

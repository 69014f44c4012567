"""The table, and the part of `docs/reliability.md` that is made from it."""

import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from faults.lanes import Ran, Worlds
from faults.mutants import Hunted

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "reliability.md"
BEGIN: Final = "<!-- what follows is written by `make faults` -->\n"
END: Final = "<!-- until here -->\n"
_SIMULATED: Final = (
    ("R1", "at most one live set of tokens for a deferral"),
    ("R2, R6", "an acknowledged decision is kept, and the audit has it"),
    ("R3", "one order explains all answers: no token after an acknowledged end"),
    ("R4", "never more than asked or decided"),
    ("R5", "callbacks: after the end, at least once, not after suppression"),
    ("R8", "nothing expires early or lives on, though clocks differ"),
    ("R12", "every call and every request ends"),
)


def rows(worlds: Worlds, ran: Sequence[Ran], hunted: Sequence[Hunted]) -> Iterator[str]:
    """Lines of Markdown: the promises by lane, the faults, the mutants."""
    yield f"Run on {datetime.now(UTC):%Y-%m-%d} under Python {platform.python_version()}."
    yield ""
    yield "| promise | lane | tries | violations |"
    yield "| --- | --- | --- | --- |"
    for promises, says in _SIMULATED:
        broken = sum(each.promise in promises.split(", ") for _, each in worlds.violations)
        yield f"| {promises}: {says} | A simulation | {worlds.count:,} worlds | {broken} |"
    for each in ran:
        skipped = f" ({each.skipped} skipped)" if each.skipped else ""
        tries = f"{each.tries:,} {each.lane.make}{skipped}"
        yield f"| {each.lane.promises} | {each.lane.name} | {tries} | {0 if each.good else 'yes'} |"
    caught = sum(each.median is not None for each in hunted)
    yield f"| R14: the checker sees what is broken | mutants | {len(hunted)} | {caught} caught |"
    yield ""
    yield (
        f"In these worlds there were {worlds.calls:,} calls, {worlds.tokens:,} tokens,"
        f" {worlds.callbacks:,} callbacks, and these faults:"
    )
    yield ""
    yield ", ".join(f"{fault} {count:,}" for fault, count in sorted(worlds.faults.items())) + "."
    yield ""
    yield "| safeguard that was switched off | seen as | worlds to find it (median of three) |"
    yield "| --- | --- | --- |"
    for mutant in hunted:
        found = "**not found**" if mutant.median is None else f"{mutant.median:g}"
        yield f"| {mutant.mutant.off} | {', '.join(sorted(mutant.promises))} | {found} |"


def write_page(lines: Sequence[str]) -> None:
    """Put them between the marks. Raises `ValueError` if the page has no marks."""
    text = PAGE.read_text()
    head, _, rest = text.partition(BEGIN)
    _, mark, tail = rest.partition(END)
    if not mark:
        raise ValueError(f"{PAGE} does not say where the figures go")
    PAGE.write_text(head + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + tail)

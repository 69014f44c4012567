"""The table, and the part of `docs/reliability.md` that is made from it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from faults.piece import Piece

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
    ("R11", "a success whose answer was lost can be had again"),
    ("R12", "every call and every request ends"),
)


def rows(piece: Piece) -> Iterator[str]:
    """Lines of Markdown: the promises by lane, the faults, the mutants."""
    worlds = piece.worlds
    yield f"Run on {piece.at} under Python {piece.python}, at commit {piece.commit}."
    if "," in piece.commit:
        yield "It is the sum of several runs with different seeds, of those commits."
    yield ""
    yield "| promise | lane | tries | violations |"
    yield "| --- | --- | --- | --- |"
    for promises, says in _SIMULATED:
        broken = sum(each.promise in promises.split(", ") for _, each in worlds.violations)
        yield f"| {promises}: {says} | A simulation | {worlds.count:,} worlds | {broken} |"
    for each in piece.tried:
        skipped = f" ({each.skipped} skipped)" if each.skipped else ""
        tries = f"{each.tries:,} {each.make}{skipped}"
        yield f"| {each.promises} | {each.name} | {tries} | {0 if each.good else 'yes'} |"
    caught = sum(each.median is not None for each in piece.caught)
    sees = "R14: the checker sees what is broken"
    yield f"| {sees} | mutants | {len(piece.caught)} | {caught} caught |"
    yield ""
    yield (
        f"In these worlds there were {worlds.calls:,} calls, {worlds.tokens:,} tokens,"
        f" {worlds.callbacks:,} callbacks, and these faults:"
    )
    yield ""
    yield ", ".join(f"{fault} {count:,}" for fault, count in sorted(worlds.faults.items())) + "."
    for each in piece.tried:
        if each.more:
            yield ""
            told = ", ".join(f"{what} {many:,}" for what, many in sorted(each.more.items()))
            yield f"{each.name}: {told}."
    yield ""
    yield "| safeguard that was switched off | seen as | worlds to find it (median of three) |"
    yield "| --- | --- | --- |"
    for mutant in piece.caught:
        found = "**not found**" if mutant.median is None else f"{mutant.median:g}"
        yield f"| {mutant.off} | {', '.join(mutant.promises)} | {found} |"


def write_page(lines: Sequence[str]) -> None:
    """Put them between the marks. Raises `ValueError` if the page has no marks."""
    text = PAGE.read_text()
    head, _, rest = text.partition(BEGIN)
    _, mark, tail = rest.partition(END)
    if not mark:
        raise ValueError(f"{PAGE} does not say where the figures go")
    PAGE.write_text(head + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + tail)

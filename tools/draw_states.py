"""Draw docs/state-machine.md from the table that the code executes.

    python -m tools.draw_states           # writes the page
    python -m tools.draw_states --check   # fails if the page is not what it should be

The page is never edited: whoever changes `abeyance.pending.states` draws it again.
"""

import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from abeyance.pending.states import OPEN, TRANSITIONS, Event, Stage, stage_after

PAGE: Final = Path(__file__).parent.parent / "docs" / "state-machine.md"

_MEANS_STAGE: Final[dict[Stage, str]] = {
    Stage.PENDING: "somebody must decide",
    Stage.AWAITING_INTERACTION: "somebody must act first, at the interaction page",
    Stage.APPROVED: "decided well, not collected yet",
    Stage.DENIED: "decided badly, or no longer allowed",
    Stage.CANCELLED: "withdrawn by the client",
    Stage.REDEEMED: "turned into a token, once",
}
_MEANS_EVENT: Final[dict[Event, str]] = {
    Event.INTERACTION_ASKED: "the server asks for an interaction (again: with a new URI)",
    Event.INTERACTION_DONE: "the interaction is finished",
    Event.APPROVE: "enough reviewers have approved, before the deadline for decisions",
    Event.DENY: "enough reviewers have denied, before the deadline for decisions",
    Event.CANCEL: "the client revokes its deferral code",
    Event.STALE: "a precondition is gone: client disabled, permission withdrawn",
    Event.REDEEM: "the client polls with the right key and gets its token",
}

_TEXT: Final = """\
<!-- Drawn by tools/draw_states.py from abeyance.pending.states. Do not edit: draw it again. -->

# The states of a pending request

This is the table that the code executes: the server asks it what follows, and the store takes its
conditions from it. What it does not name changes nothing and is answered with the state that
stands.

{diagram}

## The table

{table}

{reading}

## What the clock does

{clock}

## The words

{words}
"""

_READING: Final = """\
`-` changes nothing. A request is *open* while it is {open}; only open requests can be decided, and
only polls of open requests are paced. Nothing leads out of {ends}.
"""

_CLOCK: Final = """\
*Expired* is nowhere in the table, because nobody has to write it. From `expires_at` on, a request
that is {expirable} counts as expired: the poll says `expired_token`, and no event but `stale`
finds it any more. One that has ended stays as it ended. Decisions stop earlier, at `decide_by`, so
that what is approved can still be collected.
"""


def draw() -> str:
    """Return the whole page."""
    ends = [stage for stage in Stage if not TRANSITIONS[stage]]
    waiting = [stage for stage in Stage if TRANSITIONS[stage]]
    return _TEXT.format(
        diagram="\n".join(_diagram()),
        table="\n".join(_table()),
        reading=_wrap(_READING.format(open=_either(OPEN), ends=_either(ends))),
        clock=_wrap(_CLOCK.format(expirable=_either(waiting))),
        words="\n".join(_words()),
    )


def _diagram() -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    for stage in Stage:
        yield f'    state "{_name(stage)}" as {stage.value}'
    yield f"    [*] --> {Stage.PENDING.value}: opened"
    for stage in Stage:
        # Events that lead to the same place share an arrow.
        for target in Stage:
            events = [_name(event) for event in Event if stage_after(stage, event) is target]
            if events:
                yield f"    {stage.value} --> {target.value}: {', '.join(events)}"
    for stage in Stage:
        if not TRANSITIONS[stage]:
            yield f"    {stage.value} --> [*]"
    yield "```"


def _table() -> Iterator[str]:
    yield "| state | " + " | ".join(_name(event) for event in Event) + " |"
    yield "| --- " * (1 + len(Event)) + "|"
    for stage in Stage:
        cells = (stage_after(stage, event) for event in Event)
        row = ("-" if cell is None else _name(cell) for cell in cells)
        yield f"| **{_name(stage)}** | " + " | ".join(row) + " |"


def _words() -> Iterator[str]:
    yield "| state | means |"
    yield "| --- | --- |"
    for stage in Stage:
        yield f"| {_name(stage)} | {_MEANS_STAGE[stage]} |"
    yield ""
    yield "| event | happens when |"
    yield "| --- | --- |"
    for event in Event:
        yield f"| {_name(event)} | {_MEANS_EVENT[event]} |"


def _name(word: Stage | Event) -> str:
    return word.value.replace("_", " ")


def _either(stages: Sequence[Stage]) -> str:
    *first, last = (_name(stage) for stage in stages)
    return f"{', '.join(first)} or {last}" if first else last


def _wrap(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), width=100, break_on_hyphens=False)


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` compare it; returns the exit status."""
    page = draw()
    if arguments == ["--check"]:
        if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page:
            return 0
        print(f"{PAGE.name} is not what the table says; run: python -m tools.draw_states")
        return 1
    if arguments:
        print("usage: python -m tools.draw_states [--check]")
        return 2
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Is there one order in which all answers about one deferral are true?

The model is what an outsider is promised: a request is open, then approved, denied or
cancelled, and an approval becomes one token. `explains` searches an order of the operations
that agrees with real time (what ended before another began comes before it) and in which the
model gives every answer; an operation whose answer was lost may have happened or not.

After Wing and Gong, "Testing and Verifying Concurrent Objects" (1993), with a memory of
configurations (Lowe, 2017). What only reads is taken as soon as it fits: waiting gains nothing.
`explains_slowly` tries every order, and is there to check `explains`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from math import inf
from typing import Final

OPEN: Final = "open"
APPROVED: Final = "approved"
DENIED: Final = "denied"
CANCELLED: Final = "cancelled"
REDEEMED: Final = "redeemed"
ENDED: Final = frozenset({DENIED, CANCELLED, REDEEMED})
LOST: Final = "lost"
READS: Final = frozenset({"poll", "repeat", "final"})
_LEADS_TO: Final = {"approve": APPROVED, "deny": DENIED}


@dataclass(frozen=True, slots=True)
class Operation:
    """`began` and `ended` are places in the log; `late`: a clock may have called it expired."""

    op: str
    what: str
    began: float
    ended: float = inf
    late: bool = False


def after(state: str, done: Operation) -> frozenset[str]:
    """The states in which the model may be once it has given this answer; none: impossible."""
    match done.op, done.what:
        case _, "refused":
            return frozenset({state})
        case "poll" | "repeat", "pending":
            return _if(state == OPEN or (done.op == "repeat" and state == APPROVED), state)
        case "poll", "token":
            return _if(state == APPROVED, REDEEMED)
        case "repeat", "token":
            return _if(state == REDEEMED, state)
        case "poll" | "repeat", "denied":
            return _if(state in (DENIED, CANCELLED), state)
        case "poll" | "repeat", "spent":
            return _if(state == REDEEMED, state)
        case "poll" | "repeat", "expired":
            return _if(done.late and state in (OPEN, APPROVED), state)
        case "poll", "lost":
            return frozenset({state, REDEEMED if state == APPROVED else state})
        case "approve" | "deny", "counted":
            return _if(state == OPEN, _LEADS_TO[done.op])
        case "approve", "noted":
            return _if(state == OPEN, state)
        case "approve" | "deny", "closed":
            return _if(state != OPEN or done.late, state)
        case "approve" | "deny", "lost":
            return frozenset({state, _LEADS_TO[done.op] if state == OPEN else state})
        case "cancel", "done":
            ended = state if state in ENDED else CANCELLED
            return frozenset({ended, state} if done.late else {ended})
        case "cancel", "lost":
            return frozenset({state, state if state in ENDED else CANCELLED})
        case "repeat", "lost":
            return frozenset({state})
        case "final", "expired":
            return _if(state in (OPEN, APPROVED), state)
        case "final", stage:
            return _if(state == stage, state)
    raise ValueError(f"the model knows no {done.op} that is answered with {done.what}")


def _if(holds: bool, state: str) -> frozenset[str]:
    return frozenset({state}) if holds else frozenset()


def explains(history: Sequence[Operation]) -> bool:
    """Is there an order of these operations in which every answer is true?"""
    seen: set[tuple[frozenset[int], str]] = set()
    ways = [(frozenset(range(len(history))), OPEN)]
    while ways:
        left, state = ways.pop()
        left = _without_reads(history, left, state)
        if all(history[each].what == LOST for each in left):
            return True
        if (left, state) in seen:
            continue
        seen.add((left, state))
        for each in _next(history, left):
            # What was lost and did nothing need not be taken at all.
            ways += [
                (left - {each}, to)
                for to in after(state, history[each])
                if to != state or history[each].what != LOST
            ]
    return False


def _without_reads(
    history: Sequence[Operation], left: frozenset[int], state: str
) -> frozenset[int]:
    while True:
        fit = {
            each
            for each in _next(history, left)
            if history[each].what != LOST and after(state, history[each]) == {state}
        }
        if not fit:
            return left
        left -= fit


def _next(history: Sequence[Operation], left: frozenset[int]) -> list[int]:
    """What may come first of what is left: nothing else had ended when it began."""
    first_end = min((history[each].ended for each in left), default=inf)
    return [each for each in left if history[each].began < first_end]


def explains_slowly(history: Sequence[Operation]) -> bool:
    """The same by trying every order of every choice of what happened."""
    sure = [each for each in history if each.what != LOST]
    unsure = [each for each in history if each.what == LOST]
    return any(
        _is_true(order)
        for many in range(len(unsure) + 1)
        for happened in combinations(unsure, many)
        for order in permutations([*sure, *happened])
    )


def _is_true(order: Sequence[Operation]) -> bool:
    for place, each in enumerate(order):
        if any(later.ended < each.began for later in order[place + 1 :]):
            return False
    states = frozenset({OPEN})
    for each in order:
        states = frozenset(to for state in states for to in after(state, each))
    return bool(states)

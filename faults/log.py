"""What happened, as outsiders saw it: one JSON object a line, in the order in which it happened.

`at` is in seconds of real (or simulated) time. A deferral has a name of the log's own.

    opened    deferral, asked (scopes), expires (at), decides (at: the last vote that counts),
              skew (seconds by which clocks may differ), calls (is a callback wanted?),
              needs (how many have to approve; 1 if it is not said)
    call      id, deferral, op: poll, repeat, approve (with scope), deny, cancel; by (who votes);
              first: what was granted or refused at once (`deferral` names what was asked)
    answer    id, what; with `token` also token and scope
    granted   deferral, scope: the decision maker said yes by itself
    lost      id: the caller will never know whether it happened
    callback  deferral, heard: a receiver was called, and answered that it heard
    final     deferral, stage, live (tokens that work), decided (is the decision in the audit?),
              votes (who has voted, if it is known)

What an answer may be: pending, token, denied, expired, spent (polls and repetitions); counted
(a vote that decides), noted (one that does not yet), closed; done (cancellations); refused
(anything: nothing happened, and nothing was told).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

Event: TypeAlias = Mapping[str, Any]


@dataclass(slots=True)
class Log:
    """Writes events; `clock` gives their `at`."""

    clock: Callable[[], float]
    events: list[Event] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: count(1))

    def note(self, event: str, **more: Any) -> None:
        self.events.append({"at": round(self.clock(), 6), "event": event, **more})

    def call(self, deferral: str, op: str, **more: Any) -> int:
        """Somebody begins to call; return the number by which the end is noted."""
        number = next(self._ids)
        self.note("call", id=number, deferral=deferral, op=op, **more)
        return number

    def answer(self, number: int, what: str, **more: Any) -> None:
        self.note("answer", id=number, what=what, **more)

    def lost(self, number: int) -> None:
        self.note("lost", id=number)

    def write_to(self, path: Path) -> None:
        path.write_text("".join(json.dumps(each) + "\n" for each in self.events))


def read_log(lines: Iterable[str]) -> Sequence[Event]:
    """The events of a stored log. Raises `ValueError` for what is none."""
    events = [json.loads(line) for line in lines if line.strip()]
    if not all(isinstance(each, dict) and "event" in each and "at" in each for each in events):
        raise ValueError("a line of the log is no event")
    return events

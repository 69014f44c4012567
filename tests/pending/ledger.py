"""A store of three dictionaries: applies a `Change` by the table, all of it or nothing.

Small enough to be believed by reading it. It says what a store promises
(`abeyance.pending.change`), in the plainest words.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from abeyance.pending.change import (
    Advance,
    Applied,
    CastVote,
    Change,
    CloseHome,
    Open,
    Step,
    Superseded,
    TokenRecord,
)
from abeyance.pending.handles import HandleHash, Home
from abeyance.pending.request import Held, Key, Snapshot
from abeyance.pending.states import OPEN, Event, stage_after, stage_of
from abeyance.pending.votes import Ballot


class Lost(Exception):
    """A step met something else than it expected."""


@dataclass
class Ledger:
    held: dict[Key, Held] = field(default_factory=dict)
    snapshots: dict[Key, Snapshot] = field(default_factory=dict)
    ballots: dict[Key, tuple[Ballot, ...]] = field(default_factory=dict)
    tokens: tuple[TokenRecord, ...] = ()

    def find(self, handle: HandleHash) -> Held | None:
        return next((each for each in self.held.values() if each.handle == handle), None)

    def apply(self, change: Change) -> Applied | Superseded:
        before = (dict(self.held), dict(self.snapshots), dict(self.ballots), self.tokens)
        current: Held | None = None
        for step in change.steps:
            try:
                current = self._take(change.home, step)
            except Lost:
                self.held, self.snapshots, self.ballots, self.tokens = before
                return Superseded(step, self._met(change.home, step))
        self.tokens += tuple(row for row in change.rows if isinstance(row, TokenRecord))
        return Applied(current)

    def _take(self, home: Home, step: Step) -> Held | None:
        match step:
            case Open(held, snapshot, at_most):
                if self._waiting(held) >= at_most.client or held.key in self.held:
                    raise Lost
                self.held[held.key], self.snapshots[held.key] = held, snapshot
                self.ballots[held.key] = ()
                return held
            case Advance(n, event, to, alive_at, version):
                old = self.held.get(Key(home, n))
                if old is None or not _may(old, event, alive_at):
                    raise Lost
                if version is not None and version != old.version:
                    raise Lost
                if to is not None and stage_after(stage_of(old.state), event) != stage_of(to):
                    raise AssertionError(f"the table does not lead to {to} by {event}")
                new = replace(old, version=old.version + 1, state=old.state if to is None else to)
                self.held[old.key] = new
                return new
            case CastVote(n, ballot):
                key = Key(home, n)
                if any(each.voter == ballot.voter for each in self.ballots[key]):
                    raise Lost
                self.ballots[key] += (ballot,)
                return self.held[key]
            case CloseHome(event, to):
                for key, old in self.held.items():
                    if key.home == home and stage_after(stage_of(old.state), event) is not None:
                        self.held[key] = replace(old, version=old.version + 1, state=to)
                return None
            case _:
                raise NotImplementedError

    def _waiting(self, new: Held) -> int:
        return sum(
            each.client == new.client
            and stage_of(each.state) in OPEN
            and each.expires_at > new.opened_at
            for each in self.held.values()
        )

    def _met(self, home: Home, step: Step) -> Held | None:
        match step:
            case Advance(n=n) | CastVote(n=n):
                return self.held.get(Key(home, n))
            case _:
                return None


def _may(held: Held, event: Event, at: datetime) -> bool:
    if stage_after(stage_of(held.state), event) is None:
        return False
    if event is Event.STALE:
        return True
    return at < (held.decide_by if event in (Event.APPROVE, Event.DENY) else held.expires_at)

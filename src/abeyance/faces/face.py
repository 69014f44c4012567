"""What a face is: a dialect's names and its word for every reason."""

from collections.abc import Mapping
from dataclasses import dataclass

from abeyance.pending.handles import HandleKind
from abeyance.pending.judging import Why


@dataclass(frozen=True, slots=True)
class Words:
    """A reason in this dialect: `error`, `error_description`."""

    error: str
    description: str


@dataclass(frozen=True, slots=True)
class Face:
    """One dialect. A missing word for a `Why` fails at import, not at a poll."""

    grant_type: str
    handle: HandleKind
    parameter: str
    pending: Words
    refusals: Mapping[Why, Words]

    def __post_init__(self) -> None:
        missing = set(Why) - set(self.refusals)
        if missing:
            raise ValueError(f"{self.grant_type} has no words for {sorted(map(str, missing))}")
